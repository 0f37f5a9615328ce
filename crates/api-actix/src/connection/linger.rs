//! The end of a connection on which the server refused what the client sent.

use super::LingerSlot;
use super::gate::DISCARDED;
use std::net::Shutdown;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// Discards what the client still sends, up to a bound and for at most `timeout`. If the server closed the connection
/// with unread bytes, the kernel would send a reset, and the client would lose the answer that refuses its request.
pub async fn linger(left: LingerSlot, timeout: Duration) {
    let Some((stream, _place)) = left.take() else { return };
    // The client hears at once that nothing more comes; one that is gone has no use for it.
    let _ = socket2::SockRef::from(&stream).shutdown(Shutdown::Write);
    let reading = async {
        let (mut rest, mut scratch) = (stream.take(DISCARDED), [0; 4096]);
        while rest.read(&mut scratch).await.is_ok_and(|length| length > 0) {}
    };
    // The server stops waiting for a client that never stops sending.
    let _ = tokio::time::timeout(timeout, reading).await;
}
