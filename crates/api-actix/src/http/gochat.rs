//! The gochat API: the same use cases, addressed by names, in that API's own JSON shapes.

use super::error::ApiError;
use super::extract::{Authenticated, Json, Query, number, required};
use super::link;
use super::openapi::{ErrorResponse, IdempotencyKeyHeader, Page};
use super::sending::idempotency_key;
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::groups::{Description, GroupName, Visibility};
use domain::messages::{Appended, Body, Cursor, Destination, Message, Recipient, SendCommand, Text, Window};
use domain::{Caller, Conflict, Error, Invalid, Limit, MessageId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{Id, Time, kind};

/// A message in that API's shape.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedMessage {
    id: Id,
    #[schema(examples("ada"))]
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("bob"))]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<String>,
    content: String,
    #[serde(rename = "type")]
    #[schema(schema_with = wire::kind_word)]
    kind: &'static str,
    timestamp: Time,
}

impl NamedMessage {
    /// `to` and `group` name the recipient of the message.
    fn new(message: Message, to: Option<String>, group: Option<String>) -> Self {
        Self {
            id: Id(message.id.0),
            from: message.sender.username,
            to,
            group,
            kind: kind(message.destination),
            timestamp: Time(message.created_at),
            content: match message.body {
                Body::Text(text) => text.into_string(),
                Body::Attachment { caption, .. } => caption.into_string(),
            },
        }
    }
}

/// Parses a name for a look-up. A malformed name finds nothing, but a missing one is an error.
fn name(field: &'static str, given: Option<String>) -> Result<String, Invalid> {
    given.filter(|name| !name.is_empty()).ok_or_else(|| Invalid::missing(field))
}

fn content(given: Option<String>) -> Result<Text, Invalid> {
    Text::parse(&required("content", given)?)
}

/// The answer to a send or a creation: what the server did, and the id of the result.
#[derive(Serialize, ToSchema)]
#[schema(as = Said)]
pub struct SendAck {
    #[schema(examples("sent"))]
    message: &'static str,
    id: Id,
}

/// Sends a text and answers with `done`, for a new message and for a retry under the same key alike.
async fn say(
    use_cases: &UseCases,
    caller: &Caller,
    message: SendCommand,
    done: &'static str,
) -> Result<HttpResponse, ApiError> {
    let (Appended::Stored(message) | Appended::Duplicate(message)) = use_cases.messages.send(caller, message).await?;
    Ok(HttpResponse::Ok().json(SendAck { message: done, id: Id(message.id.0) }))
}

/// The query of every history.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    #[param(ignore)]
    user: Option<String>,
    #[param(ignore)]
    group: Option<String>,
    /// The most messages of the page; 1000 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// The oldest message of the previous page.
    #[param(value_type = Option<Id>)]
    before: Option<String>,
}

impl HistoryQuery {
    fn window(&self) -> Result<Window, Invalid> {
        let limit = Limit::of_history(number("limit", self.limit.as_deref())?)?;
        let before = self.before.as_deref().map(|id| MessageId::parse("before", id)).transpose()?;
        Ok(Window::Before { cursor: before.map_or(Cursor::Latest, Cursor::Message), limit })
    }
}

/// The newest messages of a window, oldest first, each converted by `line`.
async fn history(
    use_cases: &UseCases,
    request: &HttpRequest,
    caller: &Caller,
    (of, window): (Recipient, Window),
    line: impl Fn(Message) -> NamedMessage,
) -> Result<HttpResponse, ApiError> {
    let page = use_cases.messages.list(caller, of, window.into(), None).await?.into_page();
    let next = page.items.first().filter(|_| page.more).map(|oldest| ("before", oldest.id.to_string()));
    Ok(link::page(request, page.items.into_iter().map(line), next))
}

/// The body of `POST /dm/send`.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendToUser, examples(json!({ "to": "bob", "content": "Hello!" })))]
pub struct DirectBody {
    /// A username.
    #[schema(value_type = String, min_length = 1)]
    to: Option<String>,
    #[schema(value_type = String, min_length = 1, max_length = 4096)]
    content: Option<String>,
}

/// Sends to a user.
#[utoipa::path(
    post, path = "/dm/send",
    params(IdempotencyKeyHeader),
    request_body = DirectBody,
    responses((status = 200, description = "Sent", body = SendAck), ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn send_direct(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<DirectBody>>,
) -> Result<HttpResponse, ApiError> {
    let key = idempotency_key(request.headers(), None)?;
    let to = name("to", body.to)?;
    let content = content(body.content)?;
    let to = use_cases.users.find_by_name(&to).await?;
    say(&use_cases, &caller, SendCommand { key, ..SendCommand::text(Recipient::User(to.id), content) }, "sent").await
}

/// Lists the newest messages with a user, oldest first.
#[utoipa::path(
    get, path = "/dm/history",
    params(("user" = String, Query, min_length = 1, description = "The other user's name"), HistoryQuery),
    responses(Page<NamedMessage>, ErrorResponse<404>),
)]
pub async fn direct_history(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<HistoryQuery>>,
) -> Result<HttpResponse, ApiError> {
    let window = query.window()?;
    let other = use_cases.users.find_by_name(&name("user", query.user)?).await?;
    let oneself = use_cases.users.show(&caller, caller.user).await?.profile.username;
    let line = |message: Message| {
        let to_other = matches!(message.destination, Destination::Direct { receiver } if receiver == other.id);
        let to = if to_other { other.username.to_string() } else { oneself.clone() };
        NamedMessage::new(message, Some(to), None)
    };
    history(&use_cases, &request, &caller, (Recipient::User(other.id), window), line).await
}

