//! What a conversation is to one user: settings, drafts, unread marks, and conversations before their first message.

use crate::harness::{NOWHERE, Server, User};
use crate::live::client::Socket;
use serde_json::{Value, json};

async fn conversation_of(user: &User, message: &str) -> String {
    let message = user.get(&format!("/messages/{message}")).await.expect(200);
    message["conversation_id"].as_str().unwrap().to_owned()
}

/// The next event, whole, which must be this one.
async fn frame(socket: &mut Socket, event: &str) -> Value {
    let frame = socket.next().await;
    assert_eq!(frame["event"], event, "{frame}");
    frame
}

async fn list(user: &User, query: &str) -> Vec<Value> {
    user.get(&format!("/conversations{query}")).await.expect(200).as_array().unwrap().clone()
}

#[actix_web::test]
async fn settings_are_ones_own_and_told_to_ones_devices() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = conversation_of(&ada, &ada.send(&bob.id, "x").await).await;
    let path = format!("/conversations/{of}/settings");
    let plain = json!({"notify": "all", "archived": false, "favourite": false});
    assert_eq!(list(&bob, "").await[0]["settings"], plain);
    let mut phone = Socket::open(&bob).await;
    let mut other = Socket::open(&ada).await;
    let changed = bob.patch(&path, json!({"muted_until": "forever", "notify": "mentions", "archived": true})).await;
    let changed = changed.expect(200);
    let settings = json!({"muted_until": "forever", "notify": "mentions", "archived": true, "favourite": false});
    assert_eq!((&changed["settings"], &changed["id"]), (&settings, &json!(of)));
    let frame = frame(&mut phone, "conversation.settings").await;
    assert_eq!((&frame["data"], &frame["conversation_id"], frame.get("update")), (&settings, &json!(of), None));
    assert_eq!(list(&bob, "?archived=true").await.len(), 1);
    assert_eq!(list(&bob, "?archived=false").await.len(), 0);
    assert_eq!(list(&ada, "").await[0]["settings"], plain);
    // A past time is no mute; a message brings the conversation back then.
    let ended = bob.patch(&path, json!({"muted_until": "2020-01-01T00:00:00Z"})).await.expect(200);
    assert!(ended["settings"].get("muted_until").is_none() && ended["settings"]["archived"] == true);
    phone.expect("conversation.settings").await;
    ada.send(&bob.id, "y").await;
    phone.expect("message.created").await;
    assert_eq!(phone.expect("conversation.settings").await["archived"], false);
    assert_eq!(other.expect("message.created").await["content"], "y");
    let until = bob.patch(&path, json!({"muted_until": "2999-01-01T00:00:00Z", "favourite": true})).await.expect(200);
    assert_eq!(until["settings"]["muted_until"], "2999-01-01T00:00:00.000000Z");
    let unmuted = bob.patch(&path, json!({"muted_until": null, "notify": "all", "favourite": false})).await;
    assert_eq!(unmuted.expect(200)["settings"], plain);
    bob.patch(&path, json!({})).await.expect(200);
    for (field, value) in [
        ("notify", Value::Null),
        ("archived", Value::Null),
        ("favourite", Value::Null),
        ("notify", json!("loud")),
        ("muted_until", json!("soon")),
        ("archived", json!("yes")),
    ] {
        bob.patch(&path, json!({field: value})).await.refused(400, Some(field));
    }
    bob.patch(&format!("/conversations/{NOWHERE}/settings"), json!({})).await.refused(404, None);
    bob.get("/conversations?archived=maybe").await.refused(400, Some("archived"));
}

