//! Parses as much of a request's head as the connection needs: its length, the body that follows, and whether it asks
//! for another protocol. actix-http parses the head again and refuses what is malformed in it.

use httparse::{EMPTY_HEADER, Header, Status};

/// As many headers as actix-http accepts.
const MAX_HEADERS: usize = 96;
/// The end of the one path that speaks another protocol. The routes check what precedes it.
const SOCKETS: &str = "/ws";

/// The body that follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// No body.
    None,
    /// A body of so many bytes; at least one.
    Length(u64),
    /// A chunked body.
    Chunked,
    /// Everything that follows (`CONNECT`).
    Endless,
}

/// The protocol that a request asks to upgrade to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// None.
    None,
    /// One that the server does not support, or not on this path.
    Foreign,
    /// A WebSocket, on the path that supports it.
    Socket,
}

/// A parsed head.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length in bytes.
    pub length: usize,
    /// Its body.
    pub body: Body,
    /// The protocol that it asks for.
    pub upgrade: Upgrade,
}

/// A head that actix-http will refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// Parses the head at the beginning of `bytes`; `None` if it is incomplete.
///
/// # Errors
/// [`Unreadable`].
pub fn read(bytes: &[u8]) -> Result<Option<Head>, Unreadable> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let Status::Complete(length) = request.parse(bytes).map_err(|_| Unreadable)? else { return Ok(None) };
    let later = request.version == Some(1);
    let method = request.method.unwrap_or_default();
    let body = match body(request.headers, later)? {
        Body::None if method == "CONNECT" => Body::Endless,
        body => body,
    };
    let upgrade = if request.headers.iter().any(|header| is(header, "upgrade") || has_option(header, "upgrade")) {
        let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
        let socket = later
            && method == "GET"
            && path.ends_with(SOCKETS)
            && body == Body::None
            && asks_for_socket(request.headers);
        if socket { Upgrade::Socket } else { Upgrade::Foreign }
    } else {
        Upgrade::None
    };
    Ok(Some(Head { length, body, upgrade }))
}

/// Removes the upgrade from a head. A WebSocket request keeps it but gets a chunked body, which ends at once if a
/// handler refuses the WebSocket. Without a body, actix-http would take all that follows for one.
pub fn rewritten(bytes: &[u8], upgrade: Upgrade) -> Vec<u8> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    // The same bytes were parsed before.
    if !matches!(request.parse(bytes), Ok(Status::Complete(_))) {
        return bytes.to_vec();
    }
    let mut head = Vec::with_capacity(bytes.len() + 32);
    let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    head.extend_from_slice(format!("{method} {path} HTTP/1.{}\r\n", request.version.unwrap_or_default()).as_bytes());
    let mut line = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    for header in request.headers.iter() {
        if is(header, "connection") {
            // Keeping the connection is the default, and there may be no room for another header.
            let is_idle = |option: &[u8]| upgrade == Upgrade::Socket && option.eq_ignore_ascii_case(b"keep-alive");
            let says = |option: &&[u8]| !is_hop_of_upgrade(option) && !is_idle(option);
            let left: Vec<_> = options(header.value).filter(says).collect();
            if !left.is_empty() {
                line(header.name, &left.join(&b", "[..]));
            }
        } else if upgrade == Upgrade::Socket && is(header, "content-length") {
            // The header says that there is no body.
        } else if upgrade == Upgrade::Socket || !(is(header, "upgrade") || is(header, "http2-settings")) {
            line(header.name, header.value);
        }
    }
    if upgrade == Upgrade::Socket {
        line("transfer-encoding", b"chunked");
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// Whether the header is `Connection` with this option.
fn has_option(header: &Header<'_>, name: &str) -> bool {
    is(header, "connection") && options(header.value).any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
}

fn is_hop_of_upgrade(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"upgrade") || option.eq_ignore_ascii_case(b"http2-settings")
}

fn asks_for_socket(headers: &[Header<'_>]) -> bool {
    let websocket = |header: &Header<'_>| {
        is(header, "upgrade") && options(header.value).any(|token| token.eq_ignore_ascii_case(b"websocket"))
    };
    let only = headers.iter().filter(|header| is(header, "upgrade")).count() == 1;
    only && headers.iter().any(websocket) && headers.iter().any(|header| has_option(header, "upgrade"))
}

