//! Every route with every kind of bad input: the right 4xx in the common shape, and never a 5xx.

use crate::harness::{Answer, Client, NOWHERE, Server};
use serde_json::{Map, Value, json};

/// The access that a route needs.
#[derive(Clone, Copy, PartialEq)]
enum Access {
    Anonymous,
    Token,
}
use Access::{Anonymous, Token};

/// What a route takes.
enum Takes {
    /// A JSON object with these text fields.
    Json(&'static [&'static str]),
    /// A query with these parameters.
    Query(&'static [&'static str]),
    /// A multipart form.
    Form,
}
use Takes::{Form, Json, Query};

/// Every route there is; `{id}` and `{user_id}` are ids, `{emoji}` is one.
const ROUTES: &[(&str, &str, Access, Takes)] = &[
    ("POST", "/signup", Anonymous, Json(&["username", "password", "email"])),
    ("POST", "/login", Anonymous, Json(&["username", "password"])),
    ("POST", "/token", Anonymous, Json(&["refresh_token"])),
    ("POST", "/logout", Token, Query(&[])),
    ("GET", "/sessions", Token, Query(&[])),
    ("DELETE", "/sessions/{id}", Token, Query(&[])),
    ("POST", "/tokens", Token, Json(&["name"])),
    ("GET", "/tokens", Token, Query(&[])),
    ("DELETE", "/tokens/{id}", Token, Query(&[])),
    ("POST", "/users", Anonymous, Json(&["username", "password", "email"])),
    ("GET", "/users", Token, Query(&["q", "after", "limit"])),
    ("GET", "/users/{id}", Token, Query(&[])),
    ("GET", "/me", Token, Query(&[])),
    ("PATCH", "/me", Token, Json(&["email", "display_name", "password", "current_password"])),
    ("DELETE", "/me", Token, Json(&["current_password"])),
    ("GET", "/me/export", Token, Query(&[])),
    ("POST", "/groups", Token, Json(&["name", "visibility", "description", "requester_id"])),
    ("GET", "/groups", Token, Query(&["q", "after", "limit", "requester_id"])),
    ("GET", "/groups/{id}", Token, Query(&["requester_id"])),
    ("PUT", "/groups/{id}", Token, Json(&["name", "visibility", "description", "requester_id"])),
    ("DELETE", "/groups/{id}", Token, Json(&["requester_id"])),
    ("POST", "/groups/{id}/members", Token, Json(&["user_id", "role", "requester_id"])),
    ("GET", "/groups/{id}/members", Token, Query(&["after", "limit", "requester_id"])),
    ("PATCH", "/groups/{id}/members/{user_id}", Token, Json(&["role", "requester_id"])),
    ("DELETE", "/groups/{id}/members/{user_id}", Token, Json(&["requester_id"])),
    ("POST", "/groups/{id}/leave", Token, Json(&["user_id", "requester_id"])),
    (
        "POST",
        "/messages",
        Token,
        Json(&[
            "receiver_id",
            "group_id",
            "type",
            "content",
            "file_id",
            "reply_to",
            "thread_id",
            "forward",
            "client_id",
            "sender_id",
        ]),
    ),
    (
        "GET",
        "/messages",
        Token,
        Query(&["receiver_id", "group_id", "limit", "offset", "before", "after", "around", "threads", "sender_id"]),
    ),
    ("POST", "/messages/upload", Token, Form),
    ("GET", "/messages/unseen/{user_id}", Token, Query(&["sender_id"])),
    ("GET", "/messages/{id}", Token, Query(&["sender_id"])),
    ("PUT", "/messages/{id}", Token, Json(&["content", "sender_id"])),
    ("DELETE", "/messages/{id}", Token, Json(&["sender_id"])),
    ("POST", "/messages/{id}/seen", Token, Json(&["user_id", "sender_id"])),
    ("GET", "/messages/{id}/seen", Token, Query(&["after", "limit", "sender_id"])),
    ("GET", "/messages/{id}/reactions", Token, Query(&["emoji", "after", "limit", "sender_id"])),
    ("PUT", "/messages/{id}/reactions/{emoji}", Token, Query(&["sender_id"])),
    ("DELETE", "/messages/{id}/reactions/{emoji}", Token, Query(&["sender_id"])),
    ("PUT", "/messages/{id}/pin", Token, Query(&["sender_id"])),
    ("DELETE", "/messages/{id}/pin", Token, Query(&["sender_id"])),
    ("GET", "/messages/{id}/thread", Token, Query(&["before", "after", "limit", "sender_id"])),
    ("GET", "/messages/{id}/edits", Token, Query(&["sender_id"])),
    ("GET", "/conversations/{id}/pins", Token, Query(&["before", "limit"])),
    (
        "GET",
        "/search",
        Token,
        Query(&["q", "sender_id", "receiver_id", "group_id", "has", "since", "until", "limit", "before"]),
    ),
    ("GET", "/mentions", Token, Query(&["before", "limit"])),
    ("GET", "/conversations", Token, Query(&["limit", "before", "user_id", "archived", "unseen"])),
    ("POST", "/conversations", Token, Json(&["user_id"])),
    ("POST", "/conversations/{id}/read", Token, Json(&["up_to"])),
    ("POST", "/conversations/{id}/unread", Token, Json(&["from"])),
    ("PATCH", "/conversations/{id}/settings", Token, Json(&["muted_until", "notify"])),
    ("PUT", "/conversations/{id}/draft", Token, Json(&["content", "reply_to", "thread_id"])),
    ("DELETE", "/conversations/{id}/draft", Token, Query(&[])),
    ("GET", "/conversations/{id}/changes", Token, Query(&["after", "limit"])),
    ("GET", "/conversations/{id}/digest", Token, Query(&["from", "to"])),
    ("POST", "/dm/send", Token, Json(&["to", "content"])),
    ("GET", "/dm/history", Token, Query(&["user", "limit", "before"])),
    ("POST", "/group/create", Token, Json(&["group"])),
    ("POST", "/group/send", Token, Json(&["group", "content"])),
    ("GET", "/group/history", Token, Query(&["group", "limit", "before"])),
    ("POST", "/broadcast/send", Token, Json(&["content"])),
    ("GET", "/broadcast/history", Token, Query(&["limit", "before"])),
    ("POST", "/upload", Token, Form),
    ("GET", "/uploads/{id}/{name}", Token, Query(&[])),
    ("GET", "/admin/users", Token, Query(&["q", "after", "limit"])),
    ("POST", "/admin/users/{id}/disable", Token, Query(&[])),
    ("POST", "/admin/users/{id}/enable", Token, Query(&[])),
    ("DELETE", "/admin/users/{id}/sessions", Token, Query(&[])),
    ("DELETE", "/admin/groups/{id}", Token, Query(&[])),
    ("GET", "/admin/audit", Token, Query(&["before", "limit"])),
    ("GET", "/health", Anonymous, Query(&[])),
    ("GET", "/ready", Anonymous, Query(&[])),
    ("GET", "/server", Anonymous, Query(&[])),
];

