//! `/conversations`: the caller's list, and the feed of changes.

use crate::harness::{NOWHERE, Server, User, ids};
use serde_json::{Value, json};

/// The other users of the caller's conversations, in order.
fn partners(conversations: &Value) -> Vec<String> {
    let partner = |conversation: &Value| {
        let shown = match conversation["kind"].as_str() {
            Some("direct") => &conversation["user"]["username"],
            Some("group") => &conversation["group"]["name"],
            _ => &conversation["kind"],
        };
        shown.as_str().unwrap().to_owned()
    };
    conversations.as_array().unwrap().iter().map(partner).collect()
}

async fn listed(user: &User) -> Value {
    user.get("/conversations").await.expect(200)
}

#[actix_web::test]
async fn conversations_are_listed_latest_first() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    assert_eq!(listed(&ada).await, json!([]));
    let group = ada.group("us", "private").await;
    ada.post(&format!("/groups/{group}/members"), json!({"user_id": bob.id})).await.expect(200);
    ada.send(&bob.id, "1").await;
    // A conversation without messages is not listed.
    assert_eq!(partners(&listed(&ada).await), ["bob", "us"]);
    bob.post("/messages", json!({"group_id": group, "content": "2"})).await.expect(201);
    let last = eve.send(&ada.id, "3").await;
    let conversations = listed(&ada).await;
    assert_eq!(partners(&conversations), ["eve", "us", "bob"]);
    let newest = &conversations[0];
    assert_eq!(newest["last_message"]["id"], last.as_str());
    assert_eq!((&newest["unseen_count"], &newest["update"]), (&json!(1), &json!(1)));
    assert_eq!(newest["updated_at"], newest["last_message"]["created_at"]);
    assert!(newest["user"].get("email").is_none() && newest.get("group").is_none());
    assert_eq!((&conversations[1]["group"]["role"], &conversations[1]["id"]), (&json!("owner"), &json!(group)));
    assert_eq!((&conversations[2]["unseen_count"], &conversations[2].get("group")), (&json!(0), &None));

    // An edit is no message sent; a new message is.
    let first = ids(&ada.get(&format!("/messages?receiver_id={}", bob.id)).await.expect(200));
    ada.put(&format!("/messages/{}", first[0]), json!({"content": "1!"})).await.expect(200);
    assert_eq!(partners(&listed(&ada).await), ["eve", "us", "bob"]);
    ada.send(&bob.id, "4").await;
    assert_eq!(partners(&listed(&ada).await), ["bob", "eve", "us"]);
    // The broadcast is there once it has a message.
    eve.post("/broadcast/send", json!({"content": "5"})).await.expect(200);
    let conversations = listed(&ada).await;
    assert_eq!(partners(&conversations), ["broadcast", "bob", "eve", "us"]);
    assert_eq!((&conversations[0]["unseen_count"], conversations[0].get("user")), (&json!(0), None));
}

#[actix_web::test]
async fn a_group_without_messages_is_listed_by_when_one_joined() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let old = ada.group("old", "private").await;
    bob.group("new", "private").await;
    ada.post(&format!("/groups/{old}/members"), json!({"user_id": bob.id})).await.expect(200);
    let conversations = listed(&bob).await;
    assert_eq!(partners(&conversations), ["old", "new"]);
    assert_eq!((&conversations[0]["last_message"], &conversations[0]["update"]), (&Value::Null, &json!(0)));
}

#[actix_web::test]
async fn a_deleted_last_message_is_none() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let first = ada.send(&bob.id, "first").await;
    let second = ada.send(&bob.id, "second").await;
    ada.delete(&format!("/messages/{second}"), json!({})).await.expect(204);
    let conversations = listed(&bob).await;
    assert_eq!(conversations[0]["last_message"]["id"], first.as_str());
    assert_eq!((&conversations[0]["unseen_count"], &conversations[0]["update"]), (&json!(1), &json!(3)));
    ada.delete(&format!("/messages/{first}"), json!({})).await.expect(204);
    assert_eq!(listed(&bob).await[0]["last_message"], Value::Null);
}

