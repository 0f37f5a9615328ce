//! A proxy between a WebSocket client and the server that loses, doubles and swaps events.

use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{accept_hdr_async, connect_async};

/// What it has done to events so far.
#[derive(Debug, Default)]
pub struct Done {
    pub lost: AtomicUsize,
    pub doubled: AtomicUsize,
    pub swapped: AtomicUsize,
}

/// A proxy on a free port.
pub struct FaultyProxy {
    pub address: String,
    pub done: Arc<Done>,
}

impl FaultyProxy {
    /// Passes connections on to the server at this address. `seed` decides what happens to which event.
    pub async fn start(server: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, done) = (listener.local_addr().unwrap().to_string(), Arc::new(Done::default()));
        let (server, counted) = (server.to_owned(), Arc::clone(&done));
        actix_web::rt::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                actix_web::rt::spawn(pass_on(client, server.clone(), seed, Arc::clone(&counted)));
            }
        });
        Self { address, done }
    }
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 6
    }
}

async fn pass_on(client: TcpStream, server: String, seed: u64, done: Arc<Done>) {
    let (mut path, mut bearer) = (String::new(), None);
    #[expect(clippy::result_large_err, reason = "the callback of the library has this type")]
    let look = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().to_string();
        bearer = request.headers().get("authorization").cloned();
        Ok(response)
    };
    let Ok(client) = accept_hdr_async(client, look).await else { return };
    let mut request = format!("ws://{server}{path}").into_client_request().unwrap();
    request.headers_mut().extend(bearer.map(|bearer| (reqwest::header::AUTHORIZATION, bearer)));
    let (upstream, _) = connect_async(request).await.unwrap();
    let (mut to_client, mut from_client) = client.split();
    let (mut to_server, mut from_server) = upstream.split();
    let (mut dice, mut held) = (Dice(seed), None);
    loop {
        tokio::select! {
            asked = from_client.next() => match asked {
                Some(Ok(message)) => {
                    if to_server.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Err(_)) | None => return,
            },
            told = from_server.next() => {
                let Some(Ok(message)) = told else { return };
                let is_event = matches!(&message, Message::Text(text) if text.contains("\"update\":") && !text.contains("\"ref\":"));
                let mut passed: Vec<Message> = Vec::new();
                match dice.roll() {
                    0 if is_event => drop(done.lost.fetch_add(1, Ordering::Relaxed)),
                    1 if is_event => {
                        done.doubled.fetch_add(1, Ordering::Relaxed);
                        passed.extend([message.clone(), message]);
                    }
                    2 if is_event && held.is_none() => {
                        done.swapped.fetch_add(1, Ordering::Relaxed);
                        held = Some(message);
                        continue;
                    }
                    _ => passed.push(message),
                }
                passed.extend(held.take());
                for message in passed {
                    if to_client.send(message).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