/// The path with ids that name nothing.
fn filled(path: &str) -> String {
    path.replace("{id}", NOWHERE)
        .replace("{user_id}", NOWHERE)
        .replace("{name}", "x.txt")
        .replace("{emoji}", "%F0%9F%91%8D")
}

async fn ask(client: &Client, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
    let answer = client.raw(method, path, headers, body).await;
    assert!(answer.status < 500, "{answer}");
    answer
}

/// Routes that look at no input, or have tests of their own for it.
const ELSEWHERE: &[&str] =
    &["/", "/assets/{path:.*}", "/docs", "/docs/", "/docs/{file}", "/openapi.json", "/metrics", "/ws", "/events"];

#[test]
fn the_table_knows_every_route() {
    for (method, path) in api_actix::routes::ROUTES {
        let known = ROUTES.iter().any(|route| (route.0.to_lowercase().as_str(), route.1) == (*method, *path));
        assert_ne!(known, ELSEWHERE.contains(path), "{method} {path}");
    }
}

#[actix_web::test]
async fn the_token_comes_before_the_form_and_the_route_before_the_token() {
    let server = Server::start().await;
    let anyone = server.anyone();
    for (method, path, door, takes) in ROUTES {
        let path = filled(path);
        if *door == Token {
            for (client, told) in [(anyone.clone(), "missing token"), (anyone.with_token("x.y.z"), "invalid token")] {
                for path in [&path, &path.replace(NOWHERE, "x"), &format!("{path}?limit=x&limit=%ff")] {
                    let refused = ask(&client, method, path, &[], "{").await.refused(401, None);
                    assert_eq!(refused["error"], told, "{method} {path}");
                }
            }
        }
        for unknown in ["BREW", "OPTIONS", "TRACE"] {
            ask(anyone, unknown, &path, &[], "").await.refused(405, None);
        }
        if matches!(takes, Json(_)) {
            ask(anyone, method, &format!("/nowhere{path}"), &[], "{").await.refused(404, None);
        }
    }
}

