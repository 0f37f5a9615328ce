//! A WebSocket client that costs little: thousands of them share two cores with the server under test.

use anyhow::{Context as _, bail, ensure};
use std::str::from_utf8;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What the server sent.
#[derive(Debug)]
pub enum Received<'a> {
    /// A text frame's JSON.
    Text(&'a [u8]),
    /// It closes, with this code.
    Close(u16),
}

/// A connected socket.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    used: usize,
}

impl Socket {
    /// Connects; without a token where the server needs none.
    pub async fn connect(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut socket = Self { stream, buffer: Vec::new(), used: 0 };
        let end = loop {
            ensure!(socket.read().await?, "closed before the upgrade");
            if let Some(end) = socket.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = from_utf8(&socket.buffer[..end])?;
        ensure!(head.starts_with("HTTP/1.1 101"), "refused: {}", head.lines().next().unwrap_or_default());
        socket.used = end;
        Ok(socket)
    }

    async fn read(&mut self) -> anyhow::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 64 * 1024 {
            self.buffer = Vec::new();
        }
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next text or close; pings are answered on the way.
    pub async fn next(&mut self) -> anyhow::Result<Received<'_>> {
        loop {
            let Some((first, begin, end)) = frame_of(&self.buffer[self.used..]) else {
                ensure!(self.read().await?, "the connection ended");
                continue;
            };
            let (begin, end) = (self.used + begin, self.used + end);
            self.used = end;
            match first & 0x0f {
                1 => return Ok(Received::Text(&self.buffer[begin..end])),
                8 => {
                    let code = self.buffer[begin..end].get(..2).and_then(|code| code.try_into().ok());
                    return Ok(Received::Close(code.map_or(1005, u16::from_be_bytes)));
                }
                // A pong, masked with zeros.
                9 => self.stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await?,
                10 => {}
                other => bail!("a frame of kind {other}"),
            }
        }
    }

    /// The next text.
    pub async fn text(&mut self) -> anyhow::Result<&[u8]> {
        match self.next().await? {
            Received::Text(text) => Ok(text),
            Received::Close(code) => bail!("closed with {code}"),
        }
    }
}

/// The first byte of the frame at the beginning, and where its payload begins and ends.
fn frame_of(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (begin, length) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= begin + length).then_some((bytes[0], begin, begin + length))
}

/// The text or number behind `"name":` in a frame, found without parsing the frame.
pub fn field<'a>(frame: &'a [u8], name: &str) -> anyhow::Result<&'a str> {
    let frame = from_utf8(frame)?;
    let key = format!("\"{name}\":");
    let value = frame.split_once(&key).with_context(|| format!("no {name} in {frame}"))?.1;
    Ok(match value.strip_prefix('"') {
        Some(text) => text.split('"').next().unwrap_or_default(),
        None => value.split([',', '}']).next().unwrap_or_default(),
    })
}
