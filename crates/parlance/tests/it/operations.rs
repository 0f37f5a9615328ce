//! `/health`, `/ready`, the headers of every answer, and unknown routes.

use crate::harness::{NOWHERE, Server};
use serde_json::json;

#[actix_web::test]
async fn the_server_says_that_it_lives_and_is_ready() {
    let server = Server::start().await;
    assert_eq!(server.anyone().get("/health").await.expect(200), json!({ "status": "ok" }));
    assert_eq!(server.anyone().get("/ready").await.expect(200), json!({ "status": "ready" }));
}

#[actix_web::test]
async fn every_answer_carries_the_same_guards_and_an_id() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for answer in [ada.get("/me").await, ada.get("/nowhere").await, server.anyone().post("/login", json!({})).await] {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer}");
        }
    }
    let longest = "A.b_c-9".repeat(9);
    for (given, kept) in [("my.id-1", true), (&*longest, true), (&"x".repeat(65), false), ("a b", false), ("", false)] {
        let answer = ada.raw("GET", "/me", &[("x-request-id", given)], "").await;
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(id == given, kept, "{given}");
        assert!(!id.is_empty());
    }
}

#[actix_web::test]
async fn what_is_no_route_is_told_before_anything_else() {
    let server = Server::start().await;
    let anyone = server.anyone();
    for path in ["/nowhere", "/users/", "/users/a/b", "/messages/x/y/z", "//users", "/me/../me/x", "/%00", "/%ff"] {
        let error = anyone.get(path).await.refused(404, None);
        assert_eq!(error["error"], "no such route", "{path}");
    }
    let groups = format!("/groups/{NOWHERE}");
    for (method, path, allowed) in [
        ("DELETE", "/login", "POST"),
        ("GET", "/signup", "POST"),
        ("PATCH", &groups, "GET, HEAD, PUT, DELETE"),
        ("POST", "/me", "GET, HEAD, PATCH, DELETE"),
        ("BREW", "/users", "POST, GET, HEAD"),
        ("OPTIONS", "/health", "GET, HEAD"),
    ] {
        let answer = anyone.raw(method, path, &[], "").await;
        assert_eq!(answer.header("allow"), Some(allowed), "{answer}");
        answer.refused(405, None);
    }
}

#[actix_web::test]
async fn head_is_answered_wherever_get_is() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for path in ["/health", "/ready", "/me", "/users", "/groups", "/sessions", "/conversations", "/broadcast/history"] {
        let (head, get) = (ada.raw("HEAD", path, &[], "").await, ada.get(path).await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
    let missing = ada.raw("HEAD", &format!("/users/{NOWHERE}"), &[], "").await;
    assert_eq!((missing.status, missing.body.len()), (404, 0));
}

#[actix_web::test]
async fn the_server_describes_itself_to_anybody() {
    let server = Server::with(|config| config.http.max_file_bytes = 1_234).await;
    let described = server.anyone().with_token("x").get("/server").await.expect(200);
    let expected = json!({
        "name": "parlance", "version": env!("CARGO_PKG_VERSION"),
        "limits": { "content": 4096, "file_bytes": 1_234 },
        "features": described["features"],
        "login": { "password": true, "sign_up": true },
    });
    assert_eq!(described, expected);
    assert!(described["features"].is_array());
}