#[actix_web::test]
async fn a_malformed_id_in_the_path_is_named() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (method, path, ..) in ROUTES {
        for name in ["id", "user_id"] {
            let place = format!("{{{name}}}");
            if !path.contains(&place) {
                continue;
            }
            let longer = format!("{NOWHERE}0");
            for bad in ["x", "0", "-1", "%20", "%00", "%ff", "%F0%9F%99%82", "null", "..%2f", &longer, "'%20OR%20''='"]
            {
                let path = filled(&path.replace(&place, bad));
                // A body that is fine for every route that takes one.
                let body = json!({ "content": "x", "role": "member", "up_to": NOWHERE });
                let body = if path.ends_with("/members") { json!({ "user_id": NOWHERE }) } else { body };
                ask(&ada, method, &path, &[], body.to_string()).await.refused(400, Some(name));
            }
        }
    }
}

#[actix_web::test]
async fn a_malformed_body_is_refused_and_its_field_named() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (method, path, _, takes) in ROUTES {
        let Json(fields) = takes else { continue };
        let path = filled(path);
        for broken in [
            &b"{"[..],
            b"[]",
            b"null",
            b"\"x\"",
            b"5",
            b"{\"a\":}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{} {}",
            b"\xff",
            b"\xef\xbb\xbf{}",
            b"{\"a\xff\":1}",
            b"{\"\\u0000\":1}",
            b"a=b&c=d",
        ] {
            ask(&ada, method, &path, &[], broken).await.refused(400, None);
        }
        let deep = format!("{{\"a\":{}", "[".repeat(60_000));
        ask(&ada, method, &path, &[], deep).await.refused(400, None);
        let large = json!({ fields[0]: "x".repeat(64 * 1024) }).to_string();
        ask(&ada, method, &path, &[], large).await.refused(413, None);
        let form = [("content-type", "Multipart/Form-Data; boundary=x")];
        ask(&ada, method, &path, &form, "--x--").await.refused(415, None);

        for field in *fields {
            for wrong in [json!(5), json!(true), json!(["x"]), json!({ "x": 1 }), json!(1e300)] {
                let body = json!({ *field: wrong }).to_string();
                ask(&ada, method, &path, &[], body).await.refused(400, Some(field));
            }
            for (before, after) in [("a", ""), ("", "a"), ("", "")] {
                for bad in [&b"\\u0000"[..], b"\0", b"\xff", b"\xc3", b"\\ud800", b"\xed\xa0\x80"] {
                    let body = [format!("{{\"{field}\":\"{before}").as_bytes(), bad, after.as_bytes(), b"\"}"].concat();
                    ask(&ada, method, &path, &[], body).await.refused(400, Some(field));
                }
            }
            let twice = format!("{{\"{field}\":\"a\",\"{field}\":\"b\"}}");
            ask(&ada, method, &path, &[], twice).await.refused(400, Some(field));
        }
        // Unknown fields may contain anything except broken text.
        let unknown = format!("{{\"x\":{{\"y\":[\"\\u0000\"]}},\"{}\":null}}", fields[0]);
        ask(&ada, method, &path, &[], unknown).await.refused(400, Some("x.y[0]"));
        // The server therefore ignores them, also beside a text that needs a closer look.
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let harmless = format!(r#"{{"x":1e999,"y":"\ud83d\ude42 \\u0000","z":{{"x":{deep},"y":[-1E-999]}}}}"#);
        let answers = (ask(&ada, method, &path, &[], harmless).await, ask(&ada, method, &path, &[], "{}").await);
        assert_eq!((answers.0.status, &answers.0.body), (answers.1.status, &answers.1.body), "{}", answers.0);
    }
}

