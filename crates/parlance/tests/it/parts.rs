//! What messages have beside their content: reactions, pins, threads, forwards, versions; and pages around a place.

use crate::harness::{NOWHERE, Server, User, ids};
use crate::live::client::Socket;
use serde_json::{Value, json};

const LIKE: &str = "%F0%9F%91%8D";

async fn put(user: &User, path: &str) {
    user.raw("PUT", path, &[], "").await.expect(204);
}

async fn take(user: &User, path: &str) {
    user.raw("DELETE", path, &[], "").await.expect(204);
}

async fn show(user: &User, id: &str) -> Value {
    user.get(&format!("/messages/{id}")).await.expect(200)
}

async fn reply(user: &User, to: &str, thread: &str) -> String {
    let body = json!({"receiver_id": to, "content": "reply", "thread_id": thread});
    user.post("/messages", body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

/// All entries of a list that comes in pages.
async fn all_of(user: &User, path: &str) -> Value {
    let pages = user.pages(path).await;
    pages.iter().flat_map(|page| page.as_array().unwrap().clone()).collect()
}

#[actix_web::test]
async fn a_reaction_is_shown_told_and_listed() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut socket = Socket::open(&ada).await;
    let id = ada.send(&bob.id, "x").await;
    let sent = socket.expect("message.created").await;
    let path = format!("/messages/{id}/reactions/{LIKE}");
    put(&bob, &path).await;
    put(&bob, &path).await;
    let told = socket.expect("message.updated").await;
    assert_eq!(told["reactions"], json!([{"emoji": "👍", "count": 1, "user_ids": [bob.id]}]));
    assert_eq!(told["update"], json!(sent["update"].as_i64().unwrap() + 1));
    assert!(told.get("edited_at").is_none() && told["updated_at"] != sent["updated_at"]);
    assert_eq!(show(&ada, &id).await, told);
    // As text, and as the fully qualified emoji that it is.
    put(&ada, &format!("/messages/{id}/reactions/%E2%9D%A4")).await;
    assert_eq!(socket.expect("message.updated").await["reactions"][1]["emoji"], "❤\u{fe0f}");
    let all = all_of(&ada, &format!("/messages/{id}/reactions?limit=1")).await;
    assert_eq!((&all[0]["emoji"], &all[1]["emoji"], all.get(2)), (&json!("👍"), &json!("❤\u{fe0f}"), None));
    assert_eq!(all[0]["user"], json!({"id": bob.id, "username": "bob", "display_name": "bob"}));
    let hearts = ada.get(&format!("/messages/{id}/reactions?emoji=%E2%9D%A4%EF%B8%8F")).await.expect(200);
    assert_eq!((hearts.as_array().unwrap().len(), &hearts[0]["user"]["id"]), (1, &json!(ada.id)));
    take(&bob, &path).await;
    take(&bob, &path).await;
    assert_eq!(socket.expect("message.updated").await["reactions"].as_array().unwrap().len(), 1);

    for bad in ["x", "1", "%F0%9F%91%8D%F0%9F%91%8D", "%ff", "%3A%2B1%3A", "%F0%9F%8F%BD"] {
        for method in ["PUT", "DELETE"] {
            let path = format!("/messages/{id}/reactions/{bad}");
            bob.raw(method, &path, &[], "").await.refused(400, Some("emoji"));
        }
    }
    ada.get(&format!("/messages/{id}/reactions?emoji=x")).await.refused(400, Some("emoji"));
    ada.get(&format!("/messages/{id}/reactions?after=x")).await.refused(400, Some("after"));
    ada.raw("PUT", &format!("{path}?sender_id={}", bob.id), &[], "").await.refused(403, Some("sender_id"));
    ada.raw("PUT", &format!("/messages/{NOWHERE}/reactions/{LIKE}"), &[], "").await.refused(404, None);
}

#[actix_web::test]
async fn pins_are_listed_by_when_they_were_pinned() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut sent = Vec::new();
    for n in 0..3 {
        sent.push(ada.send(&bob.id, &n.to_string()).await);
    }
    for n in [1, 0, 2] {
        put(&bob, &format!("/messages/{}/pin", sent[n])).await;
    }
    let first = show(&ada, &sent[0]).await;
    assert_eq!(first["pinned"]["by"], bob.id);
    assert_eq!(first["pinned"]["at"], first["updated_at"]);
    let pins = format!("/conversations/{}/pins", first["conversation_id"].as_str().unwrap());
    assert_eq!(ids(&ada.get(&pins).await.expect(200)), [sent[2].clone(), sent[0].clone(), sent[1].clone()]);
    assert_eq!(
        ids(&all_of(&ada, &format!("{pins}?limit=1")).await),
        [sent[2].clone(), sent[0].clone(), sent[1].clone()]
    );
    take(&ada, &format!("/messages/{}/pin", sent[0])).await;
    ada.delete(&format!("/messages/{}", sent[2]), json!({})).await.expect(204);
    assert_eq!(ids(&ada.get(&pins).await.expect(200)), [sent[1].clone()]);

    let group = ada.group("tea", "private").await;
    ada.add(&group, &bob, "member").await;
    let body = json!({"group_id": group, "content": "x"});
    let in_group = bob.post("/messages", body).await.expect(201)["id"].as_str().unwrap().to_owned();
    bob.raw("PUT", &format!("/messages/{in_group}/pin"), &[], "").await.refused(403, None);
    put(&ada, &format!("/messages/{in_group}/pin")).await;
    let eve = server.user("eve").await;
    eve.get(&pins).await.refused(404, None);
    ada.get(&format!("{pins}?before=x")).await.refused(400, Some("before"));
}

