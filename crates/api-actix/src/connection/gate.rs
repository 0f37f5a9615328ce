//! Decides which bytes of a client reach actix-http, and when the input ends.
//!
//! No I/O happens here: [`super::Connection`] reads the socket and keeps the time.

use super::chunks::Chunks;
use super::head::{self, Body, Head, Upgrade};
use crate::telemetry::METRICS;
use bytes::{Buf as _, BytesMut};
use std::io::Write as _;
use std::task::Waker;
use tokio::io::ReadBuf;

/// A longer head is refused. Below the length of a header's name that the framework's decoder can take: it panics at
/// one of more than 65,535 bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// More headers than the framework takes: such a head is passed on in place of one that is too long, and refused with
/// 431.
const TOO_MANY_HEADERS: usize = 128;
/// How much of a body that nobody reads is thrown away, where it does not say how long it is.
pub const DISCARDED: u64 = 1024 * 1024;

/// Where in the stream of requests the reading is.
#[derive(Debug)]
enum FramingState {
    /// Between two requests, or in a head.
    Head,
    /// In a body of which so many bytes are left.
    Length(u64),
    /// In a body of chunks.
    Chunks(Chunks),
    /// Behind a head that asks for a WebSocket, which nobody has taken or refused yet.
    Handshake,
    /// Among the frames of a WebSocket.
    Socket,
    /// Behind what has no end, or what will be refused.
    Endless,
}

/// What is done with what the client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is passed on.
    Passes,
    /// It is not read until somebody has decided.
    Waits,
    /// So many bytes of it are thrown away.
    Discards(u64),
    /// There is no more.
    Over,
}

/// The way in of one connection.
#[derive(Debug)]
pub struct Gate {
    state: FramingState,
    mode: Mode,
    /// What was read and cannot be passed on yet: a head that is not whole, or what follows a handshake.
    held: Vec<u8>,
    /// How far `held` was searched for the end of a head.
    searched: usize,
    /// What is passed on first.
    ready: BytesMut,
    /// How many heads were passed on, how many of their requests have begun to be answered, and how many answers are
    /// written that are not the connection's last.
    heads: u64,
    begun: u64,
    answered: u64,
    /// Wakes the reader that waits until the next head may pass.
    waiting: Option<Waker>,
    /// The largest body that says its length and is thrown away whole.
    max_body_bytes: u64,
    ends_writing: bool,
}

impl Gate {
    /// Of a new connection. A body whose declared length is at most this is thrown away to its end, where nobody reads
    /// it.
    pub fn new(max_body_bytes: u64) -> Self {
        Self {
            state: FramingState::Head,
            mode: Mode::Passes,
            held: Vec::new(),
            searched: 0,
            ready: BytesMut::new(),
            heads: 0,
            begun: 0,
            answered: 0,
            waiting: None,
            max_body_bytes,
            ends_writing: false,
        }
    }

    /// What is done with what comes next.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the client is in the middle of a head that is not its first.
    pub fn is_in_a_later_head(&self) -> bool {
        self.heads > 0 && self.heads == self.answered && self.is_in_head() && self.held != b"\r"
    }

    fn is_in_head(&self) -> bool {
        matches!(self.state, FramingState::Head) && !self.held.is_empty()
    }

