//! Receipts and unseen counts.

use crate::harness::{NOWHERE, Server, User};
use serde_json::{Value, json};

async fn seen(user: &User, id: &str) {
    // Without any body, as most clients send it.
    let answer = user.raw("POST", &format!("/messages/{id}/seen"), &[], "").await.expect(200);
    assert_eq!(answer, json!({"message": "marked as seen"}));
}

/// Who has seen a message, in the server's order.
async fn readers(user: &User, id: &str) -> Vec<String> {
    let receipts = user.get(&format!("/messages/{id}/seen")).await.expect(200);
    receipts.as_array().unwrap().iter().map(|receipt| receipt["user_id"].as_str().unwrap().to_owned()).collect()
}

async fn unseen(user: &User) -> Value {
    user.get(&format!("/messages/unseen/{}", user.id)).await.expect(200)
}

async fn say(user: &User, group: &str) -> String {
    let sent = user.post("/messages", json!({"group_id": group, "content": "x"})).await.expect(201);
    sent["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_message_is_seen_once() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let sent = ada.send(&bob.id, "x").await;
    let path = format!("/messages/{sent}/seen");
    // The sender's own mark is a no-op.
    seen(&ada, &sent).await;
    assert_eq!(ada.get(&path).await.expect(200), json!([]));
    seen(&bob, &sent).await;
    let receipts = ada.get(&path).await.expect(200);
    assert_eq!((&receipts[0]["user_id"], &receipts[0]["username"]), (&json!(bob.id), &json!("bob")));
    bob.post(&path, json!({"user_id": bob.id})).await.expect(200);
    assert_eq!(ada.get(&path).await.expect(200), receipts);
    assert_eq!(bob.get(&path).await.expect(200), receipts);

    bob.post(&path, json!({"user_id": ada.id})).await.refused(403, None);
    bob.post(&path, json!({"user_id": "x"})).await.refused(400, Some("user_id"));
    bob.post(&format!("/messages/{NOWHERE}/seen"), json!({})).await.refused(404, None);
    bob.get(&format!("/messages/{NOWHERE}/seen")).await.refused(404, None);
    bob.post("/messages/x/seen", json!({})).await.refused(400, Some("id"));
    bob.get("/messages/x/seen").await.refused(400, Some("id"));
}

#[actix_web::test]
async fn unseen_messages_are_counted_by_where_they_come_from() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    assert_eq!(unseen(&ada).await, json!({"direct_messages": [], "group_messages": [], "total": 0}));
    let group = bob.group("us", "private").await;
    bob.post(&format!("/groups/{group}/members"), json!({"user_id": ada.id})).await.expect(200);
    let mut of_bob = Vec::new();
    for _ in 0..3 {
        of_bob.push(bob.send(&ada.id, "x").await);
    }
    eve.send(&ada.id, "x").await;
    let in_group = [say(&bob, &group).await, say(&bob, &group).await];
    // One's own and the broadcast do not count.
    ada.send(&bob.id, "x").await;
    say(&ada, &group).await;
    eve.post("/broadcast/send", json!({"content": "x"})).await.expect(200);

    let counts = unseen(&ada).await;
    let mut direct = counts["direct_messages"].as_array().unwrap().clone();
    direct.sort_by_key(|entry| entry["username"].to_string());
    assert_eq!(
        direct,
        [
            json!({"user_id": bob.id, "username": "bob", "unseen_count": 3, "unseen_mentions": 0}),
            json!({"user_id": eve.id, "username": "eve", "unseen_count": 1, "unseen_mentions": 0}),
        ]
    );
    assert_eq!(
        counts["group_messages"],
        json!([{"group_id": group, "group_name": "us", "unseen_count": 2, "unseen_mentions": 0}])
    );
    assert_eq!(counts["total"], 6);

    // Seen and deleted ones leave the counts, edited ones stay.
    seen(&ada, &of_bob[1]).await;
    bob.delete(&format!("/messages/{}", of_bob[0]), json!({})).await.expect(204);
    bob.delete(&format!("/messages/{}", in_group[0]), json!({})).await.expect(204);
    bob.put(&format!("/messages/{}", of_bob[2]), json!({"content": "y"})).await.expect(200);
    assert_eq!(unseen(&ada).await["total"], 3);
    // Deleting a seen one changes no count, marking above a gap keeps the gap.
    bob.delete(&format!("/messages/{}", of_bob[1]), json!({})).await.expect(204);
    seen(&ada, &of_bob[2]).await;
    seen(&ada, &in_group[1]).await;
    assert_eq!(unseen(&ada).await["total"], 1);
}

