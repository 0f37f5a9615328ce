//! The gochat API, and that it works on the same data.

use crate::harness::{NOWHERE, Server, User, ids};
use crate::messages::TRICKY;
use domain::users::{AdminNames, Broadcasters};
use serde_json::json;

async fn say(user: &User, to: &str, content: &str) -> String {
    let sent = user.post("/dm/send", json!({"to": to, "content": content})).await.expect(200);
    assert_eq!(sent["message"], "sent");
    sent["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn two_users_talk_by_name() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("Ada").await, server.user("bob").await, server.user("eve").await);
    let first = say(&ada, "BOB", "Hello Bob!").await;
    let second = say(&bob, "ada", "Hello Ada!").await;
    say(&eve, "bob", "from eve").await;
    for (reader, other) in [(&ada, "bob"), (&bob, "aDA")] {
        let history = reader.get(&format!("/dm/history?user={other}")).await.expect(200);
        assert_eq!(
            history,
            json!([
                {"id": first, "from": "Ada", "to": "bob", "content": "Hello Bob!", "type": "direct",
                 "timestamp": history[0]["timestamp"]},
                {"id": second, "from": "bob", "to": "Ada", "content": "Hello Ada!", "type": "direct",
                 "timestamp": history[1]["timestamp"]},
            ])
        );
        let listed = reader.get(&format!("/messages/{first}")).await.expect(200);
        assert_eq!(history[0]["timestamp"], listed["created_at"]);
    }
    assert_eq!(ada.get("/dm/history?user=eve").await.expect(200), json!([]));
    let to_oneself = say(&ada, "ada", "note").await;
    let notes = ada.get("/dm/history?user=ada").await.expect(200);
    assert_eq!((&notes[0]["id"], &notes[0]["to"]), (&json!(to_oneself), &json!("Ada")));
}

#[actix_web::test]
async fn histories_show_contents_exactly_as_sent() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    ada.post("/group/create", json!({"group": "|x| 'y' 🙂"})).await.expect(201);
    let longest = "🙂".repeat(4096);
    let contents: Vec<&str> = TRICKY.iter().copied().chain([longest.as_str()]).collect();
    for content in &contents {
        say(&ada, "bob", content).await;
        ada.post("/group/send", json!({"group": "|x| 'y' 🙂", "content": content})).await.expect(200);
        ada.post("/broadcast/send", json!({"content": content})).await.expect(200);
    }
    for path in
        ["/dm/history?user=ada", "/group/history?group=%7Cx%7C%20'y'+%F0%9F%99%82", "/broadcast/history?limit=1000"]
    {
        let history = bob.get(path).await.expect(200);
        let shown: Vec<_> = history.as_array().unwrap().iter().map(|line| line["content"].as_str().unwrap()).collect();
        assert_eq!(shown, contents, "{path}");
    }
}

#[actix_web::test]
async fn a_group_made_here_is_public_and_joined_by_sending() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let made = ada.post("/group/create", json!({"group": " My Group "})).await.expect(201);
    assert_eq!(made["message"], "group created");
    let path = format!("/groups/{}", made["id"].as_str().unwrap());
    let group = ada.get(&path).await.expect(200);
    assert_eq!(
        (&group["name"], &group["visibility"], &group["role"]),
        (&json!("My Group"), &json!("public"), &json!("owner"))
    );
    for taken in ["my group", "My Group", " MY GROUP"] {
        let refused = bob.post("/group/create", json!({"group": taken})).await.refused(409, Some("group"));
        bob.post("/groups", json!({"name": taken})).await.refused(409, Some("name"));
        assert_eq!(refused["error"], "group already exists");
    }
    assert_eq!(bob.get("/group/history?group=my%20group").await.expect(200), json!([]));
    assert_eq!(bob.get(&path).await.expect(200)["role"], json!(null));
    let sent = bob.post("/group/send", json!({"group": "MY GROUP", "content": "hi"})).await.expect(200);
    assert_eq!(sent["message"], "sent");
    assert_eq!(bob.get(&path).await.expect(200)["role"], "member");
    let history = ada.get("/group/history?group=my+group").await.expect(200);
    assert_eq!(
        history,
        json!([{"id": sent["id"], "from": "bob", "group": "My Group", "content": "hi", "type": "group",
                "timestamp": history[0]["timestamp"]}])
    );
    // A private group is none for who is not in it.
    let private = ada.group("private", "private").await;
    ada.post("/messages", json!({"group_id": private, "content": "x"})).await.expect(201);
    assert_eq!(ada.get("/group/history?group=private").await.expect(200).as_array().unwrap().len(), 1);
    bob.get("/group/history?group=private").await.refused(404, None);
    bob.post("/group/send", json!({"group": "private", "content": "x"})).await.refused(404, None);
}