#[actix_web::test]
async fn a_thread_is_read_from_any_of_its_messages() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let first = ada.send(&bob.id, "first").await;
    let between = ada.send(&bob.id, "between").await;
    let replies = [reply(&bob, &ada.id, &first).await, reply(&ada, &bob.id, &first).await];
    let all = [first.clone(), replies[0].clone(), replies[1].clone()];
    for id in &all {
        let path = format!("/messages/{id}/thread");
        assert_eq!(ids(&ada.get(&path).await.expect(200)), all);
        assert_eq!(ids(&all_of(&ada, &format!("{path}?limit=2")).await), all);
        let older = ada.get(&format!("{path}?before={}", replies[1])).await.expect(200);
        assert_eq!(ids(&older), all[..2]);
    }
    let shown = show(&bob, &first).await;
    assert_eq!(shown["thread"], json!({"replies": 2, "last_reply_at": show(&ada, &replies[1]).await["created_at"]}));
    assert_eq!((&shown["update"], show(&bob, &replies[0]).await["thread_id"].clone()), (&json!(1), json!(first)));
    assert_eq!(ids(&ada.get(&format!("/messages/{between}/thread")).await.expect(200)), std::slice::from_ref(&between));
    let list = format!("/messages?receiver_id={}", bob.id);
    assert_eq!(ids(&ada.get(&list).await.expect(200)).len(), 4);
    let without = ada.get(&format!("{list}&threads=exclude")).await.expect(200);
    assert_eq!(ids(&without), [first.clone(), between.clone()]);
    ada.get(&format!("{list}&threads=some")).await.refused(400, Some("threads"));

    let say = |to: &str, thread: &str| json!({"receiver_id": to, "content": "x", "thread_id": thread});
    ada.post("/messages", say(&bob.id, &replies[0])).await.refused(400, Some("thread_id"));
    ada.post("/messages", say(&bob.id, NOWHERE)).await.refused(404, None);
    ada.post("/messages", say(&ada.id, &first)).await.refused(400, Some("thread_id"));
    ada.get(&format!("/messages/{first}/thread?before={first}&after={first}")).await.refused(400, Some("before"));
    ada.get(&format!("/messages/{first}/thread?after={between}")).await.refused(404, None);
    // By upload and over the WebSocket, too.
    let form = reqwest::multipart::Form::new().text("receiver_id", bob.id.clone()).text("thread_id", first.clone());
    let part = reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("x.txt");
    let sent =
        ada.form("/messages/upload", form.text("reply_to", between.clone()).part("file", part)).await.expect(201);
    assert_eq!((&sent["thread_id"], &sent["reply_to"]), (&json!(first), &json!(between)));
    let mut socket = Socket::open(&ada).await;
    let sent = socket.op("send", say(&bob.id, &first)).await;
    assert_eq!(sent["data"]["thread_id"], json!(first));
}

