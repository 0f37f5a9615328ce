//! Typing and presence.

use super::client::Socket;
use crate::harness::Server;
use serde_json::json;
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[actix_web::test]
async fn typing_reaches_the_others_and_nobody_else() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    let sent = ada.post("/messages", json!({ "receiver_id": bob.id, "content": "x" })).await.expect(201);
    bob.send(&ada.id, "y").await;
    let (mut to_ada, mut to_bob, mut to_eve) =
        (Socket::open(&ada).await, Socket::open(&bob).await, Socket::open(&eve).await);
    for (data, conversation) in
        [(json!({ "receiver_id": bob.id }), &sent["conversation_id"]), (json!({ "group_id": group }), &json!(group))]
    {
        to_ada.send(json!({ "op": "typing", "data": data }).to_string()).await;
        // Passed on once; the second comes too soon.
        to_ada.send(json!({ "op": "typing", "data": data }).to_string()).await;
        let frame = to_bob.next().await;
        assert_eq!((&frame["event"], &frame["conversation_id"]), (&json!("typing"), conversation));
        assert_eq!(frame["data"], json!({ "user_id": ada.id, "username": "ada" }));
    }
    // Nothing came back, twice, or to others: the next is a message that was sent after it.
    let mark = to_ada.op("send", json!({ "broadcast": true, "content": "mark" })).await;
    for socket in [&mut to_ada, &mut to_bob, &mut to_eve] {
        assert_eq!(socket.expect("message.created").await, mark["data"]);
    }
}

#[actix_web::test]
async fn typing_needs_to_be_in_the_group() {
    let server = Server::start().await;
    let (ada, bob, gone) = (server.user("ada").await, server.user("bob").await, server.user("gone").await);
    let (public, private) = (bob.group("public", "public").await, bob.group("private", "private").await);
    gone.delete_account().await;
    let mut socket = Socket::open(&ada).await;
    for (data, code) in [
        (json!({ "group_id": public }), "forbidden"),
        (json!({ "group_id": private }), "not_found"),
        (json!({ "receiver_id": gone.id }), "not_found"),
    ] {
        assert_eq!(socket.refused("typing", data.clone()).await.0, code);
        assert_eq!(socket.refused("typing", data).await.0, code, "however soon it comes again");
    }
}

