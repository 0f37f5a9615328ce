//! Checks which web pages may use this server. A browser opens sockets for any page, and names the page in `Origin`.

use super::error::ApiError;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use wire::Origin;

/// The origins that may connect besides that of the requested host.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Foreign origins, which may also read the answers.
    allowed: Vec<Origin>,
    /// The server's own origin as clients know it; a proxy may forward another host.
    own: Option<Origin>,
}

impl Origins {
    /// Parses a comma-separated list.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(list: &str) -> Result<Self, String> {
        let origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins = origins.map(Origin::parse).collect::<Option<_>>();
        let allowed =
            origins.ok_or_else(|| "must be origins like https://chat.example.org, comma-separated".to_owned());
        Ok(Self { allowed: allowed?, own: None })
    }

    /// Adds the server's own origin.
    pub fn with_own(self, own: Option<Origin>) -> Self {
        Self { own, ..self }
    }

    /// Whether foreign pages may use the server; if so, answers depend on `Origin`.
    pub fn are_any_allowed(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// The origin of the request, if it is one of these.
    pub fn allowed<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let known = origin.to_str().ok().and_then(Origin::parse).is_some_and(|origin| self.allowed.contains(&origin));
        known.then_some(origin)
    }

    /// # Errors
    /// [`ApiError::ForeignOrigin`] if another page sent the request.
    pub fn check(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let mut origins = request.headers().get_all(header::ORIGIN);
        let Some(origin) = origins.next() else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(Origin::parse).filter(|_| origins.next().is_none());
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let known = origin.is_some_and(|origin| {
            host.is_some_and(|host| origin.is_of(host))
                || self.own.as_ref() == Some(&origin)
                || self.allowed.contains(&origin)
        });
        if known { Ok(()) } else { Err(ApiError::ForeignOrigin) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn pages_of_this_host_and_the_allowed_ones_may_connect() {
        let origins = Origins::parse("https://app.example.org, http://localhost:3000").unwrap();
        let check = |host: &str, from: &[&str]| {
            let mut request = TestRequest::default().insert_header((header::HOST, host));
            for origin in from {
                request = request.append_header((header::ORIGIN, *origin));
            }
            origins.check(&request.to_http_request()).is_ok()
        };
        for (host, origin) in [
            ("chat.example.org", &[][..]),
            ("chat.example.org", &["https://chat.example.org"]),
            ("chat.example.org", &["http://chat.example.org"]),
            ("Chat.Example.org:443", &["https://chat.example.org"]),
            ("127.0.0.1:8080", &["http://127.0.0.1:8080"]),
            ("[::1]:8080", &["http://[::1]:8080"]),
            ("chat.example.org", &["https://app.example.org"]),
        ] {
            assert!(check(host, origin), "{host} {origin:?}");
        }
        for (host, origin) in [
            ("chat.example.org", &["https://evil.example.org"][..]),
            ("chat.example.org", &["https://chat.example.org:8443"]),
            ("chat.example.org:8080", &["http://chat.example.org"]),
            ("127.0.0.1:8080", &["http://127.0.0.1:9090"]),
            ("127.0.0.1:8080", &["http://localhost:8080"]),
            ("chat.example.org", &["null"]),
            ("chat.example.org", &[""]),
            ("chat.example.org", &["file://"]),
            ("chat.example.org", &["https://chat.example.org", "https://chat.example.org"]),
            ("chat.example.org", &["https://chat.example.org@evil.example.org"]),
            ("chat.example.org", &["http://app.example.org"]),
        ] {
            assert!(!check(host, origin), "{host} {origin:?}");
        }
    }

    #[test]
    fn pages_of_the_public_address_may_connect_whatever_host_the_proxy_asks_for() {
        let origins = Origins::default().with_own(Origin::parse("https://example.org"));
        let from = |origin: &str| {
            let request = TestRequest::default().insert_header((header::HOST, "10.0.0.1:8080"));
            request.insert_header((header::ORIGIN, origin)).to_http_request()
        };
        assert!(origins.check(&from("https://example.org")).is_ok());
        for foreign in ["http://example.org", "https://example.org:8443", "https://chat.example.org", "null"] {
            assert!(origins.check(&from(foreign)).is_err(), "{foreign}");
        }
        // It is the server's own page; browsers need no permission for it.
        assert_eq!(origins.allowed(from("https://example.org").headers()), None);
    }

    #[test]
    fn a_list_is_of_origins() {
        assert!(!Origins::parse(" , ").unwrap().are_any_allowed());
        for bad in [
            "*",
            "example.org",
            "https://",
            "https://a.org/",
            "https://a.org;https://b.org",
            "ftp://a.org",
            "null",
            "https://:443",
            "https://a.org:",
            "https://a.org:x",
            "https://a.org:70000",
            "https://a:b:1",
            "https://[::1",
            "https://::1",
            "https://[a.org]",
        ] {
            assert!(Origins::parse(bad).is_err(), "{bad}");
        }
    }
}
