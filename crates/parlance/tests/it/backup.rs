//! `parlance backup` beside a server under load, and `parlance restore`.

use crate::harness::{Client, Process, User};
use crate::live::client::soon;
use futures_util::future::join_all;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use test_support::TestDb;
use tokio::sync::watch;

const PASSWORD: &str = "correct horse";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn runs(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = Process::run(directory, arguments, environment);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    text(&output)
}

#[track_caller]
fn fails(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = Process::run(directory, arguments, environment);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    text(&output)
}

async fn sign_up(client: &Client, name: &str) -> User {
    let body = json!({ "username": name, "password": PASSWORD });
    client.post("/signup", body).await.expect(201);
    log_in(client, name).await
}

async fn log_in(client: &Client, name: &str) -> User {
    let login = client.post("/login", json!({ "username": name, "password": PASSWORD })).await.expect(200);
    User::new(client, &login, PASSWORD)
}

async fn upload(user: &User, to: &str, bytes: Vec<u8>) -> Value {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("notes.bin")).text("receiver_id", to.to_owned());
    user.form("/messages/upload", form).await.expect(201)
}

/// Sends words, and now and then a file, until it is over.
async fn send(user: User, to: String, over: Arc<AtomicBool>, answered: Arc<watch::Sender<usize>>) -> Vec<Value> {
    let mut told = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let message = if told.len() % 10 == 9 {
            upload(&user, &to, vec![told.len() as u8; 3_000 + told.len()]).await
        } else {
            let body = json!({ "receiver_id": to, "content": format!("{} 🙂", told.len()) });
            user.post("/messages", body).await.expect(201)
        };
        told.push(message);
        answered.send_modify(|answered| *answered += 1);
    }
    told
}

async fn until(answered: &watch::Sender<usize>, enough: usize) {
    let mut answered = answered.subscribe();
    // In vain where the senders have given up, which is told when they are asked for what they sent.
    soon("answers", answered.wait_for(|answered| *answered >= enough)).await.unwrap();
}

async fn what_was_answered_before_a_backup_is_in_it(from: &[(&str, &str)], to: &[(&str, &str)]) {
    const SENDERS: usize = 4;
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Senders that send as fast as they can.
    let unlimited = [("PARLANCE_RATE_LIMITS", "off")];
    let (from, to) = (&[from, &unlimited].concat()[..], &[to, &unlimited].concat()[..]);
    let server = Process::start(directory.path(), &[], from);
    let mut people = Vec::new();
    for n in 0..SENDERS {
        people.push(sign_up(&server.client, &format!("user{n}")).await);
    }
    let (over, answered) = (Arc::<AtomicBool>::default(), Arc::<watch::Sender<usize>>::default());
    let senders: Vec<_> = (0..SENDERS)
        .map(|n| {
            let (user, to) = (people[n].clone(), people[(n + 1) % SENDERS].id.clone());
            actix_web::rt::spawn(send(user, to, over.clone(), answered.clone()))
        })
        .collect();
    until(&answered, 200).await;
    // The backup has to contain every message answered by now.
    let mut before = Vec::new();
    for user in &people {
        for conversation in user.get("/conversations?limit=200").await.expect(200).as_array().unwrap() {
            before.push((user.name.clone(), conversation["last_message"].clone()));
        }
    }
    let owned: Vec<(String, String)> = from.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let folder = directory.path().to_owned();
    let said = actix_web::rt::task::spawn_blocking(move || {
        let environment: Vec<_> = owned.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        runs(&folder, &["backup", "b.tar", "--with-secret"], &environment)
    })
    .await
    .unwrap();
    let during = *answered.borrow();
    until(&answered, during + 50).await;
    over.store(true, Ordering::Relaxed);
    let told: Vec<Value> = join_all(senders).await.into_iter().flat_map(Result::unwrap).collect();
    assert!(said.contains("4 users") && !said.contains("missing") && !said.contains("altered"), "{said}");
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let backup = directory.path().join("b.tar");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Nothing unfinished is left beside it.
    let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("unfinished")));

    let backup = backup.display().to_string();
    let said = runs(place.path(), &["restore", &backup], to);
    assert!(said.contains("users                     4 rows"), "{said}");
    let url = to.iter().find(|(key, _)| *key == "DATABASE_URL").map(|(_, url)| (*url).to_owned());
    let url = url.unwrap_or_else(|| format!("sqlite://{}", place.path().join("data/parlance.db").display()));
    assert_eq!(infra_diesel::Store::check(&url).await.unwrap(), Vec::<String>::new());
    let refused = fails(place.path(), &["restore", &backup], to);
    assert!(refused.contains("already"), "{refused}");

    let server = Process::start(place.path(), &[], to);
    let (mut found, mut files) = (0, 0);
    for message in &told {
        let user = people.iter().find(|user| user.id == message["sender_id"].as_str().unwrap()).unwrap();
        // The backup contains the secret, so tokens stay valid.
        let user = user.at(&server.client);
        let answer = user.get(&format!("/messages/{}", message["id"].as_str().unwrap())).await;
        if answer.status == 404 {
            continue;
        }
        assert_eq!(&answer.expect(200), message);
        found += 1;
        if let Some(url) = message["file"]["url"].as_str() {
            let bytes = user.get(url).await;
            assert_eq!((bytes.status, bytes.body.len() as u64), (200, message["file"]["size"].as_u64().unwrap()));
            assert!(bytes.body.iter().all(|byte| *byte == bytes.body[0]));
            files += 1;
        }
    }
    assert!(found >= 200 && files > 0 && found < told.len(), "{found} of {} with {files} files", told.len());
    for (name, last) in before {
        let user = people.iter().find(|user| user.name == name).unwrap().at(&server.client);
        user.get(&format!("/messages/{}", last["id"].as_str().unwrap())).await.expect(200);
    }
    // And life goes on.
    people[0].at(&server.client).send(&people[1].id, "again").await;
}

