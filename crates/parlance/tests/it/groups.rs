//! `/groups`.

use crate::harness::{NOWHERE, Server, ids};
use domain::groups::GroupQuotas;
use serde_json::{Value, json};

#[actix_web::test]
async fn a_group_is_private_unless_told_otherwise_and_its_makers() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let made = ada.post("/groups", json!({ "name": " \tours ", "requester_id": ada.id })).await.expect(201);
    for (field, value) in [
        ("name", json!("ours")),
        ("description", json!("")),
        ("visibility", json!("private")),
        ("member_count", json!(1)),
        ("role", json!("owner")),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let path = format!("/groups/{}", made["id"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.expect(200), made);
    bob.get(&path).await.refused(404, None);

    let body = json!({ "name": "all", "visibility": "public", "description": "about | all 🙂" });
    let public = ada.post("/groups", body).await.expect(201);
    let seen = bob.get(&format!("/groups/{}", public["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&seen["role"], &seen["description"]), (&Value::Null, &json!("about | all 🙂")));
}

#[actix_web::test]
async fn what_is_no_group_is_refused_with_its_field() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "private").await;
    let path = format!("/groups/{group}");
    for (field, bad) in [
        ("name", json!("")),
        ("name", json!(" \n ")),
        ("name", json!("a\u{1b}b")),
        ("name", json!("n".repeat(65))),
        ("name", json!(3)),
        ("visibility", json!("PUBLIC")),
        ("visibility", json!(true)),
        ("description", json!("x".repeat(1025))),
        ("description", json!("\0")),
        ("requester_id", json!("ada")),
    ] {
        let mut body = json!({ "name": "fine" });
        body[field] = bad;
        ada.post("/groups", body.clone()).await.refused(400, Some(field));
        ada.put(&path, body).await.refused(400, Some(field));
    }
    ada.post("/groups", json!({ "name": null })).await.refused(400, Some("name"));
    // The acting user is the token's, on every call, and before anything happens.
    for named in [&bob.id, NOWHERE] {
        ada.post("/groups", json!({ "name": "fine", "requester_id": named })).await.refused(403, None);
        ada.put(&path, json!({ "name": "fine", "requester_id": named })).await.refused(403, None);
        ada.delete(&path, json!({ "requester_id": named })).await.refused(403, None);
    }
    assert_eq!(ada.get(&path).await.expect(200)["name"], "ours");
    for bad in ["x", "%F0%9F%99%82", &group.to_uppercase().replace('-', "")] {
        ada.get(&format!("/groups/{bad}")).await.refused(400, Some("id"));
    }
    ada.get(&format!("/groups/{NOWHERE}")).await.refused(404, None);
}

#[actix_web::test]
async fn a_change_leaves_the_rest_as_it_is() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let path = format!("/groups/{}", ada.group("ours", "private").await);
    ada.group("taken", "public").await;
    for (change, name, visibility, description) in [
        (json!({ "description": "d" }), "ours", "private", "d"),
        (json!({ "visibility": "public", "name": null }), "ours", "public", "d"),
        (json!({ "name": "OURS" }), "OURS", "public", "d"),
        (json!({ "description": "" }), "OURS", "public", ""),
        (json!({}), "OURS", "public", ""),
    ] {
        let changed = ada.put(&path, change).await.expect(200);
        assert_eq!(changed["name"], name);
        assert_eq!((&changed["visibility"], &changed["description"]), (&json!(visibility), &json!(description)));
        assert_eq!(changed["role"], "owner");
    }
    ada.put(&path, json!({ "name": "TAKEN" })).await.refused(409, None);
    // A reader sees it and may not change it; who cannot see it does not find it.
    bob.put(&path, json!({ "name": "mine" })).await.refused(403, None);
    bob.delete(&path, json!({})).await.refused(403, None);
    ada.put(&path, json!({ "visibility": "private" })).await.expect(200);
    bob.put(&path, json!({ "name": "mine" })).await.refused(404, None);
    bob.delete(&path, json!({})).await.refused(404, None);
}

#[actix_web::test]
async fn a_deleted_group_is_gone_and_its_name_free() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let group = ada.group("ours", "public").await;
    ada.add(&group, &bob, "admin").await;
    let path = format!("/groups/{group}");
    bob.delete(&path, json!({})).await.refused(403, None);
    ada.post("/groups", json!({ "name": "OURS" })).await.refused(409, None);
    ada.raw("DELETE", &path, &[], "").await.expect(204);
    for user in [&ada, &bob] {
        user.get(&path).await.refused(404, None);
        user.get(&format!("{path}/members")).await.refused(404, None);
        assert_eq!(user.get("/groups").await.expect(200), json!([]));
    }
    ada.delete(&path, json!({ "requester_id": ada.id })).await.refused(404, None);
    bob.group("ours", "private").await;
}

