//! An HTTP client that costs little: it shares the cores with the server under test.

use crate::server::User;
use anyhow::ensure;
use hyper::body::Body as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::pin;
use tokio::net::TcpStream;

/// A connection of a user's own.
pub struct Sender {
    requests: SendRequest<String>,
    host: HeaderValue,
    authorization: HeaderValue,
}

impl Sender {
    /// Connects; nothing is sent yet.
    pub async fn connect(address: &str, user: &User) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with `requests`. What goes wrong is told to whoever waits for an answer.
        tokio::spawn(connection);
        let (host, authorization) = (HeaderValue::from_str(address)?, format!("Bearer {}", user.token).parse()?);
        Ok(Self { requests, host, authorization })
    }

    /// Sends a message to a group, and waits until it is stored. The content is put into JSON as it is.
    pub async fn send(&mut self, group: &str, content: &str) -> anyhow::Result<()> {
        let request = Request::post("/messages")
            .header(HOST, self.host.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(format!(r#"{{"group_id":"{group}","content":"{content}"}}"#))?;
        self.requests.ready().await?;
        let answer = self.requests.send_request(request).await?;
        ensure!(answer.status() == StatusCode::CREATED, "/messages: {}", answer.status());
        let mut body = pin!(answer.into_body());
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            frame?;
        }
        Ok(())
    }
}
