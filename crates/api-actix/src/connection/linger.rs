//! What happens to a connection after actix-http has let go of it.

use super::gate::DISCARDED;
use super::upgraded::{Upgrade, UpgradedStream};
use super::{Left, LeftSlot};
use actix_web::rt::net::TcpStream;
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// Runs an upgraded connection to its end. Lingers on a connection whose client may still be sending, for at most
/// `timeout`.
pub async fn finish(left: LeftSlot, timeout: Duration) {
    let Some(Left { stream, place, upgrade }) = left.take() else { return };
    let stream = match upgrade {
        Some(Upgrade { run, early, rules }) => {
            let runs = run(UpgradedStream::new(stream, early, rules));
            runs.await.into_inner()
        }
        None => stream,
    };
    // Boxed, so that a connection has the memory for it only now.
    Box::pin(linger(stream, timeout)).await;
    drop(place);
}

/// Discards what the client still sends, up to a bound and for at most `timeout`. If the server closed the connection
/// with unread bytes, the kernel would send a reset, and the client would lose the last bytes that the server sent.
async fn linger(stream: TcpStream, timeout: Duration) {
    // The client hears at once that nothing more comes; one that is gone has no use for it.
    let _ = socket2::SockRef::from(&stream).shutdown(Shutdown::Write);
    let reading = async {
        let (mut rest, mut scratch) = (stream.take(DISCARDED), [0; 4096]);
        while rest.read(&mut scratch).await.is_ok_and(|length| length > 0) {}
    };
    // The server stops waiting for a client that never stops sending.
    let _ = tokio::time::timeout(timeout, reading).await;
}
