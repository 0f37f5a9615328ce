//! `PARLANCE_RETENTION_DAYS`, with a clock that the test sets.

use crate::harness::{Process, Server, User};
use crate::live::client::{Socket, soon};
use domain::retention::Retention;
use domain::{Clock, Timestamp};
use parlance::clock::SystemClock;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use test_support::run_sql;

const DAY: i64 = 86_400_000_000;

/// The system's clock, and a little ahead of it.
#[derive(Default)]
pub struct MovedClock(pub AtomicI64);

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let moved = SystemClock.now().as_micros() + self.0.load(Ordering::Relaxed);
        Timestamp::from_micros(moved).unwrap()
    }
}

/// All files below a directory.
fn files_below(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

#[actix_web::test]
async fn what_is_too_old_goes_for_everybody_and_from_the_disk() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| {
        config.retention = Some(Retention::of_days(30).unwrap());
        config.upkeep_every = std::time::Duration::from_millis(20);
        config.clock = clock.clone();
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let old = ada.send(&bob.id, "thirty days ago").await;
    let form = Form::new().text("receiver_id", bob.id.clone());
    let form = form.part("file", Part::bytes(b"notes".to_vec()).file_name("a.txt"));
    let sent = ada.form("/messages/upload", form).await.expect(201);
    let (carrier, url) = (sent["id"].as_str().unwrap(), sent["file"]["url"].as_str().unwrap());
    assert_eq!((files_below(&server.directory().join("uploads")), bob.unseen_total().await), (1, 2));
    clock.0.store(29 * DAY, Ordering::Relaxed);
    // The sessions of the first day go, too.
    let (ada, bob) = (server.log_in("ada", &ada.password).await, server.log_in("bob", &bob.password).await);
    let young = ada.send(&bob.id, "yesterday").await;
    let mut socket = Socket::open(&bob).await;

    clock.0.store(30 * DAY + 60_000_000, Ordering::Relaxed);
    for expected in [old.as_str(), carrier] {
        assert_eq!(socket.expect("message.deleted").await["id"], expected);
    }
    for gone in [&format!("/messages/{old}"), &format!("/messages/{carrier}")] {
        bob.get(gone).await.refused(404, None);
    }
    let left = bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &json!(young)));
    assert_eq!(bob.unseen_total().await, 1);
    soon("the file to go", async { while ada.get(url).await.status != 404 {} }).await;
    let uploads = server.directory().join("uploads");
    soon("its bytes to go", async {
        while files_below(&uploads) > 0 {
            ada.get("/health").await.expect(200);
        }
    })
    .await;
    let feed = format!("/conversations/{}/changes?after=3", sent["conversation_id"].as_str().unwrap());
    let changes = bob.get(&feed).await.expect(200);
    assert_eq!((&changes["update"], changes["messages"].as_array().unwrap().len()), (&json!(5), 2));
}

