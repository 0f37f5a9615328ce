//! The URL under which clients reach the server. A proxy may remove a path prefix from the URLs that it passes on.

use crate::Origin;
use std::sync::Arc;

const FORM: &str =
    "must be an address like https://example.org/chat: http or https, without a user, a query or a fragment";

/// The URL that clients know. If it is not configured, clients reach the server at the root of the host that they ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicUrl {
    origin: Option<Origin>,
    /// Empty, or begins with a slash and does not end with one.
    path: Arc<str>,
}

impl PublicUrl {
    /// Parses a URL and ignores trailing slashes.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = || {
            let begin = text.find("://")? + 3;
            let (origin, path) = text.split_at(text[begin..].find('/').map_or(text.len(), |at| begin + at));
            let path = path.trim_end_matches('/');
            let fit = origin.trim() == origin && path.split('/').skip(1).all(is_segment);
            fit.then_some(Self { origin: Some(Origin::parse(origin)?), path: path.into() })
        };
        parsed().ok_or_else(|| FORM.to_owned())
    }

    /// The origin whose pages count as the server's own, whatever `Host` the proxy forwards.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The prefix of every URL that the server gives out: empty, or beginning with a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The URL of a server path, which begins with a slash.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }
}

/// Characters of a path segment (RFC 3986, 3.3). An empty segment would turn the rest into a host, and dots would lead
/// elsewhere.
fn is_segment(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(byte);
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (other, after) if plain(other) => after,
            _ => return false,
        };
    }
    let dots = text.to_ascii_lowercase().replace("%2e", ".");
    !text.is_empty() && dots != "." && dots != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_before_every_address() {
        for (url, path, origin) in [
            ("https://example.org/chat", "/chat", "https://example.org"),
            ("https://example.org/chat/", "/chat", "https://example.org"),
            ("HTTPS://Example.org:443/a/b//", "/a/b", "https://example.org"),
            ("http://127.0.0.1:8080/%7Eada", "/%7Eada", "http://127.0.0.1:8080"),
            ("https://[::1]:8443/chat", "/chat", "https://[::1]:8443"),
            ("https://example.org", "", "https://example.org"),
            ("https://example.org/", "", "https://example.org"),
        ] {
            let public = PublicUrl::parse(url).unwrap();
            assert_eq!((public.path(), public.origin()), (path, Origin::parse(origin).as_ref()), "{url}");
            assert_eq!(public.address("/users"), format!("{path}/users"));
        }
        assert_eq!(PublicUrl::default().address("/users"), "/users");
    }

    #[test]
    fn what_is_no_such_address_is_refused() {
        for url in [
            "/chat",
            "example.org/chat",
            "https:/example.org",
            "https://",
            "https:///chat",
            "ftp://example.org/chat",
            "ws://example.org/chat",
            "https://ada@example.org/chat",
            "https://ada:secret@example.org/chat",
            "https://example.org/chat?",
            "https://example.org/chat?a=1",
            "https://example.org?a=1",
            "https://example.org/chat#",
            "https://example.org#top",
            "https://example.org//chat",
            "https://example.org/a//b",
            "https://example.org/../chat",
            "https://example.org/./chat",
            "https://example.org/%2E%2e/chat",
            "https://example.org/100%",
            "https://example.org/a b",
            "https://example.org/<chat>",
            "https://example.org/caf\u{e9}",
            "https://b\u{fc}cher.example/chat",
            "https://example.org:chat/",
            "https://example.org:70000/chat",
            "https://example.org:/chat",
            " https://example.org/chat",
        ] {
            assert!(PublicUrl::parse(url).is_err(), "{url}");
        }
    }
}
