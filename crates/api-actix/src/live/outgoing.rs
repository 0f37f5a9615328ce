//! Writes the frames in a WebSocket's outbox to its stream.

use super::handshake;
use crate::connection::UpgradedStream;
use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser};
use bytes::{Bytes, BytesMut};
use infra_live::{AttachGuard, Connection, End, Frame, OutboxItem};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// How many frames one write passes to the kernel.
const MAX_FRAMES: usize = 64;
/// With so many bytes waiting for the kernel, the other frames wait in the outbox.
const MAX_BYTES: usize = 32 * 1024;
/// An empty queue keeps memory for no more frames than this.
const KEPT_CAPACITY: usize = 4;

/// The close code for the end of a connection (`docs/api.md`, Live; RFC 6455, section 7.4).
const GOING_AWAY: u16 = 1001;
pub const PROTOCOL: u16 = 1002;
pub const TOO_MANY: u16 = 1008;
pub const TOO_BIG: u16 = 1009;
pub const FAULT: u16 = 1011;
const SIGNED_OUT: u16 = 4401;
const LAGGING: u16 = 4408;

/// Writes until the outbox has ended or the client is gone. The connection then leaves its shard at once.
pub async fn write(stream: &UpgradedStream, guard: AttachGuard) {
    let mut unwritten = Unwritten::default();
    poll_fn(|cx| unwritten.poll_all(cx, guard.connection(), |cx, slices| stream.poll_write(cx, slices))).await;
    stream.shut_down_writing();
}

/// Bytes on their way from the outbox to the kernel.
enum Chunk {
    /// A frame that other connections send, too.
    Shared(Arc<Frame>),
    Own(Bytes),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(frame) => &frame.bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// What was taken out of the outbox and not yet taken by the kernel.
#[derive(Default)]
struct Unwritten {
    chunks: VecDeque<Chunk>,
    /// How much of the first chunk is written.
    offset: usize,
    /// How many bytes are left.
    bytes: usize,
}

impl Unwritten {
    /// Ready when `write` has taken all that the outbox will ever hold, or has failed.
    fn poll_all(
        &mut self,
        cx: &mut Context<'_>,
        connection: &Connection,
        mut write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<()> {
        loop {
            let mut over = false;
            while !over && self.chunks.len() < MAX_FRAMES && self.bytes < MAX_BYTES {
                match connection.outbox.poll_next(cx) {
                    Poll::Ready(Some(item)) => self.add(encode(item)),
                    Poll::Ready(None) => over = true,
                    Poll::Pending => break,
                }
            }
            if self.chunks.is_empty() {
                return if over { Poll::Ready(()) } else { Poll::Pending };
            }
            match ready!(self.poll_some(cx, &mut write)) {
                Ok(written @ 1..) => self.advance(written),
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    fn add(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes().len();
        self.chunks.push_back(chunk);
    }

    fn poll_some(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX_FRAMES];
        let (mut count, mut offset) = (0, self.offset);
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk.bytes().get(offset..).unwrap_or_default());
            (count, offset) = (count + 1, 0);
        }
        write(cx, &slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(first) = self.chunks.front() {
            let left = first.bytes().len().saturating_sub(self.offset);
            if written < left {
                self.offset += written;
                return;
            }
            (written, self.offset) = (written - left, 0);
            self.chunks.pop_front();
        }
        if self.chunks.capacity() > KEPT_CAPACITY {
            self.chunks = VecDeque::new();
        }
    }
}

fn encode(outgoing: OutboxItem) -> Chunk {
    Chunk::Own(match outgoing {
        OutboxItem::Frame(frame) => return Chunk::Shared(frame),
        OutboxItem::Ping => Bytes::from_static(&[0x89, 0]),
        OutboxItem::Pong(payload) => {
            // The reader refuses pings with more than 125 bytes.
            let mut frame = BytesMut::with_capacity(payload.len() + 2);
            Parser::write_message(&mut frame, payload, OpCode::Pong, true, false);
            frame.freeze()
        }
        OutboxItem::End(end) => {
            let (code, reason) = close_of(end);
            let mut frame = BytesMut::with_capacity(64);
            let reason = CloseReason { code: CloseCode::from(code), description: reason };
            Parser::write_close(&mut frame, Some(reason), false);
            frame.freeze()
        }
    })
}

fn close_of(end: End) -> (u16, Option<String>) {
    match end {
        End::SignedOut => (SIGNED_OUT, Some("signed out".to_owned())),
        End::Lagging => (LAGGING, Some("events may be missing: connect again with ?since=".to_owned())),
        End::TimedOut => (LAGGING, Some("no sign of life: connect again with ?since=".to_owned())),
        End::Stopping => (GOING_AWAY, Some(format!("retry={}", handshake::retry_hint()))),
        End::Transport(TOO_MANY) => (TOO_MANY, Some("too many frames: connect again later".to_owned())),
        End::Transport(code) => (code, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::testing::World;
    use domain::events::Revision;
    use std::task::Waker;

    fn frame(number: u8, length: usize) -> Frame {
        let (cursor, bytes) = (Revision(0), Bytes::from(vec![number; length]));
        Frame { name: "x", cursor, bytes, position: None, transient: false }
    }

    /// Writes at most `most` bytes at once into `written`; every other time the kernel takes nothing.
    fn kernel(
        written: &mut Vec<u8>,
        most: usize,
    ) -> impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut full = true;
        move |_, slices| {
            full = !full;
            if full {
                return Poll::Pending;
            }
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = bytes.len().min(most);
            written.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }
    }

    #[actix_web::test]
    async fn all_is_written_in_order_however_little_the_kernel_takes() {
        let world = World::new().await;
        for most in [1, 7, 100, 1_000_000] {
            let (_shard, guard) = world.attach();
            let connection = guard.connection();
            let mut expected = Vec::new();
            for (number, length) in (0..60).zip([3, 1, 0, 300, 40].into_iter().cycle()) {
                connection.send(frame(number, length)).await;
                expected.extend(vec![number; length]);
            }
            connection.outbox.end(End::Transport(1000));
            expected.extend([0x88, 2, 3, 232]);
            let (mut unwritten, mut written) = (Unwritten::default(), Vec::new());
            let mut kernel = kernel(&mut written, most);
            let cx = &mut Context::from_waker(Waker::noop());
            while unwritten.poll_all(cx, connection, &mut kernel).is_pending() {}
            drop(kernel);
            assert_eq!(written, expected, "{most}");
            assert_eq!((unwritten.bytes, unwritten.offset), (0, 0));
        }
    }

    #[actix_web::test]
    async fn what_a_client_does_not_read_waits_in_the_outbox() {
        let world = World::new().await;
        let (_shard, guard) = world.attach();
        let connection = guard.connection();
        let (mut unwritten, mut sent) = (Unwritten::default(), 0);
        // The outbox takes replies as long as there is room.
        let mut blocked = |_: &mut Context<'_>, _: &[IoSlice<'_>]| Poll::Pending;
        let cx = &mut Context::from_waker(Waker::noop());
        while connection.outbox.poll_room(cx).is_ready() {
            connection.send(frame(0, 10_000)).await;
            assert!(unwritten.poll_all(cx, connection, &mut blocked).is_pending());
            sent += 1;
        }
        assert!(unwritten.bytes <= MAX_BYTES + 10_000, "{}", unwritten.bytes);
        assert!((50..100).contains(&sent), "{sent}");
        // Who is gone is given up.
        let mut broken = |_: &mut Context<'_>, _: &[IoSlice<'_>]| Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        assert!(unwritten.poll_all(cx, connection, &mut broken).is_ready());
    }
}
