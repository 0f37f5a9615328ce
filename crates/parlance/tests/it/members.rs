//! `/groups/{id}/members`, `/groups/{id}/leave`.

use crate::harness::{NOWHERE, Server, User};
use serde_json::{Value, json};

/// Who is what in a group, by who signed up first.
async fn roles(reader: &User, group: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pages = reader.pages(&format!("/groups/{group}/members?limit=2")).await;
    let members = pages.iter().flat_map(|page| page.as_array().unwrap());
    members.map(|member| (text(&member["username"]), text(&member["role"]))).collect()
}

fn expected(roles: &[(&str, &str)]) -> Vec<(String, String)> {
    roles.iter().map(|(name, role)| ((*name).to_owned(), (*role).to_owned())).collect()
}

#[actix_web::test]
async fn owner_and_admin_add_and_who_is_in_stays_as_one_is() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("ours", "private").await;
    let path = format!("/groups/{group}/members");
    let add = |user: &User, role: &str| json!({ "user_id": user.id, "role": role });
    bob.post(&path, add(&bob, "member")).await.refused(404, None);
    let added = ada.post(&path, json!({ "user_id": bob.id, "requester_id": ada.id })).await.expect(200);
    assert_eq!(added["message"], "member added");
    let member = &added["member"];
    assert_eq!((&member["group_id"], &member["user_id"]), (&json!(group), &json!(bob.id)));
    assert_eq!((&member["username"], &member["role"]), (&json!("bob"), &json!("member")));

    bob.post(&path, add(&eve, "member")).await.refused(403, None);
    assert_eq!(ada.post(&path, add(&bob, "admin")).await.expect(200)["member"], *member);
    ada.patch(&format!("{path}/{}", bob.id), json!({ "role": "admin" })).await.expect(200);
    bob.post(&path, add(&eve, "admin")).await.refused(403, None);
    bob.post(&path, add(&eve, "member")).await.expect(200);
    assert_eq!(roles(&eve, &group).await, expected(&[("ada", "owner"), ("bob", "admin"), ("eve", "member")]));
}

#[actix_web::test]
async fn what_is_no_member_is_refused() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    let path = format!("/groups/{group}/members");
    for (body, field) in [
        (json!({}), "user_id"),
        (json!({ "user_id": 17 }), "user_id"),
        (json!({ "user_id": "17" }), "user_id"),
        (json!({ "user_id": bob.id, "role": "king" }), "role"),
        (json!({ "user_id": bob.id, "role": "owner" }), "role"),
        (json!({ "user_id": bob.id, "requester_id": "x" }), "requester_id"),
    ] {
        ada.post(&path, body).await.refused(400, Some(field));
    }
    ada.post(&path, json!({ "user_id": NOWHERE })).await.refused(404, None);
    ada.post(&path, json!({ "user_id": bob.id, "requester_id": bob.id })).await.refused(403, None);
    ada.post("/groups/x/members", json!({ "user_id": bob.id })).await.refused(400, Some("id"));
    let elsewhere = format!("/groups/{NOWHERE}/members");
    ada.post(&elsewhere, json!({ "user_id": bob.id })).await.refused(404, None);
    bob.delete_account().await;
    ada.post(&path, json!({ "user_id": bob.id })).await.refused(404, None);
    assert_eq!(roles(&ada, &group).await, expected(&[("ada", "owner")]));
}

#[actix_web::test]
async fn in_a_public_group_anyone_adds_oneself_as_a_plain_member() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("all", "public").await;
    let path = format!("/groups/{group}/members");
    bob.post(&path, json!({ "user_id": eve.id })).await.refused(403, None);
    bob.post(&path, json!({ "user_id": bob.id, "role": "admin" })).await.refused(403, None);
    bob.post(&path, json!({ "user_id": bob.id })).await.expect(200);
    assert_eq!(roles(&eve, &group).await, expected(&[("ada", "owner"), ("bob", "member")]));
}