#[actix_web::test]
async fn counting_stops_at_a_thousand_and_says_that_there_are_more() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    eve.send(&bob.id, "x").await;
    let sent = futures_util::future::join_all((0..1_000).map(|_| ada.send(&bob.id, "x"))).await;
    let of = async || {
        let counts = unseen(&bob).await;
        let direct = counts["direct_messages"].as_array().unwrap();
        let entry = direct.iter().find(|entry| entry["user_id"] == ada.id.as_str()).cloned();
        let listed = bob.get("/conversations").await.expect(200);
        let listed = listed.as_array().unwrap().iter().find(|listed| listed["user"]["id"] == ada.id.as_str()).cloned();
        let (entry, listed) = (entry.unwrap(), listed.unwrap());
        for part in ["unseen_count", "unseen_more"] {
            assert_eq!(entry.get(part), listed.get(part), "{part}");
        }
        (entry["unseen_count"].clone(), entry.get("unseen_more").cloned(), counts)
    };
    let (count, more, counts) = of().await;
    assert_eq!((count, more), (json!(1_000), None));
    assert_eq!((&counts["total"], counts.get("unseen_more")), (&json!(1_001), None));
    ada.send(&bob.id, "one more").await;
    let (count, more, counts) = of().await;
    assert_eq!((count, more), (json!(1_000), Some(json!(true))));
    assert_eq!((&counts["total"], &counts["unseen_more"]), (&json!(1_001), &json!(true)));
    seen(&bob, &sent[0]).await;
    let (count, more, _) = of().await;
    assert_eq!((count, more), (json!(1_000), None));
}

#[actix_web::test]
async fn counts_are_ones_own() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    bob.get(&format!("/messages/unseen/{}", ada.id)).await.refused(403, Some("user_id"));
    bob.get(&format!("/messages/unseen/{NOWHERE}")).await.refused(404, None);
    bob.get("/messages/unseen/1").await.refused(400, Some("user_id"));
    // `unseen` alone is no id of a message.
    bob.get("/messages/unseen").await.refused(400, Some("id"));
}

#[actix_web::test]
async fn a_conversation_is_read_up_to_a_message() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let mut sent = Vec::new();
    for n in 0..6 {
        sent.push(ada.send(&bob.id, &n.to_string()).await);
    }
    let conversation = ada.get(&format!("/messages/{}", sent[0])).await.expect(200)["conversation_id"].clone();
    let path = format!("/conversations/{}/read", conversation.as_str().unwrap());
    let read = async |up_to: &str| bob.post(&path, json!({"up_to": up_to})).await.expect(204);

    read(&sent[2]).await;
    assert_eq!(bob.unseen_total().await, 3);
    for (n, id) in sent.iter().enumerate() {
        let expected: &[&str] = if n < 3 { &[&bob.id] } else { &[] };
        assert_eq!(readers(&ada, id).await, expected, "{n}");
    }
    // Reading back changes nothing, a deleted message still marks its place.
    let before = ada.get(&format!("/messages/{}/seen", sent[0])).await.expect(200);
    read(&sent[0]).await;
    assert_eq!(ada.get(&format!("/messages/{}/seen", sent[0])).await.expect(200), before);
    assert_eq!(bob.unseen_total().await, 3);
    ada.delete(&format!("/messages/{}", sent[4]), json!({})).await.expect(204);
    read(&sent[4]).await;
    assert_eq!(bob.unseen_total().await, 1);
    read(&sent[5]).await;
    assert_eq!(bob.unseen_total().await, 0);

    let elsewhere = ada.send(&eve.id, "x").await;
    for (body, field) in [
        (json!({}), "up_to"),
        (json!({"up_to": 4}), "up_to"),
        (json!({"up_to": "x"}), "up_to"),
        (json!({"up_to": null}), "up_to"),
    ] {
        bob.post(&path, body).await.refused(400, Some(field));
    }
    bob.post(&path, json!({"up_to": NOWHERE})).await.refused(404, None);
    ada.post(&path, json!({"up_to": elsewhere})).await.refused(404, None);
    eve.post(&path, json!({"up_to": sent[0]})).await.refused(404, None);
    let nowhere = format!("/conversations/{NOWHERE}/read");
    bob.post(&nowhere, json!({"up_to": sent[0]})).await.refused(404, None);
    bob.post("/conversations/x/read", json!({"up_to": sent[0]})).await.refused(400, Some("id"));
}

#[actix_web::test]
async fn who_is_not_in_a_public_group_reads_it_and_marks_nothing() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("all", "public").await;
    ada.post(&format!("/groups/{group}/members"), json!({"user_id": bob.id})).await.expect(200);
    let sent = say(&ada, &group).await;
    seen(&bob, &sent).await;
    for reader in [&ada, &bob, &eve] {
        assert_eq!(readers(reader, &sent).await, [bob.id.as_str()]);
    }
    eve.post(&format!("/messages/{sent}/seen"), json!({})).await.refused(403, None);
    eve.post(&format!("/conversations/{group}/read"), json!({"up_to": sent})).await.refused(403, None);
    assert_eq!(readers(&ada, &sent).await, [bob.id.as_str()]);
}

#[actix_web::test]
async fn what_was_said_before_one_joined_is_not_unseen() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("us", "private").await;
    let mut early = Vec::new();
    for _ in 0..3 {
        early.push(say(&ada, &group).await);
    }
    let add = async || ada.post(&format!("/groups/{group}/members"), json!({"user_id": bob.id})).await.expect(200);
    add().await;
    assert_eq!(bob.unseen_total().await, 0);
    ada.put(&format!("/messages/{}", early[0]), json!({"content": "edited"})).await.expect(200);
    assert_eq!(bob.unseen_total().await, 0);
    say(&ada, &group).await;
    assert_eq!(bob.unseen_total().await, 1);
    // Who comes again begins anew.
    bob.post(&format!("/groups/{group}/leave"), json!({})).await.expect(204);
    assert_eq!(bob.unseen_total().await, 0);
    add().await;
    assert_eq!(bob.unseen_total().await, 0);
}
