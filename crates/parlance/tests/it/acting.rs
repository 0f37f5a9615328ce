//! Requests that name the acting user: it must be the caller, and a missing target is reported first.

use crate::harness::{Answer, NOWHERE, Server, User};
use api_actix::routes::ROUTES;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[actix_web::test]
async fn nobody_acts_as_another_and_what_is_missing_is_told_first() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    let message = ada.send(&bob.id, "hello").await;
    let (me, ours) = (bob.id.as_str(), group.as_str());
    for (method, path, target, mut body) in [
        ("POST", "/messages", "", json!({ "receiver_id": me, "content": "x", "sender_id": me })),
        ("POST", "/messages", "", json!({ "group_id": ours, "content": "x", "sender_id": me })),
        ("PUT", "/messages/{}", &*message, json!({ "content": "x", "sender_id": me })),
        ("DELETE", "/messages/{}", &message, json!({ "sender_id": me })),
        ("POST", "/messages/{}/seen", &message, json!({ "user_id": me })),
        ("PUT", "/groups/{}", ours, json!({ "name": "theirs", "requester_id": me })),
        ("DELETE", "/groups/{}", ours, json!({ "requester_id": me })),
        ("POST", "/groups/{}/members", ours, json!({ "user_id": me, "requester_id": me })),
        ("POST", "/groups/{}/leave", ours, json!({ "user_id": me })),
        ("POST", "/groups/{}/leave", ours, json!({ "requester_id": me })),
    ] {
        let method: Method = method.parse().unwrap();
        let ask = async |target: &str, body: &Value| {
            ada.request(method.clone(), &path.replace("{}", target)).json(body).send().await.unwrap().status().as_u16()
        };
        assert_eq!(ask(target, &body).await, 403, "{method} {path} {body}");
        for named in ["receiver_id", "group_id"] {
            if body.get(named).is_some() {
                body[named] = json!(NOWHERE);
            }
        }
        assert_eq!(ask(NOWHERE, &body).await, 404, "{method} {path} {body}");
    }
    // The server also looks up the user in a member's path.
    for (user, expected) in [(&*ada.id, 403), (NOWHERE, 404)] {
        let path = format!("/groups/{group}/members/{user}");
        ada.delete(&path, json!({ "requester_id": me })).await.refused(expected, None);
        ada.patch(&path, json!({ "role": "admin", "requester_id": me })).await.refused(expected, None);
    }
    ada.post("/groups", json!({ "name": "more", "requester_id": me })).await.refused(403, Some("requester_id"));
    ada.get(&format!("/conversations?user_id={me}")).await.refused(403, Some("user_id"));

    // Nothing has happened.
    let there = ada.get(&format!("/messages/{message}")).await.expect(200);
    assert_eq!((&there["content"], &there["update"]), (&json!("hello"), &json!(1)));
    assert_eq!(ada.get(&format!("/groups/{group}")).await.expect(200)["name"], "ours");
    assert_eq!(ada.get(&format!("/messages?group_id={group}")).await.expect(200), json!([]));
}

/// The field by which a route's requests name the acting user too, in the query and in the body.
fn acting_field(path: &str) -> Option<&'static str> {
    match path.split('/').nth(1) {
        Some("messages") => Some("sender_id"),
        Some("groups") => Some("requester_id"),
        _ => None,
    }
}

/// Asks with these fields in the body, which `upload` takes as parts of a form; `null` is no body.
async fn ask(user: &User, method: &str, path: &str, query: &str, body: &Value) -> Answer {
    let target = format!("{path}?{query}");
    if body.is_null() {
        return user.raw(method, &target, &[], "").await;
    }
    if !path.ends_with("/upload") {
        return user.raw(method, &target, &[("content-type", "application/json")], body.to_string()).await;
    }
    let part = |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n");
    let texts = body.as_object().unwrap().iter();
    let texts: String = texts.map(|(name, value)| part(&format!("name={name}"), value.as_str().unwrap())).collect();
    let form = texts + &part("name=file; filename=a.txt", "abc") + "--b--\r\n";
    user.raw(method, &target, &[("content-type", "multipart/form-data; boundary=b")], form).await
}

