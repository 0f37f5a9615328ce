//! A WebSocket client that checks every frame against the contract.

use crate::harness::{Client, User};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long anything may take before a test fails: on a busy machine, too.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// An upgrade request with these headers.
pub fn request(client: &Client, path: &str, headers: &[(&'static str, &str)]) -> Request {
    let mut request = format!("ws://{}{path}", client.address()).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// An upgrade request as a user.
pub fn signed(user: &User, path: &str) -> Request {
    let bearer = format!("Bearer {}", user.token().unwrap());
    request(user, path, &[("authorization", &bearer)])
}

/// What an upgrade is refused with: the status, and the error.
pub async fn refusal(request: Request) -> (u16, Value) {
    match soon("a refusal", connect_async(request)).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), serde_json::from_slice(body).unwrap())
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// Reads all sockets, on a thread of its own: who does not read does not answer pings, and is cut after twelve seconds.
/// A test may take longer than that to come to the next socket, or wait for something else meanwhile.
static READING: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connected client.
pub struct Socket {
    to_send: SplitSink<Stream, Message>,
    read: mpsc::Receiver<Result<Message, Error>>,
    /// What the upgrade was answered with.
    pub response: Response,
    pub hello: Value,
    /// The last frame's cursor.
    pub cursor: String,
    /// Came while an answer was waited for.
    waiting: VecDeque<Value>,
    references: u32,
}

impl Socket {
    /// As a user, from now on.
    pub async fn open(user: &User) -> Self {
        Self::open_at(user, "/ws").await
    }

    /// As a user, from a cursor on.
    pub async fn since(user: &User, cursor: &str) -> Self {
        Self::open_at(user, &format!("/ws?since={cursor}")).await
    }

    /// As a user, from now on; what comes is read only when it is asked for, but for one or two frames.
    pub async fn open_without_reading(user: &User) -> Self {
        Self::connect_reading(signed(user, "/ws"), 1).await
    }

    async fn open_at(user: &User, path: &str) -> Self {
        Self::connect(signed(user, path)).await
    }

    /// By any request that is taken.
    pub async fn connect(request: Request) -> Self {
        Self::connect_reading(request, Semaphore::MAX_PERMITS).await
    }

    /// As a user who has as many connections as are allowed, once the server has taken note that one of them is gone.
    pub async fn open_when_there_is_room(user: &User) -> Self {
        let connected = soon("a free place", async {
            loop {
                // Polls, because the server does not announce a free slot.
                match READING.spawn(connect_async(signed(user, "/ws"))).await.unwrap() {
                    Ok(connected) => return connected,
                    Err(Error::Http(refused)) => assert_eq!(refused.status(), 429),
                    Err(other) => panic!("{other}"),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self::reading(connected.await, Semaphore::MAX_PERMITS).await
    }

    async fn connect_reading(request: Request, ahead: usize) -> Self {
        let connected = soon("an upgrade", READING.spawn(connect_async(request))).await.unwrap();
        Self::reading(connected.unwrap(), ahead).await
    }

    /// Reads so many messages before they are asked for.
    async fn reading((stream, response): (Stream, Response), ahead: usize) -> Self {
        let (to_send, mut comes) = stream.split();
        let (give, read) = mpsc::channel(ahead);
        READING.spawn(async move {
            let all = async {
                while let Some(message) = comes.next().await {
                    if give.send(message).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = all => {}
                // The test has dropped its end, so the connection ends.
                () = give.closed() => {}
            }
        });
        let (hello, cursor, waiting) = (Value::Null, String::new(), VecDeque::new());
        let mut socket = Self { to_send, read, response, hello, cursor, waiting, references: 0 };
        socket.hello = socket.any().await;
        assert_eq!(socket.hello["event"], "hello", "{}", socket.hello);
        socket
    }

    /// The next message of the protocol; `Err` with the close code at the end.
    async fn message(&mut self) -> Result<Message, u16> {
        match soon("a frame", self.read.recv()).await {
            Some(Ok(Message::Close(frame))) => Err(frame.map_or(1005, |frame| frame.code.into())),
            Some(Ok(message)) => Ok(message),
            Some(Err(_)) | None => Err(1006),
        }
    }

    /// The next frame of any kind, or the close code.
    pub async fn frame(&mut self) -> Result<Value, u16> {
        if let Some(frame) = self.waiting.pop_front() {
            return Ok(frame);
        }
        self.arriving().await
    }

    /// A frame that came while an answer was waited for, if there is one.
    pub fn arrived(&mut self) -> Option<Value> {
        self.waiting.pop_front()
    }

    async fn arriving(&mut self) -> Result<Value, u16> {
        loop {
            if let Message::Text(text) = self.message().await? {
                let frame: Value = serde_json::from_str(&text).unwrap();
                assert!(frame["event"].is_string(), "{frame}");
                self.cursor = frame["cursor"].as_str().unwrap_or_else(|| panic!("no cursor: {frame}")).to_owned();
                return Ok(frame);
            }
        }
    }

    /// The next frame of any kind.
    pub async fn any(&mut self) -> Value {
        self.frame().await.unwrap_or_else(|code| panic!("closed with {code}"))
    }

    /// The next event that is not about somebody's coming and going: others come and go as they like.
    pub async fn next(&mut self) -> Value {
        loop {
            let frame = self.any().await;
            if frame["event"] != "presence" {
                return frame;
            }
        }
    }

    /// The next event that is not about who is in which group either: what was done before one came may be told late,
    /// by another node, or once more, to who resumes.
    pub async fn next_of_messages(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if !is_about_members(&frame) {
                return frame;
            }
        }
    }

    /// The next event of a conversation after the number `known`. Who resumes may be given what one knows once more,
    /// and drops it, as clients do: a cursor may lie a little before the last that one saw. How far depends on what
    /// else commits in the same Postgres, the making of a neighbour's database included.
    pub async fn next_after(&mut self, known: i64) -> Value {
        loop {
            let frame = self.next_of_messages().await;
            if frame["update"].as_i64().is_none_or(|update| update > known) {
                return frame;
            }
        }
    }

    /// The next event, which must be this one; its data.
    #[track_caller]
    pub fn expect<'a>(&'a mut self, event: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut frame = self.next().await;
            assert_eq!(frame["event"], event, "at {caller}: {frame}");
            frame["data"].take()
        }
    }

    /// Sends a text as it is.
    pub async fn send(&mut self, text: impl Into<String>) {
        self.to_send.send(Message::text(text.into())).await.unwrap();
    }

    /// Sends a message of the protocol.
    pub async fn send_message(&mut self, message: Message) -> Result<(), Error> {
        self.to_send.send(message).await
    }

    /// Sends an operation and returns the reply; earlier frames wait.
    pub async fn op(&mut self, op: &str, data: Value) -> Value {
        self.references += 1;
        let reference = format!("r{}", self.references);
        self.send(json!({ "op": op, "ref": reference, "data": data }).to_string()).await;
        self.answer(&json!(reference)).await
    }

    /// The reply with that reference; earlier frames wait.
    pub async fn answer(&mut self, reference: &Value) -> Value {
        loop {
            let frame = self.arriving().await.unwrap_or_else(|code| panic!("closed with {code}"));
            if frame["event"] == "reply" && frame["ref"] == *reference {
                return frame;
            }
            self.waiting.push_back(frame);
        }
    }

    /// An operation that is refused: its error's code and field.
    pub async fn refused(&mut self, op: &str, data: Value) -> (String, Option<String>) {
        let answer = self.op(op, data).await;
        fault(&answer)
    }

    /// Reads to the end, and gives the close code; fails where anything but presence comes before it.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.frame().await {
                Err(code) => return code,
                Ok(frame) => assert_eq!(frame["event"], "presence", "{frame}"),
            }
        }
    }

    /// Reads to the end whatever comes, and gives the close code.
    pub async fn drained(&mut self) -> u16 {
        loop {
            if let Err(code) = self.frame().await {
                return code;
            }
        }
    }

    /// Reads to the end of the TCP connection itself, without closing this side of it: a client's stream ends with
    /// that, and not with the close frame.
    pub async fn end(mut self) {
        while self.read.recv().await.is_some() {}
    }

    /// Reads until a user goes offline, and returns the earlier events.
    pub async fn until_gone(&mut self, user: &str) -> Vec<Value> {
        let mut before = Vec::new();
        loop {
            let frame = self.any().await;
            if frame["event"] == "presence" && frame["data"] == json!({ "user_id": user, "online": false }) {
                return before;
            }
            before.push(frame);
        }
    }

    /// Waits for a message of the protocol that `wanted` takes.
    pub async fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.message().await.unwrap_or_else(|code| panic!("closed with {code}"));
            if wanted(&message) {
                return message;
            }
        }
    }
}

/// Whether it is about who is in which group, or about a group: told by the event itself or, to who resumes and by a
/// node that did not hear of it in time, by a `resync` without a conversation.
pub fn is_about_members(frame: &Value) -> bool {
    let event = frame["event"].as_str().unwrap();
    let resync = event == "resync" && frame.get("conversation_id").is_none();
    resync || event.starts_with("member.") || event.starts_with("group.")
}

/// Code and field of an answer that refuses.
pub fn fault(answer: &Value) -> (String, Option<String>) {
    assert_eq!((&answer["ok"], answer.get("data")), (&json!(false), None), "{answer}");
    let error = &answer["error"];
    assert!(error["error"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{answer}");
    (error["code"].as_str().unwrap().to_owned(), error["field"].as_str().map(str::to_owned))
}