/// The body of `POST /group/create`.
#[derive(Deserialize, ToSchema)]
#[schema(as = PublicGroup, examples(json!({ "group": "book club" })))]
pub struct CreateGroupBody {
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    group: Option<String>,
}

/// Creates a public group.
///
/// This API offers no way to join a private group.
#[utoipa::path(
    post, path = "/group/create",
    request_body = CreateGroupBody,
    responses((status = 201, description = "Created", body = SendAck), ErrorResponse<409>),
)]
pub async fn create_group(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<CreateGroupBody>>,
) -> Result<HttpResponse, ApiError> {
    let given = name("group", body.group).map_err(|missing| Invalid::new(missing.field, "missing group name"))?;
    let name = GroupName::parse("group", &given)?;
    let made = use_cases.groups.create(&caller, name, Visibility::Public, Description::none()).await;
    let made = made.map_err(|refused| match refused {
        Error::Conflict(conflict @ Conflict::GroupNameTaken) => ApiError::Conflict { conflict, field: "group" },
        refused => refused.into(),
    })?;
    Ok(HttpResponse::Created().json(SendAck { message: "group created", id: Id(made.group.id.0) }))
}

/// The body of `POST /group/send`.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendToGroup, examples(json!({ "group": "book club", "content": "Hello!" })))]
pub struct GroupBody {
    /// Its name.
    #[schema(value_type = String, min_length = 1)]
    group: Option<String>,
    #[schema(value_type = String, min_length = 1, max_length = 4096)]
    content: Option<String>,
}

/// Sends to a group; sending to a public one joins it.
#[utoipa::path(
    post, path = "/group/send",
    params(IdempotencyKeyHeader),
    request_body = GroupBody,
    responses((status = 200, description = "Sent", body = SendAck), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn send_to_group(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<GroupBody>>,
) -> Result<HttpResponse, ApiError> {
    let key = idempotency_key(request.headers(), None)?;
    let group = name("group", body.group)?;
    let content = content(body.content)?;
    let group = use_cases.groups.find_by_name(&caller, &group).await?.group;
    say(&use_cases, &caller, SendCommand { key, ..SendCommand::text(Recipient::Group(group.id), content) }, "sent")
        .await
}

/// Lists the newest messages of a group, oldest first.
#[utoipa::path(
    get, path = "/group/history",
    params(("group" = String, Query, min_length = 1, description = "The group's name"), HistoryQuery),
    responses(Page<NamedMessage>, ErrorResponse<404>),
)]
pub async fn group_history(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<HistoryQuery>>,
) -> Result<HttpResponse, ApiError> {
    let window = query.window()?;
    let group = use_cases.groups.find_by_name(&caller, &name("group", query.group)?).await?.group;
    let line = |message| NamedMessage::new(message, None, Some(group.name.to_string()));
    history(&use_cases, &request, &caller, (Recipient::Group(group.id), window), line).await
}

/// The body of `POST /broadcast/send`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Broadcast, examples(json!({ "content": "Hello!" })))]
pub struct BroadcastBody {
    #[schema(value_type = String, min_length = 1, max_length = 4096)]
    content: Option<String>,
}

/// Sends a broadcast to all users.
#[utoipa::path(
    post, path = "/broadcast/send",
    params(IdempotencyKeyHeader),
    request_body = BroadcastBody,
    responses((status = 200, description = "Sent", body = SendAck), ErrorResponse<403>, ErrorResponse<409>),
)]
pub async fn broadcast(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<BroadcastBody>>,
) -> Result<HttpResponse, ApiError> {
    let key = idempotency_key(request.headers(), None)?;
    let content = content(body.content)?;
    say(&use_cases, &caller, SendCommand { key, ..SendCommand::text(Recipient::Everybody, content) }, "broadcasted")
        .await
}

/// Lists the newest broadcasts, oldest first.
#[utoipa::path(
    get, path = "/broadcast/history",
    params(HistoryQuery),
    responses(Page<NamedMessage>, ErrorResponse<404>),
)]
pub async fn broadcast_history(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<HistoryQuery>>,
) -> Result<HttpResponse, ApiError> {
    let window = query.window()?;
    history(&use_cases, &request, &caller, (Recipient::Everybody, window), |message| {
        NamedMessage::new(message, None, None)
    })
    .await
}