#[actix_web::test]
async fn a_draft_is_on_all_devices_until_it_is_sent() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let sent = ada.send(&bob.id, "x").await;
    let of = conversation_of(&ada, &sent).await;
    let path = format!("/conversations/{of}/draft");
    let mut phone = Socket::open(&bob).await;
    bob.put(&path, json!({"content": " Dear Ada", "reply_to": sent})).await.expect(204);
    let told = phone.expect("conversation.draft").await;
    assert_eq!((&told["draft"]["content"], &told["draft"]["reply_to"]), (&json!(" Dear Ada"), &json!(sent)));
    assert_eq!(list(&bob, "").await[0]["draft"], told["draft"]);
    assert!(list(&ada, "").await[0].get("draft").is_none());
    let body = json!({"receiver_id": ada.id, "content": "Dear Ada", "clears_draft": true});
    bob.post("/messages", body).await.expect(201);
    phone.expect("message.created").await;
    assert_eq!(phone.expect("conversation.draft").await, json!({"draft": null}));
    assert!(list(&bob, "").await[0].get("draft").is_none());
    // Over a socket, and with a file.
    for n in 0..2 {
        bob.put(&path, json!({"content": "again"})).await.expect(204);
        phone.expect("conversation.draft").await;
        if n == 0 {
            let data = json!({"receiver_id": ada.id, "content": "again", "clears_draft": true});
            assert_eq!(phone.op("send", data).await["ok"], true);
        } else {
            let file = reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("a.txt");
            let form = reqwest::multipart::Form::new().text("receiver_id", ada.id.clone()).text("clears_draft", "true");
            bob.form("/messages/upload", form.part("file", file)).await.expect(201);
        }
        phone.expect("message.created").await;
        assert_eq!(phone.expect("conversation.draft").await, json!({"draft": null}));
    }
    // A blank one is none.
    bob.put(&path, json!({"content": "z"})).await.expect(204);
    phone.expect("conversation.draft").await;
    bob.put(&path, json!({"content": " \n"})).await.expect(204);
    assert_eq!(phone.expect("conversation.draft").await, json!({"draft": null}));
    bob.raw("DELETE", &path, &[], "").await.expect(204);
    let elsewhere = ada.send(&ada.id, "note").await;
    let mine = bob.send(&bob.id, "note").await;
    for (field, id, status) in [
        ("reply_to", NOWHERE.to_owned(), 404),
        ("thread_id", elsewhere.clone(), 404),
        ("reply_to", mine.clone(), 400),
        ("thread_id", mine.clone(), 400),
    ] {
        let answer = bob.put(&path, json!({"content": "x", field: id})).await;
        answer.refused(status, (status == 400).then_some(field));
    }
    bob.put(&path, json!({})).await.refused(400, Some("content"));
    bob.put(&path, json!({"content": "x".repeat(4097)})).await.refused(400, Some("content"));
}

#[actix_web::test]
async fn a_message_and_all_after_it_become_unread_for_oneself() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut sent = Vec::new();
    for n in 0..3 {
        sent.push(ada.send(&bob.id, &n.to_string()).await);
    }
    let of = conversation_of(&ada, &sent[0]).await;
    assert_eq!(
        (&list(&bob, "").await[0]["read_up_to"], &list(&ada, "").await[0]["others_read_up_to"]),
        (&json!(0), &json!(0))
    );
    bob.post(&format!("/conversations/{of}/read"), json!({"up_to": sent[2]})).await.expect(204);
    assert_eq!(
        (&list(&bob, "").await[0]["read_up_to"], &list(&ada, "").await[0]["others_read_up_to"]),
        (&json!(3), &json!(3))
    );
    assert_eq!((list(&bob, "?unseen=true").await.len(), list(&bob, "?unseen=false").await.len()), (0, 1));
    let mut phone = Socket::open(&bob).await;
    let path = format!("/conversations/{of}/unread");
    bob.post(&path, json!({"from": sent[1]})).await.expect(204);
    let frame = frame(&mut phone, "conversation.unread").await;
    assert_eq!((&frame["data"], &frame["conversation_id"]), (&json!({"user_id": bob.id, "from": sent[1]}), &json!(of)));
    let mine = list(&bob, "?unseen=true").await[0].clone();
    assert_eq!((&mine["unseen_count"], &mine["read_up_to"]), (&json!(2), &json!(1)));
    let around = bob.get(&format!("/messages?receiver_id={}&around=unseen&limit=2", ada.id)).await.expect(200);
    assert_eq!(around[1]["id"], json!(sent[1]));
    // The sender keeps what the sender was told.
    assert_eq!(list(&ada, "").await[0]["others_read_up_to"], 3);
    assert_eq!(ada.get(&format!("/messages/{}/seen", sent[2])).await.expect(200).as_array().unwrap().len(), 1);
    bob.post(&path, json!({"from": NOWHERE})).await.refused(404, None);
    let note = bob.send(&bob.id, "note").await;
    bob.post(&path, json!({"from": note})).await.refused(400, Some("from"));
    bob.post(&path, json!({})).await.refused(400, Some("from"));
}

