//! `/messages`: sending, reading, editing and deleting.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, Json, PathIds, Query, number, required};
use super::link;
use super::openapi::{ErrorResponse, IdempotencyKeyHeader, Page};
use super::page_cache::{AnsweredPage, PageCache, PageKey};
use super::sending::{MentionsBody, ParsedSend, SendBody, recipient, sent};
use crate::use_cases::UseCases;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::acting::ReferencedEntity;
use domain::messages::{Around, Content, Cursor, EditCommand, Listing, Message, PageAround, PageRead, Replies, Window};
use domain::{Invalid, Limit, MessageId};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use wire::PublicUrl;

/// Sends a message.
///
/// Answers 200 with the earlier message if the idempotency key shows that this is a retry.
#[utoipa::path(
    post, path = "/messages",
    params(IdempotencyKeyHeader),
    request_body = SendBody,
    responses(
        (status = 201, description = "Sent", body = wire::Message),
        (status = 200, description = "Sent before under the same key", body = wire::Message),
        ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>,
    ),
)]
pub async fn send(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, Json(body)) }: Authenticated<(Acting, Json<SendBody>)>,
) -> Result<HttpResponse, ApiError> {
    let ParsedSend { acting, message } = body.parse_addressed(acting, request.headers())?;
    use_cases.acting.check(&caller, acting, ReferencedEntity::of_message(&message)).await?;
    Ok(sent(&public, use_cases.messages.send(&caller, message).await?))
}

/// The query of `GET /messages`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The other user. Give exactly one of `receiver_id` and `group_id`.
    #[param(value_type = Option<wire::Id>)]
    receiver_id: Option<String>,
    #[param(value_type = Option<wire::Id>)]
    group_id: Option<String>,
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// How many of the oldest messages to skip; not together with a cursor, which leads further.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 10000)]
    offset: Option<String>,
    /// A message's id, or `latest`; not with `after`.
    before: Option<String>,
    /// A message's id.
    #[param(value_type = Option<wire::Id>)]
    after: Option<String>,
    /// A message's id, or `unseen`; not with `offset`, `before` or `after`.
    around: Option<String>,
    /// `exclude` leaves the replies in threads out.
    #[param(pattern = "^(include|exclude)$")]
    threads: Option<String>,
}

impl ListQuery {
    fn limit(&self) -> Result<Limit, Invalid> {
        Limit::of_list(number("limit", self.limit.as_deref())?)
    }

    fn replies(&self) -> Result<Replies, Invalid> {
        match self.threads.as_deref() {
            None | Some("include") => Ok(Replies::Included),
            Some("exclude") => Ok(Replies::Excluded),
            Some(_) => Err(Invalid::new("threads", "threads must be include or exclude")),
        }
    }

    /// The middle of the page, if the query gives one.
    fn around(&self) -> Result<Option<Around>, Invalid> {
        match (self.around.as_deref(), &self.offset, &self.before, &self.after) {
            (None, ..) => Ok(None),
            (Some("unseen"), None, None, None) => Ok(Some(Around::FirstUnseen)),
            (Some(id), None, None, None) => MessageId::parse("around", id).map(Around::Message).map(Some),
            (Some(_), ..) => Err(Invalid::new("around", "around can't be combined with offset, before or after")),
        }
    }