#[actix_web::test]
async fn a_broadcast_reaches_everybody() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    assert_eq!(bob.get("/broadcast/history").await.expect(200), json!([]));
    let sent = ada.post("/broadcast/send", json!({"content": "to all"})).await.expect(200);
    assert_eq!(sent["message"], "broadcasted");
    let history = bob.get("/broadcast/history").await.expect(200);
    assert_eq!(
        history,
        json!([{"id": sent["id"], "from": "ada", "content": "to all", "type": "broadcast",
                "timestamp": history[0]["timestamp"]}])
    );
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    assert_eq!(bob.get(&path).await.expect(200)["kind"], "broadcast");
    bob.delete(&path, json!({})).await.refused(403, None);
    ada.delete(&path, json!({})).await.expect(204);
    assert_eq!(bob.get("/broadcast/history").await.expect(200), json!([]));
}

#[actix_web::test]
async fn broadcasting_can_be_kept_to_admins() {
    let server = Server::with(|config| {
        config.policy.broadcasters = Broadcasters::Admins;
        config.policy.admins = AdminNames::parse(["ADA"]).unwrap();
    });
    let server = server.await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let key = [("Idempotency-Key", "k")];
    bob.post_with("/broadcast/send", &key, json!({"content": " "})).await.refused(400, Some("content"));
    let refused = bob.post_with("/broadcast/send", &key, json!({"content": "x"})).await.refused(403, None);
    assert_eq!(refused["error"], "only admins may broadcast");
    // The key is still free.
    bob.post_with("/messages", &key, json!({"receiver_id": ada.id, "content": "x"})).await.expect(201);
    let sent = ada.post("/broadcast/send", json!({"content": "x"})).await.expect(200);
    assert_eq!(ids(&bob.get("/broadcast/history").await.expect(200)), [sent["id"].as_str().unwrap()]);
}

#[actix_web::test]
async fn faults_are_told_in_that_apis_words() {
    let server = Server::start().await;
    let (ada, _bob) = (server.user("ada").await, server.user("bob").await);
    ada.post("/group/create", json!({"group": "g"})).await.expect(201);
    let says = |refused: serde_json::Value, error: &str| assert_eq!(refused["error"], error);
    for query in ["", "?user="] {
        says(ada.get(&format!("/dm/history{query}")).await.refused(400, Some("user")), "missing user");
    }
    for query in ["", "?group="] {
        says(ada.get(&format!("/group/history{query}")).await.refused(400, Some("group")), "missing group");
    }
    for body in [json!({}), json!({"group": ""}), json!({"group": null})] {
        says(ada.post("/group/create", body).await.refused(400, Some("group")), "missing group name");
    }
    for body in
        [json!({"group": "  "}), json!({"group": "a\nb"}), json!({"group": "g".repeat(65)}), json!({"group": 5})]
    {
        ada.post("/group/create", body).await.refused(400, Some("group"));
    }
    for to in ["nobody", "deleted user", "a b", "x", "🙂"] {
        let body = json!({"to": to, "content": "x"});
        says(ada.post("/dm/send", body).await.refused(404, None), "user does not exist");
    }
    says(ada.get("/dm/history?user=deleted+user").await.refused(404, None), "user does not exist");
    for group in ["nothing", "a\u{1}b"] {
        let body = json!({"group": group, "content": "x"});
        says(ada.post("/group/send", body).await.refused(404, None), "group does not exist");
    }
    says(ada.get("/group/history?group=nothing").await.refused(404, None), "group does not exist");
    for (path, field, body) in [
        ("/dm/send", "to", json!({"content": "x"})),
        ("/dm/send", "to", json!({"to": "", "content": "x"})),
        ("/dm/send", "to", json!({"to": 7, "content": "x"})),
        ("/dm/send", "to", json!({"to": "b\0b", "content": "x"})),
        ("/dm/send", "content", json!({"to": "bob"})),
        // The form comes before existence.
        ("/dm/send", "content", json!({"to": "nobody", "content": " "})),
        ("/group/send", "group", json!({"content": "x"})),
        ("/group/send", "group", json!({"group": "", "content": "x"})),
        ("/group/send", "content", json!({"group": "g"})),
        ("/group/send", "content", json!({"group": "g", "content": "x".repeat(4097)})),
        ("/broadcast/send", "content", json!({})),
        ("/broadcast/send", "content", json!({"content": "\t "})),
        ("/broadcast/send", "content", json!({"content": []})),
    ] {
        ada.post(path, body).await.refused(400, Some(field));
    }
    for history in ["/dm/history?user=bob", "/group/history?group=g", "/broadcast/history?x="] {
        for (query, field) in
            [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("before=x", "before")]
        {
            ada.get(&format!("{history}&{query}")).await.refused(400, Some(field));
        }
        ada.get(&format!("{history}&limit=1000")).await.expect(200);
        ada.get(&format!("{history}&before={NOWHERE}")).await.refused(404, None);
    }
}

