//! `/search`: found right after it was sent, by whom may read it, whatever becomes of the index.

use crate::harness::{NOWHERE, Process, Server, User};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

async fn found(user: &User, query: &str) -> Vec<String> {
    let found = user.get(&format!("/search?{query}")).await.expect(200);
    let content = |found: &Value| found["message"]["content"].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(content).collect()
}

/// The entries of all pages.
async fn all(user: &User, path: &str) -> Vec<Value> {
    let pages = user.pages(path).await;
    pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect()
}

#[actix_web::test]
async fn what_was_answered_is_found() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    for n in 0..30 {
        let id = ada.send(&bob.id, &format!("🙂 Café number {n}")).await;
        let first = bob.get("/search?q=cafe&limit=1").await.expect(200);
        assert_eq!(first[0]["message"]["id"], id.as_str());
        assert_eq!((&first[0]["in"], &first[0]["highlights"]), (&json!("content"), &json!([[2, 4]])));
    }
    assert_eq!(found(&eve, "q=cafe").await, [""; 0]);
    let pages = all(&bob, "/search?q=cafe%20num&limit=7").await;
    assert_eq!(pages.len(), 30);
    assert_eq!(pages[29]["message"]["content"], "🙂 Café number 0");
    assert_eq!(found(&bob, "q=cafe").await.len(), 20);
    assert_eq!(found(&bob, &format!("q=number%20-cafe&sender_id={}", ada.id)).await, [""; 0]);
    assert_eq!(found(&bob, "q=%22number%207%22").await, ["🙂 Café number 7"]);
}

#[actix_web::test]
async fn files_are_found_by_their_names() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    for (name, content) in [("annual-report.pdf", "see here"), ("x.txt", "the report.pdf of last year")] {
        let form = Form::new().part("file", Part::bytes(vec![1, 2]).file_name(name));
        let form = form.text("receiver_id", bob.id.clone()).text("content", content);
        ada.form("/messages/upload", form).await.expect(201);
    }
    ada.send(&bob.id, "no report, only https://example.org/pdf").await;
    let both = bob.get("/search?q=report.pdf").await.expect(200);
    assert_eq!(both[0]["in"], "content");
    assert_eq!((&both[1]["in"], &both[1]["highlights"]), (&json!("file_name"), &json!([[7, 6], [14, 3]])));
    assert_eq!(both.as_array().unwrap().len(), 2);
    assert_eq!(found(&bob, "q=report&has=file").await.len(), 2);
    assert_eq!(found(&bob, "q=report&has=image").await.len(), 0);
    assert_eq!(found(&bob, "q=report&has=link").await.len(), 1);
    // The words are looked for in each text by itself.
    assert_eq!(found(&bob, "q=annual%20here").await, [""; 0]);
}

#[actix_web::test]
async fn filters_are_checked_before_anything_is_looked_up() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (query, field) in [
        ("", "q"),
        ("q=", "q"),
        ("q=-word", "q"),
        ("q=%F0%9F%99%82", "q"),
        ("q=a&limit=51", "limit"),
        ("q=a&limit=0", "limit"),
        ("q=a&has=video", "has"),
        ("q=a&since=yesterday", "since"),
        ("q=a&until=2026-01-01", "until"),
        ("q=a&before=x", "before"),
        ("q=a&sender_id=x", "sender_id"),
        (&format!("q=a&receiver_id={NOWHERE}&group_id={NOWHERE}"), "receiver_id"),
        (&format!("q={}", "a".repeat(257)), "q"),
    ] {
        ada.get(&format!("/search?{query}")).await.refused(400, Some(field));
    }
    for query in ["sender_id", "receiver_id", "group_id"] {
        ada.get(&format!("/search?q=a&{query}={NOWHERE}")).await.refused(404, None);
    }
    assert_eq!(found(&ada, "q=a&since=2026-01-01T00:00:00Z&until=2026-01-01T01:00:00+01:00").await, [""; 0]);
    server.anyone().get("/search?q=a").await.refused(401, None);
}

#[actix_web::test]
async fn an_index_is_made_anew_and_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [("PARLANCE_RATE_LIMITS", "off")];
    let server = Process::start(directory.path(), &["serve"], &environment);
    let mut people = Vec::new();
    for name in ["ada", "bob"] {
        let account = json!({ "username": name, "password": "12345678" });
        server.client.post("/signup", account.clone()).await.expect(201);
        let login = server.client.post("/login", account).await.expect(200);
        people.push(User::new(&server.client, &login, "12345678"));
    }
    let bob = people[1].clone();
    for n in 0..700 {
        people[0].send(&bob.id, &format!("word {n}")).await;
    }
    let run = || Process::run(directory.path(), &["reindex"], &environment);
    let made = run();
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(all(&bob, "/search?q=word&limit=50").await.len(), 700);
    people[0].send(&bob.id, "word at last").await;
    server.signal("KILL");
    server.wait();
    let server = Process::start(directory.path(), &["serve"], &environment);
    let bob = bob.at(&server.client);
    assert_eq!(all(&bob, "/search?q=word&limit=50").await.len(), 701);
    // A lost index is made anew at the next start.
    server.signal("KILL");
    server.wait();
    let data = directory.path().join("data");
    let index = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().contains("-search");
    for file in std::fs::read_dir(data).unwrap().map(Result::unwrap).filter(index) {
        std::fs::remove_file(file.path()).unwrap();
    }
    let server = Process::start(directory.path(), &["serve"], &environment);
    assert_eq!(all(&bob.at(&server.client), "/search?q=word&limit=50").await.len(), 701);
    let metrics = String::from_utf8(server.client.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("parlance_follower_lag_seconds{follower=\"search\"}"), "{metrics}");
}
