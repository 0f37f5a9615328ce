//! `/tokens`: tokens of programs, and what each is good for.

use crate::harness::{Client, NOWHERE, Server, User, ids};
use crate::live::client::{Socket, signed};
use crate::retention::MovedClock;
use api_actix::limits::{Limit, Rate, Rates};
use api_actix::routes::{NEEDS, ROUTES};
use domain::{Need, Scope};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

/// Makes a token, and gives it and what the server said of it.
pub async fn token(user: &User, wish: Value) -> (User, Value) {
    let made = user.post("/tokens", wish).await.expect(201);
    let login = json!({ "token": made["token"], "user": { "id": user.id, "username": user.name } });
    (User::new(user, &login, &user.password), made)
}

async fn with_scopes(user: &User, scopes: &[&str]) -> User {
    token(user, json!({ "name": scopes.join(" "), "scopes": scopes })).await.0
}

#[actix_web::test]
async fn a_token_is_shown_once_and_listed_and_ended() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (program, made) = token(&ada, json!({ "name": " backups " })).await;
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("plt_"), "{text}");
    assert_eq!((&made["name"], &made["scopes"]), (&json!("backups"), &json!(["read", "send", "manage"])));
    assert!(made["last_used_at"].is_null() && made.get("expires_at").is_none(), "{made}");
    let listed = ada.get("/tokens").await.expect(200);
    let fields: Vec<_> = listed[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["created_at", "id", "last_used_at", "name", "scopes"]);
    assert!(listed[0]["last_used_at"].is_null());
    assert_eq!(program.get("/me").await.expect(200)["id"], json!(ada.id));
    assert!(ada.get("/tokens").await.expect(200)[0]["last_used_at"].is_string());
    // It acts as its user, and is no login.
    let sent = program.send(&bob.id, "from a program").await;
    assert_eq!(bob.get(&format!("/messages/{sent}")).await.expect(200)["sender"]["id"], json!(ada.id));
    assert_eq!(ada.get("/sessions").await.expect(200).as_array().unwrap().len(), 1);
    let id = made["id"].as_str().unwrap();
    ada.delete(&format!("/sessions/{id}"), json!({})).await.refused(404, None);
    // Others do not see it.
    assert_eq!(bob.get("/tokens").await.expect(200), json!([]));
    bob.delete(&format!("/tokens/{id}"), json!({})).await.refused(404, None);
    let mut socket = Socket::open(&program).await;
    ada.delete(&format!("/tokens/{id}"), json!({})).await.expect(204);
    assert_eq!(socket.closed().await, 4401);
    assert_eq!(program.get("/me").await.refused(401, None)["error"], "invalid token");
    ada.delete(&format!("/tokens/{id}"), json!({})).await.refused(404, None);
    assert_eq!(ada.get("/tokens").await.expect(200), json!([]));
    let (other, _) = token(&ada, json!({ "name": "x", "scopes": ["send", "read", "send"] })).await;
    other.get("/me").await.expect(200);
    assert_eq!(ada.get("/tokens").await.expect(200)[0]["scopes"], json!(["read", "send"]));
}

#[actix_web::test]
async fn a_wish_is_looked_at() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (wish, field) in [
        (json!({}), "name"),
        (json!({ "name": " " }), "name"),
        (json!({ "name": "x".repeat(65) }), "name"),
        (json!({ "name": "x", "scopes": [] }), "scopes"),
        (json!({ "name": "x", "scopes": ["read", "admin"] }), "scopes"),
        (json!({ "name": "x", "scopes": "read" }), "scopes"),
        (json!({ "name": "x", "expires_in": 0 }), "expires_in"),
        (json!({ "name": "x", "expires_in": -1 }), "expires_in"),
        (json!({ "name": "x", "expires_in": u64::MAX }), "expires_in"),
    ] {
        ada.post("/tokens", wish).await.refused(400, Some(field));
    }
    for n in 0..50 {
        ada.post("/tokens", json!({ "name": n.to_string(), "expires_in": 3600 })).await.expect(201);
    }
    ada.post("/tokens", json!({ "name": "one too many" })).await.refused(409, None);
    let listed = ids(&ada.get("/tokens").await.expect(200));
    assert_eq!(listed.len(), 50);
    ada.delete(&format!("/tokens/{}", listed[7]), json!({})).await.expect(204);
    ada.post("/tokens", json!({ "name": "the last" })).await.expect(201);
}

/// A request of this route without a body, at things that do not exist.
async fn ask(client: &Client, method: &str, path: &str) -> crate::harness::Answer {
    let mut filled = String::new();
    for (n, part) in path.split(['{', '}']).enumerate() {
        filled.push_str(if n % 2 == 0 { part } else { NOWHERE });
    }
    client.raw(&method.to_uppercase(), &filled, &[], "").await
}