#[actix_web::test]
async fn one_lists_ones_own_and_the_public_groups() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let mut expected = Vec::new();
    for n in 0..3 {
        expected.push(ada.group(&format!("own {n}"), "private").await);
        expected.push(bob.group(&format!("Public {n}"), "public").await);
        bob.group(&format!("private {n}"), "private").await;
    }
    let joined = bob.group("p_q", "private").await;
    bob.add(&joined, &ada, "member").await;
    expected.push(joined.clone());
    for query in ["/groups", "/groups?limit=1", "/groups?limit=3", "/groups?limit=7"] {
        let mut met: Vec<_> = ada.pages(query).await.iter().flat_map(ids).collect();
        met.sort();
        expected.sort();
        assert_eq!(met, expected, "{query}");
    }
    for (q, count) in [("own", 3), ("P", 4), ("p_", 1), ("pu", 3), ("%25", 0), ("priv", 0)] {
        assert_eq!(ids(&ada.get(&format!("/groups?q={q}")).await.expect(200)).len(), count, "{q}");
    }
    let roles = ada.get("/groups?q=p").await.expect(200);
    for group in roles.as_array().unwrap() {
        assert_eq!(group["role"], if group["id"] == joined { json!("member") } else { Value::Null });
    }
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("after=x", "after"), ("q=%00", "q")] {
        ada.get(&format!("/groups?{query}")).await.refused(400, Some(field));
    }
    ada.get(&format!("/groups?after={NOWHERE}")).await.refused(404, None);
}

#[actix_web::test]
async fn a_private_group_is_no_place_in_the_list_of_who_is_not_in_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let secret = ada.group("m", "private").await;
    ada.group("z", "public").await;
    let path = format!("/groups?after={secret}");
    assert_eq!(ada.get(&path).await.expect(200).as_array().unwrap().len(), 1);
    bob.get(&path).await.refused(404, None);
    bob.get(&format!("/groups?after={NOWHERE}")).await.refused(404, None);
}

#[actix_web::test]
async fn what_a_group_has_already_is_no_change() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let body = json!({ "name": "ours", "description": "about", "visibility": "public" });
    let made = ada.post("/groups", body.clone()).await.expect(201);
    let path = format!("/groups/{}", made["id"].as_str().unwrap());
    let mut socket = crate::live::client::Socket::open(&ada).await;
    for same in [body, json!({}), json!({ "name": "ours" })] {
        assert_eq!(ada.put(&path, same).await.expect(200), made);
    }
    let changed = ada.put(&path, json!({ "name": "OURS", "description": "about" })).await.expect(200);
    assert_ne!(changed["updated_at"], made["updated_at"]);
    let frame = socket.next().await;
    assert_eq!((&frame["event"], &frame["data"]["name"]), (&json!("group.updated"), &json!("OURS")));
    assert_eq!(frame["data"].get("role"), None);
}

#[actix_web::test]
async fn there_are_quotas_of_groups_which_are_told_as_conflicts() {
    let server = Server::with(|config| {
        config.policy.groups = GroupQuotas { made: 2, joined: 2, added: 9, added_of_one: 1 };
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let first = ada.group("1", "public").await;
    let second = ada.group("2", "public").await;
    for (path, body) in [("/groups", json!({ "name": "3" })), ("/group/create", json!({ "group": "3" }))] {
        assert_eq!(ada.post(path, body).await.refused(409, None)["code"], "conflict");
    }
    // One adder's share of another, and what the other does oneself.
    ada.add(&first, &bob, "member").await;
    let added = json!({ "user_id": bob.id });
    ada.post(&format!("/groups/{second}/members"), added.clone()).await.refused(409, None);
    bob.post("/group/send", json!({ "group": "2", "content": "joins" })).await.expect(200);
    bob.group("mine", "private").await;
    let eve = server.user("eve").await;
    let third = eve.group("eve's", "public").await;
    bob.post(&format!("/groups/{third}/members"), added).await.refused(409, None);
    bob.post("/messages", json!({ "group_id": third, "content": "x" })).await.refused(409, None);
    bob.post(&format!("/groups/{second}/leave"), json!({})).await.expect(204);
    bob.post("/messages", json!({ "group_id": third, "content": "x" })).await.expect(201);
}
