//! `/messages`: sending, listing, editing, deleting.

use crate::harness::{NOWHERE, Server, User, ids};
use serde_json::{Value, json};

/// What a careless server would change, cut or choke on.
pub const TRICKY: &[&str] = &[
    "a|b|c||d|",
    "id|from|to|group|content|direct|1700000000",
    r#"she said "hi" and 'hi' and `hi`"#,
    r"C:\new\table \u0041 \",
    "👍🏽 👨‍👩‍👧‍👦 🇨🇭",
    "one\ntwo\r\nthree\tfour",
    "  two before, two after  ",
    "<b onclick=\"x()\">&amp;</b>",
    "שלום مرحبا 漢字 𠮷",
    "e\u{301} \u{e9} \u{212b} a\u{200b}b\u{feff}",
    "%s %d {0} ${x} 100% '); DROP TABLE messages;--",
    r#"{"content":"x"}"#,
    "bell\u{7} esc\u{1b}[31m del\u{7f} \u{2028}\u{85}\u{ffff}",
];

async fn listed(reader: &User, query: &str) -> Vec<String> {
    ids(&reader.get(&format!("/messages?{query}")).await.expect(200))
}

#[actix_web::test]
async fn a_message_is_answered_as_it_is_listed_and_shown() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let sent = ada.post("/messages", json!({"receiver_id": bob.id, "content": "hello", "sender_id": ada.id})).await;
    let sent = sent.expect(201);
    for (field, value) in [
        ("kind", json!("direct")),
        ("sender_id", json!(ada.id)),
        ("sender", json!({"id": ada.id, "username": "ada", "display_name": "ada"})),
        ("receiver_id", json!(bob.id)),
        ("type", json!("text")),
        ("content", json!("hello")),
        ("seq", json!(1)),
        ("update", json!(1)),
    ] {
        assert_eq!(sent[field], value, "{field}");
    }
    for unset in ["group_id", "file_id", "file", "reply_to", "edited_at"] {
        assert!(sent.get(unset).is_none(), "{unset}");
    }
    for (reader, other) in [(&ada, &bob), (&bob, &ada)] {
        let id = sent["id"].as_str().unwrap();
        assert_eq!(reader.get(&format!("/messages/{id}")).await.expect(200), sent);
        assert_eq!(reader.get(&format!("/messages?receiver_id={}", other.id)).await.expect(200), json!([sent]));
    }
    let group = ada.group("us", "private").await;
    let sent = ada.post("/messages", json!({"group_id": group, "receiver_id": null, "content": "hi all"})).await;
    let sent = sent.expect(201);
    assert_eq!((&sent["kind"], &sent["group_id"]), (&json!("group"), &json!(group)));
    assert_eq!(sent["conversation_id"], group);
    assert!(sent.get("receiver_id").is_none());
}

#[actix_web::test]
async fn two_users_see_both_directions_and_nobody_elses() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let mut talk = Vec::new();
    for n in 0..6 {
        let (from, to) = if n % 2 == 0 { (&ada, &bob) } else { (&bob, &ada) };
        talk.push(from.send(&to.id, &n.to_string()).await);
    }
    eve.send(&bob.id, "from eve").await;
    let to_eve = ada.send(&eve.id, "to eve").await;
    assert_eq!(listed(&ada, &format!("receiver_id={}", bob.id)).await, talk);
    assert_eq!(listed(&bob, &format!("receiver_id={}", ada.id)).await, talk);
    assert_eq!(listed(&eve, &format!("receiver_id={}", ada.id)).await, [to_eve]);
    assert_eq!(listed(&ada, &format!("receiver_id={}", ada.id)).await, [""; 0]);
    // Eve can neither read nor change what she is not part of.
    let path = format!("/messages/{}", talk[0]);
    eve.get(&path).await.refused(404, None);
    eve.put(&path, json!({"content": "x"})).await.refused(404, None);
    eve.delete(&path, json!({})).await.refused(404, None);
    eve.get(&format!("{path}/seen")).await.refused(404, None);
    eve.post(&format!("{path}/seen"), json!({})).await.refused(404, None);
}

