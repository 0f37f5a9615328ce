//! Operations over the WebSocket.

use super::client::{Socket, fault};
use crate::harness::{NOWHERE, Server};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[actix_web::test]
async fn a_message_is_sent_as_over_http() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (mut socket, mut other) = (Socket::open(&ada).await, Socket::open(&bob).await);
    let content = "a|\"b\" 🙂\n";
    let data = json!({ "receiver_id": bob.id, "content": content, "client_id": "k1" });
    let answer = socket.op("send", data.clone()).await;
    assert_eq!(answer["ok"], true);
    let message = &answer["data"];
    assert_eq!((&message["content"], &message["kind"]), (&json!(content), &json!("direct")));
    let path = format!("/messages/{}", message["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200), *message);
    // To both, the sending connection too.
    assert_eq!(socket.expect("message.created").await, *message);
    assert_eq!(other.expect("message.created").await, *message);
    // A retry gives the same and stores nothing.
    assert_eq!(socket.op("send", data).await["data"], *message);
    let next = socket.op("send", json!({ "receiver_id": bob.id, "content": "next" })).await["data"].clone();
    assert_eq!(socket.expect("message.created").await, next);
    // The same key for another message is refused.
    let other_use = json!({ "receiver_id": bob.id, "content": "other", "client_id": "k1" });
    assert_eq!(socket.refused("send", other_use).await, ("conflict".to_owned(), None));
}

#[actix_web::test]
async fn a_broadcast_goes_to_everybody() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (mut socket, mut other) = (Socket::open(&ada).await, Socket::open(&bob).await);
    let answer = socket.op("send", json!({ "broadcast": true, "content": "hear" })).await;
    assert_eq!((&answer["ok"], &answer["data"]["kind"]), (&json!(true), &json!("broadcast")));
    assert_eq!(other.expect("message.created").await["content"], "hear");
    let two = json!({ "broadcast": true, "content": "x", "receiver_id": bob.id });
    assert_eq!(socket.refused("send", two).await, ("invalid_request".to_owned(), Some("broadcast".to_owned())));
    let none = socket.refused("send", json!({ "broadcast": false, "content": "x" })).await;
    assert_eq!(none, ("invalid_request".to_owned(), Some("receiver_id".to_owned())));
}

#[actix_web::test]
async fn a_message_is_seen_as_over_http() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let id = ada.send(&bob.id, "x").await;
    let mut socket = Socket::open(&bob).await;
    let answer = socket.op("seen", json!({ "message_id": id })).await;
    assert_eq!((&answer["ok"], answer.get("data")), (&json!(true), None));
    assert_eq!(bob.unseen_total().await, 0);
    assert_eq!(socket.expect("message.seen").await["message_id"], json!(id));
    ada.delete(&format!("/messages/{id}"), json!({})).await.expect(204);
    assert_eq!(socket.refused("seen", json!({ "message_id": id })).await, ("not_found".to_owned(), None));
}

#[actix_web::test]
async fn what_is_refused_over_http_is_refused_here() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let private = bob.group("private", "private").await;
    let direct = ada.send(&bob.id, "x").await;
    let mut socket = Socket::open(&ada).await;
    for (op, data, code, field) in [
        ("send", json!({ "content": "x" }), "invalid_request", Some("receiver_id")),
        ("send", json!({ "receiver_id": bob.id }), "invalid_request", Some("content")),
        ("send", json!({ "receiver_id": bob.id, "content": 5 }), "invalid_request", Some("content")),
        ("send", json!({ "receiver_id": bob.id, "content": "a\0" }), "invalid_request", Some("content")),
        ("send", json!({ "receiver_id": bob.id, "content": " " }), "invalid_request", Some("content")),
        ("send", json!({ "receiver_id": "bob", "content": "x" }), "invalid_request", Some("receiver_id")),
        (
            "send",
            json!({ "receiver_id": bob.id, "content": "x", "broadcast": 1 }),
            "invalid_request",
            Some("broadcast"),
        ),
        ("send", json!({ "receiver_id": NOWHERE, "content": "x" }), "not_found", None),
        ("send", json!({ "group_id": private, "content": "x" }), "not_found", None),
        ("send", json!({ "receiver_id": bob.id, "content": "x", "sender_id": bob.id }), "forbidden", Some("sender_id")),
        // The server reports a missing target before it checks permissions.
        (
            "send",
            json!({ "receiver_id": bob.id, "content": "x", "sender_id": bob.id, "reply_to": NOWHERE }),
            "not_found",
            None,
        ),
        (
            "send",
            json!({ "broadcast": true, "content": "x", "sender_id": bob.id, "reply_to": direct }),
            "not_found",
            None,
        ),
        (
            "send",
            json!({ "receiver_id": bob.id, "type": "file", "file_id": NOWHERE, "sender_id": bob.id }),
            "not_found",
            None,
        ),
        ("seen", json!({}), "invalid_request", Some("message_id")),
        ("seen", json!({ "message_id": NOWHERE }), "not_found", None),
        ("typing", json!({}), "invalid_request", Some("receiver_id")),
        ("typing", json!({ "group_id": private }), "not_found", None),
        ("dance", json!({}), "invalid_request", Some("op")),
    ] {
        let refused = socket.refused(op, data.clone()).await;
        assert_eq!(refused, (code.to_owned(), field.map(str::to_owned)), "{op} {data}");
    }
}

