//! Reasons for which the server ends a connection.

use super::client::{Socket, signed};
use crate::harness::{Process, Server, User};
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

#[actix_web::test]
async fn a_session_that_ends_ends_its_connections() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let phone = server.log_in("ada", &ada.password).await;
    let (mut here, mut there) = (Socket::open(&ada).await, Socket::open(&phone).await);
    let mut also_here = Socket::open(&ada).await;
    ada.post("/logout", json!({})).await.expect(204);
    assert_eq!((here.closed().await, also_here.closed().await), (4401, 4401));
    // The other login goes on.
    there.send(r#"{"op":"ping"}"#).await;
    assert_eq!(there.next().await["event"], "pong");
    // From elsewhere.
    let laptop = server.log_in("ada", &ada.password).await;
    let sessions = laptop.get("/sessions").await.expect(200);
    let other = sessions.as_array().unwrap().iter().find(|session| session["current"] == false).unwrap();
    laptop.delete(&format!("/sessions/{}", other["id"].as_str().unwrap()), json!({})).await.expect(204);
    assert_eq!(there.closed().await, 4401);
}

#[actix_web::test]
async fn a_new_password_ends_the_others() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let phone = server.log_in("ada", &ada.password).await;
    let (mut here, mut there) = (Socket::open(&ada).await, Socket::open(&phone).await);
    let change = json!({ "password": "another password", "current_password": ada.password });
    ada.patch("/me", change).await.expect(200);
    assert_eq!(there.closed().await, 4401);
    here.send(r#"{"op":"ping"}"#).await;
    assert_eq!(here.next().await["event"], "pong");
}

#[actix_web::test]
async fn a_deleted_account_ends_all_and_others_learn_that_the_member_left() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    let (mut to_ada, mut to_bob) = (Socket::open(&ada).await, Socket::open(&bob).await);
    bob.delete_account().await;
    assert_eq!(to_bob.drained().await, 4401);
    assert_eq!(to_ada.expect("member.removed").await["user_id"], json!(bob.id));
}

#[actix_web::test]
async fn who_gives_no_sign_of_life_is_cut_off() {
    // As long as an answer may take, too: on a busy machine.
    let server = Server::with(|config| config.live.heartbeat = Duration::from_secs(5)).await;
    let ada = server.user("ada").await;
    let mut socket = Socket::open(&ada).await;
    assert_eq!(socket.hello["data"]["heartbeat_seconds"], 5);
    // Who reads answers pings, and is left alone for several of them.
    for _ in 0..2 {
        socket.until(|message| message.is_ping()).await;
    }
    // A client that never reads answers none: seen from the outside, its place becomes free.
    let server = Server::with(|config| {
        config.live.heartbeat = Duration::from_secs(1);
        config.live.max_per_user = 1;
    })
    .await;
    let ada = server.user("ada").await;
    let _silent = connect_async(signed(&ada, "/ws")).await.unwrap();
    Socket::open_when_there_is_room(&ada).await;
}

#[actix_web::test]
async fn a_server_that_stops_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &[], &[]);
    let body = json!({ "username": "ada", "password": "12345678", "email": "ada@example.org" });
    process.client.post("/signup", body).await.expect(201);
    let login = json!({ "username": "ada", "password": "12345678" });
    let login = process.client.post("/login", login).await.expect(200);
    let ada = User::new(&process.client, &login, "12345678");
    let mut socket = Socket::open(&ada).await;
    let stream = ada.request(reqwest::Method::GET, "/events").send().await.unwrap();
    process.signal("TERM");
    assert_eq!(socket.closed().await, 1001);
    let rest = super::client::soon("the stream's end", stream.text()).await.unwrap();
    assert_eq!(rest.matches("retry: ").count(), 2, "{rest}");
    drop(socket);
    assert_eq!(process.wait().0, Some(0));
}

#[actix_web::test]
async fn the_connection_is_closed_with_the_last_frame() {
    // Many clients tell of the end only when the connection is closed, which they leave to the server.
    let server = Server::with(|config| config.http.deadlines.linger = Duration::from_secs(3600)).await;
    let ada = server.user("ada").await;
    let (mut ended, mut closing) =
        (Socket::open(&ada).await, Socket::open(&server.log_in("ada", &ada.password).await).await);
    ada.post("/logout", json!({})).await.expect(204);
    assert_eq!(ended.drained().await, 4401);
    super::client::soon("the end of a connection that was cut", ended.end()).await;
    closing.send_message(Message::Close(None)).await.unwrap();
    super::client::soon("the end of a connection that its client closed", closing.end()).await;
}
