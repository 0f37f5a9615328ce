//! `/events`: the same events as Server-Sent Events.

use super::client::soon;
use crate::harness::{Server, User};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;

struct Stream {
    bytes: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

/// One event: its fields, or a comment.
#[derive(Debug, PartialEq)]
enum Block {
    Event { name: String, id: String, data: Value },
    Retry,
    Comment,
}

impl Stream {
    async fn open(user: &User, headers: &[(&'static str, &str)]) -> Self {
        let mut request = user.request(reqwest::Method::GET, "/events");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = soon("the stream", request.send()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut stream = Self { bytes: response.bytes_stream().boxed(), text: String::new() };
        assert_eq!(stream.block().await, Some(Block::Retry));
        stream
    }

    /// The next block; `None` at the end.
    async fn block(&mut self) -> Option<Block> {
        let end = loop {
            if let Some(end) = self.text.find("\n\n") {
                break end;
            }
            let chunk = soon("the stream", self.bytes.next()).await?;
            self.text.push_str(std::str::from_utf8(&chunk.ok()?).unwrap());
        };
        let block: String = self.text.drain(..end + 2).collect();
        if block == ":\n\n" {
            return Some(Block::Comment);
        }
        if block.starts_with("retry: ") {
            return Some(Block::Retry);
        }
        let lines: Vec<_> = block.trim_end().lines().map(|line| line.split_once(": ").unwrap()).collect();
        let [("event", name), ("id", id), ("data", data)] = lines[..] else { panic!("{block}") };
        let data = serde_json::from_str(data).unwrap();
        Some(Block::Event { name: name.to_owned(), id: id.to_owned(), data })
    }

    /// The next event's frame, which says the same as the fields around it, and its id.
    async fn next(&mut self) -> (Value, String) {
        loop {
            match self.block().await.expect("the stream ended") {
                Block::Event { name, id, data } => {
                    assert_eq!((&data["event"], &data["cursor"]), (&json!(name), &json!(id)));
                    if name != "presence" {
                        return (data, id);
                    }
                }
                Block::Retry | Block::Comment => {}
            }
        }
    }
}

#[actix_web::test]
async fn events_come_with_name_id_and_whole_frame() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut stream = Stream::open(&bob, &[]).await;
    let (hello, _) = stream.next().await;
    assert_eq!(hello["data"], json!({ "user_id": bob.id, "heartbeat_seconds": 25 }));
    let sent = ada.post("/messages", json!({ "receiver_id": bob.id, "content": "a\nb: c\n\n" })).await.expect(201);
    let (frame, _) = stream.next().await;
    assert_eq!((&frame["event"], &frame["data"]), (&json!("message.created"), &sent));
    assert_eq!((&frame["update"], &frame["conversation_id"]), (&json!(1), &sent["conversation_id"]));
}

#[actix_web::test]
async fn who_comes_back_with_the_last_id_misses_nothing() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut stream = Stream::open(&bob, &[]).await;
    let (_, id) = stream.next().await;
    drop(stream);
    for n in 1..=3 {
        ada.send(&bob.id, &n.to_string()).await;
    }
    let mut stream = Stream::open(&bob, &[("last-event-id", &id)]).await;
    assert_eq!(stream.next().await.0["event"], "hello");
    for n in 1..=3 {
        let (frame, _) = stream.next().await;
        assert_eq!((&frame["update"], &frame["data"]["content"]), (&json!(n), &json!(n.to_string())));
    }
    let mut stream = Stream::open(&bob, &[("last-event-id", "nonsense")]).await;
    assert_eq!(stream.next().await.0["event"], "hello");
    assert_eq!(stream.next().await.0["event"], "resync");
}

#[actix_web::test]
async fn the_stream_ends_with_its_session() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut stream = Stream::open(&ada, &[]).await;
    stream.next().await;
    ada.post("/logout", json!({})).await.expect(204);
    assert_eq!(stream.block().await, None);
}

#[actix_web::test]
async fn a_quiet_stream_shows_that_it_lives() {
    let server = Server::with(|config| config.live.heartbeat = Duration::from_secs(1)).await;
    let ada = server.user("ada").await;
    let mut stream = Stream::open(&ada, &[]).await;
    stream.next().await;
    assert_eq!(stream.block().await, Some(Block::Comment));
    assert_eq!(stream.block().await, Some(Block::Comment));
}

#[actix_web::test]
async fn its_head_has_no_body() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let answer = ada.raw("HEAD", "/events", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    assert!(answer.body.is_empty());
}
