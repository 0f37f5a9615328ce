//! `/admin/...`.

use crate::harness::{NOWHERE, Server, User, ids};
use crate::live::client::Socket;
use domain::users::{AdminNames, ServerPolicy};
use serde_json::{Value, json};

/// A server whose admin is `boss`.
async fn server() -> (Server, User) {
    let server = Server::with(|config| {
        config.policy = ServerPolicy { admins: AdminNames::parse(["boss"]).unwrap(), ..ServerPolicy::default() };
    })
    .await;
    let boss = server.user("boss").await;
    (server, boss)
}

#[actix_web::test]
async fn only_admins_come_in() {
    let (server, boss) = server().await;
    let ada = server.user("ada").await;
    for (method, path) in [
        ("GET", "/admin/users".to_owned()),
        ("GET", "/admin/audit".to_owned()),
        ("POST", format!("/admin/users/{}/disable", boss.id)),
        ("POST", format!("/admin/users/{NOWHERE}/enable")),
        ("DELETE", format!("/admin/users/{}/sessions", boss.id)),
        ("DELETE", format!("/admin/groups/{NOWHERE}")),
    ] {
        server.anyone().raw(method, &path, &[], "").await.refused(401, None);
        let refused = ada.raw(method, &path, &[], "").await.refused(403, None);
        assert_eq!(refused["error"], "only admins may do this");
    }
    assert_eq!(boss.get("/admin/audit").await.expect(200), json!([]));
}

#[actix_web::test]
async fn accounts_are_listed_whole() {
    let (server, boss) = server().await;
    let ada = server.user("ada").await;
    server.anyone().post("/users", json!({ "username": "bob", "email": "bob@example.org" })).await.expect(201);
    let all = boss.get("/admin/users").await.expect(200);
    let shown = |user: &Value| (user["username"].clone(), user["admin"].clone(), user["disabled"].clone());
    let names = ["ada", "bob", "boss"].map(|name| (json!(name), json!(name == "boss"), json!(false)));
    assert_eq!(all.as_array().unwrap().iter().map(shown).collect::<Vec<_>>(), names);
    assert!(all[0]["last_seen_at"].is_string() && all[1]["last_seen_at"].is_null());
    assert_eq!((&all[0]["email"], &all[0]["id"]), (&json!("ada@example.org"), &json!(ada.id)));
    let pages = boss.pages("/admin/users?limit=1&q=b").await;
    assert_eq!(pages.iter().map(|page| page[0]["username"].as_str().unwrap()).collect::<Vec<_>>(), ["bob", "boss"]);
    boss.get(&format!("/admin/users?after={NOWHERE}")).await.refused(404, None);
}

#[actix_web::test]
async fn a_disabled_account_is_shut_at_once_and_looks_to_others_as_before() {
    let (server, boss) = server().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let second = server.log_in("ada", &ada.password).await;
    let mut socket = Socket::open(&second).await;
    let path = format!("/admin/users/{}/disable", ada.id);
    let disabled = boss.post(&path, json!({})).await.expect(200);
    assert_eq!((&disabled["disabled"], &disabled["username"]), (&json!(true), &json!("ada")));
    boss.post(&path, json!({})).await.expect(200);

    for client in [&ada, &second] {
        let refused = client.get("/me").await.refused(401, None);
        assert_eq!(refused["error"], "invalid token");
    }
    assert_eq!(socket.closed().await, 4401);
    let login = json!({ "username": "ada", "password": ada.password });
    let refused = server.anyone().post("/login", login.clone()).await.refused(401, None);
    assert_eq!(refused["error"], "invalid credentials");

    bob.send(&ada.id, "are you there?").await;
    let shown = bob.get(&format!("/users/{}", ada.id)).await.expect(200);
    assert!(shown["username"] == "ada" && shown.get("disabled").is_none(), "{shown}");
    assert!(ids(&bob.get("/users").await.expect(200)).contains(&ada.id));

    let enabled = boss.post(&format!("/admin/users/{}/enable", ada.id), json!({})).await.expect(200);
    assert_eq!(enabled["disabled"], false);
    ada.get("/me").await.refused(401, None);
    assert_eq!(server.log_in("ada", &ada.password).await.unseen_total().await, 1);
    assert_eq!(actions(&boss).await, ["user.enabled", "user.disabled"]);
}

