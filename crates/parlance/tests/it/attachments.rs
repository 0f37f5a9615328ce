//! Messages with a file that was uploaded before.

use crate::harness::{NOWHERE, Server, User, ids};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

/// As much of a PNG as tells that it is one.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

async fn uploaded(user: &User, name: &str, bytes: &'static [u8]) -> Value {
    let part = Part::bytes(bytes).file_name(name.to_owned());
    user.form("/upload", Form::new().part("file", part)).await.expect(201)
}

#[actix_web::test]
async fn a_message_carries_a_file_that_fits_its_type() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let paper = uploaded(&ada, "a picture.png", b"no picture at all").await;
    let picture = uploaded(&ada, "picture.txt", PICTURE).await;
    let (paper_id, picture_id) = (&paper["id"], &picture["id"]);
    for body in [
        json!({"receiver_id": bob.id, "type": "image", "file_id": paper_id}),
        json!({"receiver_id": bob.id, "type": "text", "content": "x", "file_id": paper_id}),
        json!({"receiver_id": bob.id, "content": "x", "file_id": picture_id}),
        json!({"receiver_id": bob.id, "type": "image", "content": "x", "file_id": null}),
    ] {
        ada.post("/messages", body).await.refused(400, Some("file_id"));
    }
    let mut sent = Vec::new();
    for (message_type, file, content) in
        [("image", &picture, json!(null)), ("file", &picture, json!("")), ("file", &paper, json!(" see | this "))]
    {
        let body = json!({"receiver_id": bob.id, "type": message_type, "file_id": file["id"], "content": content});
        let message = ada.post("/messages", body).await.expect(201);
        assert_eq!((&message["type"], &message["file_id"]), (&json!(message_type), &file["id"]));
        assert_eq!(&message["file"], file);
        assert_eq!(message["content"], content.as_str().unwrap_or(""));
        sent.push(message);
    }
    assert_eq!(bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200), json!(sent));
    // In gochat's history such a message has its place and its words.
    let history = bob.get("/dm/history?user=ada").await.expect(200);
    assert_eq!(ids(&history), ids(&json!(sent)));
    assert_eq!(history[2]["content"], " see | this ");
    // Beside a file the words may go, and come back.
    let path = format!("/messages/{}", sent[2]["id"].as_str().unwrap());
    let emptied = ada.put(&path, json!({"content": ""})).await.expect(200);
    assert_eq!((&emptied["content"], &emptied["file"]), (&json!(""), &paper));
}

#[actix_web::test]
async fn one_can_send_only_what_one_may_read() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let file = uploaded(&ada, "secret", b"secret").await;
    let send = async |from: &User, to: &User, file: &Value| {
        from.post("/messages", json!({"receiver_id": to.id, "type": "file", "file_id": file})).await
    };
    for id in [&file["id"], &json!(NOWHERE)] {
        let refused = send(&eve, &bob, id).await.refused(404, None);
        assert_eq!(refused["error"], "file does not exist");
    }
    // Bob gets it from Ada and passes it on; with the messages goes the right to the file.
    let to_bob = send(&ada, &bob, &file["id"]).await.expect(201);
    let to_eve = send(&bob, &eve, &file["id"]).await.expect(201);
    for (sender, message) in [(&ada, to_bob), (&bob, to_eve)] {
        sender.delete(&format!("/messages/{}", message["id"].as_str().unwrap()), json!({})).await.expect(204);
    }
    send(&bob, &eve, &file["id"]).await.refused(404, None);
    send(&ada, &bob, &file["id"]).await.expect(201);
}

#[actix_web::test]
async fn a_retry_carries_the_same_file() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (one, other) = (uploaded(&ada, "one", PICTURE).await, uploaded(&ada, "other", PICTURE).await);
    let body = |message_type: &str, file: &Value| json!({"receiver_id": bob.id, "type": message_type, "content": "x", "file_id": file["id"], "client_id": "k"});
    let sent = ada.post("/messages", body("image", &one)).await.expect(201);
    assert_eq!(ada.post("/messages", body("image", &one)).await.expect(200), sent);
    ada.post("/messages", body("file", &one)).await.refused(409, None);
    ada.post("/messages", body("image", &other)).await.refused(409, None);
    let words = json!({"receiver_id": bob.id, "content": "x", "client_id": "k"});
    ada.post("/messages", words).await.refused(409, None);
}
