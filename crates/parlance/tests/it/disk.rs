//! Full disks and missing directories under a running server.

use crate::harness::{Answer, Process, Server, User};
use crate::live::client::soon;
use crate::places::Mount;
use domain::files::{FileQuota, UploadQuota};
use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use std::path::Path;

const MIB: usize = 1 << 20;

pub async fn upload(user: &User, bytes: usize) -> Answer {
    let file = Part::bytes(vec![7; bytes]).file_name("a.bin");
    user.form("/upload", Form::new().part("file", file)).await
}

/// Of a file that was refused for want of room.
#[track_caller]
pub fn full(answer: Answer) {
    assert_eq!(answer.status, 507, "{answer}");
    assert_eq!(answer.json()["code"], "storage_full", "{answer}");
}

pub async fn sign_up(server: &Process, name: &str) -> User {
    let account = json!({ "username": name, "password": "correct horse" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let login = server.client.post("/login", account).await.expect(200);
    User::new(&server.client, &login, "correct horse")
}

/// A server on a disk of so many MiB; `None` if the system permits no mount.
pub fn on_small_disk(directory: &Path, megabytes: u32, environment: &[(&str, &str)]) -> Option<(Mount, Process)> {
    let data = directory.join("data");
    std::fs::create_dir(&data).unwrap();
    let Some(mount) = Mount::small_disk(megabytes, &data) else {
        eprintln!("LEFT OUT: this system lets nobody mount a disk");
        return None;
    };
    Some((mount, Process::start(directory, &[], environment)))
}

const UNLIMITED: (&str, &str) = ("PARLANCE_RATE_LIMITS", "off");

#[actix_web::test]
async fn when_uploads_have_filled_the_disk_everything_else_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let Some((_mount, server)) = on_small_disk(directory.path(), 32, &[UNLIMITED]) else { return };
    let (ada, bob) = (sign_up(&server, "ada").await, sign_up(&server, "bob").await);
    let mut stored = 0;
    let refused = loop {
        let answer = upload(&ada, 3 * MIB).await;
        if answer.status != 201 {
            break answer;
        }
        stored += 1;
    };
    full(refused);
    assert!((4..=8).contains(&stored), "{stored}");
    // With a message, and over the other of the two ways in, too.
    let carried = Part::bytes(vec![7; 3 * MIB]).file_name("a.bin");
    full(ada.form("/messages/upload", Form::new().part("file", carried).text("receiver_id", bob.id.clone())).await);

    // More than the disk would hold if the log of the database were not used again.
    let words = "x".repeat(1_000);
    for n in 0..700 {
        let sent = ada.post("/messages", json!({ "receiver_id": bob.id, "content": format!("{n} {words}") })).await;
        assert_eq!(sent.status, 201, "message {n}: {sent}");
    }
    let eve = sign_up(&server, "eve").await;
    let sent = eve.send(&bob.id, "there is room for me").await;
    bob.post(&format!("/messages/{sent}/seen"), json!({})).await;
    eve.put(&format!("/messages/{sent}"), json!({ "content": "edited" })).await.expect(200);
    assert!((200..300).contains(&eve.delete(&format!("/messages/{sent}"), json!({})).await.status));
    assert!((200..300).contains(&eve.post("/logout", json!({})).await.status));
    let deleted = sign_up(&server, "mallory").await;
    deleted.delete_account().await;
    server.client.get("/ready").await.expect(200);
    let metrics = server.client.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    for name in
        ["parlance_disk_free_bytes{place=\"uploads\"}", "parlance_disk_reserve_bytes{place=\"database\"} 8388608"]
    {
        assert!(metrics.contains(name), "{metrics}");
    }
    // An empty one fits wherever the reserve is kept, and nothing was left of what did not.
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let told = Process::run(directory.path(), &["doctor"], &[]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("every file has its bytes, and the store holds nothing else"), "{told}");
}

/// Sends the longest messages there are, a few at once, until none is taken any more; gives the ids of those that were.
async fn fill(ada: &User, bob: &User) -> Vec<String> {
    let words = "🙂".repeat(4_096);
    let message = json!({ "receiver_id": bob.id, "content": words });
    let mut sent = Vec::new();
    // More than the disk holds.
    for _ in 0..200 {
        let answers = join_all((0..20).map(|_| ada.post("/messages", message.clone()))).await;
        let (stored, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        sent.extend(stored.iter().map(|answer| answer.json()["id"].as_str().unwrap().to_owned()));
        let all = refused.len() == 20;
        refused.into_iter().for_each(full);
        if all {
            return sent;
        }
    }
    panic!("{} messages found room", sent.len());
}

#[actix_web::test]
async fn when_messages_have_filled_the_disk_who_is_there_logs_in_and_out_and_deletes() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [UNLIMITED, ("PARLANCE_ADMINS", "boss")];
    let Some((_mount, server)) = on_small_disk(directory.path(), 32, &environment) else { return };
    let (ada, bob, boss) =
        (sign_up(&server, "ada").await, sign_up(&server, "bob").await, sign_up(&server, "boss").await);
    let (eve, mallory) = (sign_up(&server, "eve").await, sign_up(&server, "mallory").await);
    let group = ada.group("tea", "private").await;
    let key = [("Idempotency-Key", "once")];
    let first = json!({ "receiver_id": bob.id, "content": "first" });
    let first = (ada.post_with("/messages", &key, first.clone()).await.expect(201), first);
    let sent = fill(&ada, &bob).await;
    assert!(sent.len() > 300, "{}", sent.len());

    // The server knows the stored files again.
    let again = ada.post_with("/messages", &key, first.1).await.expect(200);
    assert_eq!(again["id"], first.0["id"]);
    full(ada.post("/messages", json!({ "group_id": group, "content": "🙂".repeat(4_096) })).await);
    full(ada.put(&format!("/messages/{}", sent[0]), json!({ "content": "🙃".repeat(4_096) })).await);
    // Where not even a word finds room, nor does anything else that grows.
    let word = async || ada.post("/messages", json!({ "receiver_id": bob.id, "content": "w" })).await;
    let mut words = 0;
    let refused = loop {
        let answer = word().await;
        if answer.status != 201 {
            break answer;
        }
        words += 1;
        assert!(words < 5_000);
    };
    full(refused);
    full(server.client.post("/signup", json!({ "username": "late", "password": "correct horse" })).await);
    full(ada.post("/groups", json!({ "name": "late", "visibility": "private" })).await);
    full(ada.post(&format!("/groups/{group}/members"), json!({ "user_id": bob.id, "role": "member" })).await);
    full(ada.patch("/me", json!({ "display_name": "late" })).await);
    full(ada.put(&format!("/messages/{}", sent[0]), json!({ "content": "w" })).await);
    // Nothing else is held up, and it takes no more than is there for it.
    for id in sent.iter().take(60) {
        let account = json!({ "username": "bob", "password": "correct horse" });
        let login = server.client.post("/login", account).await.expect(200);
        let again = User::new(&server.client, &login, "correct horse");
        again.post(&format!("/messages/{id}/seen"), json!({})).await;
        assert!((200..300).contains(&again.post("/logout", json!({})).await.status));
    }
    boss.post(&format!("/admin/users/{}/disable", mallory.id), json!({})).await.expect(200);
    assert_eq!(mallory.get("/me").await.status, 401);
    eve.delete_account().await;
    for id in &sent {
        let deleted = ada.delete(&format!("/messages/{id}"), json!({})).await;
        assert!((200..300).contains(&deleted.status), "{deleted}");
    }
    server.client.get("/ready").await.expect(200);
    // What they left is room for others.
    assert!(fill(&ada, &bob).await.len() > 200);
}

#[actix_web::test]
async fn uploads_at_once_leave_the_reserve_together() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [UNLIMITED, ("PARLANCE_MAX_UPLOADS_PER_USER", "100")];
    let Some((mount, server)) = on_small_disk(directory.path(), 32, &settings) else { return };
    let ada = sign_up(&server, "ada").await;
    let answers = join_all((0..40).map(|_| upload(&ada, MIB))).await;
    let (mut stored, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert!(refused.len() >= 10, "{} {}", stored.len(), refused.len());
    refused.into_iter().for_each(full);
    // A refused upload occupied room meanwhile, and has released it.
    let refused = loop {
        match upload(&ada, MIB).await {
            answer if answer.status == 201 => stored.push(answer),
            refused => break refused,
        }
    };
    full(refused);
    assert!((15..30).contains(&stored.len()), "{}", stored.len());
    let metrics = server.client.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    let free = metrics.lines().find_map(|line| line.strip_prefix("parlance_disk_free_bytes{place=\"uploads\"} "));
    // What the database wrote meanwhile is not theirs.
    assert!(free.unwrap().parse::<f64>().unwrap() > 6.0 * MIB as f64, "{metrics}");
    drop(server);
    drop(mount);
}

#[actix_web::test]
async fn a_reserve_that_is_configured_holds() {
    let server = Server::with(|config| config.disk_reserve = domain::files::Reserve::Bytes(u64::MAX / 2)).await;
    let ada = server.user("ada").await;
    full(upload(&ada, 1).await);
    full(upload(&ada, 0).await);
    ada.send(&ada.id, "words need little").await;
}

#[actix_web::test]
async fn the_files_of_a_user_have_a_quota() {
    const QUOTA: usize = 10_000;
    let server = Server::with(|config| {
        config.policy.files = FileQuota(QUOTA as u64);
        config.policy.uploads = UploadQuota(100);
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    upload(&ada, QUOTA - 1_000).await.expect(201);
    full(upload(&ada, 1_001).await);
    let carried = |bytes| Form::new().part("file", Part::bytes(vec![1; bytes])).text("receiver_id", bob.id.clone());
    full(ada.form("/messages/upload", carried(1_001)).await);
    ada.form("/messages/upload", carried(1_000)).await.expect(201);
    full(upload(&ada, 1).await);
    upload(&ada, 0).await.expect(201);
    // Each user has a separate quota.
    upload(&bob, QUOTA).await.expect(201);
    // At once they are counted one after the other.
    let eve = server.user("eve").await;
    let answers = join_all((0..12).map(|_| upload(&eve, 1_000))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    answers.into_iter().filter(|answer| answer.status != 201).for_each(full);
}

#[actix_web::test]
async fn a_data_directory_that_goes_away_ends_the_server() {
    type Way = (&'static str, fn(&Path));
    let ways: [Way; 3] = [
        ("removed", |data| std::fs::remove_dir_all(data).unwrap()),
        ("renamed", |data| std::fs::rename(data, data.with_extension("old")).unwrap()),
        ("swapped", |data| {
            std::fs::rename(data, data.with_extension("old")).unwrap();
            std::fs::create_dir(data).unwrap();
            std::fs::copy(data.with_extension("old").join("parlance.db"), data.join("parlance.db")).unwrap();
        }),
    ];
    for (name, go_away) in ways {
        let directory = tempfile::tempdir().unwrap();
        let server = Process::start(directory.path(), &[], &[]);
        let ada = sign_up(&server, "ada").await;
        ada.send(&ada.id, "before").await;
        go_away(&directory.path().join("data"));
        let (code, log) = actix_web::rt::task::spawn_blocking(move || server.wait()).await.unwrap();
        assert_eq!(code, Some(1), "{name}: {log}");
        assert!(log.contains("stopping at once") && log.contains("database"), "{name}: {log}");
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[]);
    let Some(_mount) = Mount::small_disk(8, &directory.path().join("data")) else {
        return eprintln!("LEFT OUT: this system lets nobody mount a disk");
    };
    let (code, log) = actix_web::rt::task::spawn_blocking(move || server.wait()).await.unwrap();
    assert_eq!(code, Some(1), "covered by another disk: {log}");
}

#[actix_web::test]
async fn a_directory_for_uploads_that_goes_away_is_not_made_again() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let file = upload(&ada, 1_000).await.expect(201);
    let url = file["url"].as_str().unwrap().to_owned();
    let uploads = server.directory().join("uploads");
    let away = uploads.with_extension("away");
    std::fs::rename(&uploads, &away).unwrap();
    upload(&ada, 10).await.refused(503, None);
    ada.get(&url).await.refused(503, None);
    soon("unreadiness", async { while server.anyone().get("/ready").await.status != 503 {} }).await;
    assert!(!uploads.exists());
    // An empty one in its place is another.
    std::fs::create_dir(&uploads).unwrap();
    upload(&ada, 10).await.refused(503, None);
    ada.get(&url).await.refused(503, None);
    assert_eq!(std::fs::read_dir(&uploads).unwrap().count(), 0);
    // Messages have nothing to do with it.
    ada.send(&ada.id, "still here").await;
    std::fs::remove_dir(&uploads).unwrap();
    std::fs::rename(&away, &uploads).unwrap();
    // An answer of `/ready` holds for some milliseconds.
    soon("readiness", async { while server.anyone().get("/ready").await.status != 200 {} }).await;
    upload(&ada, 10).await.expect(201);
    assert_eq!(ada.get(&url).await.status, 200);
}

#[actix_web::test]
async fn a_damaged_database_is_told_as_loud_as_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[UNLIMITED]);
    let (ada, bob) = (sign_up(&server, "ada").await, sign_up(&server, "bob").await);
    for _ in 0..200 {
        ada.send(&bob.id, &"x".repeat(2_000)).await;
    }
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let server = Process::start(directory.path(), &[], &[UNLIMITED]);
    let database = directory.path().join("data/parlance.db");
    let size = usize::try_from(std::fs::metadata(&database).unwrap().len()).unwrap();
    {
        use std::io::{Seek as _, Write as _};
        let mut file = std::fs::OpenOptions::new().write(true).open(&database).unwrap();
        file.seek(std::io::SeekFrom::Start(4096)).unwrap();
        file.write_all(&vec![0x5A; size - 4096]).unwrap();
    }
    let (ada, bob) = (ada.at(&server.client), bob.at(&server.client));
    let login = server.client.post("/login", json!({ "username": "ada", "password": "correct horse" })).await;
    login.refused(503, None);
    ada.post("/messages", json!({ "receiver_id": bob.id, "content": "into nothing" })).await.refused(503, None);
    server.client.get("/ready").await.refused(503, None);
    server.client.get("/health").await.expect(200);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert_eq!(log.matches("THE DATABASE IS DAMAGED").count(), 1, "{log}");
    let refused = Process::run(directory.path(), &["serve"], &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("damaged"), "{said}");
}

#[actix_web::test]
async fn what_a_crash_left_of_uploads_goes_when_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    drop(Process::start(directory.path(), &[], &[]));
    let shelf = directory.path().join("data/uploads/57");
    let part = |number: u32| shelf.join(format!("01890a5d-ac96-774b-bcce-b302099a8057#{number}"));
    let foreign = shelf.join("notes#1");
    for path in [&part(1), &part(2), &foreign] {
        std::fs::write(path, "half").unwrap();
    }
    let long_ago = std::fs::metadata(part(1)).unwrap().modified().unwrap() - std::time::Duration::from_secs(90_000);
    for path in [&part(1), &foreign] {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let server = Process::start(directory.path(), &[], &[]);
    soon("the old part to go", async {
        while part(1).exists() {
            server.client.get("/health").await.expect(200);
        }
    })
    .await;
    assert!(part(2).exists() && foreign.exists(), "what may be being written, and what is not ours, stays");
}
