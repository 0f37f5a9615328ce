//! Which events reach which users, from every route.

use super::client::Socket;
use crate::harness::{Server, User};
use serde_json::{Value, json};

/// Sends a message that comes after everything else: who gets it next got nothing in between.
async fn mark(from: &User, to: &mut [&mut Socket]) {
    let sent = from.post("/broadcast/send", json!({ "content": "mark" })).await.expect(200);
    for socket in to {
        assert_eq!(socket.expect("message.created").await["id"], sent["id"]);
    }
}

#[actix_web::test]
async fn messages_come_from_every_door_to_those_they_concern() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    let (mut to_ada, mut to_bob, mut to_eve) =
        (Socket::open(&ada).await, Socket::open(&bob).await, Socket::open(&eve).await);
    let form = reqwest::multipart::Form::new()
        .part("file", reqwest::multipart::Part::bytes(b"hello".to_vec()).file_name("a.txt"))
        .text("receiver_id", bob.id.clone());
    let ids = [
        ada.send(&bob.id, "by id").await,
        text(&ada.post("/dm/send", json!({ "to": "bob", "content": "by name" })).await.expect(200)["id"]),
        text(&ada.post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201)["id"]),
        text(&ada.post("/group/send", json!({ "group": "ours", "content": "x" })).await.expect(200)["id"]),
        text(&ada.form("/messages/upload", form).await.expect(201)["id"]),
        text(&to_ada.op("send", json!({ "receiver_id": bob.id, "content": "by op" })).await["data"]["id"]),
    ];
    for id in ids {
        let whole = ada.get(&format!("/messages/{id}")).await.expect(200);
        for socket in [&mut to_ada, &mut to_bob] {
            let frame = socket.next().await;
            assert_eq!((&frame["event"], &frame["data"]), (&json!("message.created"), &whole));
            assert_eq!(frame["conversation_id"], whole["conversation_id"]);
            assert_eq!(frame["update"], whole["update"]);
        }
    }
    mark(&ada, &mut [&mut to_ada, &mut to_bob, &mut to_eve]).await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn edits_and_deletions_come_with_their_numbers() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut socket = Socket::open(&bob).await;
    let id = ada.send(&bob.id, "x").await;
    socket.expect("message.created").await;
    let path = format!("/messages/{id}");
    let edited = ada.put(&path, json!({ "content": "y" })).await.expect(200);
    let frame = socket.next().await;
    assert_eq!((&frame["event"], &frame["data"], &frame["update"]), (&json!("message.updated"), &edited, &json!(2)));
    ada.delete(&path, json!({})).await.expect(204);
    let frame = socket.next().await;
    assert_eq!((&frame["event"], &frame["data"]), (&json!("message.deleted"), &json!({ "id": id })));
    assert_eq!((&frame["update"], &frame["conversation_id"]), (&json!(3), &edited["conversation_id"]));
}

#[actix_web::test]
async fn reading_is_told_to_the_sender_and_to_ones_other_devices() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    ada.add(&group, &eve, "member").await;
    let sent = ada.post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
    let newest = ada.post("/messages", json!({ "group_id": group, "content": "y" })).await.expect(201);
    let (mut to_ada, mut to_bob, mut too, mut to_eve) =
        (Socket::open(&ada).await, Socket::open(&bob).await, Socket::open(&bob).await, Socket::open(&eve).await);
    bob.post(&format!("/messages/{}/seen", text(&sent["id"])), json!({})).await.expect(200);
    for socket in [&mut to_ada, &mut to_bob, &mut too] {
        let frame = socket.next().await;
        assert_eq!((&frame["event"], &frame["conversation_id"]), (&json!("message.seen"), &json!(group)));
        assert_eq!((&frame["data"]["message_id"], &frame["data"]["user_id"]), (&sent["id"], &json!(bob.id)));
        assert!(frame["data"]["seen_at"].as_str().unwrap().ends_with('Z') && frame.get("update").is_none());
    }
    let read = json!({ "up_to": newest["id"] });
    bob.post(&format!("/conversations/{group}/read"), read).await.expect(204);
    // Both messages are of Ada.
    for socket in [&mut to_ada, &mut to_bob, &mut too] {
        let data = socket.expect("conversation.read").await;
        assert_eq!(data, json!({ "user_id": bob.id, "up_to": newest["id"] }));
    }
    mark(&ada, &mut [&mut to_ada, &mut to_bob, &mut too, &mut to_eve]).await;
}

