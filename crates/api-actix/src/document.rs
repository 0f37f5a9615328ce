//! Builds the OpenAPI document from the handlers' annotations and from the rules for all routes.

use crate::http::error::Body;
use crate::http::gochat;
use crate::http::openapi::rules;
use crate::routes;
use utoipa::openapi::{OpenApi as Document, Server};
use utoipa::{Modify as _, OpenApi};
use wire::PublicUrl;
use wire::events::{self, EventFrame};

/// The document without its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "parlance",
        description = "A chat server: two HTTP APIs over one domain. Clients of either one read what clients of the other send.\n\n\
            Every GET route also answers HEAD. The server ignores unknown fields, and a field that is `null` counts as absent, but where its description says more. \
            Every answer carries an `x-request-id`, the client's own if it sent one.",
    ),
    components(schemas(
        Body, wire::Account, wire::ApiToken, wire::AuditEntry, wire::Conversation, wire::Found, wire::Group, wire::Member, wire::Message, wire::MessageVersion, wire::Reactor, wire::Receipt, wire::Session, wire::User,
        gochat::NamedMessage,
        EventFrame, events::Hello, events::MessageDeleted, events::MessageSeen, events::ConversationRead, events::DraftChanged, events::MarkedUnread, events::GroupChanged,
        events::Typing, events::Presence, events::Resync,
    )),
    security(("bearer" = [])),
    tags(
        (name = "accounts", description = "Users and the caller's account"),
        (name = "sessions", description = "Logging in and out"),
        (name = "tokens", description = "Tokens for programs, which act as the caller"),
        (name = "groups", description = "Groups: private (members only) or public (anyone reads and joins)"),
        (name = "members", description = "Members of groups"),
        (name = "messages", description = "Messages, addressed by id"),
        (name = "mentions", description = "Messages that mention the caller"),
        (name = "reactions", description = "Emoji below messages"),
        (name = "pins", description = "Pinned messages"),
        (name = "threads", description = "Replies that belong to one message"),
        (name = "receipts", description = "Receipts and unseen counts"),
        (name = "conversations", description = "The caller's conversations, and the changes in each"),
        (name = "views", description = "What a conversation is to the caller: settings and a draft"),
        (name = "search", description = "Messages by their words"),
        (name = "files", description = "Uploads and downloads"),
        (name = "gochat", description = "The same data, addressed by name"),
        (name = "admin", description = "Administration: accounts, groups and the audit log, but no messages"),
        (name = "live", description = "Events as they happen"),
        (name = "operations", description = "For operators and for browsers"),
    ),
)]
struct Frame;

/// The whole document of a server that clients reach under this URL.
pub fn document(public: &PublicUrl) -> Document {
    let mut document = Frame::openapi();
    document.merge(routes::documented());
    rules::Conventions.modify(&mut document);
    if !public.path().is_empty() {
        document.servers = Some(vec![Server::new(public.path())]);
    }
    document
}

/// The document as the server serves it and the command prints it.
///
/// # Errors
/// None is expected: every part of the document serializes.
pub fn text(public: &PublicUrl) -> serde_json::Result<String> {
    document(public).to_pretty_json()
}
