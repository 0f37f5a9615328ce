//! Finds the client's address behind trusted proxies.

use actix_web::HttpRequest;
use actix_web::http::Version;
use actix_web::http::header::{self, HeaderMap};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Once;
use tracing::warn;

/// The header to which each proxy appends the address of its client.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// Headers of a request that passed through a proxy.
const TRACES: [&str; 13] = [
    FORWARDED_FOR,
    "forwarded",
    "x-real-ip",
    "via",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-by",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-envoy-external-address",
];

/// The trusted proxies (`PARLANCE_TRUSTED_PROXIES`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Parses a list of networks and addresses, separated by commas.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(list: &str) -> Result<Self, String> {
        let networks = list.split(',').map(str::trim).filter(|network| !network.is_empty());
        let networks = networks.map(network).collect::<Option<_>>();
        networks.map(Self).ok_or_else(|| "must be networks like 10.0.0.0/8 or ::1, comma-separated".to_owned())
    }

    /// Whether the peer at this address is a trusted proxy.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the client's address. This is the last address in `X-Forwarded-For` that is no trusted proxy's, because
    /// only trusted proxies' entries can be believed. If all are trusted, it is the first one. If the peer is not
    /// trusted, or an entry that has to be read is no address, it is the peer's. IPv4 addresses mapped into IPv6 count
    /// as IPv4.
    pub fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        if !self.trust(peer) {
            warn_about_unknown_proxy(peer, request.headers());
            return Some(peer);
        }
        Some(self.forwarded(request.headers()).unwrap_or(peer))
    }

    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        // All header lines form one list. The reader stops at the first address that is not trusted and stores none.
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
        let mut furthest = None;
        for line in lines.into_iter().rev() {
            // Only the entries that the reader needs must be text: the client wrote the ones to the left of them.
            for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
                let address = address(str::from_utf8(entry).ok()?.trim())?;
                if !self.trust(address) {
                    return Some(address);
                }
                furthest = Some(address);
            }
        }
        furthest
    }
}

/// Warns once about an unknown proxy in a private network: the operator has probably forgotten to list it.
fn warn_about_unknown_proxy(peer: IpAddr, headers: &HeaderMap) {
    static ONCE: Once = Once::new();
    let at_home = match peer {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    if !ONCE.is_completed() && at_home && headers.contains_key(FORWARDED_FOR) {
        ONCE.call_once(|| {
            warn!(%peer, "PARLANCE_TRUSTED_PROXIES does not name this proxy: all of its clients count as one address");
        });
    }
}

/// Whether a request comes from this machine itself: not through a proxy on it, and not from a web page in a browser on
/// it.
///
/// A proxy adds a header, or asks for another host than this machine, or speaks HTTP/1.0, as nginx does by default. A
/// page that uses DNS rebinding shows its own name in `Host`.
pub fn is_near(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let forwarded = TRACES.iter().any(|name| headers.contains_key(*name)) || request.version() < Version::HTTP_11;
    let host = request.uri().authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok());
    !forwarded
        && host.is_some_and(is_this_machine)
        && request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Whether a `Host`, with or without a port, names the local machine.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Parses a network, or one address as a network of its own.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    if let IpNet::V6(mapped) = network
        && let (Some(address), Some(length)) = (mapped.addr().to_ipv4_mapped(), mapped.prefix_len().checked_sub(96))
    {
        return Ipv4Net::new(address, length).ok().map(IpNet::V4);
    }
    Some(network)
}

