//! A connection after its upgrade. actix-http and all that it keeps for a connection are gone; a task of the server
//! reads and writes the stream itself.

use super::{Rules, SCRATCH};
use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::LocalBoxFuture;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

/// Runs a connection from its upgrade on, and returns the stream once the server has nothing more to write.
pub type SocketTask = Box<dyn FnOnce(UpgradedStream) -> LocalBoxFuture<'static, UpgradedStream>>;

/// What a connection leaves behind that its handler has upgraded.
pub struct Upgrade {
    pub run: SocketTask,
    /// What the client sent together with its handshake.
    pub early: Vec<u8>,
    pub rules: Rc<Rules>,
}

/// The stream of an upgraded connection. It keeps no buffer, so that an idle connection costs little. A reader and a
/// writer in one task may share it.
pub struct UpgradedStream {
    stream: RefCell<TcpStream>,
    /// What the client sent together with its handshake.
    early: Cell<Vec<u8>>,
    rules: Rc<Rules>,
}

impl UpgradedStream {
    /// `early` precedes what the stream yields.
    pub fn new(stream: TcpStream, early: Vec<u8>, rules: Rc<Rules>) -> Self {
        Self { stream: RefCell::new(stream), early: Cell::new(early), rules }
    }

    /// Writes from the beginning of these slices. Returns how many bytes the kernel has taken.
    ///
    /// # Errors
    /// An I/O error if the client is gone.
    pub fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut stream = self.stream.borrow_mut();
        let stream = Pin::new(&mut *stream);
        match slices {
            // The system call for one slice costs less.
            [one] => stream.poll_write(cx, one),
            several => stream.poll_write_vectored(cx, several),
        }
    }

    /// Tells the client that nothing more comes. Clients wait for the server to close a WebSocket (RFC 6455, section
    /// 7.1.1).
    pub fn shut_down_writing(&self) {
        // It fails only if the client is gone.
        let _ = socket2::SockRef::from(&*self.stream.borrow()).shutdown(Shutdown::Write);
    }

    /// The stream itself.
    pub fn into_inner(self) -> TcpStream {
        self.stream.into_inner()
    }
}

impl Stream for &UpgradedStream {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let early = self.early.take();
        if !early.is_empty() {
            return Poll::Ready(Some(Ok(Bytes::from(early))));
        }
        let mut scratch = self.rules.scratch.borrow_mut();
        let mut read = ReadBuf::new(&mut scratch[..SCRATCH]);
        ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, &mut read))?;
        Poll::Ready(match read.filled() {
            [] => None,
            bytes => Some(Ok(Bytes::copy_from_slice(bytes))),
        })
    }
}