#[actix_web::test]
async fn every_route_of_messages_and_groups_looks_at_query_and_body() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (group, left) = (ada.group("ours", "private").await, ada.group("left", "private").await);
    let message = ada.send(&bob.id, "hello").await;
    let to_bob = format!("receiver_id={}", bob.id);
    // In an order in which each can be done. The body is null where the route takes none.
    let table = [
        ("post", "/messages", &*message, "", json!({ "receiver_id": bob.id, "content": "x" })),
        ("get", "/messages", &message, &to_bob, Value::Null),
        ("post", "/messages/upload", &message, "", json!({ "receiver_id": bob.id })),
        ("get", "/messages/unseen/{user_id}", &message, "", Value::Null),
        ("get", "/messages/{id}", &message, "", Value::Null),
        ("put", "/messages/{id}", &message, "", json!({ "content": "changed" })),
        ("post", "/messages/{id}/seen", &message, "", json!({})),
        ("get", "/messages/{id}/seen", &message, "", Value::Null),
        ("put", "/messages/{id}/reactions/{emoji}", &message, "", Value::Null),
        ("get", "/messages/{id}/reactions", &message, "", Value::Null),
        ("delete", "/messages/{id}/reactions/{emoji}", &message, "", Value::Null),
        ("put", "/messages/{id}/pin", &message, "", Value::Null),
        ("delete", "/messages/{id}/pin", &message, "", Value::Null),
        ("get", "/messages/{id}/thread", &message, "", Value::Null),
        ("get", "/messages/{id}/edits", &message, "", Value::Null),
        ("delete", "/messages/{id}", &message, "", json!({})),
        ("post", "/groups", &group, "", json!({ "name": "new" })),
        ("get", "/groups", &group, "", Value::Null),
        ("get", "/groups/{id}", &group, "", Value::Null),
        ("put", "/groups/{id}", &group, "", json!({ "name": "changed" })),
        ("post", "/groups/{id}/members", &group, "", json!({ "user_id": ada.id })),
        ("get", "/groups/{id}/members", &group, "", Value::Null),
        ("patch", "/groups/{id}/members/{user_id}", &group, "", json!({ "role": "member" })),
        ("delete", "/groups/{id}/members/{user_id}", &left, "", json!({})),
        ("delete", "/groups/{id}", &group, "", json!({})),
    ];
    let leaving = ada.group("last", "private").await;
    let leave = ("post", "/groups/{id}/leave", &*leaving, "", json!({}));
    let table: Vec<_> = table.into_iter().chain([leave]).collect();
    let known: BTreeSet<_> = table.iter().map(|(method, path, ..)| (*method, *path)).collect();
    let routes = ROUTES.iter().copied().filter(|(_, path)| acting_field(path).is_some()).collect();
    assert_eq!(known, routes, "a route is missing here");

    for named in [&bob.id, "nobody", &ada.id] {
        for (method, pattern, id, base, body) in &table {
            let field = acting_field(pattern).unwrap();
            let path = pattern.replace("{id}", id).replace("{user_id}", &ada.id).replace("{emoji}", "%F0%9F%91%8D");
            let query = |user: &str| format!("{base}&{field}={user}");
            let with = |user: &str| {
                let mut body = body.clone();
                body[field] = json!(user);
                body
            };
            let mut asked = vec![(query(named), body.clone())];
            if !body.is_null() {
                // Of two, both have to be the caller.
                asked.extend([((*base).to_owned(), with(named)), (query(&ada.id), with(named))]);
                asked.push((query(named), with(&ada.id)));
            }
            if *named == *ada.id {
                asked.truncate(1);
            }
            for (query, body) in asked {
                let method = method.to_uppercase();
                let answer = ask(&ada, &method, &path, &query, &body).await;
                match named {
                    named if *named == *bob.id => drop(answer.refused(403, Some(field))),
                    "nobody" => drop(answer.refused(400, Some(field))),
                    // The owner's own role can't be changed.
                    _ if method == "PATCH" => drop(answer.refused(409, None)),
                    _ => assert!((200..300).contains(&answer.status), "{answer}"),
                }
            }
        }
        if *named != *ada.id {
            // Nothing has happened.
            let there = ada.get(&format!("/messages?{to_bob}")).await.expect(200);
            assert_eq!((there.as_array().unwrap().len(), &there[0]["content"]), (1, &json!("hello")), "{there}");
            assert_eq!(ada.get(&format!("/groups/{group}")).await.expect(200)["name"], "ours");
            assert_eq!(ada.get("/groups").await.expect(200).as_array().unwrap().len(), 3);
        }
    }
}

