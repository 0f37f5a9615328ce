//! An HTTP/1.1 client that costs next to nothing: requests are bytes made beforehand, answers are looked at and
//! dropped.

use anyhow::{Context as _, bail, ensure};
use memchr::memmem;
use std::str::from_utf8;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    /// Holds one answer at most: the next request leaves when the last answer is complete.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; nothing is sent yet.
    pub async fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and waits until its answer is complete; returns the status.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some(head) = Head::of(&self.buffer)? {
                while self.buffer.len() < head.length {
                    ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "half an answer");
                }
                return Ok(head.status);
            }
        }
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        let begin = memmem::find(&self.buffer, b"\r\n\r\n").map_or(self.buffer.len(), |end| end + 4);
        &self.buffer[begin..]
    }
}

/// What has to be known of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Of head and body.
    length: usize,
}

impl Head {
    /// `None` while it is not complete.
    fn of(answer: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
        let head = &answer[..end + 2];
        let status = from_utf8(head.get(9..12).context("no status")?)?.parse()?;
        if let Some(at) = memmem::find(head, b"content-length: ") {
            let digits = &head[at + 16..];
            let digits = &digits[..memchr::memchr(b'\r', digits).context("no end")?];
            let body: usize = from_utf8(digits)?.parse()?;
            return Ok(Some(Self { status, length: end + 4 + body }));
        }
        if !matches!(status, 204 | 304) {
            bail!("an answer without a length: {}", String::from_utf8_lossy(head));
        }
        Ok(Some(Self { status, length: end + 4 }))
    }
}

/// The bytes of a request; without a token where the route needs none.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: parlance\r\n");
    if let Some(token) = token {
        request += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(body) = body {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    } else {
        request += "\r\n";
    }
    request.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 12\r\nx: y\r\n\r\n{\"id\":\"abc\"}";
        assert_eq!(Head::of(&answer[..40]).unwrap(), None);
        assert_eq!(Head::of(answer).unwrap(), Some(Head { status: 201, length: answer.len() }));
        let empty = b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n";
        assert_eq!(Head::of(empty).unwrap(), Some(Head { status: 304, length: empty.len() }));
        assert!(Head::of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn requests_say_how_long_their_body_is() {
        let plain = String::from_utf8(request("GET", "/health", None, None)).unwrap();
        assert_eq!(plain, "GET /health HTTP/1.1\r\nHost: parlance\r\n\r\n");
        let sent = String::from_utf8(request("POST", "/messages", Some("t"), Some("{}"))).unwrap();
        assert!(sent.contains("\r\nAuthorization: Bearer t\r\n") && sent.ends_with("\r\nContent-Length: 2\r\n\r\n{}"));
    }
}