#[actix_web::test]
async fn one_may_write_to_oneself() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let note = ada.send(&ada.id, "note").await;
    assert_eq!(listed(&ada, &format!("receiver_id={}", ada.id)).await, [note]);
    assert_eq!(ada.unseen_total().await, 0);
}

#[actix_web::test]
async fn content_is_kept_exactly_as_sent() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let longest = ["🙂".repeat(4096), "é".repeat(4096), "x".repeat(4096)];
    let contents: Vec<&str> = TRICKY.iter().copied().chain(longest.iter().map(String::as_str)).collect();
    for content in &contents {
        let sent = ada.post("/messages", json!({"receiver_id": bob.id, "content": content})).await.expect(201);
        assert_eq!(sent["content"], *content);
    }
    let listed = bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    let listed: Vec<&str> = listed.as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap()).collect();
    assert_eq!(listed, contents);
}

#[actix_web::test]
async fn what_cannot_be_sent_is_refused_and_leaves_no_trace() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("us", "private").await;
    let (to, long, wide) = (&bob.id, "x".repeat(4097), "🙂".repeat(4097));
    for (body, field) in [
        (json!({"receiver_id": to, "group_id": group, "content": "x"}), None),
        (json!({"content": "x"}), None),
        (json!({"receiver_id": null, "group_id": null, "content": "x"}), None),
        (json!({"receiver_id": to}), Some("content")),
        (json!({"receiver_id": to, "content": ""}), Some("content")),
        (json!({"receiver_id": to, "content": " \t\r\n\u{3000}"}), Some("content")),
        (json!({"receiver_id": to, "content": null}), Some("content")),
        (json!({"receiver_id": to, "content": 1}), Some("content")),
        (json!({"receiver_id": to, "content": long}), Some("content")),
        (json!({"receiver_id": to, "content": wide}), Some("content")),
        (json!({"receiver_id": to, "content": "a\0b"}), Some("content")),
        (json!({"receiver_id": to, "content": "x", "type": "video"}), Some("type")),
        (json!({"receiver_id": to, "content": "x", "type": "TEXT"}), Some("type")),
        (json!({"receiver_id": to, "content": "x", "type": 1}), Some("type")),
        (json!({"receiver_id": to, "content": "x", "type": "image"}), Some("file_id")),
        (json!({"group_id": group, "type": "file"}), Some("file_id")),
        (json!({"receiver_id": to, "content": "x", "file_id": NOWHERE}), Some("file_id")),
        (json!({"receiver_id": to, "type": "file", "file_id": "../x"}), Some("file_id")),
        (json!({"receiver_id": "bob", "content": "x"}), Some("receiver_id")),
        (json!({"receiver_id": 2, "content": "x"}), Some("receiver_id")),
        (json!({"group_id": "7", "content": "x"}), Some("group_id")),
        (json!({"group_id": [group], "content": "x"}), Some("group_id")),
        (json!({"receiver_id": to, "content": "x", "reply_to": "x"}), Some("reply_to")),
        (json!({"receiver_id": to, "content": "x", "sender_id": "x"}), Some("sender_id")),
        (json!({"receiver_id": to, "content": "x", "client_id": "k".repeat(65)}), Some("client_id")),
        (json!({"receiver_id": to, "content": "x", "client_id": ""}), Some("client_id")),
        (json!({"receiver_id": to, "content": "x", "client_id": 5}), Some("client_id")),
    ] {
        let refused = ada.post("/messages", body.clone()).await.refused(400, field);
        assert_eq!(refused["code"], "invalid_request", "{body}");
    }
    for body in [
        json!({"receiver_id": NOWHERE, "content": "x"}),
        json!({"group_id": NOWHERE, "content": "x"}),
        json!({"receiver_id": to, "type": "file", "file_id": NOWHERE}),
        json!({"receiver_id": to, "content": "x", "reply_to": NOWHERE}),
    ] {
        ada.post("/messages", body).await.refused(404, None);
    }
    // One's right comes after the form, and another's name is never taken.
    let as_bob = json!({"receiver_id": to, "content": "x", "sender_id": bob.id});
    ada.post("/messages", as_bob).await.refused(403, None);
    let as_nobody = json!({"receiver_id": to, "content": "x", "sender_id": NOWHERE});
    ada.post("/messages", as_nobody).await.refused(403, None);
    let as_bob_malformed = json!({"receiver_id": to, "content": "", "sender_id": bob.id});
    ada.post("/messages", as_bob_malformed).await.refused(400, Some("content"));
    // Bob is not in the group, which for him does not exist.
    bob.post("/messages", json!({"group_id": group, "content": "x"})).await.refused(404, None);

    assert_eq!(listed(&ada, &format!("receiver_id={to}")).await, [""; 0]);
    assert_eq!(listed(&ada, &format!("group_id={group}")).await, [""; 0]);
    // Refusals took no number of the counter.
    assert_eq!(ada.post("/messages", json!({"group_id": group, "content": "x"})).await.expect(201)["update"], 1);
}