    /// Whether the next request waits for the answer before it, and nothing is to be read meanwhile. The gate wakes the
    /// reader when that changes.
    pub fn is_held(&mut self, waker: &Waker) -> bool {
        let held = self.mode == Mode::Passes && self.heads > self.answered && self.is_in_head();
        if held && !self.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker)) {
            self.waiting = Some(waker.clone());
        }
        held
    }

    /// Passes on what waits; whether there was something.
    pub fn drain(&mut self, to: &mut ReadBuf<'_>) -> bool {
        if self.ready.is_empty() {
            return false;
        }
        let length = self.ready.len().min(to.remaining());
        to.put_slice(&self.ready[..length]);
        self.ready.advance(length);
        if self.ready.is_empty() {
            self.ready = BytesMut::new();
        }
        true
    }

    /// Passes on what the client sent.
    pub fn feed(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) {
        if self.held.is_empty() {
            let passed = self.pass(bytes, to);
            self.held.extend_from_slice(&bytes[passed..]);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(bytes);
            let passed = self.pass(&held, to);
            if passed < held.len() {
                held.drain(..passed);
                self.held = held;
            }
        }
    }

    /// Throws away what the client sent.
    pub fn discard(&mut self, bytes: &[u8]) {
        let Mode::Discards(left) = self.mode else { return };
        let ended = match &mut self.state {
            FramingState::Length(length) => {
                *length = length.saturating_sub(bytes.len() as u64);
                *length == 0
            }
            FramingState::Chunks(chunks) => chunks.advance(bytes).map_or(true, |(_, ended)| ended),
            _ => false,
        };
        self.mode = if ended { Mode::Over } else { Mode::Discards(left.saturating_sub(bytes.len() as u64)) };
    }

    /// Lets nothing more through.
    pub fn close(&mut self) {
        self.mode = Mode::Over;
        self.held = Vec::new();
    }

    fn give(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) {
        let now = if self.ready.is_empty() { bytes.len().min(to.remaining()) } else { 0 };
        to.put_slice(&bytes[..now]);
        self.ready.extend_from_slice(&bytes[now..]);
    }

    /// Passes on as much as can be; how much of `bytes` is done with.
    fn pass(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match &mut self.state {
                // Empty lines before a head say nothing (RFC 9112, 2.2).
                FramingState::Head if matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) => {
                    self.searched = 0;
                    if rest[0] == b'\n' { 1 } else { 2 }
                }
                // actix-http answers by what it has read of the latest head, even where it answers an earlier request.
                FramingState::Head if self.heads > self.answered => return at,
                FramingState::Head => match self.pass_head(rest, to) {
                    0 => return at,
                    passed => passed,
                },
                FramingState::Length(left) => {
                    let passed = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= passed as u64;
                    if *left == 0 {
                        self.state = FramingState::Head;
                    }
                    self.give(&rest[..passed], to);
                    passed
                }
                FramingState::Chunks(chunks) => match chunks.advance(rest) {
                    Ok((passed, ended)) => {
                        if ended {
                            self.state = FramingState::Head;
                        }
                        self.give(&rest[..passed], to);
                        passed
                    }
                    Err(_) => {
                        // For who reads it, the body broke off. Passed on, it would be refused beside the answer.
                        METRICS.malformed.increment(1);
                        self.mode = Mode::Over;
                        rest.len()
                    }
                },
                FramingState::Handshake => return at,
                FramingState::Socket => {
                    let mut size = [0; 18];
                    let mut unwritten = &mut size[..];
                    // Sixteen digits and a line end, at the most.
                    let _ = write!(unwritten, "{:x}\r\n", rest.len());
                    let left = unwritten.len();
                    self.give(&size[..size.len() - left], to);
                    self.give(rest, to);
                    self.give(b"\r\n", to);
                    rest.len()
                }
                FramingState::Endless => {
                    self.give(rest, to);
                    rest.len()
                }
            };
        }
        at
    }

    /// Passes on the head at the beginning of `bytes`; 0 where it is not whole.
    fn pass_head(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) -> usize {
        let from = self.searched.saturating_sub(2);
        // What is sent byte by byte is not parsed as often.
        let may_be_whole = self.searched == 0
            || bytes[from..].windows(2).any(|pair| pair == b"\n\n")
            || bytes[from..].windows(3).any(|three| three == b"\n\r\n");
        let read = if may_be_whole { head::read(bytes) } else { Ok(None) };
        match read {
            Ok(None) if bytes.len() < MAX_HEAD_BYTES => {
                self.searched = bytes.len();
                0
            }
            Ok(None) => self.refuse_head(bytes, to),
            Err(_) if bytes.len() > MAX_HEAD_BYTES => self.refuse_head(bytes, to),
            Ok(Some(Head { length, .. })) if length > MAX_HEAD_BYTES => self.refuse_head(bytes, to),
            Err(_) => {
                METRICS.malformed.increment(1);
                (self.state, self.searched) = (FramingState::Endless, 0);
                self.give(bytes, to);
                bytes.len()
            }
            Ok(Some(Head { length, body, upgrade })) => {
                (self.heads, self.searched) = (self.heads + 1, 0);
                self.state = match body {
                    _ if upgrade == Upgrade::Socket => {
                        self.mode = Mode::Waits;
                        FramingState::Handshake
                    }
                    Body::None => FramingState::Head,
                    Body::Length(length) => FramingState::Length(length),
                    Body::Chunked => FramingState::Chunks(Chunks::new()),
                    Body::Endless => FramingState::Endless,
                };
                match upgrade {
                    Upgrade::None => self.give(&bytes[..length], to),
                    asked => self.give(&head::rewritten(&bytes[..length], asked), to),
                }
                length
            }
        }
    }
}

