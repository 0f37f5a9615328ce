//! Opens the listening sockets.

use crate::http::error::{ApiError, CONNECTIONS_RETRY_AFTER};
use actix_web::rt::net::TcpStream;
use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::time::Duration;

/// How long a client may take nothing of what was sent to it.
const WRITE_DEADLINE: Duration = Duration::from_secs(15);
/// How many connections may wait to be taken: when thousands come back at once, as after a restart, none is turned
/// away. The system has the last word (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Binds the port; connections wait there from now on.
///
/// # Errors
/// Where the system refuses it.
pub fn bind(listen: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    // The standard library asks for 128; the last call counts.
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Sets up a new connection: what is written goes at once, and the system ends a connection whose client takes none of
/// what was sent to it for so long. Nobody else can, since whoever writes waits for the client.
pub fn set_up(stream: &TcpStream) {
    // It may be gone already.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(WRITE_DEADLINE));
}

/// Answers a connection that is not taken, before its client has asked for anything, and waits for nothing: whoever has
/// too many must not hold more by being refused.
pub fn refuse(stream: &TcpStream) {
    let body = ApiError::TooManyOfNetwork.body();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: {CONNECTIONS_RETRY_AFTER}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // What came already is taken, or the system would throw the answer away together with it. A new connection has room
    // for the answer.
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
        // Nobody takes them. Where the queue is full, connecting takes until it is given up.
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(30)).unwrap();
        assert_eq!((0..MANY).map(connect).collect::<Vec<_>>().len(), MANY);
    }
}