#[actix_web::test]
async fn roles_are_the_owners_to_give_and_so_is_the_group() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "admin").await;
    let path = |user: &str| format!("/groups/{group}/members/{user}");
    for (body, field) in [
        (json!({}), "role"),
        (json!({ "role": null }), "role"),
        (json!({ "role": "boss" }), "role"),
        (json!({ "role": 1 }), "role"),
        (json!({ "role": "member", "requester_id": 1 }), "requester_id"),
    ] {
        ada.patch(&path(&bob.id), body).await.refused(400, Some(field));
    }
    ada.patch(&path("x"), json!({ "role": "member" })).await.refused(400, Some("user_id"));
    ada.patch(&path(&eve.id), json!({ "role": "member" })).await.refused(404, None);
    bob.patch(&path(&bob.id), json!({ "role": "owner" })).await.refused(403, None);
    for role in ["member", "admin", "owner"] {
        ada.patch(&path(&ada.id), json!({ "role": role })).await.refused(409, None);
    }
    let member = ada.patch(&path(&bob.id), json!({ "role": "member" })).await.expect(200);
    assert_eq!((&member["role"], &member["username"]), (&json!("member"), &json!("bob")));
    ada.patch(&path(&bob.id), json!({ "role": "owner", "requester_id": ada.id })).await.expect(200);
    assert_eq!(roles(&ada, &group).await, expected(&[("ada", "admin"), ("bob", "owner")]));
    ada.delete(&format!("/groups/{group}"), json!({})).await.refused(403, None);
}

#[actix_web::test]
async fn members_go_and_the_owner_hands_over_first() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let group = ada.group("ours", "private").await;
    ada.add(&group, &bob, "admin").await;
    ada.add(&group, &eve, "member").await;
    let path = |user: &User| format!("/groups/{group}/members/{}", user.id);
    let leave = format!("/groups/{group}/leave");
    bob.delete(&path(&ada), json!({})).await.refused(403, None);
    eve.delete(&path(&bob), json!({})).await.refused(403, None);
    bob.delete(&path(&eve), json!({ "requester_id": eve.id })).await.refused(403, None);
    bob.delete(&path(&eve), json!({ "requester_id": bob.id })).await.expect(204);
    eve.get(&format!("/groups/{group}")).await.refused(404, None);
    bob.delete(&path(&eve), json!({})).await.refused(404, None);
    eve.post(&leave, json!({})).await.refused(404, None);

    for refused in [ada.post(&leave, json!({})).await, ada.delete(&path(&ada), json!({})).await] {
        refused.refused(409, None);
    }
    bob.post(&leave, json!({ "user_id": ada.id })).await.refused(403, None);
    bob.post(&leave, json!({ "user_id": "x" })).await.refused(400, Some("user_id"));
    bob.post(&leave, json!({ "user_id": bob.id })).await.expect(204);
    // The last one takes the group along.
    ada.raw("POST", &leave, &[], "").await.expect(204);
    ada.get(&format!("/groups/{group}")).await.refused(404, None);
    bob.group("OURS", "public").await;
}

#[actix_web::test]
async fn members_are_listed_in_pages_to_who_may_see_the_group() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let group = ada.group("ours", "private").await;
    let path = format!("/groups/{group}/members");
    for name in ["Zoe", "bob", "carl", "Abe"] {
        ada.add(&group, &server.user(name).await, "member").await;
    }
    let names: Vec<_> = roles(&ada, &group).await.into_iter().map(|(name, _)| name).collect();
    // By id, and so by who signed up first: each once, over pages of two.
    assert_eq!(names, ["ada", "Zoe", "bob", "carl", "Abe"]);
    let stranger = server.user("stranger").await;
    stranger.get(&path).await.refused(404, None);
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("after=bob", "after")] {
        ada.get(&format!("{path}?{query}")).await.refused(400, Some(field));
    }
    ada.get(&format!("{path}?after={NOWHERE}")).await.refused(404, None);
}