#[actix_web::test]
async fn a_reply_names_a_message_of_the_same_conversation() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let question = ada.send(&bob.id, "?").await;
    let answer = json!({"receiver_id": ada.id, "content": "!", "reply_to": question});
    assert_eq!(bob.post("/messages", answer).await.expect(201)["reply_to"], json!(question));
    let elsewhere = json!({"receiver_id": eve.id, "content": "!", "reply_to": question});
    bob.post("/messages", elsewhere).await.refused(404, None);
    ada.delete(&format!("/messages/{question}"), json!({})).await.expect(204);
    let late = json!({"receiver_id": ada.id, "content": "!", "reply_to": question});
    bob.post("/messages", late).await.refused(404, None);
}

#[actix_web::test]
async fn pages_are_cut_by_offset_or_by_message() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(ada.send(&bob.id, &n.to_string()).await);
    }
    // A deleted one still marks its place, and counts in no offset.
    let gone = sent.remove(4);
    ada.delete(&format!("/messages/{gone}"), json!({})).await.expect(204);
    let with = format!("receiver_id={}", ada.id);
    for (query, expected) in [
        (String::new(), &sent[..]),
        ("&limit=3".into(), &sent[..3]),
        ("&limit=3&offset=3".into(), &sent[3..6]),
        ("&offset=8".into(), &sent[8..]),
        ("&offset=9".into(), &[]),
        ("&offset=10000".into(), &[]),
        ("&before=latest".into(), &sent[..]),
        ("&before=latest&limit=2".into(), &sent[7..]),
        (format!("&before={}&limit=3", sent[6]), &sent[3..6]),
        (format!("&before={}", sent[0]), &[]),
        (format!("&after={}&limit=3", sent[1]), &sent[2..5]),
        (format!("&after={}", sent[8]), &[]),
        (format!("&before={gone}&limit=2"), &sent[2..4]),
        (format!("&after={gone}&limit=2"), &sent[4..6]),
    ] {
        assert_eq!(listed(&bob, &format!("{with}{query}")).await, expected, "{query}");
    }
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=201".into(), "limit"),
        ("limit=-1".into(), "limit"),
        ("limit=".into(), "limit"),
        ("limit=18446744073709551616".into(), "limit"),
        ("offset=-1".into(), "offset"),
        ("offset=x".into(), "offset"),
        ("offset=10001".into(), "offset"),
        ("offset=1000000000".into(), "offset"),
        (format!("offset={}", u64::MAX), "offset"),
        ("before=x".into(), "before"),
        ("after=latest".into(), "after"),
        ("offset=0&before=latest".into(), "offset"),
        (format!("offset=0&after={}", sent[0]), "offset"),
        (format!("before={}&after={}", sent[1], sent[0]), "before"),
    ] {
        bob.get(&format!("/messages?{with}&{query}")).await.refused(400, Some(field));
    }
    for cursor in ["before", "after"] {
        bob.get(&format!("/messages?{with}&{cursor}={NOWHERE}")).await.refused(404, None);
    }
    bob.get("/messages").await.refused(400, None);
    bob.get(&format!("/messages?receiver_id={NOWHERE}&group_id={NOWHERE}")).await.refused(400, None);
    bob.get("/messages?receiver_id=x").await.refused(400, Some("receiver_id"));
    bob.get(&format!("/messages?receiver_id={NOWHERE}")).await.refused(404, None);
    bob.get(&format!("/messages?group_id={NOWHERE}")).await.refused(404, None);
}