#[actix_web::test]
async fn the_list_is_ones_own_and_comes_in_pages() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut names = Vec::new();
    for n in 0..7 {
        let other = server.user(&format!("user{n}")).await;
        other.send(&ada.id, "x").await;
        names.insert(0, other.name.clone());
    }
    let pages = ada.pages("/conversations?limit=3").await;
    assert_eq!(pages.len(), 3);
    assert_eq!(pages.iter().flat_map(partners).collect::<Vec<_>>(), names);

    ada.get(&format!("/conversations?user_id={}", ada.id)).await.expect(200);
    ada.get(&format!("/conversations?user_id={NOWHERE}")).await.refused(403, None);
    for (query, field) in [
        ("user_id=x", "user_id"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=", "limit"),
        ("before=x", "before"),
        (&format!("before={NOWHERE}"), "before"),
    ] {
        ada.get(&format!("/conversations?{query}")).await.refused(400, Some(field));
    }
}

/// All entries of the feed after a number, over its pages, and the counter it ends with.
async fn changes(user: &User, conversation: &str, after: i64, limit: u32) -> (Vec<Value>, i64) {
    let (mut entries, mut after) = (Vec::new(), after);
    loop {
        let path = format!("/conversations/{conversation}/changes?after={after}&limit={limit}");
        let page = user.get(&path).await.expect(200);
        let met = page["messages"].as_array().unwrap();
        assert!(met.len() <= limit as usize);
        entries.extend(met.iter().cloned());
        after = page["update"].as_i64().unwrap();
        if page["more"] == false {
            return (entries, after);
        }
        assert_eq!(met.last().unwrap()["update"], after);
    }
}

#[actix_web::test]
async fn the_feed_tells_what_changed_in_order() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let mut sent = Vec::new();
    for n in 0..6 {
        sent.push(ada.send(&bob.id, &n.to_string()).await);
    }
    let conversation = ada.get(&format!("/messages/{}", sent[0])).await.expect(200)["conversation_id"].clone();
    let conversation = conversation.as_str().unwrap();
    ada.put(&format!("/messages/{}", sent[1]), json!({"content": "edited"})).await.expect(200);
    ada.delete(&format!("/messages/{}", sent[2]), json!({})).await.expect(204);
    sent.push(bob.send(&ada.id, "new").await);
    for limit in [1, 2, 200] {
        let (entries, update) = changes(&bob, conversation, 6, limit).await;
        assert_eq!(update, 9);
        let (edited, deleted, new) = (&entries[0], &entries[1], &entries[2]);
        assert_eq!((&edited["id"], &edited["content"]), (&json!(sent[1]), &json!("edited")));
        assert_eq!((&edited["seq"], &edited["update"]), (&json!(2), &json!(7)));
        assert_eq!(
            *deleted,
            json!({
                "id": sent[2], "conversation_id": conversation, "seq": 3, "update": 8,
                "deleted_at": deleted["deleted_at"],
            })
        );
        assert_eq!((&new["id"], &new["update"]), (&json!(sent[6]), &json!(9)));
        assert_eq!(entries.len(), 3);
    }
    // From the beginning, each message once, as it is now.
    let (entries, _) = changes(&ada, conversation, 0, 3).await;
    assert_eq!(entries.len(), 7);
    let from_default = ada.get(&format!("/conversations/{conversation}/changes")).await.expect(200);
    assert_eq!((&from_default["update"], &from_default["more"]), (&json!(9), &json!(false)));
    assert_eq!(changes(&ada, conversation, 9, 1).await, (Vec::new(), 9));

    for query in ["after=-1", "after=x", "after=1.5", "limit=0", "limit=201", "limit=x"] {
        let field = query.split_once('=').unwrap().0;
        ada.get(&format!("/conversations/{conversation}/changes?{query}")).await.refused(400, Some(field));
    }
    for after in [i64::MAX as u64, u64::MAX] {
        let answer = ada.get(&format!("/conversations/{conversation}/changes?after={after}")).await;
        assert!(matches!(answer.status, 200 | 400), "{after}: {}", answer.status);
    }
    eve.get(&format!("/conversations/{conversation}/changes")).await.refused(404, None);
    ada.get(&format!("/conversations/{NOWHERE}/changes")).await.refused(404, None);
    ada.get("/conversations/x/changes").await.refused(400, Some("id"));
}

#[actix_web::test]
async fn a_time_that_never_was_is_no_cursor() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let path = format!("/conversations?before=-300000000000000000.{NOWHERE}");
    ada.get(&path).await.refused(400, Some("before"));
}
