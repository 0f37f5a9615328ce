//! The port.

use anyhow::Context as _;
use std::net::TcpListener;
use std::time::Duration;

/// How long a client may take nothing of what was sent to it.
const WRITE_DEADLINE: Duration = Duration::from_secs(15);
/// How many connections may wait to be taken: when thousands come back at once, as after a restart, none is turned away.
/// The system has the last word (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Binds the port; connections wait there from now on.
///
/// # Errors
/// In words for the operator.
pub fn bind(listen: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(listen).with_context(|| format!("PARLANCE_LISTEN: cannot listen on {listen}"))?;
    listener.set_nonblocking(true).context("the port cannot be set up")?;
    // The standard library asks for 128; the last call counts.
    socket2::SockRef::from(&listener).listen(BACKLOG).context("the port cannot be set up")?;
    Ok(listener)
}

/// Lets the system end a connection whose client takes none of what was sent to it for so long: nobody else can, since
/// whoever writes waits for the client.
#[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "other systems have no such limit"))]
pub fn cut_stalled_readers(connection: &dyn std::any::Any) {
    #[cfg(target_os = "linux")]
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        let set = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(WRITE_DEADLINE));
        if let Err(error) = set {
            tracing::warn!(%error, "a connection has no write deadline");
        }
    }
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