#[actix_web::test]
async fn links_lead_through_a_conversation_once() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let group = ada.group("a & b", "private").await;
    let mut sent = Vec::new();
    for n in 0..13 {
        let body = json!({"group_id": group, "content": n.to_string()});
        sent.push(ada.post("/messages", body).await.expect(201)["id"].as_str().unwrap().to_owned());
    }
    for (query, expected, newest_first) in [
        (String::new(), &sent[..], false),
        ("&offset=1".into(), &sent[1..], false),
        (format!("&after={}", sent[0]), &sent[1..], false),
        ("&before=latest".into(), &sent[..], true),
        (format!("&before={}", sent[12]), &sent[..12], true),
    ] {
        let mut pages = ada.pages(&format!("/messages?limit=4&group_id={group}{query}")).await;
        assert_eq!(pages.len(), expected.len().div_ceil(4), "{query}");
        if newest_first {
            pages.reverse();
        }
        let met: Vec<String> = pages.iter().flat_map(ids).collect();
        assert_eq!(met, expected, "{query}");
    }
    // A page that ends exactly at the end has nothing behind it.
    let exact = ada.get(&format!("/messages?limit=13&group_id={group}")).await;
    assert!(exact.header("link").is_none());
}

#[actix_web::test]
async fn an_offset_too_far_is_told_of_the_cursors() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    for query in ["offset=10001", "offset=10001&limit=1", "limit=200&offset=4294967296"] {
        let refused = ada.get(&format!("/messages?receiver_id={}&{query}", bob.id)).await.refused(400, Some("offset"));
        let sentence = refused["error"].as_str().unwrap();
        assert!(sentence.contains("before") && sentence.contains("after"), "{sentence}");
    }
}

#[actix_web::test]
async fn what_is_deleted_between_two_pages_hides_nothing() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let group = ada.group("us", "private").await;
    for (query, cursor) in [("&offset=0", "after"), ("", "after"), ("&offset=2", "after"), ("&before=latest", "before")]
    {
        let mut sent = Vec::new();
        for n in 0..12 {
            let body = json!({"group_id": group, "content": n.to_string()});
            sent.push(ada.post("/messages", body).await.expect(201)["id"].as_str().unwrap().to_owned());
        }
        let all = ada.get(&format!("/messages?limit=200&group_id={group}")).await.expect(200);
        let all = ids(&all);
        let first = ada.get(&format!("/messages?limit=4&group_id={group}{query}")).await;
        let next = first.next().unwrap();
        assert!(next.contains(&format!("&{cursor}=")) && !next.contains("offset"), "{next}");
        let mut met = ids(&first.expect(200));
        // The page's own last message is its cursor, and is one of those that go.
        for gone in [&met[0], &met[1], &met[3]] {
            ada.delete(&format!("/messages/{gone}"), json!({})).await.expect(204);
        }
        met.extend(ada.pages(&next).await.iter().flat_map(ids));
        met.sort();
        let begin = if query == "&offset=2" { 2 } else { 0 };
        let mut expected = all[begin..].to_vec();
        expected.sort();
        assert_eq!(met, expected, "{query}");
        for left in ids(&ada.get(&format!("/messages?limit=200&group_id={group}")).await.expect(200)) {
            ada.delete(&format!("/messages/{left}"), json!({})).await.expect(204);
        }
    }
}

#[actix_web::test]
async fn only_the_sender_edits() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let sent = ada.send(&bob.id, "before").await;
    let path = format!("/messages/{sent}");
    let original = ada.get(&path).await.expect(200);
    let edited = ada.put(&path, json!({"content": TRICKY[0], "sender_id": ada.id})).await.expect(200);
    assert_eq!((&edited["content"], &edited["seq"], &edited["update"]), (&json!(TRICKY[0]), &json!(1), &json!(2)));
    assert_eq!(edited["created_at"], original["created_at"]);
    assert_eq!(edited["edited_at"], edited["updated_at"]);
    assert_eq!(bob.get(&path).await.expect(200), edited);

    for (body, field) in [
        (json!({}), "content"),
        (json!({"content": null}), "content"),
        (json!({"content": " \n"}), "content"),
        (json!({"content": "x".repeat(4097)}), "content"),
        (json!({"content": "\0"}), "content"),
        (json!({"content": 5}), "content"),
        (json!({"content": "x", "sender_id": 5}), "sender_id"),
    ] {
        ada.put(&path, body).await.refused(400, Some(field));
    }
    ada.put("/messages/12", json!({"content": "x"})).await.refused(400, Some("id"));
    ada.put(&format!("/messages/{NOWHERE}"), json!({"content": "x"})).await.refused(404, None);
    // What cannot be is told before who may not.
    let said = ada.send(&bob.id, "said").await;
    bob.put(&format!("/messages/{said}"), json!({"content": " "})).await.refused(400, Some("content"));
    bob.put(&format!("/messages/{said}"), json!({"content": "x"})).await.refused(403, None);
    ada.put(&path, json!({"content": "x", "sender_id": bob.id})).await.refused(403, None);
    bob.put(&path, json!({"content": "x"})).await.refused(403, None);
    bob.put(&path, json!({"content": "x", "sender_id": ada.id})).await.refused(403, None);
    assert_eq!(ada.get(&path).await.expect(200), edited);
}

