//! NATS or a node fails, and no event is lost.

use super::Nodes;
use crate::harness::User;
use crate::live::client::{Socket, is_about_members};
use futures_util::future::join_all;
use serde_json::json;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long NATS is away; the whole of the promise where there is time.
fn outage() -> Duration {
    let full = std::env::var("PARLANCE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    Duration::from_secs(if full { 30 } else { 4 })
}

/// Sends until it is to stop, and gives how many were taken.
async fn send_until(stop: Instant, sender: &User, group: &str) -> usize {
    let mut sent = 0;
    while Instant::now() < stop {
        sender.post("/messages", json!({ "group_id": group, "content": sent.to_string() })).await.expect(201);
        sent += 1;
    }
    sent
}

/// Reads on up to the number, which has to come in order without a gap.
async fn follow(socket: &mut Socket, last: &mut i64, end: i64) {
    while *last < end {
        // How the group was made, just before, may be told late by the other node.
        let frame = socket.next_of_messages().await;
        assert_eq!(frame["event"], "message.created", "{frame}");
        assert_eq!(frame["update"], json!(*last + 1));
        *last += 1;
    }
}

pub async fn group_of(nodes: &Nodes, names: &[&str]) -> (Vec<Vec<User>>, String) {
    let mut users = Vec::new();
    for name in names {
        users.push(nodes.user(name).await);
    }
    let group = users[0][0].group("ours", "private").await;
    for user in &users[1..] {
        users[0][0].add(&group, &user[0], "member").await;
    }
    (users, group)
}

#[actix_web::test]
async fn while_nats_is_away_sends_go_on_and_events_arrive() {
    let Some(mut nodes) = Nodes::start(2) else { return };
    let (users, group) = group_of(&nodes, &["ada", "bob", "eve"]).await;
    let mut sockets = [Socket::open(&users[1][0]).await, Socket::open(&users[2][1]).await];
    nodes.nats.kill();
    let (begun, away) = (Instant::now(), outage());
    let stop = begun + away;
    let sent = join_all([send_until(stop, &users[0][0], &group), send_until(stop, &users[1][1], &group)]);
    let following = join_all(sockets.iter_mut().map(async |socket| {
        let mut last = 0;
        // Late, but while it is away still: by comparing with the database.
        follow(socket, &mut last, 1).await;
        // The server drops a client that does not read for so long.
        let left = stop.saturating_duration_since(Instant::now());
        let _ = tokio::time::timeout(left, follow(socket, &mut last, i64::MAX)).await;
        last
    }));
    let (sent, mut lasts) = futures_util::join!(sent, following);
    let end = sent.iter().sum::<usize>() as i64;
    assert!(end > 0);
    nodes.nats.start_again();
    let back = Instant::now();
    for (socket, last) in sockets.iter_mut().zip(&mut lasts) {
        follow(socket, last, end).await;
    }
    // The promise: within ten seconds of its return. Told, not asserted: the machine may be busy.
    eprintln!("all {end} were there {:?} after NATS was back", back.elapsed());
    // And it is used again.
    nodes.all_connected().await;
    let said = users[0][0].post("/messages", json!({ "group_id": group, "content": "back" })).await.expect(201);
    for (socket, last) in sockets.iter_mut().zip(&mut lasts) {
        follow(socket, last, end + 1).await;
        assert_eq!(said["update"], end + 1);
    }
}

#[actix_web::test]
async fn a_nats_that_hangs_loses_nothing() {
    let Some(nodes) = Nodes::start(2) else { return };
    let (users, group) = group_of(&nodes, &["ada", "bob"]).await;
    let (mut socket, mut last) = (Socket::open(&users[1][1]).await, 0);
    users[0][0].post("/messages", json!({ "group_id": group, "content": "1" })).await.expect(201);
    follow(&mut socket, &mut last, 1).await;
    nodes.nats.signal("STOP");
    for _ in 0..50 {
        users[0][0].post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
    }
    follow(&mut socket, &mut last, 51).await;
    nodes.nats.signal("CONT");
    users[0][0].post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
    follow(&mut socket, &mut last, 52).await;
}

/// Reads on until it is told to load its conversations again; nothing of messages may come before that.
async fn resync(socket: &mut Socket) {
    loop {
        let frame = socket.next().await;
        assert!(is_about_members(&frame), "{frame}");
        if frame["event"] == "resync" {
            assert!(frame["data"]["reason"].as_str().unwrap().contains("memberships"), "{frame}");
            return;
        }
    }
}

#[actix_web::test]
async fn who_was_added_or_removed_while_nats_was_away_is_told_and_gets_what_is_theirs() {
    let Some(mut nodes) = Nodes::start(2) else { return };
    let (users, group) = group_of(&nodes, &["ada", "bob"]).await;
    let eve = nodes.user("eve").await;
    let mut removed = Socket::open(&users[1][1]).await;
    let mut added = Socket::open(&eve[1]).await;
    nodes.nats.kill();
    users[0][0].delete(&format!("/groups/{group}/members/{}", users[1][0].id), json!({})).await.expect(204);
    users[0][0].add(&group, &eve[0], "member").await;
    let said = users[0][0].post("/messages", json!({ "group_id": group, "content": "secret" })).await.expect(201);
    // A new member receives `resync` instead of single events.
    resync(&mut added).await;
    assert_eq!(added.next_of_messages().await["data"]["id"], said["id"]);
    resync(&mut removed).await;
    let mark = users[0][0].post("/broadcast/send", json!({ "content": "mark" })).await.expect(200);
    let next = removed.next_of_messages().await;
    assert_eq!((&next["event"], &next["data"]["id"]), (&json!("message.created"), &mark["id"]), "nothing of the group");
}

#[actix_web::test]
async fn who_was_at_a_node_that_is_killed_goes_on_at_another() {
    let Some(mut nodes) = Nodes::start(2) else { return };
    let (users, group) = group_of(&nodes, &["ada", "bob", "eve"]).await;
    let mut socket = Socket::open(&users[1][0]).await;
    let mut stays = Socket::open(&users[2][1]).await;
    let stop = Instant::now() + Duration::from_secs(3);
    let sending = send_until(stop, &users[0][1], &group);
    let at_the_first = async {
        // Until it is killed.
        let mut sent = 0;
        let post = async || {
            users[0][0]
                .request(reqwest::Method::POST, "/messages")
                .json(&json!({ "group_id": group, "content": "first" }))
                .send()
                .await
        };
        while let Ok(answer) = post().await {
            sent += usize::from(answer.status() == 201);
        }
        sent
    };
    let mut last = 0;
    let killing = async {
        follow(&mut socket, &mut last, 20).await;
        nodes.kill(0);
        // What had come before the end can still be read.
        while let Ok(frame) = socket.frame().await {
            last = frame["update"].as_i64().unwrap_or(last);
        }
        let mut socket = Socket::since(&users[1][1], &socket.cursor.clone()).await;
        // The first may have come before, and the cursor may lie before the group, which was made lately.
        let first = socket.next_of_messages().await["update"].as_i64().unwrap();
        assert!(first <= last + 1, "{first} leaves out {}", last + 1);
        last = first;
        socket
    };
    let (sent, at_the_first, mut socket) = futures_util::join!(sending, at_the_first, killing);
    assert!(at_the_first > 0);
    let page = users[0][1].get(&format!("/conversations/{group}/changes?after=0&limit=1")).await.expect(200);
    assert_eq!(page["more"], true);
    let end = users[0][1].post("/messages", json!({ "group_id": group, "content": "end" })).await.expect(201);
    let end = end["update"].as_i64().unwrap();
    assert!(end > (sent + at_the_first) as i64);
    follow(&mut socket, &mut last, end).await;
    // What the killed node had committed and not told reaches the other's, too.
    follow(&mut stays, &mut 0, end).await;
}

/// Reads until a user goes offline, and returns the user.
async fn gone(socket: &mut Socket) -> String {
    loop {
        let frame = socket.any().await;
        if frame["event"] == "presence" && frame["data"]["online"] == false {
            return frame["data"]["user_id"].as_str().unwrap().to_owned();
        }
    }
}

#[actix_web::test]
async fn who_was_at_a_node_that_ends_or_dies_is_announced_as_gone() {
    let Some(mut nodes) = Nodes::start(3) else { return };
    nodes.all_connected().await;
    let ada = nodes.user("ada").await;
    let (bob, cy, eve) = (nodes.user("bob").await, nodes.user("cy").await, nodes.user("eve").await);
    for friend in [&bob, &cy, &eve] {
        ada[0].send(&friend[0].id, "hello").await;
        friend[0].send(&ada[0].id, "hello").await;
    }
    let here = Socket::open(&ada[0]).await;
    let mut others = Vec::new();
    for user in [&bob[1], &cy[2], &eve[1], &eve[2], &eve[0]] {
        others.push(Socket::open(user).await);
    }
    // A node that was not there when they came.
    nodes.add(&[]);
    let mut late = Socket::open(&ada[0].at(&nodes.process(3).client)).await;
    let mut there = HashSet::new();
    while there.len() < 3 {
        let frame = late.any().await;
        assert_eq!((&frame["event"], &frame["data"]["online"]), (&json!("presence"), &json!(true)), "{frame}");
        there.insert(frame["data"]["user_id"].as_str().unwrap().to_owned());
    }
    let mut told = [here, late];
    nodes.process(1).signal("TERM");
    for socket in &mut told {
        assert_eq!(gone(socket).await, bob[0].id);
    }
    nodes.kill(2);
    for socket in &mut told {
        assert_eq!(gone(socket).await, cy[0].id);
    }
    // A user who is connected to another node too stays online until all connections end.
    drop(others);
    for socket in &mut told {
        assert_eq!(gone(socket).await, eve[0].id);
    }
}