#[actix_web::test]
async fn a_conversation_is_opened_before_anybody_writes() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let made = ada.post("/conversations", json!({"user_id": bob.id})).await.expect(201);
    assert_eq!(
        (&made["kind"], &made["user"]["id"], &made["last_message"]),
        (&json!("direct"), &json!(bob.id), &Value::Null)
    );
    assert_eq!(ada.post("/conversations", json!({"user_id": bob.id})).await.expect(200)["id"], made["id"]);
    assert_eq!((list(&ada, "").await.len(), list(&bob, "").await.len()), (1, 0));
    let draft = format!("/conversations/{}/draft", made["id"].as_str().unwrap());
    ada.put(&draft, json!({"content": "hm"})).await.expect(204);
    let sent = ada.send(&bob.id, "x").await;
    assert_eq!(json!(conversation_of(&bob, &sent).await), made["id"]);
    assert_eq!(list(&bob, "").await.len(), 1);
    let own = ada.post("/conversations", json!({"user_id": ada.id})).await.expect(201);
    assert_eq!(own["user"]["id"], json!(ada.id));
    ada.post("/conversations", json!({"user_id": NOWHERE})).await.refused(404, None);
    ada.post("/conversations", json!({"user_id": "x"})).await.refused(400, Some("user_id"));
    bob.delete_account().await;
    assert_eq!(ada.post("/conversations", json!({"user_id": bob.id})).await.expect(200)["user"]["deleted"], true);
}

#[actix_web::test]
async fn ones_export_has_ones_views() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = conversation_of(&ada, &ada.send(&bob.id, "x").await).await;
    bob.patch(&format!("/conversations/{of}/settings"), json!({"archived": true})).await.expect(200);
    bob.put(&format!("/conversations/{of}/draft"), json!({"content": "hm"})).await.expect(204);
    let mine = bob.get("/me/export").await.expect(200)["conversations"][0].clone();
    assert_eq!((&mine["settings"]["archived"], &mine["draft"]["content"]), (&json!(true), &json!("hm")));
    let theirs = ada.get("/me/export").await.expect(200)["conversations"][0].clone();
    assert_eq!((&theirs["settings"]["archived"], theirs.get("draft")), (&json!(false), None));
}

#[actix_web::test]
async fn a_reader_of_a_public_group_has_no_view_of_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("open", "public").await;
    let said = ada.post("/messages", json!({"group_id": group, "content": "x"})).await.expect(201);
    let (of, id) = (said["conversation_id"].as_str().unwrap(), said["id"].as_str().unwrap());
    let path = |rest: &str| format!("/conversations/{of}/{rest}");
    bob.patch(&path("settings"), json!({"archived": true})).await.refused(403, None);
    bob.put(&path("draft"), json!({"content": "x"})).await.refused(403, None);
    bob.raw("DELETE", &path("draft"), &[], "").await.refused(403, None);
    bob.post(&path("unread"), json!({"from": id})).await.refused(403, None);
}

#[actix_web::test]
async fn who_resumes_loads_the_list_again_if_a_view_changed() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = conversation_of(&ada, &ada.send(&bob.id, "x").await).await;
    let mut phone = Socket::open(&bob).await;
    bob.put(&format!("/conversations/{of}/draft"), json!({"content": "hm"})).await.expect(204);
    let cursor = frame(&mut phone, "conversation.draft").await["cursor"].as_str().unwrap().to_owned();
    drop(phone);
    bob.put(&format!("/conversations/{of}/draft"), json!({"content": "hm, well"})).await.expect(204);
    let mut again = Socket::since(&bob, &cursor).await;
    let frame = frame(&mut again, "resync").await;
    assert!(frame.get("conversation_id").is_none(), "{frame}");
    assert_eq!(frame["data"]["reason"], "settings, drafts or marks changed");
}
