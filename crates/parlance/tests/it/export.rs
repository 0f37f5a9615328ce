//! `GET /me/export`.

use crate::harness::{Server, ids};
use crate::live::client::soon;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn contents(export: &Value) -> Vec<&str> {
    let messages = export["messages"].as_array().unwrap();
    let mut contents: Vec<_> = messages.iter().map(|message| message["content"].as_str().unwrap()).collect();
    contents.sort_unstable();
    contents
}

#[actix_web::test]
async fn all_that_one_gave_is_in_it_and_nothing_of_others() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let phone = server.log_in("ada", &ada.password).await;
    phone.post("/logout", json!({})).await.expect(204);
    ada.send(&bob.id, "to bob").await;
    let gone = ada.send(&bob.id, "deleted").await;
    ada.delete(&format!("/messages/{gone}"), json!({})).await.expect(204);
    let theirs = bob.send(&ada.id, "from bob, a secret").await;
    ada.post(&format!("/messages/{theirs}/seen"), json!({})).await.expect(200);
    ada.post("/broadcast/send", json!({ "content": "to all" })).await.expect(200);
    bob.post("/broadcast/send", json!({ "content": "bob's own" })).await.expect(200);
    let ours = ada.group("ours", "private").await;
    let left = bob.group("left", "private").await;
    bob.add(&left, &ada, "member").await;
    for group in [&ours, &left] {
        ada.post("/messages", json!({ "group_id": group, "content": "to a group" })).await.expect(201);
    }
    bob.post("/messages", json!({ "group_id": left, "content": "bob's, to the group" })).await.expect(201);
    ada.post(&format!("/groups/{left}/leave"), json!({})).await.expect(204);
    let form = Form::new().part("file", Part::bytes(b"notes".to_vec()).file_name("a b.txt"));
    let file = ada.form("/upload", form).await.expect(201);

    let answer = ada.get("/me/export").await;
    let disposition = answer.header("content-disposition");
    assert_eq!(disposition, Some("attachment; filename=\"parlance-export-ada.json\""));
    let export = answer.expect(200);
    assert_eq!(contents(&export), ["to a group", "to a group", "to all", "to bob"]);
    assert!(!export.to_string().contains("secret") && !export.to_string().contains("bob's"), "{export}");
    assert_eq!((&export["user"]["email"], &export["user"]["id"]), (&json!("ada@example.org"), &json!(ada.id)));
    let ended = |session: &Value| session["ended_at"].is_string();
    assert_eq!(export["sessions"].as_array().unwrap().iter().map(ended).collect::<Vec<_>>(), [false, true]);
    let conversations = export["conversations"].as_array().unwrap();
    let mut with: Vec<_> = conversations
        .iter()
        .map(|one| one["user"]["username"].as_str().or(one["group"]["name"].as_str()).unwrap())
        .collect();
    with.sort_unstable();
    assert_eq!(with, ["bob", "ours"]);
    assert_eq!(ids(&export["files"]), [file["id"].as_str().unwrap()]);
    let url = export["files"][0]["url"].as_str().unwrap();
    assert_eq!(ada.get(url).await.body, b"notes");
    assert_eq!((&export["receipts"][0]["after_seq"], &export["receipts"][0]["up_to_seq"]), (&json!(3), &json!(4)));
    assert!(export["receipts"][0]["seen_at"].is_string() && export["exported_at"].is_string());
}

#[actix_web::test]
async fn versions_reactions_and_mentions_are_in_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let sent = ada.send(&bob.id, "first").await;
    for content in ["second", "third"] {
        ada.put(&format!("/messages/{sent}"), json!({ "content": content })).await.expect(200);
    }
    let theirs = bob.send(&ada.id, "hello @ada").await;
    bob.put(&format!("/messages/{theirs}"), json!({ "content": "hello @ada, a secret" })).await.expect(200);
    for (user, id) in [(&ada, &theirs), (&bob, &sent)] {
        user.put(&format!("/messages/{id}/reactions/%F0%9F%91%8D"), json!(null)).await.expect(204);
    }
    let export = ada.get("/me/export").await.expect(200);
    let conversation = &export["messages"][0]["conversation_id"];
    let contents: Vec<_> = export["versions"].as_array().unwrap().iter().map(|one| &one["content"]).collect();
    assert_eq!(contents, ["first", "second"]);
    assert_eq!(export["versions"][0]["message_id"], json!(sent));
    assert_eq!(export["versions"][0]["created_at"], export["messages"][0]["created_at"]);
    let own = &export["reactions"];
    let told = json!([{ "conversation_id": conversation, "message_id": theirs, "emoji": "👍",
        "created_at": own[0]["created_at"] }]);
    assert!(*own == told && own[0]["created_at"].is_string(), "{export}");
    let mentions = &export["mentions"];
    let told = json!([{ "conversation_id": conversation, "message_id": theirs,
        "created_at": mentions[0]["created_at"] }]);
    assert!(*mentions == told && mentions[0]["created_at"].is_string(), "{export}");
    assert!(!export.to_string().contains("hello"), "{export}");
}

#[actix_web::test]
async fn of_somebody_who_has_done_nothing_it_is_whole_too() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let export = ada.get("/me/export").await.expect(200);
    for list in ["conversations", "messages", "versions", "reactions", "mentions", "receipts", "files"] {
        assert_eq!(export[list], json!([]));
    }
    server.anyone().get("/me/export").await.refused(401, None);
}

#[actix_web::test]
async fn who_knows_no_chunks_gets_it_until_the_connection_ends() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut stream = TcpStream::connect(ada.address()).await.unwrap();
    let head = format!("GET /me/export HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n", ada.token().unwrap());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the end of the connection", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 OK\r\n") && !head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    let export: Value = serde_json::from_str(body).unwrap();
    assert_eq!(export["user"]["username"], "ada");
}

#[actix_web::test]
async fn several_at_once_take_turns_and_all_come_whole() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for n in 0..5 {
        ada.send(&ada.id, &format!("note {n}")).await;
    }
    let exports = futures_util::future::join_all((0..8).map(|_| ada.get("/me/export"))).await;
    for export in exports {
        assert_eq!(export.expect(200)["messages"].as_array().unwrap().len(), 5);
    }
}
