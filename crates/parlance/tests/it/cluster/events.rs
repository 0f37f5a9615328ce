//! Events of one node reach clients of the others.

use super::Nodes;
use crate::live::client::Socket;
use crate::renewal;
use serde_json::{Value, json};

/// The next event of that name, whatever else comes before it.
async fn until(socket: &mut Socket, event: &str) -> Value {
    loop {
        let mut frame = socket.any().await;
        if frame["event"] == event {
            return frame["data"].take();
        }
    }
}

/// The next event, which must be this one: its data. Or, where the node heard of it so late that it has looked it up
/// itself: a resync without a conversation, and `None`.
async fn told(socket: &mut Socket, event: &str) -> Option<Value> {
    let mut frame = socket.next().await;
    if frame["event"] == "resync" && frame.get("conversation_id").is_none() {
        eprintln!("{event} was told as a resync");
        return None;
    }
    assert_eq!(frame["event"], event, "{frame}");
    Some(frame["data"].take())
}

#[actix_web::test]
async fn every_event_crosses() {
    let Some(nodes) = Nodes::start(2) else { return };
    // Nodes send receipts over NATS only.
    nodes.all_connected().await;
    let (ada, bob) = (nodes.user("ada").await, nodes.user("bob").await);
    let (mut here, mut there) = (Socket::open(&ada[0]).await, Socket::open(&bob[1]).await);

    let said = ada[0].send(&bob[0].id, "hello").await;
    assert_eq!(there.expect("message.created").await["id"], json!(said));
    assert_eq!(here.expect("message.created").await["id"], json!(said), "once, and not from both sides");
    ada[0].put(&format!("/messages/{said}"), json!({ "content": "hello!" })).await.expect(200);
    assert_eq!(there.expect("message.updated").await["content"], "hello!");
    here.expect("message.updated").await;
    bob[1].post(&format!("/messages/{said}/seen"), json!({})).await.expect(200);
    let seen = here.expect("message.seen").await;
    assert_eq!((&seen["message_id"], &seen["user_id"]), (&json!(said), &json!(bob[0].id)));
    there.expect("message.seen").await;
    ada[0].delete(&format!("/messages/{said}"), json!({})).await.expect(204);
    assert_eq!(there.expect("message.deleted").await["id"], json!(said));
    here.expect("message.deleted").await;

    let all = ada[0].post("/broadcast/send", json!({ "content": "all" })).await.expect(200);
    assert_eq!(there.expect("message.created").await["id"], all["id"]);
    here.expect("message.created").await;

    // No user at the other node was in the group before.
    let group = ada[0].group("tea", "private").await;
    told(&mut here, "member.added").await;
    ada[0].add(&group, &bob[0], "member").await;
    for socket in [&mut here, &mut there] {
        let added = told(socket, "member.added").await;
        assert!(added.is_none_or(|member| member["user_id"] == json!(bob[0].id)));
    }
    let message = json!({ "group_id": group, "content": "milk?" });
    let said = there.op("send", message).await["data"]["id"].clone();
    assert_eq!(there.expect("message.created").await["id"], said);
    assert_eq!(here.expect("message.created").await["id"], said);
    ada[0].post(&format!("/conversations/{group}/read"), json!({ "up_to": said })).await.expect(204);
    for socket in [&mut here, &mut there] {
        assert_eq!(socket.expect("conversation.read").await["up_to"], said);
    }
    ada[0].put(&format!("/groups/{group}"), json!({ "name": "coffee" })).await.expect(200);
    for socket in [&mut here, &mut there] {
        assert!(told(socket, "group.updated").await.is_none_or(|group| group["name"] == "coffee"));
    }
    ada[0].patch(&format!("/groups/{group}/members/{}", bob[0].id), json!({ "role": "admin" })).await.expect(200);
    for socket in [&mut here, &mut there] {
        assert!(told(socket, "member.updated").await.is_none_or(|member| member["role"] == "admin"));
    }
    ada[0].delete(&format!("/groups/{group}/members/{}", bob[0].id), json!({})).await.expect(204);
    for socket in [&mut here, &mut there] {
        let removed = told(socket, "member.removed").await;
        assert!(removed.is_none_or(|member| member["user_id"] == json!(bob[0].id)));
    }
    ada[0].add(&group, &bob[0], "member").await;
    for socket in [&mut here, &mut there] {
        told(socket, "member.added").await;
    }
    ada[1].delete(&format!("/groups/{group}"), json!({})).await.expect(204);
    for socket in [&mut here, &mut there] {
        assert!(told(socket, "group.deleted").await.is_none_or(|group| group["name"] == "coffee"));
    }
}

#[actix_web::test]
async fn who_is_connected_to_both_nodes_is_told_once_at_each() {
    let Some(nodes) = Nodes::start(2) else { return };
    let ada = nodes.user("ada").await;
    let mut sockets = [Socket::open(&ada[0]).await, Socket::open(&ada[1]).await];
    for n in 0..20 {
        ada[n % 2].send(&ada[0].id, &n.to_string()).await;
    }
    for socket in &mut sockets {
        for update in 1..=20 {
            let frame = socket.next().await;
            assert_eq!((&frame["event"], &frame["update"]), (&json!("message.created"), &json!(update)));
        }
    }
}

