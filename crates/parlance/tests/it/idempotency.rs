//! Retries under one key make one message, over every route.

use crate::harness::{NOWHERE, Server, User, ids};
use serde_json::{Value, json};

async fn keyed(user: &User, path: &str, key: &str, body: Value) -> crate::harness::Answer {
    user.post_with(path, &[("Idempotency-Key", key)], body).await
}

#[actix_web::test]
async fn a_retry_stores_nothing_and_answers_the_message_as_it_is_now() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let body = json!({"receiver_id": bob.id, "content": "once"});
    let sent = keyed(&ada, "/messages", "k", body.clone()).await.expect(201);
    assert_eq!(keyed(&ada, "/messages", "k", body.clone()).await.expect(200), sent);
    // The same key in the body is the same key, and so is both.
    let in_body = json!({"receiver_id": bob.id, "content": "once", "client_id": "k"});
    assert_eq!(ada.post("/messages", in_body.clone()).await.expect(200), sent);
    assert_eq!(keyed(&ada, "/messages", "k", in_body.clone()).await.expect(200), sent);
    keyed(&ada, "/messages", "l", in_body).await.refused(400, Some("client_id"));

    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    let edited = ada.put(&path, json!({"content": "better"})).await.expect(200);
    assert_eq!(keyed(&ada, "/messages", "k", body.clone()).await.expect(200), edited);
    // What it says now is not what it was sent with.
    let as_edited = json!({"receiver_id": bob.id, "content": "better"});
    keyed(&ada, "/messages", "k", as_edited).await.refused(409, None);
    ada.delete(&path, json!({})).await.expect(204);
    keyed(&ada, "/messages", "k", body).await.refused(409, None);
    assert_eq!(bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200), json!([]));
}

#[actix_web::test]
async fn another_message_under_the_same_key_is_refused() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("all", "public").await;
    let question = bob.send(&ada.id, "?").await;
    let body = json!({"receiver_id": bob.id, "content": "x"});
    keyed(&ada, "/messages", "k", body.clone()).await.expect(201);
    for other in [
        json!({"receiver_id": bob.id, "content": "x "}),
        json!({"receiver_id": eve.id, "content": "x"}),
        json!({"group_id": group, "content": "x"}),
        json!({"receiver_id": bob.id, "content": "x", "reply_to": question}),
    ] {
        let refused = keyed(&ada, "/messages", "k", other.clone()).await.refused(409, None);
        assert_eq!(refused["code"], "conflict", "{other}");
    }
    keyed(&ada, "/broadcast/send", "k", json!({"content": "x"})).await.refused(409, None);
    // A key is its user's own.
    keyed(&bob, "/messages", "k", json!({"receiver_id": ada.id, "content": "x"})).await.expect(201);
    keyed(&eve, "/messages", "k", body).await.expect(201);
}

