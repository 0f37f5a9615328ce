//! The OpenAPI document: made of the handlers' own annotations and of the rules that hold for all of them.

mod params;
mod refusals;
mod rules;

pub use params::IdempotencyKeyHeader;
pub use refusals::{Page, Refused};

use super::error::Body;
use super::extract::Open;
use super::public_url::PublicUrl;
use super::{gochat, routes, wire};
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use utoipa::openapi::{OpenApi as Document, Server};
use utoipa::{Modify as _, OpenApi};

/// What stands around the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "parlance",
        description = "A chat server: two HTTP APIs over one domain. What is sent through one is read through the other.\n\n\
            HEAD is answered wherever GET is. Unknown fields are ignored, and a field that is `null` is absent. \
            Every answer carries an `x-request-id`, the client's own if it sent one.",
    ),
    components(schemas(
        Body, wire::Account, wire::AuditEntry, wire::Conversation, wire::Group, wire::Member, wire::Message, wire::Receipt, wire::Session, wire::User,
        gochat::Line,
    )),
    security(("bearer" = [])),
    tags(
        (name = "accounts", description = "Users, and oneself"),
        (name = "sessions", description = "Logging in and out"),
        (name = "groups", description = "Groups: private (members only) or public (anyone reads and joins)"),
        (name = "members", description = "Who is in a group"),
        (name = "messages", description = "Messages, addressed by id"),
        (name = "receipts", description = "What was seen"),
        (name = "conversations", description = "One's list of conversations, and what changed in each"),
        (name = "files", description = "Uploads and downloads"),
        (name = "gochat", description = "The same, addressed by name"),
        (name = "admin", description = "Running the server: accounts, groups, and the record of what was done. No messages"),
        (name = "live", description = "Events as they happen"),
        (name = "operations", description = "For whoever runs the server, and for browsers"),
    ),
)]
struct Frame;

/// The whole document, of a server that clients reach at this address.
pub fn document(public: &PublicUrl) -> Document {
    let mut document = Frame::openapi();
    document.merge(routes::documented());
    rules::Conventions.modify(&mut document);
    if !public.path().is_empty() {
        document.servers = Some(vec![Server::new(public.path())]);
    }
    document
}

/// The document as it is served and printed.
///
/// # Errors
/// Never, as far as we know: all of it serializes.
pub fn text(public: &PublicUrl) -> serde_json::Result<String> {
    document(public).to_pretty_json()
}

/// The document, made once and shared by the workers.
#[derive(Clone)]
pub struct Served(Bytes);

impl Served {
    /// # Errors
    /// Those of [`text`].
    pub fn new(public: &PublicUrl) -> serde_json::Result<Self> {
        Ok(Self(Bytes::from(text(public)?)))
    }
}

/// Tells what this document tells.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", operation_id = "document",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)),
    security(()),
)]
pub async fn show(document: web::Data<Served>, Open(()): Open) -> HttpResponse {
    HttpResponse::Ok().content_type(header::ContentType::json()).body(document.0.clone())
}
