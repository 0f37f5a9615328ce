//! Reconnecting: the server first sends the missed events, once and in order.

use super::client::Socket;
use crate::harness::Server;
use serde_json::{Value, json};

fn of(frame: &Value) -> (String, i64) {
    (frame["event"].as_str().unwrap().to_owned(), frame["update"].as_i64().unwrap())
}

#[actix_web::test]
async fn what_was_missed_is_replayed_as_it_is_now() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let known = ada.send(&bob.id, "known").await;
    let doomed = ada.send(&bob.id, "doomed").await;
    let mut socket = Socket::open(&bob).await;
    let seen = ada.send(&bob.id, "seen").await;
    socket.expect("message.created").await;
    let cursor = socket.cursor.clone();
    drop(socket);
    let new = ada.send(&bob.id, "new").await;
    let edited = ada.put(&format!("/messages/{known}"), json!({ "content": "better" })).await.expect(200);
    ada.delete(&format!("/messages/{doomed}"), json!({})).await.expect(204);
    let mut socket = Socket::since(&bob, &cursor).await;
    let mut frames = vec![socket.next_after(3).await];
    assert_ne!(frames[0]["data"]["id"], json!(seen));
    frames.extend([socket.next().await, socket.next().await]);
    let mut updates: Vec<_> = frames.iter().map(of).collect();
    // Where cursors are less exact (Postgres), what one knew may come as created, too.
    if updates[1].0 == "message.created" {
        updates[1].0 = "message.updated".to_owned();
    }
    let expected = [("message.created", 4), ("message.updated", 5), ("message.deleted", 6)];
    assert_eq!(updates, expected.map(|(event, update)| (event.to_owned(), update)));
    assert_eq!((&frames[0]["data"]["id"], &frames[1]["data"]), (&json!(new), &edited));
    assert_eq!(frames[2]["data"], json!({ "id": doomed }));
    assert!(frames.iter().all(|frame| frame["conversation_id"] == edited["conversation_id"]));
    // And on it goes live.
    ada.send(&bob.id, "live").await;
    assert_eq!(of(&socket.next().await), ("message.created".to_owned(), 7));
    // A client with the newest cursor receives at worst events that it already has.
    let cursor = socket.cursor.clone();
    drop(socket);
    let mut socket = Socket::since(&bob, &cursor).await;
    let id = ada.send(&bob.id, "again").await;
    assert_eq!(socket.next_after(7).await["data"]["id"], json!(id));
}

#[actix_web::test]
async fn every_conversation_is_replayed_the_broadcast_too() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    let cursor = Socket::open(&bob).await.cursor;
    let mut sent = vec![
        ada.send(&bob.id, "direct").await,
        ada.post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201)["id"]
            .as_str()
            .unwrap()
            .to_owned(),
        ada.post("/broadcast/send", json!({ "content": "x" })).await.expect(200)["id"].as_str().unwrap().to_owned(),
    ];
    let mut socket = Socket::since(&bob, &cursor).await;
    let mut got = Vec::new();
    for _ in &sent {
        // The cursor may lie before the group.
        let frame = socket.next_of_messages().await;
        assert_eq!(frame["event"], "message.created", "{frame}");
        got.push(frame["data"]["id"].as_str().unwrap().to_owned());
    }
    sent.sort();
    got.sort();
    assert_eq!(got, sent);
}

#[actix_web::test]
async fn a_cut_during_the_replay_loses_nothing() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    ada.send(&bob.id, "first").await;
    let mut cursor = Socket::open(&bob).await.cursor;
    for n in 2..=300 {
        ada.send(&bob.id, &n.to_string()).await;
    }
    // Cut off again and again in the middle: the cursor of no frame but the last lets anything be skipped.
    for _ in 0..3 {
        let mut socket = Socket::since(&bob, &cursor).await;
        for _ in 0..100 {
            socket.expect("message.created").await;
        }
        cursor = socket.cursor.clone();
    }
    let mut socket = Socket::since(&bob, &cursor).await;
    let mut last = 0;
    while last < 300 {
        let frame = socket.next().await;
        let update = frame["update"].as_i64().unwrap();
        assert!(last == 0 && update <= 2 || update == last + 1, "{update} after {last}");
        last = update;
    }
    // The replay is over; new events follow.
    let cursor = socket.cursor.clone();
    let mut socket = Socket::since(&bob, &cursor).await;
    let id = ada.send(&bob.id, "mark").await;
    assert_eq!(socket.next_after(300).await["data"]["id"], json!(id));
}

#[actix_web::test]
async fn changes_of_groups_and_memberships_are_told_as_a_resync() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    let cursor = Socket::open(&bob).await.cursor;
    ada.add(&group, &bob, "member").await;
    let mut socket = Socket::since(&bob, &cursor).await;
    let frame = socket.next().await;
    assert_eq!((&frame["event"], frame.get("conversation_id")), (&json!("resync"), None));
    assert!(frame["data"]["reason"].is_string());
    // The membership counts from the beginning.
    ada.post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
    socket.expect("message.created").await;
}

#[actix_web::test]
async fn a_cursor_that_is_none_of_ours_is_told_so() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    for foreign in ["nonsense", "r1.", "r1.zzzzzzzzzzz", "r9.1"] {
        let mut socket = Socket::since(&bob, foreign).await;
        let frame = socket.next().await;
        assert_eq!((&frame["event"], frame.get("conversation_id")), (&json!("resync"), None), "{foreign}");
        ada.send(&bob.id, "x").await;
        socket.expect("message.created").await;
    }
}

#[actix_web::test]
async fn who_was_removed_is_replayed_nothing_of_the_group() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    let cursor = Socket::open(&bob).await.cursor;
    ada.post("/messages", json!({ "group_id": group, "content": "secret" })).await.expect(201);
    ada.delete(&format!("/groups/{group}/members/{}", bob.id), json!({})).await.expect(204);
    let mut socket = Socket::since(&bob, &cursor).await;
    let frame = socket.next().await;
    assert_eq!((&frame["event"], frame.get("conversation_id")), (&json!("resync"), None));
    let mark = ada.post("/broadcast/send", json!({ "content": "mark" })).await.expect(200);
    assert_eq!(socket.expect("message.created").await["id"], mark["id"]);
}
