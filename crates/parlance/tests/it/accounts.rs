//! `/signup`, `/users`, `/me`.

use crate::harness::{NOWHERE, Server, ids};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn signing_up_makes_a_user() {
    let server = Server::start().await;
    let body = json!({ "username": "Ada.b-c_9", "password": "12345678", "other": [1] });
    let made = server.anyone().post("/signup", body).await.expect(201);
    assert_eq!(made["message"], "user registered");
    let user = &made["user"];
    assert_eq!((&user["username"], &user["display_name"]), (&json!("Ada.b-c_9"), &json!("Ada.b-c_9")));
    assert!(user.get("email").is_none() && user.get("admin").is_none() && user.get("password").is_none());
    let own = server.log_in("ada.B-C_9", "12345678").await;
    let mut me = own.get("/me").await.expect(200);
    assert_eq!(me.as_object_mut().unwrap().remove("may"), Some(json!({ "broadcast": true })));
    assert_eq!(me, *user);
}

#[actix_web::test]
async fn names_and_emails_are_unique_whatever_their_case() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let anyone = server.anyone();
    for path in ["/signup", "/users"] {
        let name = json!({ "username": "ADA", "password": "12345678", "email": "x@example.org" });
        let error = anyone.post(path, name).await.refused(409, Some("username"));
        assert_eq!(error["error"], "username already exists");
        let email = json!({ "username": "bob", "password": "12345678", "email": "ADA@Example.org" });
        let error = anyone.post(path, email).await.refused(409, Some("email"));
        assert_eq!(error["error"], "email already exists");
    }
    // Nothing came of it.
    assert_eq!(names(&ada.get("/users").await.expect(200)), ["ada"]);
    server.log_in("ada", &ada.password).await;
}

#[actix_web::test]
async fn of_eight_signups_at_once_one_makes_the_user() {
    let server = Server::start().await;
    let server = &server;
    let sign_up = |n: usize| {
        let name = if n < 4 { "mallory" } else { "Mallory" };
        let body = json!({ "username": name, "password": format!("password {n}") });
        async move { (n, server.anyone().post("/signup", body).await) }
    };
    let answers = join_all((0..8).map(sign_up)).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, answer)| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 7));
    for (n, answer) in refused {
        answer.refused(409, Some("username"));
        let other = json!({ "username": "mallory", "password": format!("password {n}") });
        server.anyone().post("/login", other).await.refused(401, None);
    }
    let user = server.log_in("mallory", &format!("password {}", made[0].0)).await;
    assert_eq!(names(&user.get("/users").await.expect(200)).len(), 1);
}

#[actix_web::test]
async fn what_is_no_account_is_refused_with_its_field() {
    let server = Server::start().await;
    let good = json!({ "username": "ada", "password": "12345678", "email": "ada@example.org" });
    for (field, bad) in [
        ("username", json!(null)),
        ("username", json!("a")),
        ("username", json!("a b")),
        ("username", json!("ju\u{308}rgen")),
        ("username", json!("x".repeat(33))),
        ("username", json!(["ada"])),
        ("password", json!("1234567")),
        ("password", json!("x".repeat(72))),
        ("password", json!("é".repeat(36))),
        ("password", json!("12345678\0")),
        ("password", json!(12_345_678)),
        ("email", json!("ada")),
        ("email", json!("a@b c.org")),
        ("email", json!({})),
    ] {
        for path in ["/signup", "/users"] {
            let mut body = good.clone();
            body[field] = bad.clone();
            server.anyone().post(path, body).await.refused(400, Some(field));
        }
    }
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    server.anyone().post("/signup", without("password")).await.refused(400, Some("password"));
    server.anyone().post("/users", without("email")).await.refused(400, Some("email"));
    server.anyone().post("/signup", without("email")).await.expect(201);
}

