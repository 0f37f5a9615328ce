//! Decides which bytes of a client reach actix-http, and when the input ends.
//!
//! No I/O happens here: [`super::Connection`] reads the socket and keeps the time.

use super::chunks::Chunks;
use super::head::{self, Body, Head, Upgrade};
use super::upgraded::SocketTask;
use crate::telemetry::METRICS;
use bytes::{Buf as _, BytesMut};
use std::fmt;
use std::task::Waker;
use tokio::io::ReadBuf;

/// The longest head in bytes; the gate refuses longer ones. It is below the length of a header name at which the
/// framework's decoder panics (65,535 bytes).
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// More headers than the framework accepts. The gate passes on such a head in place of one that is too long, so that
/// the framework answers 431.
const TOO_MANY_HEADERS: usize = 128;
/// How much of an unread body of unknown length the gate discards, in bytes.
pub const DISCARDED: u64 = 1024 * 1024;

/// The parser's position in the stream of requests.
#[derive(Debug)]
enum FramingState {
    /// Between two requests, or in a head.
    Head,
    /// In a body with so many bytes left.
    Length(u64),
    /// In a chunked body.
    Chunks(Chunks),
    /// Behind a WebSocket request that no handler has accepted or refused yet.
    Handshake,
    /// Behind a WebSocket request that a handler has accepted: the connection leaves HTTP.
    Socket,
    /// Behind a request without an end, or one that the server will refuse.
    Endless,
}

/// What the gate does with the client's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes them on.
    Passes,
    /// Does not read them until a handler has decided.
    Waits,
    /// Discards up to so many bytes.
    Discards(u64),
    /// Reports the end of input.
    Over,
}

/// The input filter of one connection.
#[derive(Debug)]
pub struct Gate {
    state: FramingState,
    mode: Mode,
    /// Bytes that cannot be passed on yet: an incomplete head, or bytes behind a WebSocket request.
    held: Vec<u8>,
    /// How far the gate has searched `held` for the end of a head.
    searched: usize,
    /// Bytes to pass on first.
    ready: BytesMut,
    /// Counts of: heads passed on, requests that handlers have begun, and written answers after which the connection
    /// continues.
    heads: u64,
    begun: u64,
    answered: u64,
    /// Wakes the reader when the next head may pass.
    waiting: Option<Waker>,
    /// The largest body of known length that the gate discards completely.
    max_body_bytes: u64,
    /// What runs the connection if it becomes a WebSocket.
    socket: Option<Socket>,
}

struct Socket(SocketTask);

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

impl Gate {
    /// The gate of a new connection. It discards an unread body completely if its declared length is at most
    /// `max_body_bytes` bytes.
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
            socket: None,
        }
    }

    /// What the gate does with the next bytes.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the client is sending a head after its first.
    pub fn is_in_a_later_head(&self) -> bool {
        self.heads > 0 && self.heads == self.answered && self.is_in_head() && self.held != b"\r"
    }

    fn is_in_head(&self) -> bool {
        matches!(self.state, FramingState::Head) && !self.held.is_empty()
    }

    /// Whether the next request has to wait for the previous answer. The gate wakes the reader when that changes.
    pub fn is_held(&mut self, waker: &Waker) -> bool {
        let held = self.mode == Mode::Passes && self.heads > self.answered && self.is_in_head();
        if held && !self.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(waker)) {
            self.waiting = Some(waker.clone());
        }
        held
    }

    /// Passes on waiting bytes. Returns whether there were any.
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

    /// Filters new bytes of the client.
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

    /// Discards new bytes of the client.
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

    /// Ends the input.
    pub fn close(&mut self) {
        self.mode = Mode::Over;
        self.held = Vec::new();
    }

    fn give(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) {
        let now = if self.ready.is_empty() { bytes.len().min(to.remaining()) } else { 0 };
        to.put_slice(&bytes[..now]);
        self.ready.extend_from_slice(&bytes[now..]);
    }

    /// Passes on as much as it can. Returns how many of the `bytes` it has consumed.
    fn pass(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match &mut self.state {
                // Empty lines before a head have no meaning (RFC 9112, 2.2).
                FramingState::Head if matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) => {
                    self.searched = 0;
                    if rest[0] == b'\n' { 1 } else { 2 }
                }
                // actix-http answers by the latest head that it has read, even if it answers an earlier request.
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
                        // The handler sees a truncated body. If the gate passed it on, actix-http would send a second
                        // answer.
                        METRICS.malformed.increment(1);
                        self.mode = Mode::Over;
                        rest.len()
                    }
                },
                FramingState::Handshake | FramingState::Socket => return at,
                FramingState::Endless => {
                    self.give(rest, to);
                    rest.len()
                }
            };
        }
        at
    }

    /// Passes on the head at the beginning of `bytes`. Returns 0 if it is incomplete.
    fn pass_head(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) -> usize {
        let from = self.searched.saturating_sub(2);
        // A head that arrives byte by byte is not parsed at each byte.
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
    /// Passes on a head with too many headers in place of a head that is too long: actix-http refuses both with 431.
    fn refuse_head(&mut self, bytes: &[u8], to: &mut ReadBuf<'_>) -> usize {
        METRICS.malformed.increment(1);
        (self.state, self.searched, self.mode) = (FramingState::Endless, 0, Mode::Discards(DISCARDED));
        let head = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(TOO_MANY_HEADERS));
        self.give(head.as_bytes(), to);
        bytes.len()
    }
}

/// Calls by the middleware and the handlers.
impl Gate {
    /// Registers that a handler begins a request. Returns the request's number.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Registers that an answer was written after which the connection continues: the next request may pass.
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

    /// The handler accepts the WebSocket: `run` runs the connection once the answer is written.
    pub fn accept_socket(&mut self, run: SocketTask) {
        self.socket = Some(Socket(run));
    }

    /// The handler has accepted the WebSocket. actix-http hears that the input has ended.
    pub fn take_socket(&mut self) {
        (self.state, self.mode) = (FramingState::Socket, Mode::Over);
    }

    /// The handler has refused the WebSocket: the next request follows.
    pub fn refuse_socket(&mut self) {
        self.socket = None;
        self.ready.extend_from_slice(b"0\r\n\r\n");
        (self.state, self.mode) = (FramingState::Head, Mode::Passes);
        let held = std::mem::take(&mut self.held);
        self.feed(&held, &mut ReadBuf::new(&mut []));
    }

    /// Whether a WebSocket has taken the connection.
    pub fn has_taken_socket(&self) -> bool {
        matches!(self.state, FramingState::Socket)
    }

    /// What runs the WebSocket that has taken the connection, and what the client sent together with its handshake.
    pub fn taken_socket(&mut self) -> Option<(SocketTask, Vec<u8>)> {
        let Socket(run) = self.socket.take_if(|_| matches!(self.state, FramingState::Socket))?;
        Some((run, std::mem::take(&mut self.held)))
    }

    /// Whether the server refuses the client's input and no longer reads it.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, FramingState::Endless)
    }

    /// The handler has answered that request without reading all of its body. The gate discards the rest, within
    /// bounds, and then the connection ends. Returns whether there is a rest.
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
