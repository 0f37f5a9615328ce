//! Where a request names the acting user too: it must be the caller, and what is missing is told first.

use crate::harness::{NOWHERE, Server};
use reqwest::Method;
use serde_json::json;

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
        let ask = async |target: &str, body: &serde_json::Value| {
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
    // Whom a member's address names is looked for as well.
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
