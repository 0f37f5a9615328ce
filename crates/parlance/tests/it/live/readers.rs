//! A client that reads its events keeps its connection, however much others write.

use super::client::Socket;
use crate::harness::{Server, User};
use serde_json::Value;

/// As large as a frame of one message can be: each of these characters is six in JSON.
fn large() -> String {
    // Nothing but these would be blank.
    format!("x{}", "\u{1}".repeat(4095))
}

/// The updates of the messages that come, up to the last.
async fn read_up_to(socket: &mut Socket, last: i64) -> Vec<i64> {
    let mut updates = Vec::new();
    while updates.last() != Some(&last) {
        let frame = socket.next().await;
        assert_eq!(frame["event"], "message.created", "{}", frame["event"]);
        updates.push(frame["update"].as_i64().unwrap());
    }
    updates
}

async fn send_large(sender: &User, receiver: &User, many: i64) {
    let content = Value::from(large());
    for _ in 0..many {
        let body = serde_json::json!({ "receiver_id": receiver.id, "content": content });
        sender.post("/messages", body).await.expect(201);
    }
}

#[actix_web::test]
async fn who_comes_back_gets_all_that_was_missed_however_large() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    ada.send(&bob.id, "known").await;
    let cursor = Socket::open(&bob).await.cursor;
    send_large(&ada, &bob, 100).await;
    let mut socket = Socket::since(&bob, &cursor).await;
    let updates = read_up_to(&mut socket, 101).await;
    // At worst, known events come again.
    let missed: Vec<_> = updates.into_iter().filter(|update| *update > 1).collect();
    assert_eq!(missed, (2..=101).collect::<Vec<_>>());
    // And on it goes live.
    ada.send(&bob.id, "live").await;
    assert_eq!(socket.expect("message.created").await["content"], "live");
}