#[actix_web::test]
async fn every_route_is_for_a_scope_or_for_none() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let tokens = [
        (Scope::Read, with_scopes(&ada, &["read"]).await),
        (Scope::Send, with_scopes(&ada, &["send"]).await),
        (Scope::Manage, with_scopes(&ada, &["manage"]).await),
    ];
    let all = with_scopes(&ada, &["read", "send", "manage"]).await;
    assert_eq!(ROUTES.len(), NEEDS.len());
    for ((method, path), need) in ROUTES.iter().zip(NEEDS) {
        // To local callers metrics need no token at all; live routes have tests of their own.
        if ["/metrics", "/events", "/ws"].contains(path) {
            continue;
        }
        let refused = async |client: &Client| {
            let answer = ask(client, method, path).await;
            answer.status == 403 && String::from_utf8(answer.body).unwrap().contains("token")
        };
        for (scope, token) in &tokens {
            let good = match need {
                Need::Nothing => true,
                Need::Scope(needed) => needed == scope,
                Need::Login => false,
            };
            assert_eq!(refused(token).await, !good, "{method} {path} {scope:?}");
        }
        assert_eq!(refused(&all).await, *need == Need::Login, "{method} {path}");
    }
    let (_, send) = &tokens[1];
    send.get("/events").await.refused(403, None);
}

#[actix_web::test]
async fn no_token_manages_the_account_itself() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (program, _) = token(&ada, json!({ "name": "all" })).await;
    for body in [
        json!({ "password": "another password", "current_password": ada.password }),
        json!({ "email": "other@example.org" }),
        json!({ "email": null }),
        json!({ "display_name": "Ada", "current_password": ada.password }),
    ] {
        program.patch("/me", body).await.refused(403, None);
    }
    program.delete("/me", json!({ "current_password": ada.password })).await.refused(403, None);
    program.post("/tokens", json!({ "name": "child" })).await.refused(403, None);
    program.get("/sessions").await.refused(403, None);
    program.post("/logout", json!({})).await.refused(403, None);
    let named = program.patch("/me", json!({ "display_name": "Ada L." })).await.expect(200);
    assert_eq!((&named["display_name"], &named["email"]), (&json!("Ada L."), &json!("ada@example.org")));
}

#[actix_web::test]
async fn an_operation_needs_its_scope_and_a_connection_read() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let said = bob.send(&ada.id, "hello").await;
    let mut reader = Socket::open(&with_scopes(&ada, &["read"]).await).await;
    for (op, data) in [
        ("send", json!({ "receiver_id": bob.id, "content": "x" })),
        ("seen", json!({ "message_id": said })),
        ("typing", json!({ "receiver_id": bob.id })),
    ] {
        assert_eq!(reader.op(op, data).await["error"]["code"], "forbidden", "{op}");
    }
    let verified =
        reader.op("verify", json!({ "conversation_id": NOWHERE, "update": 1, "digest": "0".repeat(16) })).await;
    assert_eq!(verified["error"]["code"], "not_found", "{verified}");
    let mut writer = Socket::open(&with_scopes(&ada, &["read", "send"]).await).await;
    let sent = writer.op("send", json!({ "receiver_id": bob.id, "content": "x" })).await;
    assert_eq!(sent["data"]["sender"]["id"], json!(ada.id), "{sent}");
    let blind = with_scopes(&ada, &["send", "manage"]).await;
    match connect_async(signed(&blind, "/ws")).await {
        Err(Error::Http(refused)) => assert_eq!(refused.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[actix_web::test]
async fn it_outlives_logouts_and_ends_with_the_password_and_by_its_time() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| config.clock = clock.clone()).await;
    let ada = server.user("ada").await;
    let (lasting, _) = token(&ada, json!({ "name": "lasting" })).await;
    let (short, made) = token(&ada, json!({ "name": "short", "expires_in": 3600 })).await;
    assert!(made["expires_at"].is_string());
    ada.post("/logout", json!({})).await.expect(204);
    for program in [&lasting, &short] {
        program.get("/me").await.expect(200);
    }
    let mut socket = Socket::open(&short).await;
    clock.0.fetch_add(3600 * 1_000_000, Ordering::Relaxed);
    assert_eq!(short.get("/me").await.refused(401, None)["error"], "invalid token");
    socket.send(r#"{"op":"ping"}"#).await;
    assert_eq!(socket.closed().await, 4401);
    let ada = server.log_in("ada", &ada.password).await;
    assert_eq!(ada.get("/tokens").await.expect(200).as_array().unwrap().len(), 1);
    // Nobody used it for months.
    clock.0.fetch_add(100 * 86_400 * 1_000_000, Ordering::Relaxed);
    let ada = server.log_in("ada", &ada.password).await;
    let mut socket = Socket::open(&lasting).await;
    let change = json!({ "password": "another password", "current_password": ada.password });
    ada.patch("/me", change).await.expect(200);
    assert_eq!(socket.closed().await, 4401);
    lasting.get("/me").await.refused(401, None);
    assert_eq!(ada.get("/tokens").await.expect(200), json!([]));
}

#[actix_web::test]
async fn a_connection_ends_when_its_token_expires() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (short, _) = token(&ada, json!({ "name": "short", "expires_in": 2 })).await;
    assert_eq!(Socket::open(&short).await.drained().await, 4401);
}

