//! Asks the server on this machine whether it is ready, for `doctor` and `healthcheck`.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// The timeout of the whole probe. A server whose database does not answer replies after 2.5 s.
const WITHIN: Duration = Duration::from_secs(4);
/// More bytes than an answer of the server has.
const MAX_BYTES: usize = 4096;

/// The answer to `GET /ready`.
#[derive(Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The status; 200 if the server is ready.
    pub status: Option<u16>,
    /// The whole answer in lower case.
    pub text: String,
}

/// Asks at the server's configured address. `None` if nothing accepts the connection. The probe waits at most four
/// seconds for the answer.
pub fn ask(listen: &str) -> Option<ProbeAnswer> {
    let deadline = Instant::now() + WITHIN;
    let addresses = listen.to_socket_addrs().ok()?.flat_map(reachable);
    let mut stream =
        addresses.filter_map(|address| TcpStream::connect_timeout(&address, left(deadline)).ok()).next()?;
    stream.set_write_timeout(Some(left(deadline))).ok()?;
    stream.write_all(b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while answer.len() < MAX_BYTES && stream.set_read_timeout(Some(left(deadline))).is_ok() {
        // The bytes before an error suffice.
        match stream.read(&mut part) {
            Ok(read) if read > 0 => answer.extend_from_slice(&part[..read]),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    Some(ProbeAnswer { status: status(&text), text })
}

fn status(text: &str) -> Option<u16> {
    text.strip_prefix("http/1.")?.split(' ').nth(1)?.get(..3)?.parse().ok()
}

/// Never zero, which sockets take for "no timeout".
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// The address to connect to for a server that listens there: "all addresses" is none.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port());
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![at(Ipv4Addr::LOCALHOST.into())],
        // This covers IPv4 too if the system allows it; a system without IPv6 uses IPv4 alone.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => vec![at(Ipv6Addr::LOCALHOST.into()), at(Ipv4Addr::LOCALHOST.into())],
        _ => vec![address],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_by_the_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:80", &["127.0.0.1:80"][..]),
            ("[::]:80", &["[::1]:80", "127.0.0.1:80"]),
            ("192.0.2.1:80", &["192.0.2.1:80"]),
            ("[2001:db8::1]:80", &["[2001:db8::1]:80"]),
        ] {
            let found: Vec<_> = reachable(listen.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(found, reached);
        }
    }

    #[test]
    fn a_status_is_read_off_the_first_line() {
        for (text, found) in [
            ("http/1.1 200 ok\r\n", Some(200)),
            ("http/1.0 503 service unavailable", Some(503)),
            ("http/1.1 2", None),
            ("ssh-2.0-openssh 200", None),
            ("", None),
        ] {
            assert_eq!(status(text), found, "{text}");
        }
    }

    #[test]
    fn nobody_is_told_from_somebody_who_says_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = std::thread::spawn(move || drop(listener.accept()));
        assert_eq!(ask(&address), Some(ProbeAnswer { status: None, text: String::new() }));
        silent.join().unwrap();
        assert_eq!(ask(&address), None);
    }
}
