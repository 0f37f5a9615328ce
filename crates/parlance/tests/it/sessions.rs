//! `/login`, `/logout`, `/sessions`, and the validity of a token.

use crate::harness::{NOWHERE, SECRET, Server, User, ids};
use crate::live::client::{Socket, soon};
use crate::retention::MovedClock;
use domain::users::{AdminNames, ServerPolicy};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims
}

fn signed(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[actix_web::test]
async fn logging_in_gives_a_token_for_a_day() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let body = json!({ "username": "ADA", "password": ada.password });
    let login = server.anyone().post("/login", body).await.expect(200);
    assert_eq!((&login["token_type"], &login["expires_in"]), (&json!("Bearer"), &json!(86_400)));
    assert_eq!(login["user"]["email"], "ada@example.org");
    let claims = claims(login["token"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["username"]), (&json!(ada.id), &json!("ada")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 86_400);
}

#[actix_web::test]
async fn an_unknown_user_and_a_wrong_password_are_told_alike() {
    let server = Server::start().await;
    server.user("ada").await;
    let mut told = Vec::new();
    for (username, password) in
        [("ada", "wrong password"), ("nobody", "password of ada"), ("no name", "x"), ("ada", "short"), ("ada", "")]
    {
        let answer = server.anyone().post("/login", json!({ "username": username, "password": password })).await;
        told.push(answer.refused(401, None));
    }
    assert_eq!(told[0], json!({ "error": "invalid credentials", "code": "unauthenticated" }));
    assert!(told.iter().all(|answer| *answer == told[0]));
    for (body, field) in [
        (json!({ "username": "ada" }), "password"),
        (json!({ "password": "x" }), "username"),
        (json!({ "username": 5, "password": "x" }), "username"),
        (json!({ "username": "ada\0", "password": "x" }), "username"),
    ] {
        server.anyone().post("/login", body).await.refused(400, Some(field));
    }
}

#[actix_web::test]
async fn ones_sessions_are_listed_and_ended() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let body = json!({ "username": "ada", "password": ada.password });
    let agent = [("user-agent", "tests/1 (\u{fc})"), ("content-type", "application/json")];
    let login = server.anyone().post_with("/login", &agent, body).await.expect(200);
    let other = User::new(server.anyone(), &login, &ada.password);
    let list = ada.get("/sessions").await.expect(200);
    let sessions = list.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let current = |session: &&Value| session["current"] == true;
    let sid = |user: &User| claims(user.token().unwrap())["sid"].as_str().unwrap().to_owned();
    assert_eq!(sessions.iter().filter(current).map(|s| s["id"].as_str().unwrap()).collect::<Vec<_>>(), [sid(&ada)]);
    assert_eq!(sessions.iter().find(|s| s["id"] == sid(&other)).unwrap()["user_agent"], "tests/1 (\u{fc})");
    for session in sessions {
        let fields: Vec<_> = session.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["created_at", "current", "id", "last_seen_at", "user_agent"]);
    }
    let pages = other.pages("/sessions?limit=1").await;
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), [sid(&other), sid(&ada)], "newest first");
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("after=x", "after")] {
        ada.get(&format!("/sessions?{query}")).await.refused(400, Some(field));
    }
    ada.get(&format!("/sessions?after={NOWHERE}")).await.refused(404, None);
    bob.get(&format!("/sessions?after={}", sid(&ada))).await.refused(404, None);

    // Another's session does not exist.
    bob.delete(&format!("/sessions/{}", sid(&ada)), json!({})).await.refused(404, None);
    ada.delete(&format!("/sessions/{NOWHERE}"), json!({})).await.refused(404, None);
    ada.delete("/sessions/x", json!({})).await.refused(400, Some("id"));
    ada.delete(&format!("/sessions/{}", sid(&other)), json!({})).await.expect(204);
    assert_eq!(other.get("/me").await.refused(401, None)["error"], "invalid token");
    ada.delete(&format!("/sessions/{}", sid(&other)), json!({})).await.refused(404, None);
    assert_eq!(ids(&ada.get("/sessions").await.expect(200)), [sid(&ada)]);
    // One's own is ended as by logging out.
    ada.delete(&format!("/sessions/{}", sid(&ada)), json!({})).await.expect(204);
    assert_eq!(ada.get("/sessions").await.refused(401, None)["error"], "invalid token");
}

#[actix_web::test]
async fn a_user_has_a_hundred_sessions_and_a_further_login_ends_the_one_unused_for_longest() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| config.clock = clock.clone()).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let forgotten = server.log_in("ada", &ada.password).await;
    let mut socket = Socket::open(&forgotten).await;
    clock.0.fetch_add(120_000_000, Ordering::Relaxed);
    // The first to have logged in was used last.
    ada.get("/me").await.expect(200);
    for _ in 2..100 {
        server.log_in("ada", &ada.password).await;
    }
    forgotten.raw("GET", "/health", &[], "").await.expect(200);
    assert_eq!(ada.get("/sessions?limit=200").await.expect(200).as_array().unwrap().len(), 100);
    let newest = server.log_in("ada", &ada.password).await;
    assert_eq!(socket.closed().await, 4401);
    assert_eq!(forgotten.get("/me").await.refused(401, None)["error"], "invalid token");
    for who in [&ada, &newest, &bob] {
        who.get("/me").await.expect(200);
    }
    let listed = ids(&newest.get("/sessions?limit=200").await.expect(200));
    let sid = |user: &User| claims(user.token().unwrap())["sid"].as_str().unwrap().to_owned();
    assert!(listed.len() == 100 && listed.contains(&sid(&ada)) && !listed.contains(&sid(&forgotten)));
}