/// The body after these headers, by actix-http's rules. An ambiguous length is refused.
fn body(headers: &[Header<'_>], later: bool) -> Result<Body, Unreadable> {
    let (mut length, mut chunked) = (None, false);
    for header in headers {
        let value = header.value.trim_ascii();
        if is(header, "content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number =
                if digits { str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok()) } else { None };
            if length.replace(number.ok_or(Unreadable)?).is_some() {
                return Err(Unreadable);
            }
        } else if is(header, "transfer-encoding") {
            if chunked || !later || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Unreadable);
            }
            chunked = true;
        }
    }
    match (chunked, length) {
        (true, Some(_)) => Err(Unreadable),
        (true, None) => Ok(Body::Chunked),
        (false, Some(1..)) => Ok(Body::Length(length.unwrap_or_default())),
        (false, _) => Ok(Body::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> String {
        format!("{}\r\n\r\n", lines.replace('\n', "\r\n"))
    }

    #[test]
    fn a_head_says_what_follows_it() {
        for (lines, body, upgrade) in [
            ("GET / HTTP/1.1\nhost: x", Body::None, Upgrade::None),
            ("POST / HTTP/1.1\nContent-Length: 5", Body::Length(5), Upgrade::None),
            ("POST / HTTP/1.1\ncontent-length: 0", Body::None, Upgrade::None),
            ("POST / HTTP/1.1\ntransfer-encoding: Chunked ", Body::Chunked, Upgrade::None),
            ("CONNECT x:1 HTTP/1.1\nhost: x", Body::Endless, Upgrade::None),
            ("GET / HTTP/1.1\nupgrade: h2c\nconnection: upgrade, http2-settings", Body::None, Upgrade::Foreign),
            ("GET / HTTP/1.1\nupgrade: x", Body::None, Upgrade::Foreign),
            ("GET / HTTP/1.1\nconnection: Upgrade", Body::None, Upgrade::Foreign),
            ("GET / HTTP/1.1\nupgrade: websocket\nconnection: upgrade", Body::None, Upgrade::Foreign),
            (
                "GET /ws?since=1 HTTP/1.1\nUpgrade: WebSocket\nConnection: keep-alive, Upgrade",
                Body::None,
                Upgrade::Socket,
            ),
            ("GET /ws HTTP/1.1\nupgrade: websocket", Body::None, Upgrade::Foreign),
            ("GET /ws HTTP/1.1\nupgrade: h2c\nconnection: upgrade", Body::None, Upgrade::Foreign),
            ("GET /ws HTTP/1.0\nupgrade: websocket\nconnection: upgrade", Body::None, Upgrade::Foreign),
            ("POST /ws HTTP/1.1\nupgrade: websocket\nconnection: upgrade", Body::None, Upgrade::Foreign),
            (
                "GET /ws HTTP/1.1\nupgrade: websocket\nconnection: upgrade\ncontent-length: 1",
                Body::Length(1),
                Upgrade::Foreign,
            ),
            (
                "GET /ws HTTP/1.1\nupgrade: websocket\nconnection: upgrade\ncontent-length: 0",
                Body::None,
                Upgrade::Socket,
            ),
        ] {
            let bytes = head(lines);
            let expected = Head { length: bytes.len(), body, upgrade };
            assert_eq!(read(format!("{bytes}rest").as_bytes()), Ok(Some(expected)), "{lines}");
            assert_eq!(read(&bytes.as_bytes()[..bytes.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_unreadable() {
        for lines in [
            "POST / HTTP/1.1\ncontent-length: 5\ncontent-length: 5",
            "POST / HTTP/1.1\ncontent-length: 5, 5",
            "POST / HTTP/1.1\ncontent-length: +5",
            "POST / HTTP/1.1\ncontent-length: ",
            "POST / HTTP/1.1\ncontent-length: 18446744073709551616",
            "POST / HTTP/1.1\ncontent-length: 5\ntransfer-encoding: chunked",
            "POST / HTTP/1.1\ntransfer-encoding: chunked\ntransfer-encoding: chunked",
            "POST / HTTP/1.1\ntransfer-encoding: identity",
            "POST / HTTP/1.1\ntransfer-encoding: gzip, chunked",
            "POST / HTTP/1.0\ntransfer-encoding: chunked",
            "nonsense",
        ] {
            assert_eq!(read(head(lines).as_bytes()), Err(Unreadable), "{lines}");
        }
    }

    #[test]
    fn a_wish_for_another_protocol_is_dropped_and_nothing_else() {
        let lines = "POST /x HTTP/1.1\nHost: x\nConnection: Upgrade, close , HTTP2-Settings\nUpgrade: h2c\n\
                     HTTP2-Settings: AAMAAABk\nX: y";
        let left = "POST /x HTTP/1.1\nHost: x\nConnection: close\nX: y";
        assert_eq!(rewritten(head(lines).as_bytes(), Upgrade::Foreign), head(left).as_bytes());
        let lines = "GET /ws HTTP/1.1\nhost: x\ncontent-length: 0\nconnection: Upgrade\nupgrade: websocket";
        let left = "GET /ws HTTP/1.1\nhost: x\nupgrade: websocket\ntransfer-encoding: chunked";
        assert_eq!(rewritten(head(lines).as_bytes(), Upgrade::Socket), head(left).as_bytes());
        let lines = lines.replace("content-length: 0\nconnection: ", "connection: keep-alive, ");
        assert_eq!(rewritten(head(&lines).as_bytes(), Upgrade::Socket), head(left).as_bytes());
    }
}