/// Parses an address, with or without the port that some proxies add.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    address.ok().or_else(bare).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    fn client<L: AsRef<[u8]>>(trusted: &str, peer: &str, lines: &[L]) -> String {
        let mut request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 1));
        for line in lines {
            request = request.append_header((FORWARDED_FOR, HeaderValue::from_bytes(line.as_ref()).unwrap()));
        }
        Proxies::parse(trusted).unwrap().client(&request.to_http_request()).unwrap().to_string()
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        let trusted = "10.0.0.0/8, ::1, 2001:db8:1::/48";
        for (peer, lines, expected) in [
            ("10.0.0.1", &["192.0.2.1"][..], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["127.0.0.1,192.0.2.1 , 10.9.9.9"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9", "192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["nonsense, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
            ("::1", &["192.0.2.1, 2001:db8:1:2::3"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Nothing to read: the peer's address.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1,"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1", "\"x\""], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1 10.0.0.2"], "10.0.0.1"),
            // An untrusted peer's header is ignored.
            ("192.0.2.7", &["203.0.113.9"], "192.0.2.7"),
            ("2001:db8:2::1", &["203.0.113.9"], "2001:db8:2::1"),
        ] {
            assert_eq!(client(trusted, peer, lines), expected, "{peer} {lines:?}");
        }
        // nginx joins the client's header and its own entry in one line. The client's bytes must not hide nginx's
        // entry.
        let lines: [&[u8]; 2] = [b"\xff, 192.0.2.1", b"10.0.0.2"];
        assert_eq!(client(trusted, "10.0.0.1", &lines[..1]), "192.0.2.1");
        assert_eq!(client(trusted, "10.0.0.1", &lines), "192.0.2.1");
        assert_eq!(client(trusted, "10.0.0.1", &[b"192.0.2.1, \xff"]), "10.0.0.1");
        assert_eq!(client("", "127.0.0.1", &["203.0.113.9"]), "127.0.0.1", "nobody is trusted unasked");
        assert_eq!(client("::ffff:10.0.0.0/104", "10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn a_list_is_of_networks() {
        assert_eq!(Proxies::parse(" , ").unwrap(), Proxies::default());
        for bad in ["all", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/8;::1", "example.org", "::1/129", "10.0.0.1:80"] {
            assert!(Proxies::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_this_machine_is_near_and_no_proxy_on_it() {
        let near = |peer: &str, header: Option<&'static str>| {
            let request =
                TestRequest::default().peer_addr(peer.parse().unwrap()).insert_header((header::HOST, "localhost"));
            let request = header.iter().fold(request, |request, name| request.insert_header((*name, "127.0.0.1")));
            is_near(&request.to_http_request())
        };
        for (peer, expected) in [
            ("127.0.0.1:1", true),
            ("127.8.8.8:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
            ("[fd00::1]:1", false),
        ] {
            assert_eq!(near(peer, None), expected, "{peer}");
            assert!(TRACES.iter().all(|name| !near(peer, Some(name))), "{peer}");
        }
    }

    #[test]
    fn who_asks_for_another_host_is_not_near() {
        let near = |version, uri: &str, host: Option<&str>| {
            let request = TestRequest::with_uri(uri).version(version).peer_addr("127.0.0.1:1".parse().unwrap());
            let request = host.iter().fold(request, |request, host| request.insert_header((header::HOST, *host)));
            is_near(&request.to_http_request())
        };
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:8080",
            "127.1.2.3:1",
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(near(Version::HTTP_11, "/metrics", Some(host)), "{host}");
            assert!(!near(Version::HTTP_10, "/metrics", Some(host)), "nginx, if nobody tells it otherwise");
        }
        for host in [
            "evil.example.org",
            "evil.example.org:8080",
            "localhost.evil.example.org",
            "127.0.0.1.evil.example.org",
            "",
            "localhost:80:80",
            "127.0.0.1@evil",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::2]:1",
            "::1",
            "127.1",
            "2130706433",
            "backend",
        ] {
            assert!(!near(Version::HTTP_11, "/metrics", Some(host)), "{host}");
        }
        assert!(!near(Version::HTTP_11, "/metrics", None));
        assert!(near(Version::HTTP_11, "http://localhost/metrics", Some("localhost")));
        assert!(!near(Version::HTTP_11, "http://evil.example.org/metrics", Some("localhost")));
    }
}