#[actix_web::test]
async fn what_was_answered_before_a_backup_of_sqlite_is_in_it() {
    what_was_answered_before_a_backup_is_in_it(&[], &[]).await;
}

#[actix_web::test]
async fn what_was_answered_before_a_backup_of_postgres_is_in_it() {
    let Some(database) = TestDb::postgres() else { return };
    what_was_answered_before_a_backup_is_in_it(&[("DATABASE_URL", database.url())], &[]).await;
}

#[actix_web::test]
async fn a_backup_of_sqlite_can_be_restored_into_postgres() {
    let Some(database) = TestDb::empty_postgres() else { return };
    what_was_answered_before_a_backup_is_in_it(&[], &[("DATABASE_URL", database.url())]).await;
}

/// Everything below a directory but locks.
fn tree(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.display().to_string());
        if path.is_dir() {
            found.extend(tree(&path));
        }
    }
    found
}

#[actix_web::test]
async fn a_damaged_backup_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[]);
    let (ada, bob) = (sign_up(&server.client, "ada").await, sign_up(&server.client, "bob").await);
    upload(&ada, &bob.id, vec![7; 100_000]).await;
    runs(directory.path(), &["backup", "b.tar"], &[]);
    let refused = fails(directory.path(), &["backup", "b.tar"], &[]);
    assert!(refused.contains("exists already"), "{refused}");
    // It is the same server that would have to be empty.
    let refused = fails(directory.path(), &["restore", "b.tar"], &[]);
    assert!(refused.contains("already"), "{refused}");

    let place = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(directory.path().join("b.tar")).unwrap();
    let bad = place.path().join("bad.tar");
    for part in 1..8 {
        let mut turned = bytes.clone();
        turned[bytes.len() * part / 8] ^= 4;
        std::fs::write(&bad, turned).unwrap();
        let refused = fails(place.path(), &["restore", "bad.tar"], &[]);
        assert!(refused.contains("damaged"), "{refused}");
        std::fs::write(&bad, &bytes[..bytes.len() * part / 8]).unwrap();
        fails(place.path(), &["restore", "bad.tar"], &[]);
        assert_eq!(tree(place.path()), [bad.display().to_string()]);
    }
    // Without the secret another one is made, and the old tokens are worth nothing.
    let good = directory.path().join("b.tar").display().to_string();
    let said = runs(place.path(), &["restore", &good], &[]);
    assert!(said.contains("log in again"), "{said}");
    let restored = Process::start(place.path(), &[], &[]);
    ada.at(&restored.client).get("/me").await.refused(401, None);
    log_in(&restored.client, "ada").await.get("/me").await.expect(200);
}

/// A client that comes back after the loss with a cursor from before it is told what happened since.
#[actix_web::test]
async fn revisions_go_on_behind_what_the_lost_server_handed_out() {
    use domain::live::LiveReader as _;
    let (directory, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let newest = async |folder: &Path| {
        let options = infra_diesel::StoreOptions {
            policy: Arc::default(),
            events: Arc::new(domain::events::NoListeners),
            fatal: Arc::new(|why: &str| panic!("{why}")),
            pool_size: Some(1),
            allow_unsafe_durability: false,
        };
        let url = format!("sqlite://{}", folder.join("data/parlance.db").display());
        let store = infra_diesel::Store::open(&url, options).await.unwrap();
        let at = store.subscriptions(domain::UserId(uuid::Uuid::nil())).await.unwrap().at;
        store.close().await;
        at
    };
    runs(directory.path(), &["migrate"], &[]);
    runs(directory.path(), &["backup", "b.tar"], &[]);
    let mut handed_out = newest(directory.path()).await;
    for _ in 0..3 {
        let next = newest(directory.path()).await;
        assert!(next > handed_out);
        handed_out = next;
    }
    let backup = directory.path().join("b.tar").display().to_string();
    runs(place.path(), &["restore", &backup], &[]);
    assert!(newest(place.path()).await > handed_out);
}

#[actix_web::test]
async fn bytes_that_are_lost_or_altered_are_told_and_do_not_end_the_backup() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[]);
    let (ada, bob) = (sign_up(&server.client, "ada").await, sign_up(&server.client, "bob").await);
    let mut ids = Vec::new();
    for n in 0..3 {
        let sent = upload(&ada, &bob.id, vec![n; 1_000]).await;
        ids.push(sent["file_id"].as_str().unwrap().to_owned());
    }
    let blob = |id: &str| directory.path().join("data/uploads").join(&id[id.len() - 2..]).join(id);
    std::fs::remove_file(blob(&ids[0])).unwrap();
    std::fs::write(blob(&ids[1]), "short").unwrap();
    let said = runs(directory.path(), &["backup", "b.tar"], &[]);
    assert!(said.contains(&format!("missing: the bytes of file {}", ids[0])), "{said}");
    assert!(said.contains(&format!("altered: the bytes of file {}", ids[1])), "{said}");
    assert!(!said.contains(&ids[2]), "{said}");
    let place = tempfile::tempdir().unwrap();
    let backup = directory.path().join("b.tar").display().to_string();
    runs(place.path(), &["restore", &backup], &[]);
    let restored = Process::start(place.path(), &[], &[]);
    let bob = log_in(&restored.client, "bob").await;
    assert_eq!(bob.get(&format!("/uploads/{}/notes.bin", ids[2])).await.body, vec![2; 1_000]);
    bob.get(&format!("/uploads/{}/notes.bin", ids[0])).await.refused(404, None);
}