#[actix_web::test]
async fn coming_and_going_is_told_to_who_shares_a_conversation() {
    let server = Server::with(|config| config.live.absence = Duration::from_secs(1)).await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let friend = server.user("friend").await;
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "member").await;
    friend.send(&bob.id, "hi").await;
    bob.send(&friend.id, "hi").await;
    // One-sided: neither is told of the other.
    eve.send(&bob.id, "hi").await;
    let (mut to_ada, mut to_friend, mut to_eve) =
        (Socket::open(&ada).await, Socket::open(&friend).await, Socket::open(&eve).await);
    let online = |online: bool| json!({ "user_id": bob.id, "online": online });
    let (mut one, two) = (Socket::open(&bob).await, Socket::open(&bob).await);
    for socket in [&mut to_ada, &mut to_friend] {
        let frame = socket.any().await;
        assert_eq!((&frame["event"], &frame["data"]), (&json!("presence"), &online(true)));
    }
    // Who comes is told who is there already.
    let mut there = HashSet::new();
    while there.len() < 2 {
        let frame = one.any().await;
        assert_eq!((&frame["event"], &frame["data"]["online"]), (&json!("presence"), &json!(true)));
        there.insert(frame["data"]["user_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(there, HashSet::from([ada.id.clone(), friend.id.clone()]));
    drop(one);
    drop(two);
    for socket in [&mut to_ada, &mut to_friend] {
        let frame = socket.any().await;
        assert_eq!((&frame["event"], &frame["data"]), (&json!("presence"), &online(false)));
    }
    to_ada.op("send", json!({ "broadcast": true, "content": "mark" })).await;
    assert_eq!(to_eve.any().await["event"], "message.created");
}

/// The next that is told of somebody's being there.
async fn told_of(socket: &mut Socket) -> String {
    loop {
        let frame = socket.any().await;
        if frame["event"] == "presence" {
            assert_eq!(frame["data"]["online"], true);
            return frame["data"]["user_id"].as_str().unwrap().to_owned();
        }
    }
}

#[actix_web::test]
async fn who_comes_to_share_a_conversation_is_told_who_is_there() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let (mut to_ada, mut to_bob, mut to_eve) =
        (Socket::open(&ada).await, Socket::open(&bob).await, Socket::open(&eve).await);
    ada.send(&bob.id, "hi").await;
    // What is not answered says nothing of who is there.
    for socket in [&mut to_ada, &mut to_bob] {
        assert_eq!(socket.any().await["event"], "message.created");
    }
    bob.send(&ada.id, "hi").await;
    assert_eq!((told_of(&mut to_ada).await, told_of(&mut to_bob).await), (bob.id.clone(), ada.id.clone()));
    // The second says nothing new.
    bob.send(&ada.id, "hi").await;
    let group = ada.group("ours", "private").await;
    ada.add(&group, &eve, "member").await;
    assert_eq!((told_of(&mut to_ada).await, told_of(&mut to_eve).await), (eve.id.clone(), ada.id.clone()));
    // Whose groups one is not in is none of one's business.
    to_ada.op("send", json!({ "broadcast": true, "content": "mark" })).await;
    for _ in 0..2 {
        assert_eq!(to_bob.any().await["event"], "message.created");
    }
}

#[actix_web::test]
async fn typing_to_a_stranger_is_answered_like_any_and_reaches_nobody() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (mut to_ada, mut to_bob) = (Socket::open(&ada).await, Socket::open(&bob).await);
    let data = json!({ "receiver_id": bob.id });
    assert_eq!(to_ada.op("typing", data.clone()).await["ok"], true);
    // One who was written to, and has not answered, is a stranger still.
    ada.send(&bob.id, "hi").await;
    assert_eq!(to_bob.any().await["event"], "message.created");
    assert_eq!(to_bob.op("typing", json!({ "receiver_id": ada.id })).await["ok"], true);
    assert_eq!(to_ada.any().await["event"], "message.created");
    bob.send(&ada.id, "hi").await;
    for socket in [&mut to_ada, &mut to_bob] {
        socket.expect("message.created").await;
    }
    to_bob.op("send", json!({ "broadcast": true, "content": "mark" })).await;
    to_ada.expect("message.created").await;
    // What reached nobody does not count against what would.
    assert_eq!(to_bob.op("typing", json!({ "receiver_id": ada.id })).await["ok"], true);
    to_ada.expect("typing").await;
}

#[actix_web::test]
async fn who_comes_back_soon_was_never_away() {
    const ABSENCE: Duration = Duration::from_secs(2);
    let server = Server::with(|config| (config.live.absence, config.live.max_per_user) = (ABSENCE, 1)).await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    for friend in [&bob, &eve] {
        ada.send(&friend.id, "hi").await;
        friend.send(&ada.id, "hi").await;
    }
    let (mut to_ada, first) = (Socket::open(&ada).await, Socket::open(&bob).await);
    assert_eq!(to_ada.any().await["data"], json!({ "user_id": bob.id, "online": true }));
    let left = Instant::now();
    drop(first);
    let again = Socket::open_when_there_is_room(&bob).await;
    let in_time = left.elapsed() < ABSENCE;
    // Twice as long as it would take to be told: somebody else goes, comes back and goes.
    let mut told = Vec::new();
    for _ in 0..2 {
        drop(Socket::open_when_there_is_room(&eve).await);
        told.extend(to_ada.until_gone(&eve.id).await);
    }
    told.retain(|frame| frame["data"]["user_id"] == json!(bob.id));
    // A busy machine may have been too slow for it.
    assert!(told.is_empty() || !in_time, "{told:?}");
    drop(again);
    to_ada.until_gone(&bob.id).await;
}
