//! Which clients may connect, and how.

use super::client::{Socket, refusal, request};
use crate::harness::Server;
use api_actix::limits::{Limit, Rate, Rates};
use serde_json::json;

#[actix_web::test]
async fn without_an_upgrade_nothing_else_is_looked_at() {
    let server = Server::start().await;
    let anyone = server.anyone();
    let foreign = [("origin", "https://evil.example.org")];
    for headers in [&[][..], &foreign] {
        let answer = anyone.raw("GET", "/ws", headers, "").await;
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(answer.status, 426);
        assert_eq!(answer.json()["code"], "upgrade_required");
    }
    anyone.raw("POST", "/ws", &[], "").await.refused(405, None);
}

#[actix_web::test]
async fn another_version_of_the_protocol_is_refused() {
    let server = Server::start().await;
    let mut other = request(server.anyone(), "/ws", &[]);
    other.headers_mut().insert("sec-websocket-version", "8".parse().unwrap());
    let (status, error) = refusal(other).await;
    assert_eq!((status, &error["code"]), (426, &json!("upgrade_required")));
}

#[actix_web::test]
async fn pages_of_other_origins_are_refused_before_the_token_is_looked_at() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let bearer = format!("Bearer {}", ada.token().unwrap());
    for origin in ["https://evil.example.org", "null", "http://127.0.0.1:1"] {
        for headers in [&[("origin", origin)][..], &[("origin", origin), ("authorization", &bearer)]] {
            let (status, error) = refusal(request(&ada, "/ws", headers)).await;
            assert_eq!((status, &error["code"]), (403, &json!("forbidden")), "{origin}");
        }
        ada.raw("GET", "/events", &[("origin", origin)], "").await.refused(403, None);
    }
    let own = format!("http://{}", ada.address());
    let socket = Socket::connect(request(&ada, "/ws", &[("origin", &own), ("authorization", &bearer)])).await;
    assert_eq!(socket.hello["data"]["user_id"], json!(ada.id));
}

#[actix_web::test]
async fn pages_of_allowed_origins_use_everything() {
    use api_actix::http::origin::Origins;
    let server = Server::with(|config| config.http.origins = Origins::parse("https://app.example.org").unwrap()).await;
    let ada = server.user("ada").await;
    let bearer = format!("Bearer {}", ada.token().unwrap());
    let page = ("origin", "https://app.example.org");
    let socket = Socket::connect(request(&ada, "/ws", &[page, ("authorization", &bearer)])).await;
    assert_eq!(socket.hello["data"]["user_id"], json!(ada.id));
    let asked = [page, ("access-control-request-method", "PATCH"), ("access-control-request-headers", "authorization")];
    let answer = server.anyone().raw("OPTIONS", "/me", &asked, "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(page.1)));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    for (path, status) in [("/me", 200), ("/nowhere", 404)] {
        let answer = ada.raw("GET", path, &[page], "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(page.1)));
        assert_eq!(answer.header("vary"), Some("Origin"));
        // Others are told nothing, and their browsers keep the answer from them.
        let answer = ada.raw("GET", path, &[("origin", "https://evil.example.org")], "").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, None));
    }
}

#[actix_web::test]
async fn who_has_no_good_token_is_refused() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (status, error) = refusal(request(&ada, "/ws", &[])).await;
    assert_eq!((status, &error["error"]), (401, &json!("missing token")));
    ada.post("/logout", json!({})).await.expect(204);
    let ended = ada.token().unwrap();
    let offered = format!("parlance.v1, bearer.{ended}");
    for headers in [
        &[("authorization", "Bearer x.y.z")][..],
        &[("authorization", &format!("Bearer {ended}"))],
        &[("sec-websocket-protocol", "parlance.v1, bearer.x")],
        &[("sec-websocket-protocol", &offered)],
    ] {
        let (status, error) = refusal(request(&ada, "/ws", headers)).await;
        assert_eq!((status, &error["error"]), (401, &json!("invalid token")), "{headers:?}");
    }
    server.anyone().get("/events").await.refused(401, None);
}

#[actix_web::test]
async fn the_token_may_come_as_a_subprotocol() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let token = ada.token().unwrap();
    for offered in [format!("parlance.v1, bearer.{token}"), format!("bearer.{token},parlance.v1,other")] {
        let socket = Socket::connect(request(&ada, "/ws", &[("sec-websocket-protocol", &offered)])).await;
        assert_eq!(socket.response.headers()["sec-websocket-protocol"], "parlance.v1");
        assert_eq!(socket.hello["data"]["user_id"], json!(ada.id));
    }
    // Who offers none is answered none.
    let socket = Socket::open(&ada).await;
    assert!(!socket.response.headers().contains_key("sec-websocket-protocol"));
    assert_eq!(socket.hello["data"], json!({ "user_id": ada.id, "heartbeat_seconds": 25 }));
}

#[actix_web::test]
async fn a_malformed_query_or_key_is_refused_after_the_token() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let bearer = format!("Bearer {}", ada.token().unwrap());
    let signed = [("authorization", bearer.as_str())];
    let (status, error) = refusal(request(&ada, "/ws?since=%ff", &signed)).await;
    assert_eq!((status, &error["field"]), (400, &json!("since")));
    let mut bad_key = request(&ada, "/ws", &signed);
    bad_key.headers_mut().insert("sec-websocket-key", "short".parse().unwrap());
    assert_eq!(refusal(bad_key).await.0, 400);
}

#[actix_web::test]
async fn a_user_has_so_many_connections_at_the_most() {
    let server = Server::with(|config| config.live.max_per_user = 2).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (mut one, _two) = (Socket::open(&ada).await, Socket::open(&ada).await);
    let bearer = format!("Bearer {}", ada.token().unwrap());
    let signed = [("authorization", bearer.as_str())];
    let (status, error) = refusal(request(&ada, "/ws", &signed)).await;
    assert_eq!((status, &error["code"]), (429, &json!("rate_limited")));
    let answer = ada.get("/events").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("30")));
    let _others = Socket::open(&bob).await;
    // One that was closed counts no more.
    one.send_message(tokio_tungstenite::tungstenite::Message::Close(None)).await.unwrap();
    one.drained().await;
    drop(one);
    Socket::open_when_there_is_room(&ada).await;
}

#[actix_web::test]
async fn connecting_has_a_limit_of_its_own_for_both_kinds() {
    let server = Server::with(|config| {
        config.http.rates = Rates::off().with(Limit::Connects, Rate::parse("2/h").unwrap());
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    drop(Socket::open(&ada).await);
    assert_eq!(ada.request(reqwest::Method::GET, "/events").send().await.unwrap().status(), 200);
    ada.get("/events").await.refused(429, None);
    // Others, and other requests, are as they were.
    drop(Socket::open(&bob).await);
    ada.get("/me").await.expect(200);
}
