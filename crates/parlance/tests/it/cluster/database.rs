//! The shared database of several nodes goes away and comes back.

use super::Nodes;
use super::failures::group_of;
use crate::harness::User;
use crate::live::client::{Socket, TIMEOUT, is_about_members};
use serde_json::json;
use std::time::Instant;
use test_support::Cluster;

/// Sends under a key until it is answered that the message is stored.
async fn send(user: &User, group: &str, number: i64) {
    let body = json!({ "group_id": group, "content": number.to_string(), "client_id": number.to_string() });
    let since = Instant::now();
    loop {
        let answer = user.post("/messages", body.clone()).await;
        match answer.status {
            200 | 201 => return,
            503 => assert!(since.elapsed() < TIMEOUT, "{answer}"),
            _ => panic!("{answer}"),
        }
    }
}

/// Reads up to this number without a gap. A client that loses its connection resumes, and may receive an event again.
async fn follow(user: &User, socket: &mut Socket, last: &mut i64, end: i64) {
    while *last < end {
        match socket.frame().await {
            Ok(frame) if frame["event"] == "message.created" => {
                let update = frame["update"].as_i64().unwrap();
                assert!(update <= *last + 1, "a gap after {last}: {frame}");
                *last = update.max(*last);
            }
            Ok(frame) => assert!(frame["event"] == "presence" || is_about_members(&frame), "{frame}"),
            Err(_) => *socket = Socket::since(user, &socket.cursor.clone()).await,
        }
    }
}

#[actix_web::test]
async fn an_outage_of_the_database_loses_no_event_at_any_node() {
    let (Some(cluster), Some(mut nodes)) = (Cluster::start(), Nodes::start(0)) else { return };
    let url = cluster.url("postgres");
    for _ in 0..2 {
        nodes.add(&[("DATABASE_URL", &url)]);
    }
    nodes.all_connected().await;
    let (users, group) = group_of(&nodes, &["ada", "bob"]).await;
    let mut sockets = [Socket::open(&users[1][0]).await, Socket::open(&users[1][1]).await];
    let (mut lasts, mut sent) = ([0, 0], 0);
    for (go, come_back) in [
        (Cluster::stop as fn(&Cluster), Cluster::start_again as fn(&Cluster)),
        (Cluster::pause, Cluster::resume),
        (Cluster::crash_and_restart, |_| ()),
        (Cluster::become_standby, Cluster::promote),
    ] {
        for n in 0..6 {
            sent += 1;
            send(&users[0][n % 2], &group, sent).await;
        }
        go(&cluster);
        // What becomes of these is settled by their keys, when it is back.
        let body = json!({ "group_id": group, "content": (sent + 1).to_string(), "client_id": (sent + 1).to_string() });
        for n in 0..4 {
            let answer = users[0][n % 2].post("/messages", body.clone()).await;
            assert!([200, 201, 503].contains(&answer.status), "{answer}");
        }
        come_back(&cluster);
        for n in 0..6 {
            sent += 1;
            send(&users[0][n % 2], &group, sent).await;
        }
        for (n, (socket, last)) in sockets.iter_mut().zip(&mut lasts).enumerate() {
            follow(&users[1][n], socket, last, sent).await;
        }
    }
    // And nothing was stored twice: the numbers are as many as the keys.
    let feed = users[1][0].get(&format!("/conversations/{group}/changes?after=0&limit=200")).await.expect(200);
    assert_eq!(feed["update"], json!(sent));
}
