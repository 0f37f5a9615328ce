//! A live client for parlance: connects, resumes, drops repeats, sends with retries.
//!
//! `cargo run --example client -- http://127.0.0.1:8080 NAME PASSWORD TO TEXT`

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

struct Live {
    url: String,
    token: String,
    /// Of the last frame that was handled; keep it to resume after a restart, too.
    cursor: Option<String>,
    /// By conversation, the last number seen.
    known: HashMap<String, i64>,
    /// Sends without an answer: their `client_id` makes a retry one.
    waiting: HashMap<String, Value>,
}

/// Why a connection ended.
enum End {
    /// Only a new login helps.
    SignedOut,
    /// The server stops, and asks to wait so long.
    Hinted(Duration),
    Lost,
}

impl Live {
    /// Stays connected until `done` says so of a frame.
    async fn run(&mut self, mut done: impl FnMut(&Value) -> bool) -> Outcome<()> {
        let mut attempt = 0;
        loop {
            match self.connection(&mut attempt, &mut done).await {
                Ok(None) => return Ok(()),
                Ok(Some(End::SignedOut)) => return Err("signed out".into()),
                Ok(Some(End::Hinted(wait))) => tokio::time::sleep(wait).await,
                Ok(Some(End::Lost)) | Err(_) => {
                    // Longer each time, and not in step with everybody else.
                    let most = Duration::from_millis(500 << attempt.min(6)).min(Duration::from_secs(30));
                    attempt += 1;
                    tokio::time::sleep(most.mul_f64(rand::random())).await;
                }
            }
        }
    }

    async fn connection(&mut self, attempt: &mut u32, done: &mut impl FnMut(&Value) -> bool) -> Outcome<Option<End>> {
        let since = self.cursor.as_ref().map(|cursor| format!("?since={cursor}")).unwrap_or_default();
        let mut request = format!("{}/ws{since}", self.url).into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {}", self.token).parse()?);
        let (mut socket, _) = connect_async(request).await?;
        loop {
            // The server pings at least this often; who hears nothing has lost it.
            let message = match tokio::time::timeout(Duration::from_secs(60), socket.next()).await {
                Ok(Some(message)) => message?,
                Ok(None) | Err(_) => return Ok(Some(End::Lost)),
            };
            let frame: Value = match message {
                Message::Text(text) => serde_json::from_str(&text)?,
                Message::Close(Some(close)) if u16::from(close.code) == 4401 => return Ok(Some(End::SignedOut)),
                Message::Close(Some(close)) => {
                    let hint = close.reason.strip_prefix("retry=").and_then(|millis| millis.parse().ok());
                    return Ok(Some(hint.map_or(End::Lost, |millis| End::Hinted(Duration::from_millis(millis)))));
                }
                _ => continue, // tungstenite answers pings while it reads
            };
            if !self.is_new(&frame) {
                continue;
            }
            match frame["event"].as_str() {
                Some("hello") => {
                    *attempt = 0;
                    for (id, data) in &self.waiting {
                        let send = json!({ "op": "send", "ref": id, "data": data });
                        socket.send(Message::text(send.to_string())).await?;
                    }
                }
                Some("reply") => drop(self.waiting.remove(frame["ref"].as_str().unwrap_or_default())),
                // Missed too much, or groups changed: load the conversation, or `/conversations`, again.
                Some("resync") => println!("reload {}: {}", frame["conversation_id"], frame["data"]["reason"]),
                _ => {}
            }
            // Only when it is handled: what was not comes again.
            let finished = done(&frame);
            self.cursor = frame["cursor"].as_str().map(str::to_owned);
            if finished {
                socket.close(None).await?;
                return Ok(None);
            }
        }
    }

    /// Numbers only grow; a replay may leave out those that a later change made void. What is not greater was seen
    /// before.
    fn is_new(&mut self, frame: &Value) -> bool {
        let (Some(conversation), Some(update)) = (frame["conversation_id"].as_str(), frame["update"].as_i64()) else {
            return true;
        };
        let last = self.known.entry(conversation.to_owned()).or_insert(0);
        let new = update > *last;
        *last = update.max(*last);
        new
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, username, password, to, content] = &arguments[..] else {
        return Err("URL NAME PASSWORD TO TEXT".into());
    };
    // This workspace builds reqwest without a provider for TLS; with its default features, leave this out.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::new();
    let login = json!({ "username": username, "password": password });
    let login: Value = http.post(format!("{base}/login")).json(&login).send().await?.error_for_status()?.json().await?;
    let token = login["token"].as_str().ok_or("no token")?.to_owned();
    let users = http.get(format!("{base}/users?q={to}&limit=1")).bearer_auth(&token).send().await?;
    let users: Value = users.error_for_status()?.json().await?;
    let client_id = format!("{:x}", rand::random::<u128>());
    let data = json!({ "receiver_id": users[0]["id"], "content": content, "client_id": client_id });
    let mut live = Live {
        url: base.replacen("http", "ws", 1),
        token,
        cursor: None,
        known: HashMap::new(),
        waiting: HashMap::from([(client_id, data)]),
    };
    // The answer and one's own message as an event: both come.
    let (mut sent, mut seen) = (false, false);
    live.run(|frame| {
        match frame["event"].as_str() {
            Some("reply") => {
                println!("sent as number {}", frame["data"]["seq"]);
                sent = true;
            }
            Some("message.created") => {
                let message = &frame["data"];
                println!("{}: {}", message["sender"]["username"], message["content"]);
                seen = true;
            }
            _ => {}
        }
        sent && seen
    })
    .await
}
