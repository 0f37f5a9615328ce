//! Upgrade requests: the server ignores an unsupported one and keeps the connection.

use super::raw::Raw;
use crate::harness::Server;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

/// Offers of clients: Java's and curl's first.
const OFFERS: &[&str] = &[
    "connection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\n",
    "connection: upgrade\nupgrade: TLS/1.0\n",
    "connection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n",
    "connection: keep-alive, Upgrade\nupgrade: IRC/6.9, websocket\n",
    "connection: upgrade\n",
    "connection: upgrade\nupgrade: \n",
    "upgrade: websocket\n",
    "upgrade: anything\nupgrade: websocket\nconnection: upgrade\n",
];

/// Requests that take none of them, and what they are answered.
const REQUESTS: &[(&str, &str, &str, u16)] = &[
    ("GET", "/health", "", 200),
    ("HEAD", "/health", "", 200),
    ("GET", "/me", "", 401),
    ("GET", "/events", "", 401),
    ("GET", "/nowhere", "", 404),
    ("GET", "/health", "{}", 200),
    ("POST", "/health", "", 405),
    ("POST", "/health", "{}", 405),
    ("POST", "/ws", "", 405),
    ("POST", "/login", r#"{"username":"ada","password":"12345678"}"#, 200),
    ("POST", "/login", r#"{"username":"ada","password":"wrong one"}"#, 401),
    ("POST", "/login", "{", 400),
    ("PUT", "/nowhere", "{}", 404),
    ("DELETE", "/me", "{}", 401),
    ("OPTIONS", "/me", "", 405),
    ("BREW", "/me", "tea", 405),
];

#[actix_web::test]
async fn one_that_is_not_taken_is_ignored_and_the_connection_kept() {
    let server = Server::start().await;
    let ada = json!({ "username": "ada", "password": "12345678", "email": "ada@example.org" });
    server.anyone().post("/signup", ada).await.expect(201);
    let mut connection = Raw::to(server.anyone()).await;
    for offer in OFFERS {
        for (method, path, body, status) in REQUESTS {
            let length = body.len();
            for framed in [
                format!("content-length: {length}\n\n{body}"),
                format!("transfer-encoding: chunked\n\n{length:x}\n{body}\n0\n\n"),
            ] {
                let framed = if body.is_empty() { "\n" } else { &framed };
                let answer = connection.ask(&format!("{method} {path} HTTP/1.1\nhost: x\n{offer}{framed}")).await;
                assert_eq!(answer.status, *status, "{method} {path} {offer} {answer:?}");
                assert_eq!(answer.header("connection"), None, "{method} {path} {offer}");
            }
        }
    }
    connection.is_kept().await;
}

#[actix_web::test]
async fn http_1_0_and_close_are_still_heard() {
    let server = Server::start().await;
    for request in [
        "GET /health HTTP/1.1\nhost: x\nconnection: upgrade, close\nupgrade: h2c\n\n",
        "GET /health HTTP/1.0\nconnection: upgrade\nupgrade: h2c\n\n",
    ] {
        let mut connection = Raw::to(server.anyone()).await;
        assert_eq!(connection.ask(request).await.status, 200);
        connection.is_closed().await;
    }
    let mut connection = Raw::to(server.anyone()).await;
    let kept = "GET /health HTTP/1.0\nconnection: upgrade, keep-alive\nupgrade: h2c\n\n";
    assert_eq!(connection.ask(kept).await.status, 200);
    connection.is_kept().await;
}

#[actix_web::test]
async fn a_socket_that_is_not_asked_for_rightly_is_426_before_all_else_and_the_connection_kept() {
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n";
    for asked in [
        "",
        "connection: upgrade\n",
        "upgrade: websocket\nsec-websocket-version: 13\n",
        "connection: upgrade\nupgrade: h2c\nhttp2-settings: AAMAAABk\n",
        "connection: upgrade\nupgrade: TLS/1.0\nsec-websocket-version: 13\n",
        "connection: upgrade\nupgrade: websocket\n",
        "connection: upgrade\nupgrade: websocket\nsec-websocket-version: 8\n",
        "connection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\ncontent-length: 2\n",
    ] {
        for others in ["", "origin: https://evil.example.org\n", "authorization: Bearer x.y.z\n"] {
            let body = if asked.contains("content-length") { "{}" } else { "" };
            let request = format!("GET /ws?since=%ff HTTP/1.1\nhost: x\n{key}{asked}{others}\n{body}");
            let answer = connection.ask(&request).await;
            assert_eq!((answer.status, answer.code()), (426, "upgrade_required".to_owned()), "{request}");
            assert_eq!(answer.header("upgrade"), Some("websocket"));
            assert_ne!(answer.header("connection"), Some("close"));
        }
    }
    assert_eq!(connection.ask("HEAD /ws HTTP/1.1\nhost: x\n\n").await.status, 426);
    connection.is_kept().await;
}

#[actix_web::test]
async fn a_socket_that_is_refused_leaves_the_connection_and_another_may_be_taken() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let token = ada.token().unwrap();
    let mut connection = Raw::to(&ada).await;
    let asked = |more: &str| {
        format!(
            "GET /ws HTTP/1.1\nhost: x\nconnection: Upgrade\nupgrade: WebSocket\nsec-websocket-version: 13\n{more}\n"
        )
    };
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\n";
    let bearer = format!("authorization: Bearer {token}\n");
    for (more, status) in [
        (key.to_owned(), 401),
        (format!("{key}authorization: Bearer x.y.z\n"), 401),
        (format!("{key}{bearer}origin: https://evil.example.org\n"), 403),
        (bearer.clone(), 400),
        (format!("{bearer}sec-websocket-key: short\n"), 400),
    ] {
        let answer = connection.ask(&asked(&more)).await;
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{more}");
        // Sent before the answer is known, too.
        connection.send(&format!("{}GET /health HTTP/1.1\nhost: x\n\n", asked(&more))).await;
        assert_eq!(connection.answer().await.status, status, "{more}");
        assert_eq!(connection.answer().await.status, 200, "{more}");
    }
    let answer = connection.ask(&asked(&format!("{key}{bearer}"))).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.header("transfer-encoding"), None);
    let start = connection.bytes(2).await;
    assert_eq!(start[0], 0x81, "a text");
}

