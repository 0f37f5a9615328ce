//! `/messages`: sending, reading, editing and deleting.

use super::error::ApiError;
use super::extract::{Json, PathIds, Query, Signed, acting, number, required};
use super::sending::{idempotency_key, recipient, sent};
use super::{link, wire};
use crate::app::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::messages::{Content, Cursor, DraftBody, IdempotencyKey, MessageType, Outgoing, Window};
use domain::{FileId, Invalid, Limit, MessageId};
use serde::Deserialize;

/// The body of `POST /messages`.
#[derive(Deserialize)]
pub struct SendBody {
    sender_id: Option<String>,
    receiver_id: Option<String>,
    group_id: Option<String>,
    #[serde(rename = "type")]
    message_type: Option<String>,
    content: Option<String>,
    file_id: Option<String>,
    reply_to: Option<String>,
    client_id: Option<String>,
}

impl SendBody {
    /// The message it asks to be sent, under the key that was given beside it.
    ///
    /// # Errors
    /// [`Invalid`] naming what is missing or malformed.
    fn outgoing(&self, key: Option<IdempotencyKey>) -> Result<Outgoing, Invalid> {
        let message_type = self.message_type.as_deref().map_or(Ok(MessageType::Text), MessageType::parse)?;
        let file = self.file_id.as_deref().map(|id| FileId::parse("file_id", id)).transpose()?;
        Ok(Outgoing {
            recipient: recipient(self.receiver_id.as_deref(), self.group_id.as_deref())?,
            body: DraftBody::parse(message_type, self.content.as_deref(), file)?,
            reply_to: self.reply_to.as_deref().map(|id| MessageId::parse("reply_to", id)).transpose()?,
            key,
        })
    }
}

/// `POST /messages`.
pub async fn send(
    app: web::Data<UseCases>,
    request: HttpRequest,
    Signed { caller, input: Json(body) }: Signed<Json<SendBody>>,
) -> Result<HttpResponse, ApiError> {
    let sender = acting("sender_id", body.sender_id.as_deref())?;
    let message = body.outgoing(idempotency_key(request.headers(), body.client_id.as_deref())?)?;
    caller.must_be(sender)?;
    Ok(sent(app.send_message.execute(&caller, message).await?))
}

/// The query of `GET /messages`.
#[derive(Deserialize)]
pub struct ListQuery {
    receiver_id: Option<String>,
    group_id: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl ListQuery {
    fn window(&self) -> Result<Window, Invalid> {
        let limit = Limit::of_list(number("limit", self.limit.as_deref())?)?;
        let offset = number("offset", self.offset.as_deref())?;
        match (offset, self.before.as_deref(), self.after.as_deref()) {
            (offset, None, None) => Ok(Window::Offset { offset: offset.unwrap_or(0), limit }),
            (Some(_), ..) => Err(Invalid::new("offset", "offset can't be combined with before or after")),
            (None, Some(_), Some(_)) => Err(Invalid::new("before", "before can't be combined with after")),
            (None, Some("latest"), None) => Ok(Window::Before { cursor: Cursor::Latest, limit }),
            (None, Some(id), None) => {
                Ok(Window::Before { cursor: Cursor::Message(MessageId::parse("before", id)?), limit })
            }
            (None, None, Some(id)) => Ok(Window::After { cursor: MessageId::parse("after", id)?, limit }),
        }
    }
}

/// `GET /messages`.
pub async fn list(
    app: web::Data<UseCases>,
    request: HttpRequest,
    Signed { caller, input: Query(query) }: Signed<Query<ListQuery>>,
) -> Result<HttpResponse, ApiError> {
    let of = recipient(query.receiver_id.as_deref(), query.group_id.as_deref())?;
    let window = query.window()?;
    let page = app.list_messages.execute(&caller, of, window).await?;
    let next = match window {
        Window::Offset { offset, limit } => Some(("offset", offset.saturating_add(limit.get() as u64).to_string())),
        Window::Before { .. } => page.items.first().map(|oldest| ("before", oldest.id.to_string())),
        Window::After { .. } => page.items.last().map(|newest| ("after", newest.id.to_string())),
    };
    let next = next.filter(|_| page.more);
    Ok(link::page(&request, page.items.into_iter().map(wire::Message::from), next))
}

/// `GET /messages/{id}`.
pub async fn show(
    app: web::Data<UseCases>,
    Signed { caller, input: ids }: Signed<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let message = app.show_message.execute(&caller, ids.get("id")?).await?;
    Ok(HttpResponse::Ok().json(wire::Message::from(message)))
}

/// The body of `PUT /messages/{id}`.
#[derive(Deserialize)]
pub struct EditBody {
    sender_id: Option<String>,
    content: Option<String>,
}

/// `PUT /messages/{id}`.
pub async fn edit(
    app: web::Data<UseCases>,
    Signed { caller, input: (ids, Json(body)) }: Signed<(PathIds, Json<EditBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let sender = acting("sender_id", body.sender_id.as_deref())?;
    let content = Content::parse(&required("content", body.content)?)?;
    caller.must_be(sender)?;
    let message = app.edit_message.execute(&caller, id, content).await?;
    Ok(HttpResponse::Ok().json(wire::Message::from(message)))
}

/// The body of `DELETE /messages/{id}`.
#[derive(Deserialize)]
pub struct DeleteBody {
    sender_id: Option<String>,
}

/// `DELETE /messages/{id}`.
pub async fn delete(
    app: web::Data<UseCases>,
    Signed { caller, input: (ids, Json(body)) }: Signed<(PathIds, Json<DeleteBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    caller.must_be(acting("sender_id", body.sender_id.as_deref())?)?;
    app.delete_message.execute(&caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