#[actix_web::test]
async fn a_user_without_a_password_exists_but_cannot_log_in() {
    let server = Server::start().await;
    let (anyone, ada) = (server.anyone(), server.user("ada").await);
    let bob = anyone.post("/users", json!({ "username": "bob", "email": "bob@example.org" })).await.expect(201);
    assert_eq!(bob["email"], "bob@example.org");
    for password in ["", "12345678", "null", "a stand-in"] {
        let error = anyone.post("/login", json!({ "username": "bob", "password": password })).await.refused(401, None);
        assert_eq!(error["error"], "invalid credentials");
    }
    let shown = ada.get(&format!("/users/{}", bob["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["username"], "bob");
    assert!(shown.get("email").is_none());
}

#[actix_web::test]
async fn users_are_listed_by_name_filtered_by_prefix_and_paged() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for name in ["Dora", "bob", "ab_c", "abXc", "carol"] {
        server.user(name).await;
    }
    let all = ada.get("/users").await;
    assert!(all.next().is_none());
    let all = all.expect(200);
    assert_eq!(names(&all), ["ab_c", "abXc", "ada", "bob", "carol", "Dora"]);
    for user in all.as_array().unwrap() {
        assert_eq!(user.get("email").is_some(), user["username"] == "ada");
    }
    for (q, found) in [("AB", &["ab_c", "abXc"][..]), ("ab_", &["ab_c"]), ("%25", &[]), ("d", &["Dora"]), ("é", &[])] {
        assert_eq!(names(&ada.get(&format!("/users?q={q}")).await.expect(200)), found, "{q}");
    }
    let pages = ada.pages("/users?limit=4&q=").await;
    assert_eq!(pages.iter().map(|page| ids(page).len()).collect::<Vec<_>>(), [4, 2]);
    assert_eq!(pages.iter().flat_map(names).collect::<Vec<_>>(), names(&all));
    assert_eq!(ada.pages("/users?limit=3").await.len(), 2);
    ada.get(&format!("/users?after={NOWHERE}")).await.refused(404, None);
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("limit=1e2", "limit"), ("after=ada", "after")]
    {
        ada.get(&format!("/users?{query}")).await.refused(400, Some(field));
    }
}

#[actix_web::test]
async fn a_user_is_shown_by_id() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let shown = bob.get(&format!("/users/{}", ada.id)).await.expect(200);
    assert_eq!((&shown["username"], shown.get("email")), (&json!("ada"), None));
    assert_eq!(ada.get(&format!("/users/{}", ada.id)).await.expect(200)["email"], "ada@example.org");
    ada.get(&format!("/users/{NOWHERE}")).await.refused(404, None);
    for id in ["ada", "0", "%20", "%F0%9F%99%82", "'%20OR%201=1", "01890a5dac96774bbcceb302099a8057"] {
        ada.get(&format!("/users/{id}")).await.refused(400, Some("id"));
    }
}

#[actix_web::test]
async fn ones_own_account_changes_where_it_is_told_to() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let changed = ada.patch("/me", json!({ "display_name": " Zoë 🙂 " })).await.expect(200);
    assert_eq!((&changed["display_name"], &changed["email"]), (&json!("Zoë 🙂"), &json!("ada@example.org")));
    let changed = ada.patch("/me", json!({ "email": "new@example.org", "password": null })).await.expect(200);
    assert_eq!((&changed["display_name"], &changed["email"]), (&json!("Zoë 🙂"), &json!("new@example.org")));
    assert_eq!(ada.patch("/me", json!({})).await.expect(200)["email"], "new@example.org");
    assert_eq!(bob.get(&format!("/users/{}", ada.id)).await.expect(200)["display_name"], "Zoë 🙂");
    ada.patch("/me", json!({ "email": "BOB@example.org" })).await.refused(409, Some("email"));
    for (field, bad) in [("email", json!("x")), ("display_name", json!("x".repeat(65))), ("display_name", json!(" "))] {
        ada.patch("/me", json!({ field: bad })).await.refused(400, Some(field));
    }
}

#[actix_web::test]
async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let other = server.log_in("ada", &ada.password).await;
    let change = |current: Value| json!({ "password": "another password", "current_password": current });
    ada.patch("/me", change(json!(null))).await.refused(400, Some("current_password"));
    for wrong in ["wrong password", "short", ""] {
        ada.patch("/me", change(json!(wrong))).await.refused(403, Some("current_password"));
        // Also where none is needed.
        let other = json!({ "display_name": "Another", "current_password": wrong });
        ada.patch("/me", other).await.refused(403, Some("current_password"));
    }
    ada.patch("/me", json!({ "password": "1234567", "current_password": ada.password }))
        .await
        .refused(400, Some("password"));
    other.get("/me").await.expect(200);
    ada.patch("/me", change(json!(ada.password))).await.expect(200);
    ada.get("/me").await.expect(200);
    assert_eq!(other.get("/me").await.refused(401, None)["error"], "invalid token");
    let old = json!({ "username": "ada", "password": ada.password });
    server.anyone().post("/login", old).await.refused(401, None);
    server.log_in("ada", "another password").await;
}

#[actix_web::test]
async fn null_takes_email_and_display_name_back() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    ada.patch("/me", json!({ "display_name": "Ada L." })).await.expect(200);
    let unchanged = ada.patch("/me", json!({ "password": null })).await.expect(200);
    assert_eq!((&unchanged["display_name"], &unchanged["email"]), (&json!("Ada L."), &json!("ada@example.org")));
    let changed = ada.patch("/me", json!({ "display_name": null })).await.expect(200);
    assert_eq!((&changed["display_name"], &changed["email"]), (&json!("ada"), &json!("ada@example.org")));
    let changed = ada.patch("/me", json!({ "email": null })).await.expect(200);
    assert!(changed.get("email").is_none());
    assert_eq!(ada.get("/me").await.expect(200), changed);
    // The address is free.
    let body = json!({ "username": "bob", "password": "12345678", "email": "ada@example.org" });
    server.anyone().post("/signup", body).await.expect(201);
    for field in ["email", "display_name"] {
        ada.patch("/me", json!({ field: 5 })).await.refused(400, Some(field));
        ada.patch("/me", json!({ field: "" })).await.refused(400, Some(field));
    }
}