#[actix_web::test]
async fn a_deleted_message_is_gone_everywhere() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (kept, gone) = (ada.send(&bob.id, "kept").await, ada.send(&bob.id, "gone").await);
    let path = format!("/messages/{gone}");
    bob.delete(&path, json!({})).await.refused(403, None);
    ada.delete(&path, json!({"sender_id": bob.id})).await.refused(403, None);
    ada.delete(&path, json!({"sender_id": "x"})).await.refused(400, Some("sender_id"));
    assert_eq!(bob.unseen_total().await, 2);
    ada.delete(&path, json!({"sender_id": ada.id})).await.expect(204);
    assert_eq!(bob.unseen_total().await, 1);
    assert_eq!(listed(&bob, &format!("receiver_id={}", ada.id)).await, [kept]);
    for reader in [&ada, &bob] {
        reader.get(&path).await.refused(404, None);
        reader.get(&format!("{path}/seen")).await.refused(404, None);
        reader.post(&format!("{path}/seen"), json!({})).await.refused(404, None);
    }
    ada.put(&path, json!({"content": "x"})).await.refused(404, None);
    ada.delete(&path, json!({})).await.refused(404, None);
    ada.delete("/messages/x", json!({})).await.refused(400, Some("id"));
}

#[actix_web::test]
async fn who_runs_a_group_deletes_in_it() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("us", "private").await;
    for member in [&bob, &eve] {
        ada.post(&format!("/groups/{group}/members"), json!({"user_id": member.id})).await.expect(200);
    }
    let say = async |user: &User| {
        let sent = user.post("/messages", json!({"group_id": group, "content": "x"})).await.expect(201);
        format!("/messages/{}", sent["id"].as_str().unwrap())
    };
    let (of_bob, of_eve) = (say(&bob).await, say(&eve).await);
    bob.delete(&of_eve, json!({})).await.refused(403, None);
    ada.put(&of_bob, json!({"content": "y"})).await.refused(403, None);
    ada.raw("DELETE", &of_bob, &[], "").await.expect(204);
    // Who has left a private group has left one's own messages with it.
    eve.post(&format!("/groups/{group}/leave"), json!({"user_id": eve.id})).await.expect(204);
    eve.get(&of_eve).await.refused(404, None);
    eve.put(&of_eve, json!({"content": "y"})).await.refused(404, None);
    eve.delete(&of_eve, json!({})).await.refused(404, None);
    assert_eq!(bob.get(&of_eve).await.expect(200)["content"], "x");
}

#[actix_web::test]
async fn who_sends_to_a_public_group_joins_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("all", "public").await;
    ada.post("/messages", json!({"group_id": group, "content": "welcome"})).await.expect(201);
    assert_eq!(listed(&bob, &format!("group_id={group}")).await.len(), 1);
    bob.post("/messages", json!({"group_id": group, "content": " "})).await.refused(400, Some("content"));
    let role = async || bob.get(&format!("/groups/{group}")).await.expect(200)["role"].clone();
    assert_eq!(role().await, Value::Null);
    bob.post("/messages", json!({"group_id": group, "content": "hi"})).await.expect(201);
    assert_eq!(role().await, "member");
    // What was said before one joined does not count as unseen.
    assert_eq!(bob.unseen_total().await, 0);
}
