//! Responses that many routes share.

use crate::http::error;
use actix_web::http::StatusCode;
use serde_json::json;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Every error response: its status, its description and an example of its sentence.
const REFUSALS: &[(u16, &str, &str)] = &[
    (400, "Malformed; `field` names the field at fault", "missing content"),
    (401, "No token, or one that is bad, expired, revoked or of a deleted user", "invalid token"),
    (
        403,
        "The caller may see it but not do this, or the request names another acting user",
        "only the owner may do this",
    ),
    (404, "It does not exist, or the caller may not see it", "group does not exist"),
    (409, "In conflict with existing data", "username already exists"),
    (412, "The version of the file is not the one in `If-Match`", "its version is not the one that the request names"),
    (413, "Too large", "the body is larger than 65536 bytes"),
    (415, "A content type that the route does not take, or a `Content-Encoding`", "this route takes JSON, not a form"),
    (416, "A range that the file does not have", "the file has 9 bytes"),
    (426, "Not a WebSocket upgrade", "this route takes a WebSocket of version 13"),
    (429, "Too many requests; `Retry-After` says when to try again", "too many requests"),
    (500, "A fault of the server; `x-request-id` identifies it in the log", "internal error"),
    (503, "Overloaded, stopping, or the database is out of reach", "the server is overloaded"),
    (507, "The server's storage is full", "the server's storage is full"),
];

/// The error response with this status.
pub struct ErrorResponse<const STATUS: u16>;

impl<const STATUS: u16> IntoResponses for ErrorResponse<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([reference(STATUS)])
    }
}

/// A status, and the reference to its response in the document.
pub(super) fn reference(status: u16) -> (String, RefOr<Response>) {
    let known = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status.to_string(), Ref::from_response_name(error::code(known)).into())
}

/// Every error response by its code.
pub(super) fn components() -> impl Iterator<Item = (&'static str, Response)> {
    REFUSALS.iter().map(|(status, description, sentence)| {
        let code = error::code(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST));
        let mut example = json!({ "error": sentence, "code": code });
        if *status == 400 {
            example["field"] = json!("content");
        }
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).example(Some(example));
        let mut response =
            ResponseBuilder::new().description(*description).content("application/json", content.build());
        if matches!(status, 429 | 503) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
            let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("When to try again, in seconds"));
            response = response.header("Retry-After", header.build());
        }
        (code, response.build())
    })
}

/// A response with one page of a list.
pub struct Page<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for Page<T> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let list: Array = ArrayBuilder::new().items(Ref::from_schema_name(T::name())).build();
        let link = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).description(Some(
            "`<reference>; rel=\"next\"`, relative to this server: the next page, while there is more",
        ));
        let page = ResponseBuilder::new()
            .description("A page")
            .content("application/json", ContentBuilder::new().schema(Some(list)).build())
            .header("Link", link.build());
        ResponsesBuilder::new().response("200", page).build().into()
    }
}
