//! What each route costs.

use super::Limit;
use actix_web::http::Method;

const NOTHING: &[Limit] = &[];
const REQUEST: &[Limit] = &[Limit::Requests];
const SEND: &[Limit] = &[Limit::Sends];
const UPLOAD: &[Limit] = &[Limit::Uploads];
const SEND_AND_UPLOAD: &[Limit] = &[Limit::Sends, Limit::Uploads];
const SIGN_UP: &[Limit] = &[Limit::SignUps];

/// What a request to a resource is paid with, by its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    post: &'static [Limit],
    others: &'static [Limit],
}

impl Costs {
    /// Of the resource at this place of the URL map.
    pub fn of_path(path: &str) -> Self {
        let (post, others) = match path {
            "/messages" | "/dm/send" | "/group/send" | "/broadcast/send" => (SEND, REQUEST),
            "/messages/upload" => (SEND_AND_UPLOAD, REQUEST),
            "/upload" => (UPLOAD, REQUEST),
            "/signup" | "/users" => (SIGN_UP, REQUEST),
            // Asked by whoever watches over the server: no request is one too many.
            "/health" | "/ready" | "/metrics" => (NOTHING, NOTHING),
            _ => (REQUEST, REQUEST),
        };
        Self { post, others }
    }

    /// Of a request with this method.
    pub fn of_method(self, method: &Method) -> &'static [Limit] {
        if method == Method::POST { self.post } else { self.others }
    }

    /// Whether nothing there is limited.
    pub fn are_none(self) -> bool {
        self.post.is_empty() && self.others.is_empty()
    }

    /// Of an operation on a live connection; whatever is none costs as much as one.
    pub fn of_operation(op: Option<&str>) -> &'static [Limit] {
        match op {
            Some("send") => SEND,
            Some("ping") => NOTHING,
            _ => REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::ROUTES;

    #[test]
    fn what_costs_something_special_is_a_route() {
        let special: Vec<_> = ROUTES
            .iter()
            .filter(|(method, path)| Costs::of_path(path).of_method(&method.to_uppercase().parse().unwrap()) != REQUEST)
            .collect();
        let expected = [
            ("post", "/messages"),
            ("post", "/messages/upload"),
            ("post", "/dm/send"),
            ("post", "/group/send"),
            ("post", "/broadcast/send"),
            ("post", "/upload"),
            ("post", "/signup"),
            ("post", "/users"),
            ("get", "/health"),
            ("get", "/ready"),
            ("get", "/metrics"),
        ];
        assert_eq!(special, expected.iter().collect::<Vec<_>>());
    }
}