#[actix_web::test]
async fn groups_and_members_are_told_of_to_members_only() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let (mut to_ada, mut to_bob, mut to_eve) =
        (Socket::open(&ada).await, Socket::open(&bob).await, Socket::open(&eve).await);
    let group = ada.group("ours", "public").await;
    let owner = to_ada.expect("member.added").await;
    assert_eq!(
        (&owner["user_id"], &owner["role"], &owner["group_id"]),
        (&json!(ada.id), &json!("owner"), &json!(group))
    );
    ada.add(&group, &bob, "member").await;
    for socket in [&mut to_ada, &mut to_bob] {
        let frame = socket.next().await;
        assert_eq!((&frame["event"], &frame["conversation_id"]), (&json!("member.added"), &json!(group)));
        assert_eq!((&frame["data"]["user_id"], &frame["data"]["username"]), (&json!(bob.id), &json!("bob")));
    }
    ada.patch(&format!("/groups/{group}/members/{}", bob.id), json!({ "role": "admin" })).await.expect(200);
    for socket in [&mut to_ada, &mut to_bob] {
        assert_eq!(socket.expect("member.updated").await["role"], "admin");
    }
    let shown = ada.put(&format!("/groups/{group}"), json!({ "description": "new" })).await.expect(200);
    for socket in [&mut to_ada, &mut to_bob] {
        let data = socket.expect("group.updated").await;
        assert_eq!((&data["description"], data.get("role")), (&json!("new"), None));
        assert_eq!((&data["id"], &data["member_count"]), (&shown["id"], &json!(2)));
    }
    ada.delete(&format!("/groups/{group}/members/{}", bob.id), json!({})).await.expect(204);
    for socket in [&mut to_ada, &mut to_bob] {
        assert_eq!(socket.expect("member.removed").await["user_id"], json!(bob.id));
    }
    // A user who only reads a public group gets none of its events; sending joins the group.
    ada.post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
    to_ada.expect("message.created").await;
    bob.post("/messages", json!({ "group_id": group, "content": "again" })).await.expect(201);
    for socket in [&mut to_ada, &mut to_bob] {
        assert_eq!(socket.expect("member.added").await["user_id"], json!(bob.id));
        assert_eq!(socket.expect("message.created").await["content"], "again");
    }
    ada.delete(&format!("/groups/{group}"), json!({})).await.expect(204);
    for socket in [&mut to_ada, &mut to_bob] {
        assert_eq!(socket.expect("group.deleted").await["id"], json!(group));
    }
    mark(&ada, &mut [&mut to_ada, &mut to_bob, &mut to_eve]).await;
}

#[actix_web::test]
async fn a_removed_member_gets_the_removal_and_nothing_after_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    let said = bob.post("/messages", json!({ "group_id": group, "content": "mine" })).await.expect(201);
    let (mut to_ada, mut to_bob) = (Socket::open(&ada).await, Socket::open(&bob).await);
    bob.post(&format!("/groups/{group}/leave"), json!({})).await.expect(204);
    ada.post("/messages", json!({ "group_id": group, "content": "secret" })).await.expect(201);
    // Not even who reads what one once said.
    ada.post(&format!("/messages/{}/seen", text(&said["id"])), json!({})).await.expect(200);
    to_bob.expect("member.removed").await;
    for event in ["member.removed", "message.created", "message.seen"] {
        to_ada.expect(event).await;
    }
    mark(&ada, &mut [&mut to_ada, &mut to_bob]).await;
    // Back in, everything comes again.
    ada.add(&group, &bob, "member").await;
    to_bob.expect("member.added").await;
    ada.post("/messages", json!({ "group_id": group, "content": "welcome" })).await.expect(201);
    assert_eq!(to_bob.expect("message.created").await["content"], "welcome");
}