#[actix_web::test]
async fn broken_and_binary_frames_are_answered_and_harm_nothing() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut socket = Socket::open(&ada).await;
    for (text, reference) in [
        ("", Value::Null),
        ("{", Value::Null),
        ("[]", Value::Null),
        ("5", Value::Null),
        ("null", Value::Null),
        (r#"{"op":"ping","ref":[]}"#, Value::Null),
        (r#"{"op":"ping","ref":1.5}"#, Value::Null),
        (r#"{"op":"ping","ref":1e3}"#, Value::Null),
        (r#"{"op":"ping","ref":-0.0}"#, Value::Null),
        (r#"{"op":"ping","ref":"n1","x":"\u0000"}"#, json!("n1")),
        (r#"{"op":"ping","ref":"n2","x":[{"y":"\u0000"}]}"#, json!("n2")),
        (r#"{"op":"ping","ref":"n3","\u0000":1}"#, json!("n3")),
        (r#"{"op":"ping","ref":"n4","data":{"x":"\u0000"}}"#, json!("n4")),
        (r#"{"op":"ping","ref":"n5","data":{"x":"\ud800"}}"#, json!("n5")),
        (r#"{"op":"ping","ref":"n6","data":"\u0000","data":{}}"#, json!("n6")),
        (r#"{"op":"typing","x":"\u0000"}"#, Value::Null),
        (r#"{"ref":"a"}"#, json!("a")),
        (r#"{"op":7,"ref":8}"#, json!(8)),
        (r#"{"op":"send","ref":"b","data":5}"#, json!("b")),
        (r#"{"op":"send","ref":"c"}"#, json!("c")),
    ] {
        socket.send(text).await;
        let answer = socket.answer(&reference).await;
        assert_eq!(fault(&answer).0, "invalid_request", "{text}");
    }
    socket.send_message(Message::binary(vec![0, 255])).await.unwrap();
    assert_eq!(fault(&socket.answer(&Value::Null).await).0, "invalid_request");
    let not_utf8 = Frame::message(vec![b'{', 0xff], OpCode::Data(Data::Text), true);
    socket.send_message(Message::Frame(not_utf8)).await.unwrap();
    assert_eq!(fault(&socket.answer(&Value::Null).await).0, "invalid_request");
    // What only looks like it is none of that.
    let harmless =
        r#"{"op":"ping","ref":-5,"x":["\\u0000","\ud83d\ude42",1e999],"data":{"y":"\ud83d\ude42","z":1e999}}"#;
    for text in [r#"{"op":"ping"}"#, harmless] {
        socket.send(text).await;
        assert_eq!(socket.next().await["event"], "pong");
    }
}

#[actix_web::test]
async fn a_reference_is_returned_as_it_was_sent() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut socket = Socket::open(&ada).await;
    for reference in [
        "7",
        "-7",
        "9007199254740993",
        "18446744073709551616",
        "-18446744073709551616",
        "123456789012345678901234567890123456789012345678901234567890",
        r#""18446744073709551616""#,
        r#""\u00e9 \ud83d\ude42""#,
        r#""""#,
        "null",
    ] {
        for (op, data) in
            [("seen", format!(r#"{{"message_id":"{NOWHERE}"}}"#)), ("send", "5".to_owned()), ("dance", "{}".to_owned())]
        {
            socket.send(format!(r#"{{ "data" : {data}, "ref" : {reference} , "op":"{op}" }}"#)).await;
            // The test builds the text itself: a JSON library would not produce it.
            let text = loop {
                let Message::Text(text) = socket.until(|message| matches!(message, Message::Text(_))).await else {
                    panic!()
                };
                if text.contains(r#""event":"reply""#) {
                    break text;
                }
            };
            assert!(text.contains(&format!(r#""ref":{reference},"#)), "{text}");
            let answer: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(answer["ok"], false, "{answer}");
            // Only errors that a client may retry have it.
            assert!(answer["error"].get("retry_after").is_none(), "{answer}");
        }
    }
}

#[actix_web::test]
async fn pings_are_answered_on_both_levels() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut socket = Socket::open(&ada).await;
    socket.send(r#"{"op":"ping"}"#).await;
    let pong = socket.next().await;
    assert_eq!((&pong["event"], pong.get("data")), (&json!("pong"), None));
    socket.send_message(Message::Ping("mark".into())).await.unwrap();
    let Message::Pong(payload) = socket.until(|message| matches!(message, Message::Pong(_))).await else { panic!() };
    assert_eq!(payload, "mark");
}

#[actix_web::test]
async fn a_frame_has_64_kib_at_the_most_in_one_part_or_several() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let padded = |bytes: usize| format!(r#"{{"op":"ping"{}}}"#, " ".repeat(bytes - 13));
    let mut socket = Socket::open(&ada).await;
    socket.send(padded(65_536)).await;
    assert_eq!(socket.next().await["event"], "pong");
    // It may be cut off while it sends.
    let _ = socket.send_message(Message::text(padded(65_537))).await;
    assert_eq!(socket.closed().await, 1009);

    let part = |bytes: usize, first: bool, last: bool| {
        let kind = if first { Data::Text } else { Data::Continue };
        Message::Frame(Frame::message(vec![b' '; bytes], OpCode::Data(kind), last))
    };
    let mut socket = Socket::open(&ada).await;
    for (n, bytes) in [30_000, 30_000, 5_536].into_iter().enumerate() {
        socket.send_message(part(bytes, n == 0, n == 2)).await.unwrap();
    }
    assert_eq!(fault(&socket.answer(&Value::Null).await).0, "invalid_request");
    for (n, bytes) in [30_000, 30_000, 5_537].into_iter().enumerate() {
        let _ = socket.send_message(part(bytes, n == 0, n == 2)).await;
    }
    assert_eq!(socket.closed().await, 1009);
}

#[actix_web::test]
async fn a_close_is_answered_with_the_same_code() {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut socket = Socket::open(&ada).await;
    let close = CloseFrame { code: 4000.into(), reason: "bye".into() };
    socket.send_message(Message::Close(Some(close))).await.unwrap();
    assert_eq!(socket.closed().await, 4000);
}