#[actix_web::test]
async fn a_message_is_forwarded_with_who_said_it() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let id = ada.send(&bob.id, "@eve look").await;
    let body = json!({"receiver_id": eve.id, "forward": id});
    let sent = bob.post("/messages", body.clone()).await.expect(201);
    assert_eq!((&sent["content"], &sent["sender"]["username"]), (&json!("@eve look"), &json!("bob")));
    let origin = show(&ada, &id).await;
    let sender = json!({"id": ada.id, "username": "ada", "display_name": "ada"});
    assert_eq!(sent["forwarded"], json!({"sender": sender, "created_at": origin["created_at"]}));
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    bob.put(&path, json!({"content": "mine"})).await.refused(409, None);
    eve.post("/messages", json!({"receiver_id": bob.id, "forward": id})).await.refused(404, None);
    for (field, value) in [("type", "text"), ("content", "x"), ("file_id", NOWHERE)] {
        let mut beside = body.clone();
        beside[field] = value.into();
        bob.post("/messages", beside).await.refused(400, Some(field));
    }
    let keyed = |forward: &str| json!({"receiver_id": eve.id, "forward": forward, "client_id": "k"});
    let once = bob.post("/messages", keyed(&id)).await.expect(201);
    assert_eq!(bob.post("/messages", keyed(&id)).await.expect(200), once);
    let other = bob.send(&ada.id, "other").await;
    bob.post("/messages", keyed(&other)).await.refused(409, None);
}

#[actix_web::test]
async fn what_a_message_said_is_its_senders() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let id = ada.send(&bob.id, "one").await;
    let path = format!("/messages/{id}");
    let two = ada.put(&path, json!({"content": "two"})).await.expect(200);
    assert_eq!(ada.put(&path, json!({"content": "two"})).await.expect(200), two);
    let said = ada.get(&format!("{path}/edits")).await.expect(200);
    let versions = json!([
        {"content": "one", "created_at": two["created_at"]},
        {"content": "two", "created_at": two["edited_at"]},
    ]);
    assert_eq!(said, versions);
    bob.get(&format!("{path}/edits")).await.refused(403, None);
    ada.delete(&path, json!({})).await.expect(204);
    ada.get(&format!("{path}/edits")).await.refused(404, None);
}

#[actix_web::test]
async fn a_page_around_a_place_leads_to_both_sides() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(ada.send(&bob.id, &n.to_string()).await);
    }
    let list = format!("/messages?receiver_id={}&limit=4", ada.id);
    let around = async |place: &str| bob.get(&format!("{list}&around={place}")).await;
    let page = around(&sent[5]).await;
    let links = page.header("link").unwrap().to_owned();
    let target = |rel: &str| {
        let link = links.split(", ").find(|link| link.ends_with(&format!("rel=\"{rel}\""))).unwrap();
        link[1..link.find('>').unwrap()].to_owned()
    };
    assert_eq!(ids(&page.expect(200)), sent[3..7]);
    assert_eq!(ids(&bob.get(&target("prev")).await.expect(200)), sent[0..3]);
    assert_eq!(ids(&bob.get(&target("next")).await.expect(200)), sent[7..10]);
    assert_eq!(ids(&around(&sent[9]).await.expect(200)), sent[6..10]);
    assert_eq!(ids(&around(&sent[0]).await.expect(200)), sent[0..4]);
    // The place of a deleted message.
    ada.delete(&format!("/messages/{}", sent[5]), json!({})).await.expect(204);
    assert_eq!(ids(&around(&sent[5]).await.expect(200)), [&sent[3..5], &sent[6..8]].concat());
    bob.post(&format!("/messages/{}/seen", sent[0]), json!({})).await.expect(200);
    assert_eq!(ids(&around("unseen").await.expect(200)), sent[0..4]);
    let of = show(&bob, &sent[0]).await["conversation_id"].as_str().unwrap().to_owned();
    bob.post(&format!("/conversations/{of}/read"), json!({"up_to": sent[9]})).await.expect(204);
    assert_eq!(ids(&around("unseen").await.expect(200)), sent[6..10]);
    around(NOWHERE).await.refused(404, None);
    around("x").await.refused(400, Some("around"));
    bob.get(&format!("{list}&around=unseen&before=latest")).await.refused(400, Some("around"));
}

