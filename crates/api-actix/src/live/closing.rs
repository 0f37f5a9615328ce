//! The end of a WebSocket's TCP connection. actix-http takes whatever a client may still send for the rest of a request, and waits
//! three seconds for more of it before it closes anything; but clients wait for the server to close (RFC 6455, section 7.1.1), and
//! many tell nobody of the end before that. So the server's direction is closed as soon as the last frame is out.

use actix_web::dev::Extensions;
use std::any::Any;

/// The socket below a connection, as long as there is one.
#[derive(Debug, Clone, Copy)]
pub struct Wire(#[cfg(unix)] std::os::fd::RawFd);

impl Wire {
    /// Notes which socket a new connection has.
    pub fn note(connection: &dyn Any, data: &mut Extensions) {
        #[cfg(unix)]
        if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
            data.insert(Self(std::os::fd::AsRawFd::as_raw_fd(stream)));
        }
    }

    /// Says that nothing more comes: the client reads what was written before, and then the end.
    ///
    /// Only for the body of the connection's own response while it is being polled.
    #[cfg_attr(unix, expect(unsafe_code, reason = "actix-web lends nobody the socket of a response"))]
    pub fn end_writing(self) {
        #[cfg(unix)]
        {
            // SAFETY: a response's body is polled by the dispatcher that owns the connection's socket, which it closes only when
            // it is dropped itself; so the descriptor is open, and that socket's, until this returns.
            let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) };
            // A client that is gone has no use for it.
            let _ = socket2::SockRef::from(&socket).shutdown(std::net::Shutdown::Write);
        }
    }
}
