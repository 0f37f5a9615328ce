//! A client that sends arbitrary bytes.

use crate::harness::Client;
use crate::live::client::soon;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A connection.
pub struct Raw {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answered {
    /// One header; of several of that name, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(this, _)| this.eq_ignore_ascii_case(name));
        Some(self.head.lines().find(named)?.split_once(':')?.1.trim())
    }

    /// Whether it says that the connection ends with it.
    pub fn is_the_last(&self) -> bool {
        self.header("connection").is_some_and(|options| options.split(", ").any(|option| option == "close"))
    }

    /// The machine's word for the error.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        body["code"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

impl Raw {
    pub async fn to(client: &Client) -> Self {
        Self { stream: TcpStream::connect(client.address()).await.unwrap(), read: Vec::new() }
    }

    /// From another address of this machine.
    pub async fn from(address: &str, client: &Client) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        Self { stream: socket.connect(client.address().parse().unwrap()).await.unwrap(), read: Vec::new() }
    }

    /// Writes, each line end as HTTP has it.
    pub async fn send(&mut self, text: &str) {
        let text = text.replace('\n', "\r\n");
        self.stream.write_all(text.as_bytes()).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// The same, where it may be refused meanwhile.
    pub async fn try_send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.replace('\n', "\r\n").as_bytes()).await
    }

    /// Sends nothing more.
    pub async fn half_close(&mut self) {
        // It may be closed already.
        let _ = self.stream.shutdown().await;
    }

    /// Reads to the end, whatever comes.
    pub async fn reads_to_the_end(&mut self) {
        while self.more().await {
            self.read.clear();
        }
    }

    /// Whether more was read; not at the end.
    async fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        match soon("bytes", self.stream.read(&mut piece)).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.read.extend_from_slice(&piece[..length]);
                true
            }
        }
    }

    /// So many bytes.
    pub async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await, "the end after {}", String::from_utf8_lossy(&self.read));
        }
        self.read.drain(..length).collect()
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(2).position(|pair| pair == b"\r\n") {
                return String::from_utf8(self.bytes(at + 2).await).unwrap();
            }
            assert!(self.more().await, "the end after {}", String::from_utf8_lossy(&self.read));
        }
    }

    /// The next answer. `bodiless` where it has a length and no body, as for HEAD.
    async fn next(&mut self, bodiless: bool) -> Answered {
        let mut head = self.line().await;
        loop {
            let line = self.line().await;
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answered { status, head, body: Vec::new() };
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        let chunked = answer.header("transfer-encoding") == Some("chunked");
        if bodiless || matches!(status, 100..200 | 204 | 304) {
        } else if chunked {
            loop {
                let size = usize::from_str_radix(self.line().await.trim(), 16).unwrap();
                answer.body.extend_from_slice(&self.bytes(size).await);
                self.line().await;
                if size == 0 {
                    break;
                }
            }
        } else {
            answer.body = self.bytes(length.unwrap_or_else(|| panic!("{answer:?}"))).await;
        }
        answer
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Answered {
        self.next(false).await
    }

    /// Asks, and reads the answer.
    pub async fn ask(&mut self, text: &str) -> Answered {
        self.send(text).await;
        self.next(text.starts_with("HEAD")).await
    }

    /// The next text frame of a WebSocket, as JSON.
    pub async fn server_frame(&mut self) -> Value {
        let head = self.bytes(2).await;
        assert_eq!(head[0], 0x81, "a whole text frame: {head:?}");
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.bytes(2).await.try_into().unwrap())),
            length => usize::from(length),
        };
        serde_json::from_slice(&self.bytes(length).await).unwrap()
    }

    /// Asks for something that is always there: shows that the connection is kept.
    pub async fn is_kept(&mut self) {
        let answer = self.ask("GET /health HTTP/1.1\nhost: x\n\n").await;
        assert_eq!((answer.status, &answer.body[..]), (200, &br#"{"status":"ok"}"#[..]));
    }

    /// Reads to the end, which must not be a reset.
    pub async fn ends_by_itself(&mut self) {
        let mut rest = Vec::new();
        soon("the end", self.stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty() && self.read.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    /// Reads to the end, of which nothing may be left.
    pub async fn is_closed(&mut self) {
        while self.more().await {}
        assert!(self.read.is_empty(), "{}", String::from_utf8_lossy(&self.read));
    }
}