#[actix_web::test]
async fn who_comes_to_share_a_conversation_is_told_who_is_at_other_nodes() {
    let Some(nodes) = Nodes::start(2) else { return };
    nodes.all_connected().await;
    let (ada, bob, eve) = (nodes.user("ada").await, nodes.user("bob").await, nodes.user("eve").await);
    let (mut to_ada, mut to_bob, mut to_eve) =
        (Socket::open(&ada[0]).await, Socket::open(&bob[1]).await, Socket::open(&eve[1]).await);
    let online = |user: &str| json!({ "user_id": user, "online": true });
    ada[0].send(&bob[0].id, "hello").await;
    bob[1].send(&ada[0].id, "hello").await;
    assert_eq!(until(&mut to_ada, "presence").await, online(&bob[0].id));
    assert_eq!(until(&mut to_bob, "presence").await, online(&ada[0].id));
    let group = ada[0].group("tea", "private").await;
    ada[0].add(&group, &eve[0], "member").await;
    assert_eq!(until(&mut to_ada, "presence").await, online(&eve[0].id));
    assert_eq!(until(&mut to_eve, "presence").await, online(&ada[0].id));
}

#[actix_web::test]
async fn typing_and_presence_cross() {
    let Some(nodes) = Nodes::start(2) else { return };
    nodes.all_connected().await;
    let (ada, bob, eve) = (nodes.user("ada").await, nodes.user("bob").await, nodes.user("eve").await);
    for friend in [&bob, &eve] {
        ada[0].send(&friend[0].id, "hello").await;
        friend[1].send(&ada[1].id, "hello").await;
    }
    let mut here = Socket::open(&ada[0]).await;
    let mut there = Socket::open(&bob[1]).await;
    let online = |user: &str, online: bool| json!({ "user_id": user, "online": online });
    assert_eq!(until(&mut here, "presence").await, online(&bob[0].id, true));
    assert_eq!(until(&mut there, "presence").await, online(&ada[0].id, true), "who was there already");
    there.send(json!({ "op": "typing", "data": { "receiver_id": ada[0].id } }).to_string()).await;
    assert_eq!(until(&mut here, "typing").await["user_id"], json!(bob[0].id));

    // A second connection elsewhere: who leaves the one is still there.
    let second = Socket::open(&bob[0]).await;
    let mut too = Socket::open(&ada[1]).await;
    let gone = online(&bob[0].id, false);
    for attempt in 0.. {
        drop(there);
        // Twice the time of an announcement: meanwhile another user leaves that node, comes back and leaves.
        let (mut told_here, mut told_there) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            drop(Socket::open(&eve[1]).await);
            told_here.extend(here.until_gone(&eve[0].id).await);
            told_there.extend(too.until_gone(&eve[0].id).await);
        }
        assert!(told_here.iter().all(|frame| frame["data"] != gone), "{told_here:?}");
        if told_there.iter().all(|frame| frame["data"] != gone) {
            break;
        }
        // The other node has 400 ms to say that he is there, which a busy machine may not keep.
        eprintln!("he was announced as gone by the node that he had left");
        assert!(attempt < 4, "{told_there:?}");
        there = Socket::open(&bob[1]).await;
    }
    drop(second);
    here.until_gone(&bob[0].id).await;
    too.until_gone(&bob[0].id).await;
}

#[actix_web::test]
async fn an_ended_session_closes_its_sockets_everywhere() {
    let Some(mut nodes) = Nodes::start(2) else { return };
    for nats in [true, false] {
        if !nats {
            nodes.nats.kill();
        }
        let name = if nats { "ada" } else { "bob" };
        let user = nodes.user(name).await;
        let mut there = Socket::open(&user[1]).await;
        user[0].post("/logout", json!({})).await.expect(204);
        assert_eq!(there.drained().await, 4401);
        user[1].get("/me").await.refused(401, None);
    }
    nodes.nats.start_again();
    // Of a stolen refresh token as well: spent at one node, and presented at the other.
    let eve = nodes.user("eve").await;
    let (session, first) = renewal::log_in(&nodes.process(0).client, &eve[0]).await;
    let mut here = Socket::open(&session).await;
    let clients = [0, 1].map(|n| nodes.process(n).client.clone());
    let (one, other) = tokio::join!(renewal::renew(&clients[0], &first), renewal::renew(&clients[1], &first));
    assert_eq!(one["refresh_token"], other["refresh_token"]);
    renewal::renew(&clients[0], &renewal::refresh_token(&one)).await;
    renewal::is_refused(&clients[1], &first).await;
    assert_eq!(here.drained().await, 4401);
    // Of a deleted account as well.
    let mut there = Socket::open(&eve[1]).await;
    eve[0].delete_account().await;
    assert_eq!(there.drained().await, 4401);
}
