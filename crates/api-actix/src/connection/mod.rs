//! A client's connection, as actix-http sees it: bytes in, bytes out, but none that it would mishandle.
//!
//! actix-http has four faults with what odd clients send. It reads what is left of a chunked body after its request was
//! answered for as long as somebody sends it. It takes what asks for another protocol for a stream without an end, and
//! lets the connection die of it. It sends a second answer where a body turns out to be broken. And it decodes requests
//! that come together before it answers the first, and answers that one by what it has read of the last. So
//! [`gate::Gate`] follows the framing of requests below it: it passes on one request at a time, leaves out wishes for
//! protocols that nobody speaks, and says where a body ends, or has to.

mod chunks;
mod gate;
mod head;
mod linger;
mod places;

pub use gate::Gate;
pub use linger::linger;
pub use places::{Place, Places};

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

/// How much is read at once.
const SCRATCH: usize = 16 * 1024;

/// The gate of a connection, as its requests find it (`HttpRequest::conn_data`).
pub type SharedGate = Rc<RefCell<Gate>>;

/// A stream whose client may still be sending, and its place.
pub type Left = Rc<Cell<Option<(TcpStream, Place)>>>;

/// What holds for all connections of a worker.
pub struct Rules {
    /// How long a client may take for the head of a request that is not its first. (actix-http has a deadline for
    /// that.)
    pub head_deadline: Duration,
    /// How long what nobody reads is thrown away before the connection ends.
    pub linger: Duration,
    /// The largest body that is taken anywhere.
    pub most_of_a_body: u64,
    scratch: RefCell<Box<[u8]>>,
}

impl Rules {
    /// Of one worker.
    pub fn new(head_deadline: Duration, linger: Duration, most_of_a_body: u64) -> Self {
        let scratch = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
        Self { head_deadline, linger, most_of_a_body, scratch }
    }
}

/// What is waited for, no longer than until then.
enum Deadline {
    None,
    Head(Pin<Box<Sleep>>),
    Linger(Pin<Box<Sleep>>),
}

/// One client's connection. Its place is given back when it is dropped.
pub struct Connection {
    /// Only missing where it was dropped.
    stream: Option<TcpStream>,
    gate: SharedGate,
    rules: Rc<Rules>,
    deadline: Deadline,
    /// Nothing is written any more, as the client was told.
    ended: bool,
    place: Option<Place>,
    left: Left,
}

impl Connection {
    /// Over this stream.
    pub fn new(stream: TcpStream, rules: &Rc<Rules>, place: Place) -> Self {
        // Twice the largest, so that who is a little above it hears why it is refused.
        let gate = Rc::new(RefCell::new(Gate::new(rules.most_of_a_body.saturating_mul(2))));
        let (stream, place, left) = (Some(stream), Some(place), Left::default());
        Self { stream, gate, rules: Rc::clone(rules), deadline: Deadline::None, ended: false, place, left }
    }

    /// Where its requests say what becomes of it.
    pub fn gate(&self) -> &SharedGate {
        &self.gate
    }

    /// Where it leaves its stream when it is dropped, if the client may still be sending what is refused.
    pub fn left(&self) -> Left {
        Rc::clone(&self.left)
    }

    /// Whether what is waited for now has been waited for long enough.
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
                // Whoever decides wakes this task: it is the one that runs the request.
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

    /// Called when all was handed to the system. What was to be the last is followed by the end at once: clients wait
    /// for the server to close a WebSocket (RFC 6455, section 7.1.1), and many tell nobody of the end before that.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(open(&mut this.stream).poll_flush(cx))?;
        if !this.ended && this.gate.borrow().ends_writing() {
            this.ended = true;
            // A client that is gone has no use for it.
            let _ = socket2::SockRef::from(&*open(&mut this.stream)).shutdown(std::net::Shutdown::Write);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        open(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