#[actix_web::test]
async fn when_a_session_was_last_used_is_told_to_the_minute() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| config.clock = clock.clone()).await;
    let ada = server.user("ada").await;
    let minutes = async || {
        let session = ada.get("/sessions").await.expect(200)[0].clone();
        let at = |name: &str| session[name].as_str().unwrap()[..26].parse::<chrono::NaiveDateTime>().unwrap();
        (at("last_seen_at") - at("created_at")).num_minutes()
    };
    assert_eq!(minutes().await, 0);
    for minute in [10, 11, 700] {
        clock.0.store(minute * 60_000_000, Ordering::Relaxed);
        // By the request that asks, too.
        assert_eq!(minutes().await, minute);
    }
}

#[actix_web::test]
async fn sessions_that_nobody_can_use_are_forgotten_and_not_when_they_were_used() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| {
        config.clock = clock.clone();
        config.upkeep_every = Duration::from_millis(20);
        config.policy = ServerPolicy { admins: AdminNames::parse(["boss"]).unwrap(), ..ServerPolicy::default() };
    })
    .await;
    let (ada, _boss) = (server.user("ada").await, server.user("boss").await);
    ada.post("/logout", json!({})).await.expect(204);
    let two_days = 2 * 86_400_000_000_i64;
    clock.0.store(two_days - 60_000_000, Ordering::Relaxed);
    let again = server.log_in("ada", &ada.password).await;
    let sessions = async |who: &User| who.get("/me/export").await.expect(200)["sessions"].as_array().unwrap().len();
    assert_eq!(sessions(&again).await, 2, "they are remembered for two days");
    again.post("/logout", json!({})).await.expect(204);
    clock.0.store(20 * two_days, Ordering::Relaxed);
    // Signed when the server's clock says so: good for a day from then. It ends the one of 40 days ago.
    let boss = server.log_in("boss", "password of boss").await;
    clock.0.fetch_add(two_days + 60_000_000, Ordering::Relaxed);
    soon("the old sessions to go", async { while sessions(&boss).await != 1 {} }).await;
    let accounts = boss.get("/admin/users").await.expect(200);
    let seen = |name: &str| {
        let account = accounts.as_array().unwrap().iter().find(|account| account["username"] == name).unwrap();
        account["last_seen_at"].as_str().map(str::to_owned)
    };
    assert!(seen("ada").unwrap() < seen("boss").unwrap());
}

#[actix_web::test]
async fn logging_out_ends_this_session_only() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let other = server.log_in("ada", &ada.password).await;
    ada.raw("POST", "/logout", &[], "").await.expect(204);
    assert_eq!(ada.get("/me").await.refused(401, None)["error"], "invalid token");
    ada.raw("POST", "/logout", &[], "").await.refused(401, None);
    other.get("/me").await.expect(200);
}

#[actix_web::test]
async fn only_a_token_of_ours_for_a_living_session_is_taken() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let good = claims(ada.token().unwrap());
    let anyone = server.anyone();
    anyone.with_token(signed(Algorithm::HS256, SECRET, &good)).get("/me").await.expect(200);
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        claims
    };
    let issued = good["iat"].as_i64().unwrap();
    let forged = [
        signed(Algorithm::HS256, "another secret of thirty-two bytes or more", &good),
        signed(Algorithm::HS512, SECRET, &good),
        signed(Algorithm::HS256, SECRET, &with("exp", json!(issued - 60))),
        signed(Algorithm::HS256, SECRET, &with("exp", json!("9999999999"))),
        signed(Algorithm::HS256, SECRET, &with("sid", json!(NOWHERE))),
        // Ada's session is not Bob's.
        signed(Algorithm::HS256, SECRET, &with("sub", json!(bob.id))),
        signed(Algorithm::HS256, SECRET, &with("sub", json!("ada"))),
        "not.a.token".to_owned(),
        "x".repeat(3000),
    ];
    let payload = ada.token().unwrap().split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
    for token in forged.into_iter().chain([unsigned]) {
        let refused = anyone.with_token(&token).get("/me").await;
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert_eq!(refused.refused(401, None)["error"], "invalid token", "{token}");
    }
    assert_eq!(anyone.get("/me").await.refused(401, None)["error"], "missing token");
    for header in ["Basic YTpi", "Bearer", "x"] {
        let refused = anyone.raw("GET", "/me", &[("authorization", header)], "").await.refused(401, None);
        assert_eq!(refused["error"], "invalid token", "{header}");
    }
    // Where none is needed, none is looked at.
    anyone.with_token("x").get("/health").await.expect(200);
    let body = json!({ "username": "ada", "password": ada.password });
    anyone.with_token("x").post("/login", body).await.expect(200);
}
