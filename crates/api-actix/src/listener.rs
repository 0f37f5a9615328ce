//! Opens the listening sockets.

use crate::http::error::{ApiError, CONNECTIONS_RETRY_AFTER};
use actix_web::rt::net::TcpStream;
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::time::Duration;

/// How long a client may read nothing of what the server sent.
const WRITE_DEADLINE: Duration = Duration::from_secs(15);
/// How many connections may wait for `accept`. When thousands of clients reconnect at once, as after a restart, the
/// server refuses none of them. The kernel may cap this value (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Binds the port. Connections queue there from now on.
///
/// # Errors
/// An I/O error if the system refuses the port.
pub fn bind(listen: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    // The standard library calls `listen` with 128; the last call counts.
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Sets up a new connection. Small writes leave at once. The kernel ends a connection whose client reads nothing for
/// [`WRITE_DEADLINE`]; nothing else could, because writers wait for the client.
pub fn set_up(stream: &TcpStream) {
    // The client may already be gone.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(WRITE_DEADLINE));
}

/// Refuses a connection before its client has sent a request, without waiting: a client with too many connections must
/// not hold more by being refused.
pub fn refuse(stream: &TcpStream) {
    let body = ApiError::TooManyOfNetwork.body();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: {CONNECTIONS_RETRY_AFTER}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The server reads what has already arrived; otherwise the kernel would discard the answer too. The send buffer of
    // a new connection has room for the answer.
    let socket = socket2::SockRef::from(stream);
    let _ = socket.recv(&mut [MaybeUninit::uninit(); 16 * 1024]);
    let _ = socket.send(answer.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[cfg(target_os = "linux")]
    #[test]
    fn many_connections_may_wait_to_be_taken() {
        const MANY: usize = 300;
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        if most.trim().parse::<usize>().unwrap() < MANY {
            eprintln!("LEFT OUT: this system lets no more than {} wait", most.trim());
            return;
        }
        let listener = bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Nothing accepts these connections. If the queue is full, `connect` blocks until the timeout.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(30)).unwrap();
        assert_eq!((0..MANY).map(connect).collect::<Vec<_>>().len(), MANY);
    }
}
