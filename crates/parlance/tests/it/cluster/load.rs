//! Under load, no event between nodes is lost, doubled or out of order, while clients connect and disconnect.

use super::Nodes;
use crate::live::client::{Socket, is_about_members};
use crate::live::load::listen;
use futures_util::future::join_all;
use serde_json::json;

const NODES: usize = 3;
const SENDERS: usize = 8;
const MESSAGES: usize = 200;
const LISTENERS: usize = 20;

#[actix_web::test]
async fn every_listener_sees_every_update_in_order_whichever_node_it_is_at() {
    let Some(nodes) = Nodes::start(NODES) else { return };
    let owner = nodes.user("owner").await;
    let group = owner[0].group("ours", "private").await;
    let (mut senders, mut listeners) = (Vec::new(), Vec::new());
    for n in 0..SENDERS + LISTENERS {
        let user = nodes.user(&format!("user{n}")).await;
        owner[n % NODES].add(&group, &user[0], "member").await;
        if n < SENDERS { senders.push(user) } else { listeners.push(user) }
    }
    let end = (SENDERS * MESSAGES) as i64;
    let mut sockets = Vec::new();
    for (n, listener) in listeners.iter().enumerate() {
        sockets.push(Socket::open(&listener[n % NODES]).await);
    }
    let sending = join_all(senders.iter().enumerate().map(|(n, sender)| {
        let group = &group;
        async move {
            for k in 0..MESSAGES {
                let message = json!({ "group_id": group, "content": k.to_string() });
                // Some stay with their node, others go round.
                let at = if n % 2 == 0 { n } else { n + k };
                sender[at % NODES].post("/messages", message).await.expect(201);
            }
        }
    }));
    let listening = join_all(listeners.iter().zip(&mut sockets).enumerate().map(|(n, (listener, socket))| {
        let restless = (n % 2 == 0).then_some(n as u64);
        // Comes back to another node than it was cut off from.
        listen(listener, socket, &group, end, restless)
    }));
    futures_util::join!(sending, listening);
}

#[actix_web::test]
async fn a_removed_member_gets_nothing_after_the_removal_from_any_node() {
    let Some(nodes) = Nodes::start(2) else { return };
    let owner = nodes.user("owner").await;
    let group = owner[0].group("ours", "private").await;
    let mut members = Vec::new();
    for n in 0..8 {
        let user = nodes.user(&format!("user{n}")).await;
        owner[0].add(&group, &user[0], "member").await;
        members.push(user);
    }
    let mut sockets = Vec::new();
    for (n, member) in members.iter().enumerate() {
        sockets.push(Socket::open(&member[n % 2]).await);
    }
    let sending = join_all((0..4).map(|n: usize| {
        let (owner, group) = (&owner, &group);
        async move {
            for _ in 0..100 {
                let message = json!({ "group_id": group, "content": "x" });
                owner[n % 2].post("/messages", message).await.expect(201);
            }
        }
    }));
    let removing = async {
        for (n, member) in members.iter().enumerate() {
            let path = format!("/groups/{group}/members/{}", member[0].id);
            // At the node where the member is not, and where it is.
            owner[(n / 2) % 2].delete(&path, json!({})).await.expect(204);
        }
    };
    futures_util::join!(sending, removing);
    let mark = owner[0].post("/broadcast/send", json!({ "content": "mark" })).await.expect(200);
    for (member, socket) in members.iter().zip(&mut sockets) {
        let (mut last, mut removed, mut reload, mut marked) = (0, false, false, false);
        // A node that hears of it too late says only that the list has changed; and another conversation's events may
        // overtake the group's.
        while !marked || !(removed || reload) {
            let frame = socket.next().await;
            if frame["event"] == "member.removed" && frame["data"]["user_id"] == json!(member[0].id) {
                assert!(!removed, "twice");
                removed = true;
            } else if is_about_members(&frame) {
                reload |= frame["event"] == "resync";
                assert!(!removed || frame["event"] == "resync", "after the removal: {frame}");
            } else if frame["data"]["id"] == mark["id"] {
                marked = true;
            } else {
                assert_eq!((&frame["event"], &frame["conversation_id"]), (&json!("message.created"), &json!(group)));
                assert!(!removed, "after the removal: {frame}");
                let update = frame["update"].as_i64().unwrap();
                assert!(last == 0 || update == last + 1, "{update} after {last}");
                last = update;
            }
        }
    }
}
