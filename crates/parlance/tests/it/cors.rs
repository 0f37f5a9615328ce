//! What scripts of other origins may send, and which parts of answers they may read.

use crate::harness::{Answer, Client, NOWHERE, Server};
use api_actix::document;
use api_actix::http::cors::{EXPOSED, READ};
use api_actix::http::origin::Origins;
use api_actix::limits::{Limit, Rate, Rates};
use api_actix::routes::ROUTES;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wire::PublicUrl;

const PAGE: (&str, &str) = ("origin", "https://app.example.org");

async fn server() -> Server {
    Server::with(|config| config.http.origins = Origins::parse(PAGE.1).unwrap()).await
}

/// The names in a list of headers.
fn names(list: &str) -> BTreeSet<String> {
    list.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

async fn preflight(client: &Client, path: &str, method: &str, header: &str) -> Answer {
    let asks = [PAGE, ("access-control-request-method", method), ("access-control-request-headers", header)];
    client.raw("OPTIONS", path, &asks, "").await
}

#[actix_web::test]
async fn every_header_that_a_route_reads_may_be_sent_to_every_route() {
    let server = server().await;
    for (method, path) in ROUTES {
        let path = path.replace("{path:.*}", "js/main.js").replace("{id}", NOWHERE).replace("{user_id}", NOWHERE);
        for header in READ {
            let answer = preflight(server.anyone(), &path, &method.to_uppercase(), header).await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(PAGE.1)), "{answer}");
            assert!(names(answer.header("access-control-allow-headers").unwrap()).contains(*header), "{answer}");
            assert!(names(answer.header("access-control-allow-methods").unwrap()).contains(*method), "{answer}");
            assert!(answer.header("x-request-id").is_some());
        }
    }
    // A foreign origin gets no CORS headers.
    let foreign = [("origin", "https://evil.example.org"), ("access-control-request-method", "GET")];
    let answer = server.anyone().raw("OPTIONS", "/me", &foreign, "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-headers")), (405, None));
}

#[test]
fn every_header_that_the_document_names_is_in_the_table() {
    let document: Value = serde_json::from_str(&document::text(&PublicUrl::default()).unwrap()).unwrap();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let parameters = operations.filter_map(|operation| operation["parameters"].as_array()).flatten();
    let named: BTreeSet<_> = parameters
        .filter(|parameter| parameter["in"] == "header")
        .map(|parameter| parameter["name"].as_str().unwrap().to_ascii_lowercase())
        .collect();
    assert!(named.contains("if-range") && named.contains("idempotency-key"), "{named:?}");
    for name in ["authorization", "content-type", "if-match", "if-none-match", "x-request-id"] {
        assert!(READ.contains(&name), "{name}");
    }
    assert!(named.iter().all(|name| READ.contains(&name.as_str())), "{named:?}");
}

/// An answer that the page may read all of.
#[track_caller]
fn is_readable(answer: &Answer, status: u16, headers: &[&str]) {
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(PAGE.1)), "{answer}");
    assert_eq!(answer.header("vary"), Some("Origin"), "{answer}");
    let exposed = names(answer.header("access-control-expose-headers").unwrap());
    for name in headers.iter().chain(&["x-request-id"]) {
        assert!(answer.header(name).is_some(), "no {name}: {answer}");
        assert!(exposed.contains(*name), "{name}: {answer}");
    }
}

#[actix_web::test]
async fn what_an_answer_tells_may_be_read_whatever_became_of_the_request() {
    let server = server().await;
    let (ada, _bob) = (server.user("ada").await, server.user("bob").await);
    let part = Part::bytes(b"0123456789".to_vec()).file_name("a.txt");
    let file = ada.form("/upload", Form::new().part("file", part)).await.expect(201);
    let url = file["url"].as_str().unwrap();
    let plain = ada.get(url).await;
    let tag = plain.header("etag").unwrap();
    assert_eq!((plain.header("vary"), plain.header("access-control-allow-origin")), (Some("Origin"), None));
    let packed = [PAGE, ("content-encoding", "gzip")];
    for (method, path, headers, status, told) in [
        ("GET", url, &[PAGE][..], 200, &["etag", "content-disposition", "accept-ranges"][..]),
        ("GET", url, &[PAGE, ("range", "bytes=0-1")], 206, &["etag", "content-range"]),
        ("HEAD", url, &[PAGE], 200, &["etag", "content-disposition", "accept-ranges"]),
        ("GET", url, &[PAGE, ("if-none-match", tag)], 304, &["etag"]),
        ("GET", url, &[PAGE, ("if-match", "\"x\"")], 412, &[]),
        ("GET", url, &[PAGE, ("range", "bytes=99-")], 416, &["content-range"]),
        ("GET", "/users?limit=1", &[PAGE], 200, &["link"]),
        ("GET", "/users?limit=x", &[PAGE], 400, &[]),
        ("GET", "/nowhere", &[PAGE], 404, &[]),
        ("DELETE", "/login", &[PAGE], 405, &["allow"]),
        ("POST", "/messages", &packed, 415, &["accept-encoding"]),
        ("GET", "/ws", &[PAGE], 426, &[]),
    ] {
        let body = if method == "POST" { "{}" } else { "" };
        is_readable(&ada.raw(method, path, headers, body).await, status, told);
    }
    is_readable(&server.anyone().raw("GET", "/me", &[PAGE], "").await, 401, &["www-authenticate"]);
    let docs = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let docs = docs.get(format!("http://{}/docs", ada.address())).header(PAGE.0, PAGE.1).send().await.unwrap();
    assert!(docs.headers().contains_key("location") && EXPOSED.contains(&"location"));
    assert_eq!(docs.headers()["access-control-allow-origin"], PAGE.1);
}

#[actix_web::test]
async fn when_to_come_again_may_be_read() {
    let server = Server::with(|config| {
        config.http.origins = Origins::parse(PAGE.1).unwrap();
        config.http.rates = Rates::off().with(Limit::Sends, Rate::parse("1/h").unwrap());
        config.live.max = 0;
    })
    .await;
    let ada = server.user("ada").await;
    let body = json!({ "receiver_id": ada.id, "content": "x" });
    is_readable(&ada.post_with("/messages", &[PAGE], body.clone()).await, 201, &[]);
    is_readable(&ada.post_with("/messages", &[PAGE], body).await, 429, &["retry-after"]);
    is_readable(&ada.raw("GET", "/events", &[PAGE], "").await, 503, &["retry-after"]);
}