#[actix_web::test]
async fn one_is_told_whether_one_may_broadcast() {
    use domain::users::{AdminNames, Broadcasters};
    let server = Server::with(|config| {
        config.policy.admins = AdminNames::parse(["Boss"]).unwrap();
        config.policy.broadcasters = Broadcasters::Admins;
    })
    .await;
    for (name, may, status) in [("ada", false, 403), ("boss", true, 200)] {
        let user = server.user(name).await;
        assert_eq!(user.get("/me").await.expect(200)["may"], json!({ "broadcast": may }));
        assert_eq!(user.post("/broadcast/send", json!({ "content": "x" })).await.status, status);
    }
}

#[actix_web::test]
async fn what_means_several_people_is_no_name() {
    let server = Server::start().await;
    for name in ["all", "here", "everyone", "channel", "hook", "All", "HOOK"] {
        for path in ["/signup", "/users"] {
            let body = json!({ "username": name, "password": "12345678", "email": format!("{name}@example.org") });
            server.anyone().post(path, body).await.refused(400, Some("username"));
        }
        server.anyone().post("/login", json!({ "username": name, "password": "x" })).await.refused(401, None);
    }
}

#[actix_web::test]
async fn an_account_ends_with_its_password_and_leaves_its_name_taken() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let elsewhere = server.log_in("bob", &bob.password).await;
    let group = bob.group("theirs", "private").await;
    bob.add(&group, &ada, "member").await;
    bob.raw("DELETE", "/me", &[], "").await.refused(400, Some("current_password"));
    bob.delete("/me", json!({ "current_password": "wrong password" })).await.refused(403, Some("current_password"));
    bob.delete_account().await;
    for session in [&bob, &elsewhere] {
        assert_eq!(session.get("/me").await.refused(401, None)["error"], "invalid token");
    }
    let anyone = server.anyone();
    anyone.post("/login", json!({ "username": "bob", "password": bob.password })).await.refused(401, None);
    anyone.post("/signup", json!({ "username": "BOB", "password": "12345678" })).await.refused(409, Some("username"));
    let email = json!({ "username": "eve", "password": "12345678", "email": "bob@example.org" });
    anyone.post("/signup", email).await.expect(201);
    let shown = ada.get(&format!("/users/{}", bob.id)).await.expect(200);
    assert_eq!((&shown["username"], &shown["display_name"]), (&json!("deleted user"), &json!("deleted user")));
    assert_eq!(shown["deleted"], true);
    assert!(ada.get(&format!("/users/{}", ada.id)).await.expect(200).get("deleted").is_none());
    assert_eq!(names(&ada.get("/users").await.expect(200)), ["ada", "eve"]);
    assert_eq!(ada.get(&format!("/groups/{group}")).await.expect(200)["role"], "owner");
}

#[actix_web::test]
async fn admins_by_configuration_see_emails_and_nothing_private() {
    use domain::users::AdminNames;
    let server = Server::with(|config| config.policy.admins = AdminNames::parse(["Boss"]).unwrap()).await;
    let (boss, ada) = (server.user("boss").await, server.user("ada").await);
    assert_eq!(boss.get("/me").await.expect(200)["admin"], true);
    let login = json!({ "username": "BOSS", "password": boss.password });
    assert_eq!(server.anyone().post("/login", login).await.expect(200)["user"]["admin"], true);
    assert_eq!(boss.get(&format!("/users/{}", ada.id)).await.expect(200)["email"], "ada@example.org");
    let private = ada.group("theirs", "private").await;
    boss.get(&format!("/groups/{private}")).await.refused(404, None);
    assert!(ada.get("/me").await.expect(200).get("admin").is_none());
    assert!(ada.get(&format!("/users/{}", boss.id)).await.expect(200).get("admin").is_none());
}

#[actix_web::test]
async fn of_many_who_end_or_change_an_account_at_once_one_is_told_that_it_did() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let changes = join_all((0..8).map(|n| {
        let change = json!({ "password": format!("password {n}"), "current_password": ada.password });
        ada.patch("/me", change)
    }));
    let changed: Vec<u16> = changes.await.iter().map(|answer| answer.status).collect();
    assert_eq!(changed.iter().filter(|status| **status == 200).count(), 1, "{changed:?}");
    assert!(changed.iter().all(|status| [200, 403].contains(status)), "{changed:?}");
    let bob = server.user("bob").await;
    let ended = join_all((0..8).map(|_| bob.post("/logout", json!({})))).await;
    let ended: Vec<u16> = ended.iter().map(|answer| answer.status).collect();
    assert!(ended.contains(&204) && ended.iter().all(|status| [204, 401].contains(status)), "{ended:?}");
}