#[actix_web::test]
async fn whatever_is_missing_is_told_before_who_may_not_act() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let (ours, open) = (ada.group("ours", "private").await, bob.group("open", "public").await);
    let (sent, elsewhere) = (ada.send(&bob.id, "hello").await, ada.send(&eve.id, "hello").await);
    let upload = async |user: &User| {
        let file = ask(user, "POST", "/upload", "", &json!({})).await.expect(201);
        file["id"].as_str().unwrap().to_owned()
    };
    let (own, foreign) = (upload(&ada).await, upload(&eve).await);
    let to_bob = |more: Value| {
        let mut body = json!({ "receiver_id": bob.id, "content": "x" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let ours_by = |user: &str| format!("/groups/{ours}/members/{user}");
    let query = |query: &str| query.to_owned();
    for (method, path, base, body, expected) in [
        ("POST", query("/messages"), query(""), to_bob(json!({ "reply_to": NOWHERE })), 404),
        ("POST", query("/messages"), query(""), to_bob(json!({ "reply_to": elsewhere })), 404),
        ("POST", query("/messages"), query(""), to_bob(json!({ "reply_to": sent })), 403),
        ("POST", query("/messages"), query(""), to_bob(json!({ "type": "file", "file_id": NOWHERE })), 404),
        ("POST", query("/messages"), query(""), to_bob(json!({ "type": "file", "file_id": foreign })), 404),
        ("POST", query("/messages"), query(""), to_bob(json!({ "type": "file", "file_id": own })), 403),
        // Form comes before right as well.
        ("POST", query("/messages"), query(""), to_bob(json!({ "type": "image", "file_id": own })), 400),
        ("PUT", format!("/messages/{sent}"), query(""), json!({ "content": " " }), 400),
        ("POST", query("/messages/upload"), query(""), json!({ "receiver_id": NOWHERE }), 404),
        ("GET", query("/messages"), format!("receiver_id={}&before={NOWHERE}", bob.id), Value::Null, 404),
        ("GET", query("/messages"), format!("group_id={NOWHERE}"), Value::Null, 404),
        ("GET", format!("/messages/{NOWHERE}"), query(""), Value::Null, 404),
        ("GET", format!("/messages/{NOWHERE}/seen"), query(""), Value::Null, 404),
        ("GET", format!("/messages/{sent}/seen"), format!("after={NOWHERE}"), Value::Null, 404),
        ("GET", format!("/messages/unseen/{NOWHERE}"), query(""), Value::Null, 404),
        ("GET", query("/groups"), format!("after={NOWHERE}"), Value::Null, 404),
        ("GET", format!("/groups/{NOWHERE}"), query(""), Value::Null, 404),
        ("GET", format!("/groups/{NOWHERE}/members"), query(""), Value::Null, 404),
        ("GET", format!("/groups/{ours}/members"), format!("after={NOWHERE}"), Value::Null, 404),
        ("PATCH", ours_by(&bob.id), query(""), json!({ "role": "admin" }), 404),
        ("PATCH", ours_by(NOWHERE), query(""), json!({ "role": "admin" }), 404),
        ("PATCH", ours_by(&ada.id), query(""), json!({ "role": "admin" }), 403),
        ("DELETE", ours_by(&bob.id), query(""), json!({}), 404),
        ("DELETE", ours_by(&ada.id), query(""), json!({}), 403),
        ("POST", format!("/groups/{open}/leave"), query(""), json!({}), 404),
        ("POST", format!("/groups/{ours}/leave"), query(""), json!({}), 403),
    ] {
        let field = acting_field(&path).unwrap();
        ask(&ada, method, &path, &format!("{base}&{field}={}", bob.id), &body).await.refused(expected, None);
        if !body.is_null() {
            let mut body = body;
            body[field] = json!(bob.id);
            ask(&ada, method, &path, &base, &body).await.refused(expected, None);
        }
    }
    let leaving = json!({ "user_id": bob.id });
    ada.post(&format!("/groups/{open}/leave"), leaving).await.refused(404, None);
}