#[actix_web::test]
async fn an_ended_account_and_a_disabled_one_have_no_tokens() {
    let server = Server::with(|config| {
        config.policy.admins = domain::users::AdminNames::parse(["boss"]).unwrap();
    })
    .await;
    let (boss, ada, bob) = (server.user("boss").await, server.user("ada").await, server.user("bob").await);
    let (of_ada, _) = token(&ada, json!({ "name": "x" })).await;
    let (of_bob, _) = token(&bob, json!({ "name": "x" })).await;
    let (mut to_ada, mut to_bob) = (Socket::open(&of_ada).await, Socket::open(&of_bob).await);
    // Logins end, programs go on.
    boss.delete(&format!("/admin/users/{}/sessions", ada.id), json!({})).await.expect(204);
    ada.get("/me").await.refused(401, None);
    of_ada.get("/me").await.expect(200);
    boss.post(&format!("/admin/users/{}/disable", ada.id), json!({})).await.expect(200);
    bob.delete_account().await;
    assert_eq!((to_ada.drained().await, to_bob.drained().await), (4401, 4401));
    for program in [&of_ada, &of_bob] {
        program.get("/me").await.refused(401, None);
    }
    boss.post(&format!("/admin/users/{}/enable", ada.id), json!({})).await.expect(200);
    of_ada.get("/me").await.refused(401, None);
    // An admin's token is no way to administer.
    let (program, _) = token(&boss, json!({ "name": "x" })).await;
    program.get("/admin/users").await.refused(403, None);
}

#[actix_web::test]
async fn its_secret_is_nowhere() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (program, made) = token(&ada, json!({ "name": "exported", "scopes": ["read"] })).await;
    let export = program.get("/me/export").await.expect(200);
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("token");
    shown["last_used_at"] = export["tokens"][0]["last_used_at"].clone();
    assert!(shown["last_used_at"].is_string());
    assert_eq!(export["tokens"], json!([shown]));
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    let secret = &made["token"].as_str().unwrap()[36..];
    assert!(!export.to_string().contains(secret));
    for file in std::fs::read_dir(server.directory()).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            let bytes = std::fs::read(file.path()).unwrap();
            let found = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
            assert!(!found(secret.as_bytes()), "{:?}", file.path());
        }
    }
}

#[actix_web::test]
async fn no_other_text_is_a_token() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (program, made) = token(&ada, json!({ "name": "x" })).await;
    let (_, other) = token(&ada, json!({ "name": "y" })).await;
    let (text, other) = (made["token"].as_str().unwrap(), other["token"].as_str().unwrap());
    let session = ids(&ada.get("/sessions").await.expect(200))[0].replace('-', "");
    for forged in [
        format!("{}{}", &text[..36], &other[36..]),
        format!("plt_{session}{}", &text[36..]),
        format!("plt_{}{}", "0".repeat(32), &text[36..]),
        text[..text.len() - 1].to_owned(),
        text.to_uppercase(),
    ] {
        let refused = server.anyone().with_token(&forged).get("/me").await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert_eq!(refused.refused(401, None)["error"], "invalid token", "{forged}");
    }
    program.get("/me").await.expect(200);
    // It renews nothing, and is no refresh token.
    server.anyone().post("/token", json!({ "refresh_token": text })).await.refused(401, None);
}

#[actix_web::test]
async fn the_user_pays_for_a_token_and_the_network_for_a_guess() {
    let six = Rates::off().with(Limit::Requests, Rate::parse("6/h").unwrap());
    let server = Server::with(|config| config.http.rates = six).await;
    let ada = server.user("ada").await;
    // The login is a request of the network; that for the token is Ada's.
    let (program, _) = token(&ada, json!({ "name": "x" })).await;
    for _ in 0..5 {
        program.get("/me").await.expect(200);
    }
    program.get("/me").await.refused(429, None);
    let guess = server.anyone().with_token(format!("plt_{}", "0".repeat(96)));
    let mut guesses = 0;
    while guess.get("/me").await.status == 401 {
        guesses += 1;
        assert!(guesses < 7, "a guess costs");
    }
    assert!(guesses > 0);
}
