//! Under load, no event is lost, doubled or out of order, while clients connect and disconnect.

use super::client::Socket;
use crate::harness::{Server, User};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use std::collections::BTreeSet;

const SENDERS: usize = 8;
const MESSAGES: usize = 200;
const LISTENERS: usize = 20;
/// How often a restless listener is cut off at the most: without an end it would be, again and again, in its replay.
const CUTS: usize = 8;

/// Listens until the conversation has come to `end`, cut off at random and resuming if `restless`: as the same user, at
/// one server after another.
pub async fn listen(user: &[User], socket: &mut Socket, group: &str, end: i64, restless: Option<u64>) {
    let (mut chance, mut cuts) = (restless.map(StdRng::seed_from_u64), 0);
    let (mut seen, mut last, mut repeats) = (BTreeSet::new(), 0, 0);
    while last < end {
        if cuts < CUTS && chance.as_mut().is_some_and(|chance| chance.random_ratio(1, 60)) {
            cuts += 1;
            *socket = Socket::since(&user[cuts % user.len()], &socket.cursor.clone()).await;
            // Repeated events come in order, too.
            last = 0;
        }
        // The group was made lately: a cursor may lie before that.
        let frame = socket.next_of_messages().await;
        assert_eq!((&frame["event"], &frame["conversation_id"]), (&json!("message.created"), &json!(group)), "{frame}");
        let update = frame["update"].as_i64().unwrap();
        assert!(last == 0 || update == last + 1, "{update} after {last}");
        if last == 0 {
            let next = seen.last().map_or(1, |last| last + 1);
            assert!(update <= next, "{update} leaves out {next}");
        }
        repeats += usize::from(!seen.insert(update));
        last = update;
    }
    assert_eq!(seen.len() as i64, end);
    assert!(restless.is_some() || repeats == 0);
}

#[actix_web::test]
async fn every_listener_sees_every_update_in_order() {
    let server = Server::start().await;
    let owner = server.user("owner").await;
    let group = owner.group("ours", "private").await;
    let (mut senders, mut listeners) = (Vec::new(), Vec::new());
    for n in 0..SENDERS + LISTENERS {
        let user = server.user(&format!("user{n}")).await;
        owner.add(&group, &user, "member").await;
        if n < SENDERS { senders.push(user) } else { listeners.push(user) }
    }
    let end = (SENDERS * MESSAGES) as i64;
    let mut sockets = Vec::new();
    for listener in &listeners {
        sockets.push(Socket::open(listener).await);
    }
    let sending = join_all(senders.iter().map(async |sender| {
        for n in 0..MESSAGES {
            sender.post("/messages", json!({ "group_id": group, "content": n.to_string() })).await.expect(201);
        }
    }));
    let listening = join_all(listeners.iter().zip(&mut sockets).enumerate().map(|(n, (listener, socket))| {
        let restless = (n % 2 == 0).then_some(n as u64);
        listen(std::slice::from_ref(listener), socket, &group, end, restless)
    }));
    futures_util::join!(sending, listening);
}

/// The reader's and the system's buffers hold some megabytes; then the server's queue fills, and the reader is cut.
#[actix_web::test]
async fn a_reader_that_stops_is_cut_and_catches_up_and_costs_the_others_nothing() {
    const END: usize = 2_500;
    let server = Server::start().await;
    let (owner, reader) = (server.user("owner").await, server.user("reader").await);
    let group = owner.group("ours", "private").await;
    owner.add(&group, &reader, "member").await;
    let (mut stalled, mut other) = (Socket::open_without_reading(&reader).await, Socket::open(&owner).await);
    let content = "x".repeat(4_096);
    let sending = join_all((0..10).map(|_| async {
        for _ in 0..END / 10 {
            owner.post("/messages", json!({ "group_id": group, "content": content })).await.expect(201);
        }
    }));
    futures_util::join!(sending, listen(std::slice::from_ref(&owner), &mut other, &group, END as i64, None));
    // What had been sent before the cut can be read, then it ends, with a word or without.
    let mut last = 0;
    while let Ok(frame) = stalled.frame().await {
        last = frame["update"].as_i64().unwrap_or(last);
    }
    assert!(last < END as i64, "it was not cut");
    let mut stalled = Socket::since(&reader, &stalled.cursor).await;
    let first = stalled.next_of_messages().await["update"].as_i64().unwrap();
    assert!(first <= last + 1, "{first} leaves out {}", last + 1);
    for update in first + 1..=END as i64 {
        assert_eq!(stalled.next().await["update"], update);
    }
}

#[actix_web::test]
async fn a_removed_member_gets_nothing_after_the_removal_under_load() {
    let server = Server::start().await;
    let owner = server.user("owner").await;
    let group = owner.group("ours", "private").await;
    let mut members = Vec::new();
    for n in 0..8 {
        let user = server.user(&format!("user{n}")).await;
        owner.add(&group, &user, "member").await;
        members.push(user);
    }
    let mut sockets = Vec::new();
    for member in &members {
        sockets.push(Socket::open(member).await);
    }
    let sending = join_all((0..4).map(|_| async {
        for _ in 0..100 {
            owner.post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
        }
    }));
    let removing = async {
        for member in &members {
            owner.delete(&format!("/groups/{group}/members/{}", member.id), json!({})).await.expect(204);
        }
    };
    futures_util::join!(sending, removing);
    let mark = owner.post("/broadcast/send", json!({ "content": "mark" })).await.expect(200);
    for (member, socket) in members.iter().zip(&mut sockets) {
        let mut last = 0;
        loop {
            let frame = socket.next().await;
            if frame["event"] == "member.removed" && frame["data"]["user_id"] == json!(member.id) {
                break;
            }
            if frame["event"] == "message.created" {
                let update = frame["update"].as_i64().unwrap();
                assert!(last == 0 || update == last + 1);
                last = update;
            }
        }
        assert_eq!(socket.expect("message.created").await["id"], mark["id"]);
    }
}