#[actix_web::test]
async fn requests_that_follow_at_once_are_answered_in_order() {
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    let mut all = String::new();
    for offer in OFFERS {
        all += &format!("POST /login HTTP/1.1\nhost: x\n{offer}content-length: 1\n\n{{");
        all += &format!("GET /health HTTP/1.1\nhost: x\n{offer}\n");
    }
    connection.send(&all).await;
    for _ in OFFERS {
        assert_eq!(connection.answer().await.status, 400);
        assert_eq!(connection.answer().await.status, 200);
    }
    connection.is_kept().await;
}

#[actix_web::test]
async fn curl_that_offers_http_2_is_answered_and_keeps_its_connection() {
    let knows = std::process::Command::new("curl").arg("--version").output();
    if !knows.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("HTTP2")) {
        eprintln!("LEFT OUT: there is no curl that speaks HTTP/2");
        return;
    }
    let server = Server::start().await;
    let url = format!("http://{}", server.anyone().address());
    let answers = std::process::Command::new("curl")
        .args(["--silent", "--http2", "--noproxy", "*", "--write-out", "%{http_code} %{num_connects}\\n"])
        .args(["--output", "/dev/null", "--data", "{}", &format!("{url}/login")])
        .args(["--output", "/dev/null", &format!("{url}/signup"), "--output", "/dev/null", &format!("{url}/login")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&answers.stdout).into_owned();
    assert_eq!(told, "400 1\n400 0\n400 0\n", "{}", String::from_utf8_lossy(&answers.stderr));
}

/// A text frame as clients send it. A mask of zeros leaves the text as it is.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[actix_web::test]
async fn frames_that_come_with_the_handshake_are_answered() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ada.token().unwrap()
    );
    let frames: Vec<_> = (0..5).map(|n| frame(&format!(r#"{{"op":"seen","ref":{n},"data":{{}}}}"#))).collect();
    let all = [handshake.as_bytes(), &frames.concat(), &frame(r#"{"op":"ping"}"#)].concat();
    // All at once; and the last frame cut anywhere: what is left of it comes later.
    for cut in [all.len(), all.len() - 1, all.len() - 12, all.len() - 18, handshake.len() + 1, handshake.len()] {
        let mut connection = Raw::to(server.anyone()).await;
        let (first, rest) = all.split_at(cut);
        connection.stream.write_all(first).await.unwrap();
        assert_eq!(connection.answer().await.status, 101, "{cut}");
        let hello = connection.server_frame().await;
        assert_eq!(hello["event"], "hello", "{cut}: {hello}");
        connection.stream.write_all(rest).await.unwrap();
        for n in 0..5 {
            let reply = connection.server_frame().await;
            assert_eq!((&reply["event"], &reply["ref"]), (&json!("reply"), &json!(n)), "{cut}: {reply}");
        }
        assert_eq!(connection.server_frame().await["event"], "pong", "{cut}");
    }
}