impl Gate {
    /// Passes on, in place of a head that is too long, one that is refused for the same reason.
    fn refuse_head(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) -> usize {
        METRICS.malformed.increment(1);
        (self.state, self.searched, self.mode) = (FramingState::Endless, 0, Mode::Discards(DISCARDED));
        let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(TOO_MANY_HEADERS));
        self.give(head.as_bytes(), to);
        bytes.len()
    }
}

/// What requests say of it.
impl Gate {
    /// A request begins to be answered: its number.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// An answer is written that is not the connection's last: the next request may pass.
    pub fn answered(&mut self) {
        self.answered += 1;
        if self.mode == Mode::Passes && self.is_in_head() {
            self.feed(&[], &mut ReadBuf::new(&mut []));
        }
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Whether that request asks for a WebSocket.
    pub fn asks_for_socket(&self, number: u64) -> bool {
        matches!(self.state, FramingState::Handshake) && self.heads == number
    }

    /// The WebSocket that was asked for is taken: what follows are its frames.
    pub fn take_socket(&mut self) {
        self.decide(FramingState::Socket);
    }

    /// The WebSocket that was asked for is refused: what follows is the next request.
    pub fn refuse_socket(&mut self) {
        self.ready.extend_from_slice(b"0\r\n\r\n");
        self.decide(FramingState::Head);
    }

    fn decide(&mut self, state: FramingState) {
        (self.state, self.mode) = (state, Mode::Passes);
        let held = std::mem::take(&mut self.held);
        self.feed(&held, &mut ReadBuf::new(&mut []));
    }

    /// The server's side of the WebSocket is over: what the client may still send is nobody's, and nothing is written
    /// any more.
    pub fn end_socket(&mut self) {
        self.ends_writing = true;
        (self.mode, self.held) = (Mode::Discards(DISCARDED), Vec::new());
    }

    /// Whether the server refuses what the client sends, and reads none of it any more.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, FramingState::Endless)
    }

    /// Whether nothing is to be written behind what was.
    pub fn ends_writing(&self) -> bool {
        self.ends_writing
    }

    /// That request was answered, and nobody reads the rest of its body: what comes of it is thrown away, within
    /// bounds, and then the connection ends. Whether there is a rest at all.
    pub fn abandon(&mut self, number: u64) -> bool {
        let left = match self.state {
            _ if self.heads != number => return false,
            FramingState::Length(left) if left <= self.max_body_bytes => left,
            FramingState::Length(_) | FramingState::Chunks(_) | FramingState::Endless => DISCARDED,
            FramingState::Head | FramingState::Handshake | FramingState::Socket => return false,
        };
        if self.mode == Mode::Passes {
            self.mode = Mode::Discards(left);
        }
        true
    }
}

#[cfg(test)]
mod tests;