#[actix_web::test]
async fn histories_go_back_by_message() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    ada.post("/group/create", json!({"group": "a&b"})).await.expect(201);
    let mut sent: [Vec<String>; 3] = Default::default();
    for n in 0..8 {
        let content = n.to_string();
        sent[0].push(say(&ada, "bob", &content).await);
        for (n, path, body) in [
            (1, "/group/send", json!({"group": "a&b", "content": content})),
            (2, "/broadcast/send", json!({"content": content})),
        ] {
            sent[n].push(ada.post(path, body).await.expect(200)["id"].as_str().unwrap().to_owned());
        }
    }
    for (path, sent) in
        ["/dm/history?user=ada", "/group/history?group=a%26b", "/broadcast/history?x=1"].iter().zip(sent)
    {
        let newest = bob.get(&format!("{path}&limit=3")).await;
        assert!(newest.header("link").is_some(), "{path}");
        assert_eq!(ids(&newest.expect(200)), sent[5..]);
        let before = bob.get(&format!("{path}&limit=3&before={}", sent[5])).await.expect(200);
        assert_eq!(ids(&before), sent[2..5]);
        let all = bob.get(path).await;
        assert!(all.header("link").is_none());
        assert_eq!(ids(&all.expect(200)), sent);
        let pages = bob.pages(&format!("{path}&limit=3")).await;
        let met: Vec<String> = pages.iter().rev().flat_map(ids).collect();
        assert_eq!(met, sent, "{path}");
        // A deleted message still marks its place.
        ada.delete(&format!("/messages/{}", sent[5]), json!({})).await.expect(204);
        let before = bob.get(&format!("{path}&limit=2&before={}", sent[5])).await.expect(200);
        assert_eq!(ids(&before), sent[3..5]);
    }
}

#[actix_web::test]
async fn names_are_shown_as_they_are_now() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let made = ada.post("/group/create", json!({"group": "old"})).await.expect(201);
    bob.post("/group/send", json!({"group": "old", "content": "x"})).await.expect(200);
    say(&bob, "ada", "x").await;
    bob.patch("/me", json!({"display_name": "Somebody Else"})).await.expect(200);
    assert_eq!(ada.get("/dm/history?user=bob").await.expect(200)[0]["from"], "bob");
    let path = format!("/groups/{}", made["id"].as_str().unwrap());
    ada.put(&path, json!({"name": "new"})).await.expect(200);
    ada.get("/group/history?group=old").await.refused(404, None);
    assert_eq!(ada.get("/group/history?group=new").await.expect(200)[0]["group"], "new");
    bob.delete_account().await;
    assert_eq!(ada.get("/group/history?group=new").await.expect(200)[0]["from"], "deleted user");
    ada.get("/dm/history?user=bob").await.refused(404, None);
    let gone = ada.post("/dm/send", json!({"to": "bob", "content": "x"})).await.refused(404, None);
    assert_eq!(gone["error"], "user does not exist");
    // By id, what the two said is still there.
    let by_id = ada.get(&format!("/messages?receiver_id={}", bob.id)).await.expect(200);
    let deleted = json!({ "id": bob.id, "username": "deleted user", "display_name": "deleted user", "deleted": true });
    assert_eq!(by_id[0]["sender"], deleted);
    let group = ada.get("/conversations").await.expect(200);
    assert!(group.as_array().unwrap().iter().any(|conversation| conversation["user"]["deleted"] == true), "{group}");
    ada.post("/messages", json!({"receiver_id": bob.id, "content": "x"})).await.refused(404, None);
}