/// What stands for a clock that has jumped: evidence that is so old.
#[actix_web::test]
async fn a_clock_that_is_far_ahead_of_the_evidence_deletes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("data/parlance.db").display());
    let limit = [("PARLANCE_RETENTION_DAYS", "30")];
    let server = Process::start(directory.path(), &[], &limit);
    let account = json!({ "username": "ada", "password": "correct horse" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let login = server.client.post("/login", account).await.expect(200);
    let ada = User::new(&server.client, &login, "correct horse");
    let old = format!("/messages/{}", ada.send(&ada.id, "35 days ago").await);
    let file =
        ada.form("/upload", Form::new().part("file", Part::bytes(b"x".to_vec()).file_name("a"))).await.expect(201);
    let file = file["url"].as_str().unwrap();
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    for table in ["messages", "files"] {
        run_sql(&url, &format!("UPDATE {table} SET created_at = created_at - {}", 35 * DAY));
    }

    run_sql(&url, &format!("UPDATE server SET believed_at = believed_at - {}", 40 * DAY));
    let told = Process::run(directory.path(), &["doctor"], &limit);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("no server has run here for 40 days"), "{told}");
    let server = Process::start(directory.path(), &[], &limit);
    let ada = ada.at(&server.client);
    soon("the clock to be doubted", async {
        while !String::from_utf8(server.client.get("/metrics").await.body).unwrap().contains("parlance_clock_doubted 1")
        {
        }
    })
    .await;
    ada.get(&old).await.expect(200);
    assert_eq!(ada.get(file).await.status, 200);
    // What is sent now bears witness to nothing.
    ada.send(&ada.id, "under a wrong clock").await;
    server.signal("TERM");
    let (code, log) = server.wait();
    assert!(code == Some(0) && log.contains("the clock is far ahead"), "{log}");
    let server = Process::start(directory.path(), &[], &limit);
    let ada = ada.at(&server.client);
    soon("the clock to be doubted", async {
        while !String::from_utf8(server.client.get("/metrics").await.body).unwrap().contains("parlance_clock_doubted 1")
        {
        }
    })
    .await;
    ada.get(&old).await.expect(200);
    server.signal("TERM");
    server.wait();

    run_sql(&url, &format!("UPDATE server SET believed_at = believed_at + {}", 40 * DAY));
    let server = Process::start(directory.path(), &[], &limit);
    let ada = ada.at(&server.client);
    soon("the message to go", async { while ada.get(&old).await.status != 404 {} }).await;
    soon("the file to go", async { while ada.get(file).await.status != 404 {} }).await;
}

#[actix_web::test]
async fn what_no_message_carries_goes_after_a_day_without_a_limit() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| {
        config.clock = clock.clone();
        config.upkeep_every = std::time::Duration::from_millis(20);
        config.policy.files = domain::files::FileQuota(1_000);
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let uploads = server.directory().join("uploads");
    let upload = async |bytes: usize| {
        let form = Form::new().part("file", Part::bytes(vec![1; bytes]).file_name("a.bin"));
        ada.form("/upload", form).await
    };
    let carry = async |bytes: usize| {
        let form = Form::new()
            .part("file", Part::bytes(vec![1; bytes]).file_name("a.bin"))
            .text("receiver_id", bob.id.clone());
        ada.form("/messages/upload", form).await.expect(201)
    };
    upload(500).await.expect(201);
    let (kept, deleted) = (carry(200).await, carry(300).await);
    let deleted = format!("/messages/{}", deleted["id"].as_str().unwrap());
    assert!((200..300).contains(&ada.delete(&deleted, json!({})).await.status));
    assert_eq!((files_below(&uploads), upload(1).await.status), (3, 507));
    clock.0.store(DAY + 60_000_000, Ordering::Relaxed);
    soon("the loose ones to go", async {
        while files_below(&uploads) > 1 {
            ada.get("/health").await.expect(200);
        }
    })
    .await;
    assert_eq!(bob.get(kept["file"]["url"].as_str().unwrap()).await.status, 200);
    // And give back what they took: it is forgotten just behind its bytes.
    soon("room", async { while upload(800).await.status != 201 {} }).await;
    assert_eq!(upload(1).await.status, 507);
}

#[actix_web::test]
async fn without_a_limit_nothing_goes() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| {
        config.clock = clock.clone();
        config.upkeep_every = std::time::Duration::from_millis(20);
    })
    .await;
    let ada = server.user("ada").await;
    let note = ada.send(&ada.id, "for ever").await;
    clock.0.store(10_000 * DAY, Ordering::Relaxed);
    ada.get(&format!("/messages/{note}")).await.expect(200);
}

#[test]
fn an_age_that_is_none_is_refused_at_start() {
    let directory = tempfile::tempdir().unwrap();
    for bad in ["0", "-1", "x", "1.5", "36501", "on"] {
        let refused = Process::run(directory.path(), &["serve"], &[("PARLANCE_RETENTION_DAYS", bad)]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("PARLANCE_RETENTION_DAYS") && said.contains("36500"), "{said}");
    }
}
