//! Shields actix-http from bytes that it would mishandle.
//!
//! actix-http has four faults with unusual clients.
//!
//! - After it has answered a request, it reads the rest of a chunked body for as long as the client sends it.
//! - It takes a request for another protocol as a stream without an end, and the connection dies of it.
//! - It sends a second answer when a body turns out to be malformed.
//! - It decodes pipelined requests before it answers the first one, and then answers the first by what it has read of
//!   the last.
//!
//! [`gate::Gate`] therefore follows the framing of requests below actix-http. It passes on one request at a time,
//! removes upgrade headers that the server does not support, and decides where a body ends.

mod chunks;
mod gate;
mod head;
mod limits;
mod linger;

pub use gate::Gate;
pub use limits::{ConnectionLimits, ConnectionPermit};
pub use linger::linger;

use actix_web::rt::net::TcpStream;
use gate::Mode;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The size of the read buffer in bytes.
const SCRATCH: usize = 16 * 1024;

/// The gate of a connection. Handlers find it by `HttpRequest::conn_data`.
pub type SharedGate = Rc<RefCell<Gate>>;

/// The stream and permit of a closed connection whose client may still be sending.
pub type LingerSlot = Rc<Cell<Option<(TcpStream, ConnectionPermit)>>>;

/// The rules for all connections of a worker.
pub struct Rules {
    /// How long a client may take for the head of a request after the first. (actix-http has its own deadline for the
    /// first.)
    pub head_deadline: Duration,
    /// How long the server discards unread input before it ends the connection.
    pub linger: Duration,
    /// The largest body that any route accepts, in bytes.
    pub max_body_bytes: u64,
    scratch: RefCell<Box<[u8]>>,
}

impl Rules {
    /// The rules of one worker.
    pub fn new(head_deadline: Duration, linger: Duration, max_body_bytes: u64) -> Self {
        let scratch = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
        Self { head_deadline, linger, max_body_bytes, scratch }
    }
}

/// The deadline that is running, if any.
enum Deadline {
    None,
    Head(Pin<Box<Sleep>>),
    Linger(Pin<Box<Sleep>>),
}

/// One client's connection. Dropping it frees its permit.
pub struct Connection {
    /// `None` only after `drop` took it.
    stream: Option<TcpStream>,
    gate: SharedGate,
    rules: Rc<Rules>,
    deadline: Deadline,
    /// Whether the server has shut down its writing side.
    ended: bool,
    place: Option<ConnectionPermit>,
    left: LingerSlot,
}

impl Connection {
    /// A connection over this stream.
    pub fn new(stream: TcpStream, rules: &Rc<Rules>, place: ConnectionPermit) -> Self {
        // Twice the limit, so that a client slightly above it still reads the 413.
        let gate = Rc::new(RefCell::new(Gate::new(rules.max_body_bytes.saturating_mul(2))));
        let (stream, place, left) = (Some(stream), Some(place), LingerSlot::default());
        Self { stream, gate, rules: Rc::clone(rules), deadline: Deadline::None, ended: false, place, left }
    }

    /// The gate, by which requests decide what happens to the connection.
    pub fn gate(&self) -> &SharedGate {
        &self.gate
    }

    /// Where `drop` leaves the stream if the client may still be sending input that the server refused.
    pub fn left(&self) -> LingerSlot {
        Rc::clone(&self.left)
    }

    /// Whether the current deadline has passed.
    fn is_late(&mut self, mode: Mode, cx: &mut Context<'_>) -> bool {
        let in_head = mode == Mode::Passes && self.gate.borrow().is_in_a_later_head();
        match (&self.deadline, mode) {
            (Deadline::Linger(_), Mode::Discards(_)) => {}
            (_, Mode::Discards(_)) => self.deadline = Deadline::Linger(Box::pin(sleep(self.rules.linger))),
            (Deadline::Head(_), _) if in_head => {}
            (_, _) if in_head => self.deadline = Deadline::Head(Box::pin(sleep(self.rules.head_deadline))),
            (Deadline::None, _) => {}
            _ => self.deadline = Deadline::None,
        }
        match &mut self.deadline {
            Deadline::None => false,
            Deadline::Head(sleep) | Deadline::Linger(sleep) => sleep.as_mut().poll(cx).is_ready(),
        }
    }
}

/// The stream of a connection.
#[expect(clippy::expect_used, reason = "only `drop` takes the stream")]
fn open(stream: &mut Option<TcpStream>) -> Pin<&mut TcpStream> {
    Pin::new(stream.as_mut().expect("the connection was dropped"))
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.gate.borrow().is_refused()
            && let (Some(stream), Some(place)) = (self.stream.take(), self.place.take())
        {
            self.left.set(Some((stream, place)));
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.gate.borrow_mut().drain(to) {
                return Poll::Ready(Ok(()));
            }
            if this.gate.borrow_mut().is_held(cx.waker()) {
                return Poll::Pending;
            }
            let mode = this.gate.borrow().mode();
            if this.is_late(mode, cx) {
                this.gate.borrow_mut().close();
                return Poll::Ready(Ok(()));
            }
            match mode {
                Mode::Over => return Poll::Ready(Ok(())),
                // The decision wakes this task, because the task runs the request.
                Mode::Waits | Mode::Discards(0) => return Poll::Pending,
                Mode::Passes | Mode::Discards(_) => {}
            }
            let mut scratch = this.rules.scratch.borrow_mut();
            let room = to.remaining().clamp(1024, SCRATCH);
            let mut read = ReadBuf::new(&mut scratch[..room]);
            ready!(open(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (mut gate, before) = (this.gate.borrow_mut(), to.filled().len());
            match mode {
                Mode::Discards(_) => gate.discard(read.filled()),
                _ => gate.feed(read.filled(), to),
            }
            if to.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        open(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    /// Runs when the kernel has taken all output. If that was the last output, the server shuts down its writing side
    /// at once: clients wait for the server to close a WebSocket (RFC 6455, section 7.1.1).
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(open(&mut this.stream).poll_flush(cx))?;
        if !this.ended && this.gate.borrow().ends_writing() {
            this.ended = true;
            // The shutdown fails only if the client is gone.
            let _ = socket2::SockRef::from(&*open(&mut this.stream)).shutdown(std::net::Shutdown::Write);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        open(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
