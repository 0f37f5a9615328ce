//! `parlance demo`.

use crate::harness::{Process, User};
use domain::Clock as _;
use parlance::clock::SystemClock;
use parlance::demo::{GUIDES, PASSWORD};
use serde_json::{Value, json};
use std::path::Path;

/// A demo in a directory of its own, serving.
fn demo(directory: &Path, seed: &str) -> Process {
    // What says where a real server's data is must not matter.
    let elsewhere = directory.join("real").display().to_string();
    let environment = [
        ("PARLANCE_DATA_DIR", elsewhere.as_str()),
        ("PARLANCE_FILES", "file://real"),
        ("DATABASE_URL", "sqlite://real.db"),
    ];
    let process = Process::start(directory, &["demo", "--seed", seed], &environment);
    let there = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<_> = there.collect();
    there.sort();
    assert_eq!(there, ["demo-data", "log.txt"]);
    process
}

async fn log_in(process: &Process, name: &str) -> User {
    let login = process.client.post("/login", json!({ "username": name, "password": PASSWORD })).await.expect(200);
    User::new(&process.client, &login, PASSWORD)
}

/// The authors and texts in every conversation of a user, in an order that does not depend on times.
async fn contents(user: &User) -> Vec<String> {
    let mut all = Vec::new();
    for conversation in user.get("/conversations?limit=200").await.expect(200).as_array().unwrap() {
        let id = conversation["id"].as_str().unwrap();
        let page = user.get(&format!("/conversations/{id}/changes?after=0&limit=200")).await.expect(200);
        let said = page["messages"].as_array().unwrap().iter().map(|message| {
            let file = &message["file"];
            let parts = [&message["update"], &message["sender"]["username"], &message["content"], &file["sha256"]];
            parts.map(Value::to_string).join(" ")
        });
        all.push(said.collect::<Vec<_>>().join("\n"));
    }
    all.sort();
    all
}

#[actix_web::test]
async fn the_demo_is_full_of_life_and_the_same_for_the_same_seed() {
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = demo(directories[0].path(), "7");
    assert!(first.printed.iter().any(|line| line.contains("maya") && line.contains(PASSWORD)), "{:?}", first.printed);
    let mut told = Vec::new();
    for name in GUIDES {
        told.push(contents(&log_in(&first, name).await).await);
    }
    let second = demo(directories[1].path(), "7");
    assert_eq!(contents(&log_in(&second, GUIDES[0]).await).await, told[0]);
    let other = demo(directories[2].path(), "8");
    assert_ne!(contents(&log_in(&other, GUIDES[0]).await).await, told[0]);

    let maya = log_in(&first, "maya").await;
    let list = maya.get("/conversations?limit=200").await.expect(200);
    let list = list.as_array().unwrap();
    let kinds = |kind: &str| list.iter().filter(|conversation| conversation["kind"] == kind).count();
    assert!(kinds("direct") >= 3 && kinds("group") == 3 && kinds("broadcast") == 1, "{list:?}");
    assert!(maya.unseen_total().await > 5);
    assert_eq!(log_in(&first, "ines").await.unseen_total().await, 0);
    // Spread over days, and none of it in the future.
    let times: Vec<_> = list.iter().map(|one| one["last_message"]["created_at"].as_str().unwrap()).collect();
    let now = chrono::DateTime::parse_from_rfc3339(times[0]).unwrap();
    let oldest = chrono::DateTime::parse_from_rfc3339(times[times.len() - 1]).unwrap();
    assert!((now - oldest).num_days() >= 1, "{times:?}");
    assert!(now < SystemClock.now().as_datetime());
    has_every_part(&maya, list).await;
    assert_eq!(list.iter().filter(|conversation| conversation.get("draft").is_some()).count(), 1);
    let all = told.concat().join("\n");
    assert!(all.contains("We meet on the first Sunday") && !all.contains("frist"));
}

/// Reactions, a pin, a thread, a forwarded message, a mention, and what a message said before.
async fn has_every_part(maya: &User, conversations: &[Value]) {
    let mut messages = Vec::new();
    for conversation in conversations {
        let id = conversation["id"].as_str().unwrap();
        let page = maya.get(&format!("/conversations/{id}/changes?after=0&limit=200")).await.expect(200);
        messages.extend(page["messages"].as_array().unwrap().clone());
    }
    for part in ["reactions", "pinned", "thread", "thread_id", "forwarded", "mentions", "reply_to", "edited_at"] {
        assert!(messages.iter().any(|message| message.get(part).is_some()), "no message has {part}");
    }
    assert_eq!(maya.get("/mentions").await.expect(200).as_array().unwrap().len(), 1);
    let is_own = |message: &&Value| message["sender_id"] == json!(maya.id) && message.get("edited_at").is_some();
    let own = messages.iter().find(is_own).expect("maya edited a message");
    let versions = maya.get(&format!("/messages/{}/edits", own["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let replies = messages.iter().find_map(|message| message["thread"]["replies"].as_u64());
    assert_eq!(replies, Some(3));
}

#[test]
fn a_demo_is_made_once_and_never_over_somebodys_data() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = Process::run(directory.path(), arguments, &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = run(&["demo", "--no-serve"]);
    assert!(code == Some(0) && text.contains("12 people, 6 groups"), "{text}");
    let (code, text) = run(&["demo", "--no-serve", "--seed", "2"]);
    assert!(code == Some(0) && text.contains("(seed 1), created earlier"), "{text}");

    // Somebody's own server.
    assert_eq!(run(&["migrate"]).0, Some(0));
    let before = std::fs::read(directory.path().join("data/parlance.db")).unwrap();
    let (code, text) = run(&["demo", "--no-serve", "--data-dir", "data"]);
    assert!(code == Some(1) && text.contains("data of no demo"), "{text}");
    assert_eq!(std::fs::read(directory.path().join("data/parlance.db")).unwrap(), before);
    let (code, text) = run(&["demo", "--database-url", "sqlite://data/parlance.db"]);
    assert!(code == Some(2) && text.contains("--database-url"), "{text}");
}
