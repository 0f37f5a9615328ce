//! What each route and operation costs.

use super::{Limit, Op};
use actix_web::http::Method;

const NOTHING: &[Limit] = &[];
const REQUEST: &[Limit] = &[Limit::Requests];
const SEND: &[Limit] = &[Limit::Sends];
const UPLOAD: &[Limit] = &[Limit::Uploads];
const SEND_AND_UPLOAD: &[Limit] = &[Limit::Sends, Limit::Uploads];
const SEARCH: &[Limit] = &[Limit::Searches];
const CONNECT: &[Limit] = &[Limit::Requests, Limit::Connects];
const SIGN_UP: &[Limit] = &[Limit::SignUps];

/// The cost of every WebSocket frame: a text, a fragment or a control frame. The server takes it before it parses the
/// frame.
pub const FRAME: &[Limit] = &[Limit::Frames];
/// Every so many groups and contacts of a live connection cost one token.
const SUBSCRIPTIONS_PER_TOKEN: usize = 500;

/// The cost of a request to a resource, by its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    post: &'static [Limit],
    others: &'static [Limit],
}

impl Costs {
    /// The costs of the resource at this path of the URL map.
    pub fn of_path(path: &str) -> Self {
        let (post, others) = match path {
            "/messages" | "/dm/send" | "/group/send" | "/broadcast/send" => (SEND, REQUEST),
            "/messages/upload" => (SEND_AND_UPLOAD, REQUEST),
            "/upload" => (UPLOAD, REQUEST),
            "/signup" | "/users" => (SIGN_UP, REQUEST),
            "/search" => (REQUEST, SEARCH),
            "/ws" | "/events" => (REQUEST, CONNECT),
            // Monitoring may ask as often as it likes.
            "/health" | "/ready" | "/metrics" => (NOTHING, NOTHING),
            _ => (REQUEST, REQUEST),
        };
        Self { post, others }
    }

    /// The cost of a live connection besides its request. It grows with the groups and contacts of the user, which the
    /// server loads for it.
    pub fn of_subscriptions(size: usize) -> usize {
        size / SUBSCRIPTIONS_PER_TOKEN
    }

    /// The cost of a request with this method.
    pub fn of_method(self, method: &Method) -> &'static [Limit] {
        if method == Method::POST { self.post } else { self.others }
    }

    /// Whether the resource is free for every method.
    pub fn are_none(self) -> bool {
        self.post.is_empty() && self.others.is_empty()
    }

    /// The cost of an operation over a WebSocket besides its frame. An unknown operation costs one request.
    pub fn of_operation(op: Option<Op>) -> &'static [Limit] {
        op.map_or(REQUEST, Op::cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::ROUTES;

    #[test]
    fn what_costs_something_special_is_a_route() {
        let special: Vec<_> = ROUTES
            .iter()
            .filter(|(method, path)| Costs::of_path(path).of_method(&method.to_uppercase().parse().unwrap()) != REQUEST)
            .collect();
        let expected = [
            ("post", "/messages"),
            ("post", "/messages/upload"),
            ("get", "/search"),
            ("post", "/dm/send"),
            ("post", "/group/send"),
            ("post", "/broadcast/send"),
            ("post", "/upload"),
            ("post", "/signup"),
            ("post", "/users"),
            ("get", "/ws"),
            ("get", "/events"),
            ("get", "/health"),
            ("get", "/ready"),
            ("get", "/metrics"),
        ];
        assert_eq!(special, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn whatever_comes_over_a_socket_is_paid_for() {
        assert!(!FRAME.is_empty());
        for (op, expected) in [
            (Some("send"), SEND),
            (Some("seen"), REQUEST),
            (Some("verify"), REQUEST),
            (Some("typing"), REQUEST),
            (Some("dance"), REQUEST),
            (None, REQUEST),
        ] {
            assert_eq!(Costs::of_operation(op.and_then(Op::parse)), expected, "{op:?}");
        }
        let free: Vec<_> = Op::ALL.iter().copied().filter(|op| op.cost().is_empty()).collect();
        assert_eq!(free, [Op::Ping]);
    }
}