#[actix_web::test]
async fn what_does_not_exist_comes_before_a_used_key() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let private = bob.group("theirs", "private").await;
    let elsewhere = ada.send(&ada.id, "elsewhere").await;
    let hidden = bob.post("/messages", json!({"group_id": private, "content": "x"})).await.expect(201)["id"].clone();
    let question = bob.send(&ada.id, "?").await;
    let body = json!({"receiver_id": bob.id, "content": "x", "reply_to": question});
    let sent = keyed(&ada, "/messages", "k", body.clone()).await.expect(201);
    let to_bob = |more: Value| {
        let mut body = json!({"receiver_id": bob.id, "content": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let nothing = [
        json!({"receiver_id": NOWHERE, "content": "x"}),
        json!({"group_id": NOWHERE, "content": "x"}),
        json!({"group_id": private, "content": "x"}),
        to_bob(json!({"reply_to": NOWHERE})),
        to_bob(json!({"reply_to": elsewhere})),
        to_bob(json!({"reply_to": hidden})),
        to_bob(json!({"type": "file", "file_id": NOWHERE})),
        to_bob(json!({"type": "image", "file_id": NOWHERE, "reply_to": question})),
        json!({"receiver_id": ada.id, "content": "x", "reply_to": NOWHERE}),
        json!({"receiver_id": ada.id, "content": "x", "type": "file", "file_id": NOWHERE}),
    ];
    for body in &nothing {
        let refused = keyed(&ada, "/messages", "k", body.clone()).await.refused(404, None);
        assert_eq!(refused["code"], "not_found", "{body}");
    }
    keyed(&ada, "/dm/send", "k", json!({"to": "nobody", "content": "x"})).await.refused(404, None);
    keyed(&ada, "/group/send", "k", json!({"group": "theirs", "content": "x"})).await.refused(404, None);
    // Whatever was refused, the key is that of its message, also when what that answers is gone.
    bob.delete(&format!("/messages/{question}"), json!({})).await.expect(204);
    assert_eq!(keyed(&ada, "/messages", "k", body.clone()).await.expect(200)["id"], sent["id"]);
    // And when it is gone itself: there is still nothing that does not exist.
    ada.delete(&format!("/messages/{}", sent["id"].as_str().unwrap()), json!({})).await.expect(204);
    keyed(&ada, "/messages", "k", body).await.refused(409, None);
    for body in &nothing[..7] {
        keyed(&ada, "/messages", "k", body.clone()).await.refused(404, None);
    }
}

#[actix_web::test]
async fn a_key_is_one_over_all_doors() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("all", "public").await;
    let same = async |path: &str, key: &str, body: Value, sent: &Value| {
        let again = keyed(&ada, path, key, body).await.expect(200);
        assert_eq!(again["id"], sent["id"], "{path}");
    };

    let (direct, named) = (json!({"receiver_id": bob.id, "content": "x"}), json!({"to": "bob", "content": "x"}));
    let sent = keyed(&ada, "/messages", "a", direct.clone()).await.expect(201);
    same("/dm/send", "a", named.clone(), &sent).await;
    let sent = keyed(&ada, "/dm/send", "b", named.clone()).await.expect(200);
    assert_eq!(sent["message"], "sent");
    same("/dm/send", "b", named, &sent).await;
    same("/messages", "b", direct, &sent).await;

    let (by_id, named) = (json!({"group_id": group, "content": "x"}), json!({"group": "ALL", "content": "x"}));
    let sent = keyed(&ada, "/group/send", "c", named.clone()).await.expect(200);
    same("/group/send", "c", named, &sent).await;
    same("/messages", "c", by_id, &sent).await;

    let sent = keyed(&ada, "/broadcast/send", "d", json!({"content": "x"})).await.expect(200);
    same("/broadcast/send", "d", json!({"content": "x"}), &sent).await;
    keyed(&ada, "/broadcast/send", "d", json!({"content": "y"})).await.refused(409, None);

    let history = bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    assert_eq!(ids(&history).len(), 2);
    assert_eq!(ids(&bob.get("/group/history?group=all").await.expect(200)).len(), 1);
    assert_eq!(ids(&bob.get("/broadcast/history").await.expect(200)).len(), 1);
}

#[actix_web::test]
async fn a_refused_request_does_not_use_its_key_up() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let private = bob.group("theirs", "private").await;
    for (body, status) in [
        (json!({"receiver_id": bob.id, "content": " "}), 400),
        (json!({"receiver_id": NOWHERE, "content": "x"}), 404),
        (json!({"group_id": private, "content": "x"}), 404),
        (json!({"receiver_id": bob.id, "content": "x", "reply_to": NOWHERE}), 404),
        (json!({"receiver_id": bob.id, "content": "x", "sender_id": bob.id}), 403),
    ] {
        keyed(&ada, "/messages", "k", body).await.refused(status, None);
    }
    let body = json!({"receiver_id": bob.id, "content": "y"});
    let sent = keyed(&ada, "/messages", "k", body).await.expect(201);
    assert_eq!(sent["update"], 1);
}

#[actix_web::test]
async fn a_key_is_one_to_sixty_four_characters() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let body = json!({"receiver_id": bob.id, "content": "x"});
    let (longest, too_long) = ("k".repeat(64), "k".repeat(65));
    keyed(&ada, "/messages", &longest, body.clone()).await.expect(201);
    keyed(&ada, "/messages", &longest, body.clone()).await.expect(200);
    for key in ["", &too_long] {
        keyed(&ada, "/messages", key, body.clone()).await.refused(400, Some("Idempotency-Key"));
    }
    for (path, body) in [
        ("/dm/send", json!({"to": "bob", "content": "x"})),
        ("/group/send", json!({"group": "g", "content": "x"})),
        ("/broadcast/send", json!({"content": "x"})),
    ] {
        keyed(&ada, path, &too_long, body).await.refused(400, Some("Idempotency-Key"));
    }
}

#[actix_web::test]
async fn of_many_retries_at_once_one_is_stored() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let tries = (0..16).map(|_| keyed(&ada, "/messages", "k", json!({"receiver_id": bob.id, "content": "x"})));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 15);
    let history = bob.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    assert_eq!(ids(&history).len(), 1);
}