#[actix_web::test]
async fn a_packed_body_is_refused_by_every_route() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let form = ("content-type", "multipart/form-data; boundary=x");
    let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc\r\n--x--\r\n";
    for (method, path, door, takes) in ROUTES {
        if path.starts_with("/health") || path.starts_with("/ready") {
            continue;
        }
        let path = filled(path);
        let (kind, body) = if matches!(takes, Form) { (form, file) } else { (("accept", "*/*"), "{}") };
        for coding in [
            "gzip",
            "GZip",
            "br",
            "deflate",
            "x-gzip",
            "nonsense",
            "identity, gzip",
            "gzip, identity",
            " ,gzip",
            "\"\"",
        ] {
            let headers = [kind, ("content-encoding", coding)];
            let answer = ask(&ada, method, &path, &headers, body).await;
            assert_eq!(answer.header("accept-encoding"), Some("identity"), "{answer}");
            answer.refused(415, None);
        }
        let twice = [kind, ("content-encoding", "identity"), ("content-encoding", "gzip")];
        ask(&ada, method, &path, &twice, body).await.refused(415, None);
        // Whether it has a token is asked first; without a body there is nothing that could be packed.
        let gzip = [kind, ("content-encoding", "gzip")];
        if *door == Token {
            ask(server.anyone(), method, &path, &gzip, body).await.refused(401, None);
        }
        if *method == "GET" {
            assert_ne!(ask(&ada, method, &path, &gzip, "").await.status, 415, "{path}");
        }
        // A session of its own, since one of the routes ends it.
        let ada = server.log_in("ada", &ada.password).await;
        for plain in ["identity", "Identity", "", "identity, IDENTITY", " , "] {
            let headers = [kind, ("content-encoding", plain)];
            if path != "/me" || *method != "DELETE" {
                assert_ne!(ask(&ada, method, &path, &headers, body).await.status, 415, "{method} {path} {plain}");
            }
        }
    }
}

#[actix_web::test]
async fn a_malformed_query_is_refused_and_its_parameter_named() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let group = ada.group("ours", "private").await;
    let good: Map<String, Value> = [("user", "ada"), ("group", "ours"), ("group_id", &*group), ("q", "words")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    for (method, path, _, takes) in ROUTES {
        let Query(parameters) = takes else { continue };
        let path = path.replace("{id}", &group).replace("{user_id}", &ada.id).replace("{name}", "x");
        let path = path.replace("{emoji}", "%F0%9F%91%8D");
        // What the route needs besides, so that only the one parameter is at fault.
        let besides = |but: &str| {
            let needed = parameters.iter().filter(|name| **name != but && good.contains_key(**name));
            needed.map(|name| format!("&{name}={}", good[*name].as_str().unwrap())).collect::<String>()
        };
        for parameter in *parameters {
            for bad in ["%ff", "a%00b", "%C3%28", "%ed%a0%80"] {
                let path = format!("{path}?{parameter}={bad}{}", besides(parameter));
                ask(&ada, method, &path, &[], "").await.refused(400, Some(parameter));
            }
            let twice = format!("{path}?{parameter}=1&{parameter}=1{}", besides(parameter));
            ask(&ada, method, &twice, &[], "").await.refused(400, Some(parameter));
            let bad: &[&str] = match *parameter {
                "limit" => &["", "0", "-1", "+1", "x", "1e2", "1.0", "0x10", "18446744073709551616", "201000"],
                "offset" => &["-1", "x", "18446744073709551616"],
                "before" | "after" | "user_id" | "receiver_id" | "sender_id" | "requester_id" => {
                    &["x", "1.5", "%20", "-1"]
                }
                _ => &[],
            };
            for bad in bad {
                let besides = if *parameter == "receiver_id" { String::new() } else { besides(parameter) };
                ask(&ada, method, &format!("{path}?{parameter}={bad}{besides}"), &[], "")
                    .await
                    .refused(400, Some(parameter));
            }
        }
        // The server ignores unknown parameters. The test uses its own session, because one of the routes ends it.
        let ada = server.log_in("ada", &ada.password).await;
        assert!(ask(&ada, method, &format!("{path}?&&=&unknown=%zz{}", besides("")), &[], "").await.status != 400);
    }
}

#[actix_web::test]
async fn a_malformed_upload_is_refused() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let form = [("content-type", "multipart/form-data; boundary=x")];
    for (method, path, _, takes) in ROUTES {
        if !matches!(takes, Form) {
            continue;
        }
        for body in [
            &b""[..],
            b"x",
            b"--x--\r\n",
            b"--x\r\n\r\n\r\n--x--\r\n",
            b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n",
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc",
            b"--x\r\nContent-Disposition: nonsense\r\n\r\nabc\r\n--x--\r\n",
            b"--x\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nabc\r\n--x--\r\n",
        ] {
            ask(&ada, method, path, &form, body).await.refused(400, None);
        }
        for content_type in ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", "text/plain"] {
            let answer = ask(&ada, method, path, &[("content-type", content_type)], "{}").await;
            assert!(matches!(answer.status, 400 | 415), "{answer}");
            let status = answer.status;
            answer.refused(status, None);
        }
    }
}
