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
//!
//! actix-http keeps two buffers of 8 KiB and more for each connection. A WebSocket may last for days, so it leaves
//! actix-http with its handshake: the handler gives the gate a task, and the task gets the stream ([`finish`]).

mod chunks;
mod gate;
mod head;
mod limits;
mod linger;
mod upgraded;

pub use gate::Gate;
pub use limits::{ConnectionLimits, ConnectionPermit};
pub use linger::finish;
pub use upgraded::UpgradedStream;

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
use upgraded::Upgrade;

/// The size of the read buffer in bytes.
const SCRATCH: usize = 16 * 1024;

/// The gate of a connection. Handlers find it by `HttpRequest::conn_data`.
pub type SharedGate = Rc<RefCell<Gate>>;

/// What is left of a connection that actix-http has let go: one that a WebSocket has taken, or one whose client may
/// still be sending.
pub struct Left {
    stream: TcpStream,
    place: ConnectionPermit,
    upgrade: Option<Upgrade>,
}

/// Where a connection puts what is left of it.
pub type LeftSlot = Rc<Cell<Option<Left>>>;

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
    place: Option<ConnectionPermit>,
    left: LeftSlot,
}

impl Connection {
    /// A connection over this stream.
    pub fn new(stream: TcpStream, rules: &Rc<Rules>, place: ConnectionPermit) -> Self {
        // Twice the limit, so that a client slightly above it still reads the 413.
        let gate = Rc::new(RefCell::new(Gate::new(rules.max_body_bytes.saturating_mul(2))));
        let (stream, place, left) = (Some(stream), Some(place), LeftSlot::default());
        Self { stream, gate, rules: Rc::clone(rules), deadline: Deadline::None, place, left }
    }

    /// The gate, by which requests decide what happens to the connection.
    pub fn gate(&self) -> &SharedGate {
        &self.gate
    }

    /// Where `drop` leaves the stream, if a WebSocket has taken it, or if the client may still be sending input that
    /// the server refused.
    pub fn left(&self) -> LeftSlot {
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
        // It is borrowed here only if a panic unwinds through the borrower.
        let Ok(mut gate) = self.gate.try_borrow_mut() else { return };
        let socket = gate.taken_socket();
        if (socket.is_some() || gate.is_refused())
            && let (Some(stream), Some(place)) = (self.stream.take(), self.place.take())
        {
            let upgrade = socket.map(|(run, early)| Upgrade { run, early, rules: Rc::clone(&self.rules) });
            self.left.set(Some(Left { stream, place, upgrade }));
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        open(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// actix-http is done with the connection. If a WebSocket has taken it, the stream stays open.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.gate.borrow().has_taken_socket() {
            return Poll::Ready(Ok(()));
        }
        open(&mut this.stream).poll_shutdown(cx)
    }
}
