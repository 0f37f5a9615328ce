//! Typed requests and answers.

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::ops::Deref;

/// What speaks HTTP, straight to where it is told.
pub fn http() -> reqwest::Client {
    // The workspace builds reqwest without a default for TLS. Only the first call installs one; the others find it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Sends requests to one server, with one token or none.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

impl Client {
    /// Without a token.
    pub fn new(base: String) -> Self {
        Self { base, http: http(), token: None }
    }

    /// The same with another token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The token, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// `HOST:PORT`, for what speaks no HTTP.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A request to be filled in.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    /// Any method with any bytes as body.
    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        let mut request = self.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.body(body.into())).await
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(method, path).json(body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }

    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        self.raw("POST", path, headers, body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, &body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, &body).await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Answer {
        self.json(Method::DELETE, path, &body).await
    }

    /// A multipart form.
    pub async fn form(&self, path: &str, form: reqwest::multipart::Form) -> Answer {
        Answer::of(self.request(Method::POST, path).multipart(form)).await
    }

    /// All pages of a list, by their links.
    pub async fn pages(&self, path: &str) -> Vec<Value> {
        let (mut pages, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            assert!(pages.len() < 100, "the pages of {path} do not end");
            let answer = self.get(&path).await;
            next = answer.next();
            pages.push(answer.expect(200));
        }
        pages
    }
}

/// A logged-in user.
#[derive(Clone)]
pub struct User {
    client: Client,
    pub id: String,
    pub name: String,
    pub password: String,
}

impl Deref for User {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl User {
    /// Of the answer to a login.
    pub fn new(client: &Client, login: &Value, password: &str) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            client: client.with_token(text(&login["token"])),
            id: text(&login["user"]["id"]),
            name: text(&login["user"]["username"]),
            password: password.to_owned(),
        }
    }

    /// The same login at a server that was started again.
    pub fn at(&self, server: &Client) -> Self {
        let token = self.client.token().unwrap();
        Self { client: server.with_token(token), ..self.clone() }
    }

    /// Sends a direct message and gives its id.
    pub async fn send(&self, to: &str, content: &str) -> String {
        let sent = self.post("/messages", json!({ "receiver_id": to, "content": content })).await.expect(201);
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Makes a group and gives its id.
    pub async fn group(&self, name: &str, visibility: &str) -> String {
        let made = self.post("/groups", json!({ "name": name, "visibility": visibility })).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// Adds a member to a group.
    pub async fn add(&self, group: &str, user: &User, role: &str) {
        let body = json!({ "user_id": user.id, "role": role });
        self.post(&format!("/groups/{group}/members"), body).await.expect(200);
    }

    /// How many messages are unseen.
    pub async fn unseen_total(&self) -> u64 {
        self.get(&format!("/messages/unseen/{}", self.id)).await.expect(200)["total"].as_u64().unwrap()
    }

    /// Ends the account.
    pub async fn delete_account(&self) {
        self.delete("/me", json!({ "current_password": self.password })).await.expect(204);
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    asked: String,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let asked = format!("{} {}", request.method(), request.url().path());
        let answer = client.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.unwrap_or_else(|error| panic!("{asked}: {error:?}")).to_vec();
        Self { status, headers, body, asked }
    }

    /// One header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The reference to the next page.
    pub fn next(&self) -> Option<String> {
        let link = self.header("link")?;
        let link = link.strip_prefix('<').and_then(|link| link.strip_suffix(r#">; rel="next""#));
        Some(link.expect("a Link that leads to the next page").to_owned())
    }

    /// The body, as JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{self}: {error}"))
    }

    /// The body of an answer that must have this status; `null` for 204.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        assert!(self.headers.contains_key("x-request-id"), "{self}");
        if status == 204 {
            assert!(self.body.is_empty(), "{self}");
            return Value::Null;
        }
        self.json()
    }

    /// The error of an answer that must have this status and be shaped as errors are; `field` is looked at if given.
    #[track_caller]
    pub fn refused(self, status: u16, field: Option<&str>) -> Value {
        assert_eq!(self.status, status, "{self}");
        assert!(self.headers.contains_key("x-request-id"), "{self}");
        let error = self.json();
        let code = match status {
            400 => "invalid_request",
            401 => "unauthenticated",
            403 => "forbidden",
            404 => "not_found",
            405 => "method_not_allowed",
            409 => "conflict",
            412 => "precondition_failed",
            413 => "payload_too_large",
            415 => "unsupported_media_type",
            416 => "range_not_satisfiable",
            429 => "rate_limited",
            503 => "unavailable",
            _ => panic!("{self}"),
        };
        assert_eq!(error["code"], code, "{self}");
        assert!(error["error"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{self}");
        assert_eq!(matches!(status, 429 | 503), self.headers.contains_key("retry-after"), "{self}");
        if field.is_some() {
            assert_eq!(error["field"].as_str(), field, "{self}");
        }
        error
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        write!(f, "{}: {status} {body:.400}", self.asked)
    }
}

/// The ids of a list.
pub fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}