#[actix_web::test]
async fn whom_a_message_mentions_is_shown_counted_and_listed() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("tea", "private").await;
    ada.add(&group, &bob, "member").await;
    let mut socket = Socket::open(&bob).await;
    let say = async |user: &User, body: Value| user.post("/messages", body).await;
    let sent = say(&ada, json!({"group_id": group, "content": "`@ada` @BOB, @eve @all"})).await.expect(201);
    assert_eq!((&sent["mentions"], &sent["mentions_all"]), (&json!([bob.id]), &json!(true)));
    assert_eq!(socket.expect("message.created").await, sent);
    say(&ada, json!({"group_id": group, "content": "@bob", "mentions": {}})).await.expect(201);
    let counts = bob.get(&format!("/messages/unseen/{}", bob.id)).await.expect(200);
    let group_count = &counts["group_messages"][0];
    assert_eq!((&group_count["unseen_count"], &group_count["unseen_mentions"]), (&json!(2), &json!(1)));
    assert_eq!(bob.get("/conversations").await.expect(200)[0]["unseen_mentions"], 1);
    assert_eq!(bob.get("/mentions").await.expect(200), json!([sent]));
    let direct = say(&ada, json!({"receiver_id": bob.id, "content": "x", "mentions": {"user_ids": [bob.id, eve.id]}}));
    let direct = direct.await.expect(201);
    assert_eq!(direct["mentions"], json!([bob.id]));
    let both = [direct["id"].as_str().unwrap().to_owned(), sent["id"].as_str().unwrap().to_owned()];
    assert_eq!(ids(&all_of(&bob, "/mentions?limit=1").await), both);
    // An edit mentions anew; one that changes the mentions alone keeps the time of the content.
    let path = format!("/messages/{}", both[0]);
    let edit = ada.put(&path, json!({"content": "x", "mentions": {"user_ids": [ada.id]}})).await.expect(200);
    assert_eq!((&edit["mentions"], edit.get("edited_at")), (&json!([ada.id]), None));
    assert_eq!(edit["update"], json!(direct["update"].as_i64().unwrap() + 1));
    let edit = ada.put(&path, json!({"content": "@bob"})).await.expect(200);
    assert_eq!(edit["mentions"], json!([bob.id]));

    say(&bob, json!({"group_id": group, "content": "@all"})).await.expect(201);
    let all = json!({"group_id": group, "content": "x", "mentions": {"all": true}});
    say(&bob, all).await.refused(403, Some("mentions"));
    for bad in [
        json!([null, null]),
        json!({"user_ids": "x"}),
        json!({"user_ids": ["x"]}),
        json!({"user_ids": vec![bob.id.clone(); 51]}),
    ] {
        say(&ada, json!({"group_id": group, "content": "x", "mentions": bad})).await.refused(400, Some("mentions"));
    }
    let forward = json!({"group_id": group, "forward": both[0], "mentions": {}});
    say(&ada, forward).await.refused(400, Some("mentions"));
    // A form takes them as JSON.
    let form = |mentions: &str| {
        let file = reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("x.txt");
        let form = reqwest::multipart::Form::new().text("group_id", group.clone()).text("content", "@ada");
        form.text("mentions", mentions.to_owned()).part("file", file)
    };
    let sent = ada.form("/messages/upload", form(&json!({"user_ids": [bob.id]}).to_string())).await.expect(201);
    assert_eq!(sent["mentions"], json!([bob.id]));
    ada.form("/messages/upload", form("bob")).await.refused(400, Some("mentions"));
}