    fn window(&self) -> Result<Window, Invalid> {
        let limit = self.limit()?;
        let offset = number("offset", self.offset.as_deref())?;
        match (offset, self.before.as_deref(), self.after.as_deref()) {
            (offset, None, None) => Window::from_oldest(offset.unwrap_or(0), limit),
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

/// Lists messages with a user or in a group, oldest first.
///
/// `offset` counts from the oldest. `before` returns the newest page before a message, `before=latest` the newest page
/// of all. The `Link` continues by message, so that deletions in between skip nothing. A client that keeps pages
/// sends the `ETag` of one as `If-None-Match`, and is answered 304 while the page is the same. `around` returns a page
/// with a message, or its place, in the middle; its `Link` leads to both sides, `prev` to older and `next` to newer
/// messages.
#[utoipa::path(
    get, path = "/messages",
    params(ListQuery),
    responses(Page<wire::Message>, (status = 304, description = "The client has this page"), ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    pages: web::Data<PageCache>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, Query(query)) }: Authenticated<(Acting, Query<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let of = recipient(query.receiver_id.as_deref(), query.group_id.as_deref())?;
    let replies = query.replies()?;
    if let Some(place) = query.around()? {
        let page = use_cases.messages.around(&caller, of, place, replies, query.limit()?).await?;
        use_cases.acting.check(&caller, acting, None).await?;
        return Ok(around(&public, &request, page));
    }
    let window = query.window()?;
    let listing = Listing { window, replies };
    let key = PageKey::new(caller.user, of, listing);
    let kept = pages.get(&key);
    let known = kept.as_ref().map(|(version, _)| *version);
    let read = use_cases.messages.list(&caller, of, listing, known).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let page = match (read, kept) {
        (PageRead::Unchanged, Some((_, page))) => page,
        (read, _) => answer(&public, &pages, key, window, read)?,
    };
    let link = page.next.as_ref().map(|(name, value)| link::following(&request, name, value, Some("offset")));
    Ok(page.respond(request.headers(), link))
}

/// Answers with a page around a place, and with links to both sides.
fn around(public: &PublicUrl, request: &HttpRequest, page: PageAround) -> HttpResponse {
    let link = |rel, name, of: &Message| link::relation(request, rel, (name, &of.id.to_string()), Some("around"));
    let older = page.items.first().filter(|_| page.older).map(|oldest| link("prev", "before", oldest));
    let newer = page.items.last().filter(|_| page.newer).map(|newest| link("next", "after", newest));
    let links: Vec<String> = older.into_iter().chain(newer).collect();
    let mut response = HttpResponse::Ok();
    if !links.is_empty() {
        response.insert_header((header::LINK, links.join(", ")));
    }
    response.json(page.items.into_iter().map(|message| wire::Message::at(public, message)).collect::<Vec<_>>())
}

/// The page as it is answered, kept for its next reader.
fn answer(
    public: &PublicUrl,
    pages: &PageCache,
    key: PageKey,
    window: Window,
    read: PageRead,
) -> Result<Arc<AnsweredPage>, ApiError> {
    let version = match &read {
        PageRead::Read(_, version) => *version,
        PageRead::Unchanged => None,
    };
    let page = read.into_page();
    let next = match window {
        Window::Before { .. } => page.items.first().map(|oldest| ("before", oldest.id.to_string())),
        Window::Offset { .. } | Window::After { .. } => {
            page.items.last().map(|newest| ("after", newest.id.to_string()))
        }
    };
    let next = next.filter(|_| page.more);
    let shown: Vec<_> = page.items.into_iter().map(|message| wire::Message::at(public, message)).collect();
    let body = serde_json::to_vec(&shown).map_err(domain::Error::internal)?;
    let page = Arc::new(AnsweredPage::new(body.into(), next));
    if let Some(version) = version {
        pages.keep(key, version, Arc::clone(&page));
    }
    Ok(page)
}

/// Shows a message.
#[utoipa::path(
    get, path = "/messages/{id}",
    responses((status = 200, description = "The message", body = wire::Message), ErrorResponse<404>),
)]
pub async fn show(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let message = use_cases.messages.show(&caller, ids.get("id")?).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    Ok(HttpResponse::Ok().json(wire::Message::at(&public, message)))
}

/// The body of `PUT /messages/{id}`.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessageEdit, examples(json!({ "content": "Hello, world!" })))]
pub struct EditBody {
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    sender_id: Option<String>,
    #[schema(value_type = String, max_length = 4096)]
    content: Option<String>,
    /// Whom the message mentions; those that the content names if absent.
    mentions: Option<MentionsBody>,
}

/// Changes the content of a message; for its sender.
#[utoipa::path(
    put, path = "/messages/{id}",
    request_body = EditBody,
    responses((status = 200, description = "Changed", body = wire::Message), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn edit(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    Authenticated { caller, input: (acting, ids, Json(body)) }: Authenticated<(Acting, PathIds, Json<EditBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let acting = acting.and("sender_id", body.sender_id.as_deref())?;
    let content = Content::parse(&required("content", body.content)?)?;
    let mentions = body.mentions.as_ref().map(MentionsBody::parse).transpose()?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::EditedMessage(id, content.clone())]).await?;
    let message = use_cases.messages.edit(&caller, id, EditCommand { content, mentions }).await?;
    Ok(HttpResponse::Ok().json(wire::Message::at(&public, message)))
}

/// The body of `DELETE /messages/{id}`.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessageDelete, examples(json!({})))]
pub struct DeleteBody {
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    sender_id: Option<String>,
}

/// Deletes a message; for its sender and the owner and admins of its group.
#[utoipa::path(
    delete, path = "/messages/{id}",
    request_body(content = Option<DeleteBody>, content_type = "application/json"),
    responses((status = 204, description = "Deleted"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn delete(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids, Json(body)) }: Authenticated<(Acting, PathIds, Json<DeleteBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let acting = acting.and("sender_id", body.sender_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Message(id)]).await?;
    use_cases.messages.delete(&caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists what a message said before its edits, oldest first, the present content last.
///
/// For the sender, or for everybody who may read the message if the operator says so.
#[utoipa::path(
    get, path = "/messages/{id}/edits",
    responses(
        (status = 200, description = "The versions", body = [wire::MessageVersion]),
        ErrorResponse<403>, ErrorResponse<404>,
    ),
)]
pub async fn edits(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let versions = use_cases.messages.versions(&caller, ids.get("id")?).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    Ok(HttpResponse::Ok().json(versions.into_iter().map(wire::MessageVersion::from).collect::<Vec<_>>()))
}