/// What the record says was done, newest first.
async fn actions(boss: &User) -> Vec<String> {
    let audit = boss.get("/admin/audit").await.expect(200);
    audit.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn nobody_disables_oneself_or_who_is_not_there() {
    let (server, boss) = server().await;
    let refused = boss.post(&format!("/admin/users/{}/disable", boss.id), json!({})).await.refused(409, None);
    assert_eq!(refused["error"], "you cannot disable your own account");
    let gone = server.user("gone").await;
    gone.delete_account().await;
    for id in [NOWHERE, &gone.id] {
        boss.post(&format!("/admin/users/{id}/disable"), json!({})).await.refused(404, None);
        boss.delete(&format!("/admin/users/{id}/sessions"), json!({})).await.refused(404, None);
    }
    boss.get("/me").await.expect(200);
    assert_eq!(actions(&boss).await, [""; 0]);
}

#[actix_web::test]
async fn sessions_are_ended_and_may_begin_again() {
    let (server, boss) = server().await;
    let ada = server.user("ada").await;
    boss.delete(&format!("/admin/users/{}/sessions", ada.id), json!({})).await.expect(204);
    ada.get("/me").await.refused(401, None);
    server.log_in("ada", &ada.password).await.get("/me").await.expect(200);
    assert_eq!(actions(&boss).await, ["user.sessions_ended"]);
}

#[actix_web::test]
async fn any_group_can_be_deleted_and_none_be_read() {
    let (server, boss) = server().await;
    let ada = server.user("ada").await;
    let group = ada.group("secret", "private").await;
    let said = ada.post("/messages", json!({ "group_id": group, "content": "psst" })).await.expect(201);
    let message = said["id"].as_str().unwrap();
    for path in [
        format!("/groups/{group}"),
        format!("/messages?group_id={group}"),
        format!("/messages/{message}"),
        format!("/groups/{group}/members"),
        format!("/conversations/{group}/changes"),
    ] {
        boss.get(&path).await.refused(404, None);
    }
    let mut socket = Socket::open(&ada).await;
    boss.delete(&format!("/admin/groups/{group}"), json!({})).await.expect(204);
    assert_eq!(socket.expect("group.deleted").await["id"], json!(group));
    ada.get(&format!("/groups/{group}")).await.refused(404, None);
    boss.delete(&format!("/admin/groups/{group}"), json!({})).await.refused(404, None);

    let audit = boss.get("/admin/audit").await.expect(200);
    let entry = &audit[0];
    assert_eq!(entry["group"], json!({ "id": group, "name": "secret" }));
    assert_eq!(entry["actor"], json!({ "id": boss.id, "username": "boss" }));
    assert!(entry.get("user").is_none() && entry["created_at"].is_string(), "{entry}");
}

#[actix_web::test]
async fn the_record_is_read_in_pages() {
    let (server, boss) = server().await;
    let ada = server.user("ada").await;
    let sessions = format!("/admin/users/{}/sessions", ada.id);
    for _ in 0..5 {
        boss.delete(&sessions, json!({})).await.expect(204);
        // Where there is none to end, nothing is recorded.
        boss.delete(&sessions, json!({})).await.expect(204);
        let account = json!({ "username": ada.name, "password": ada.password });
        server.anyone().post("/login", account).await.expect(200);
    }
    let pages = boss.pages("/admin/audit?limit=2").await;
    let numbers: Vec<_> =
        pages.iter().flat_map(|page| page.as_array().unwrap()).map(|entry| entry["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    boss.get("/admin/audit?before=18446744073709551615").await.refused(400, Some("before"));
}
