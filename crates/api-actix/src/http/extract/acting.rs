//! Reads the acting user that a request names, wherever it names one.

use super::Query;
use crate::http::error::ApiError;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::acting::ClaimedActor;
use domain::{Invalid, UserId};
use serde::Deserialize;
use std::future::{Ready, ready};

/// The field by which requests of a route may name the acting user, in the query and, if there is one, in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActingField(pub Option<&'static str>);

impl ActingField {
    /// The field of the route with this pattern.
    pub fn of_path(pattern: &str) -> Self {
        Self(match pattern.split('/').nth(1) {
            Some("messages") => Some("sender_id"),
            Some("groups") => Some("requester_id"),
            _ if pattern == "/conversations" => Some("user_id"),
            _ => None,
        })
    }
}

/// Every acting user that a request names, for [`ActingUserCheck`](domain::acting::ActingUserCheck). The query's comes
/// first.
///
/// A reading route calls `ActingUserCheck` after it has read and passes no targets: by then, it has reported what is
/// missing. A writing route calls it first and passes its targets.
#[derive(Debug)]
pub struct Acting(Vec<ClaimedActor>);

/// The query parameters that this extractor reads; the route reads the others.
#[derive(Deserialize)]
struct ActingQuery {
    sender_id: Option<String>,
    requester_id: Option<String>,
    user_id: Option<String>,
}

impl Acting {
    /// Adds the user that another field of the request names, if the field is there.
    ///
    /// # Errors
    /// [`Invalid`] naming the field if it is no id.
    pub fn and(mut self, field: &'static str, id: Option<&str>) -> Result<Self, Invalid> {
        if let Some(id) = id {
            self.0.push(ClaimedActor { field, user: UserId::parse(field, id)? });
        }
        Ok(self)
    }

    /// Empty if there is no query.
    pub fn nobody() -> Self {
        Self(Vec::new())
    }

    fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        let Some(ActingField(Some(field))) = request.app_data().copied() else { return Ok(Self::nobody()) };
        let Query(ActingQuery { sender_id, requester_id, user_id }) = Query::of(request)?;
        let named = match field {
            "sender_id" => sender_id,
            "requester_id" => requester_id,
            _ => user_id,
        };
        Ok(Self::nobody().and(field, named.as_deref())?)
    }
}

impl FromRequest for Acting {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).map_err(Into::into))
    }
}

impl IntoIterator for Acting {
    type Item = ClaimedActor;
    type IntoIter = std::vec::IntoIter<ClaimedActor>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn acting(pattern: &str, query: &str) -> Result<Vec<ClaimedActor>, ApiError> {
        let request = TestRequest::with_uri(&format!("/?{query}")).app_data(ActingField::of_path(pattern));
        Acting::of(&request.to_http_request()).map(|acting| acting.into_iter().collect())
    }

    #[test]
    fn the_query_is_asked_for_the_field_of_the_route() {
        let user = UserId::parse("user_id", ID).unwrap();
        let query = format!("sender_id={ID}&requester_id={ID}&user_id={ID}&other=x");
        for (pattern, field) in [
            ("/messages", Some("sender_id")),
            ("/messages/{id}/seen", Some("sender_id")),
            ("/groups/{id}/members/{user_id}", Some("requester_id")),
            ("/conversations", Some("user_id")),
            ("/conversations/{id}/changes", None),
            ("/group/send", None),
            ("/", None),
        ] {
            let expected: Vec<_> = field.map(|field| ClaimedActor { field, user }).into_iter().collect();
            assert_eq!(acting(pattern, &query).unwrap(), expected, "{pattern}");
            assert_eq!(acting(pattern, "other=x").unwrap(), [], "{pattern}");
            let malformed = acting(pattern, "sender_id=x&requester_id=x&user_id=x");
            assert_eq!(malformed.is_err(), field.is_some(), "{pattern}");
        }
    }

    #[test]
    fn who_is_named_twice_is_looked_at_twice() {
        let acting = Acting::nobody().and("a", Some(ID)).unwrap().and("b", None).unwrap().and("c", Some(ID)).unwrap();
        assert_eq!(acting.into_iter().map(|named| named.field).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(Acting::nobody().and("a", Some("x")).unwrap_err().field, "a");
    }
}
