//! Secrets and texts that must never appear in a log, searched for in the most verbose log of everything that a server
//! does.

use crate::harness::{Process, User};
use crate::live::client::{Socket, refusal, request};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const PASSWORD: &str = "canary-password-1";
const WRONG: &str = "canary-wrong-password";
const NEW: &str = "canary-new-password";
const SECRET: &str = "canary-secret-of-thirty-two-bytes-or-more";
const BODY: &str = "canary-message-body";
const FILE_NAME: &str = "canary \u{1f426} file name.txt";
const FILE_BYTES: &str = "canary-file-bytes";
const EMAIL: &str = "canary-email@example.org";
const QUERY: &str = "canary-query";
const BAD_TOKEN: &str = "canary-bad-token";

/// A server that logs everything, and what it was asked: the ids of requests and the tokens.
struct Cage {
    process: Process,
    asked: Vec<(String, u16)>,
    tokens: Vec<String>,
    refresh_tokens: Vec<String>,
}

impl Cage {
    async fn ask(
        &mut self,
        who: Option<&User>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Value {
        let id = format!("request-{}", self.asked.len());
        let client = who.map_or(&self.process.client, |user| user);
        let headers: Vec<_> = [("x-request-id", &*id)].into_iter().chain(headers.iter().copied()).collect();
        let answer = client.raw(method, path, &headers, body).await;
        self.asked.push((id, answer.status));
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    async fn user(&mut self, name: &str, email: &str) -> User {
        let body = json!({ "username": name, "password": PASSWORD, "email": email }).to_string();
        self.ask(None, "POST", "/signup", &[], &body).await;
        let login = self.ask(None, "POST", "/login", &[], &body).await;
        let user = User::new(&self.process.client, &login, PASSWORD);
        self.tokens.push(user.token().unwrap().to_owned());
        // Spent, answered again, spent, and reused; its tag is what makes it a token.
        let mut spent = vec![login["refresh_token"].as_str().unwrap().to_owned()];
        for again in [false, true, false] {
            let presented = if again { &spent[0] } else { &spent[spent.len() - 1] };
            let body = json!({ "refresh_token": presented }).to_string();
            let answer = self.ask(None, "POST", "/token", &[], &body).await;
            spent.push(answer["refresh_token"].as_str().unwrap().to_owned());
            self.tokens.push(answer["token"].as_str().unwrap().to_owned());
        }
        self.ask(None, "POST", "/token", &[], &format!("{{\"refresh_token\":\"{}", spent[0])).await;
        let other = self.ask(None, "POST", "/login", &[], &body).await;
        let other = other["refresh_token"].as_str().unwrap().to_owned();
        for _ in 0..2 {
            let body = json!({ "refresh_token": &other }).to_string();
            let answer = self.ask(None, "POST", "/token", &[], &body).await;
            let body = json!({ "refresh_token": answer["refresh_token"] }).to_string();
            self.ask(None, "POST", "/token", &[], &body).await;
        }
        self.refresh_tokens.extend(spent.into_iter().chain([other]));
        user
    }
}

/// Does a bit of everything, what fails too.
async fn sing(cage: &mut Cage) {
    let (ada, bob) = (cage.user("ada", EMAIL).await, cage.user("bob", "bob@example.org").await);
    for (method, path, body) in [
        ("POST", "/signup".to_owned(), json!({ "username": "ada", "password": PASSWORD, "email": EMAIL }).to_string()),
        ("POST", "/signup".to_owned(), json!({ "username": "eve", "password": PASSWORD, "email": EMAIL }).to_string()),
        ("POST", "/login".to_owned(), json!({ "username": "ada", "password": WRONG }).to_string()),
        ("POST", "/login".to_owned(), format!("{{\"username\":\"ada\",\"password\":\"{WRONG}")),
        ("POST", "/login".to_owned(), json!({ "username": "ada", "password": [WRONG] }).to_string()),
        ("GET", format!("/users?q={QUERY}&limit={QUERY}"), String::new()),
        ("GET", format!("/nowhere/{QUERY}?{QUERY}"), String::new()),
        ("BREW", format!("/users?{QUERY}"), String::new()),
    ] {
        cage.ask(None, method, &path, &[], &body).await;
    }
    let bearer = format!("Bearer {BAD_TOKEN}");
    for header in [&*bearer, "Basic Y2FuYXJ5LWJhZC10b2tlbg==", BAD_TOKEN] {
        cage.ask(None, "GET", "/me", &[("authorization", header)], "").await;
    }
    for (method, path, body) in [
        ("POST", "/messages".to_owned(), json!({ "receiver_id": bob.id, "content": BODY }).to_string()),
        ("POST", "/dm/send".to_owned(), json!({ "to": "bob", "content": BODY }).to_string()),
        ("POST", "/messages".to_owned(), json!({ "receiver_id": bob.id, "content": [BODY] }).to_string()),
        ("POST", "/messages".to_owned(), format!("{{\"content\":\"{BODY}")),
        ("POST", "/dm/send".to_owned(), json!({ "to": BODY, "content": BODY }).to_string()),
        ("GET", format!("/users?q={QUERY}"), String::new()),
        ("GET", format!("/users?q={QUERY}&limit=x"), String::new()),
        ("GET", format!("/dm/history?user={QUERY}"), String::new()),
        ("PATCH", "/me".to_owned(), json!({ "password": NEW, "current_password": WRONG }).to_string()),
        ("PATCH", "/me".to_owned(), json!({ "password": NEW, "current_password": PASSWORD }).to_string()),
        ("PATCH", "/me".to_owned(), json!({ "email": "canary-email@" }).to_string()),
        ("GET", "/me".to_owned(), String::new()),
        ("GET", "/sessions".to_owned(), String::new()),
    ] {
        cage.ask(Some(&ada), method, &path, &[], &body).await;
    }
    let file = || Part::bytes(FILE_BYTES.as_bytes().to_vec()).file_name(FILE_NAME);
    let sent = ada.form("/messages/upload", Form::new().part("file", file()).text("receiver_id", bob.id.clone())).await;
    let url = sent.expect(201)["file"]["url"].as_str().unwrap().to_owned();
    cage.ask(Some(&bob), "GET", &url, &[], "").await;
    cage.ask(Some(&bob), "GET", &url, &[("range", "bytes=99999-")], "").await;
    ada.form("/messages/upload", Form::new().part("file", file()).text("receiver_id", BODY)).await.refused(400, None);
    ada.form("/upload", Form::new().part("other", file())).await.refused(400, Some("file"));

    let offer = format!("parlance.v1, bearer.{}", ada.token().unwrap());
    let mut socket =
        Socket::connect(request(&ada, &format!("/ws?since={QUERY}"), &[("sec-websocket-protocol", &offer)])).await;
    assert_eq!(socket.op("send", json!({ "receiver_id": bob.id, "content": BODY })).await["ok"], true);
    socket.refused("send", json!({ "receiver_id": bob.id, "content": [BODY] })).await;
    socket.refused(BODY, json!({})).await;
    socket.send(format!("{{\"op\":\"{BODY}")).await;
    socket.send_message(Message::binary(BODY)).await.unwrap();
    let offer = format!("parlance.v1, bearer.{BAD_TOKEN}");
    assert_eq!(refusal(request(&ada, "/ws", &[("sec-websocket-protocol", &offer)])).await.0, 401);
    cage.ask(Some(&ada), "GET", "/events", &[("origin", "https://canary-query.example.org")], "").await;

    // Sends until the limit is met.
    let body = json!({ "receiver_id": ada.id, "content": BODY }).to_string();
    while cage.asked.last().unwrap().1 != 429 {
        cage.ask(Some(&bob), "POST", "/messages", &[], &body).await;
    }
    cage.ask(Some(&ada), "POST", "/logout", &[], "").await;
    let closed = loop {
        if let Err(code) = socket.frame().await {
            break code;
        }
    };
    assert_eq!(closed, 4401);
    cage.ask(Some(&ada), "GET", "/me", &[], "").await;
}

async fn log_of(format: &str) -> (Vec<(String, u16)>, Vec<String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let environment = [
        ("PARLANCE_LOG", "trace,actix_server=trace"),
        ("PARLANCE_LOG_FORMAT", format),
        ("PARLANCE_JWT_SECRET", SECRET),
        ("PARLANCE_RATE_SENDS", "1/h:8"),
    ];
    let process = Process::start(directory.path(), &[], &environment);
    let mut cage = Cage { process, asked: Vec::new(), tokens: Vec::new(), refresh_tokens: Vec::new() };
    sing(&mut cage).await;
    cage.process.signal("TERM");
    let (code, log) = cage.process.wait();
    assert_eq!(code, Some(0), "{log}");
    for token in &cage.refresh_tokens {
        let tag = &token[token.len() - 64..];
        assert_eq!(log.lines().find(|line| line.contains(tag) || line.contains("plr_")), None);
    }
    assert!(log.contains("a spent refresh token was presented"), "{log}");
    (cage.asked, cage.tokens, log)
}

#[track_caller]
fn hold_against_the_log(asked: &[(String, u16)], tokens: &[String], log: &str) {
    assert!(asked.len() > 30 && asked.iter().any(|(_, status)| *status == 429));
    let parts = tokens.iter().flat_map(|token| token.split('.').skip(1));
    let words = [PASSWORD, WRONG, NEW, SECRET, BODY, "canary", "file name", FILE_BYTES, EMAIL, QUERY, BAD_TOKEN];
    let bcrypt = ["$2a$", "$2b$", "$2y$", "Y2FuYXJ5LWJhZC10b2tlbg"];
    for secret in words.into_iter().chain(bcrypt).chain(parts) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "it does not tell all that it could: {log}");
    for (id, status) in asked {
        let lines: Vec<_> = log.lines().filter(|line| names(line, id)).collect();
        assert_eq!(lines.len(), 1, "{id}: {lines:#?}");
        assert!(lines[0].contains("INFO") && lines[0].contains(&status.to_string()), "{id} {status}: {}", lines[0]);
    }
}

/// Whether a line has this id, and not only one that begins like it.
fn names(line: &str, id: &str) -> bool {
    line.match_indices(id).any(|(at, _)| !line[at + id.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

#[actix_web::test]
async fn nothing_secret_is_in_the_log_as_text() {
    let (asked, tokens, log) = log_of("text").await;
    hold_against_the_log(&asked, &tokens, &log);
}

#[actix_web::test]
async fn nothing_secret_is_in_the_log_as_json() {
    let (asked, tokens, log) = log_of("json").await;
    hold_against_the_log(&asked, &tokens, &log);
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(entry["level"].is_string() && entry["timestamp"].is_string(), "{line}");
    }
}
