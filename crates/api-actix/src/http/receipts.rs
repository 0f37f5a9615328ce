//! Receipts: `/messages/{id}/seen`, `/messages/unseen/{user_id}`, `/conversations/{id}/read`, `.../unread`.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, Json, PageQuery, PathIds, Query, required};
use super::link;
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::MessageId;
use domain::acting::{ClaimedActor, ReferencedEntity};
use serde::Deserialize;
use utoipa::ToSchema;

/// The body of `POST /messages/{id}/seen`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Seen, examples(json!({})))]
pub struct SeenBody {
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    user_id: Option<String>,
    /// The caller, if given, as on the other routes of messages.
    #[schema(value_type = Option<wire::Id>)]
    sender_id: Option<String>,
}

/// Marks a message as seen.
///
/// A repeated receipt, or one for the caller's own message, changes nothing.
#[utoipa::path(
    post, path = "/messages/{id}/seen",
    request_body(content = Option<SeenBody>, content_type = "application/json"),
    responses((status = 200, description = "Seen", body = wire::Done), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn mark_seen(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids, Json(body)) }: Authenticated<(Acting, PathIds, Json<SeenBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let acting = acting.and("user_id", body.user_id.as_deref())?.and("sender_id", body.sender_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Message(id)]).await?;
    use_cases.receipts.mark_seen(&caller, id).await?;
    Ok(HttpResponse::Ok().json(wire::Done { message: "marked as seen" }))
}

/// Lists the users who have seen a message, and when.
#[utoipa::path(
    get, path = "/messages/{id}/seen",
    params(PageQuery),
    responses(Page<wire::Receipt>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, ids, Query(query)) }: Authenticated<(Acting, PathIds, Query<PageQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let (after, limit) = query.read()?;
    let page = use_cases.receipts.list(&caller, id, after, limit).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.user.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Receipt::from), next))
}

/// Counts the caller's unseen messages.
///
/// For the caller only; without the caller's own messages, deleted ones and broadcasts. Counting stops at 1000 per
/// conversation.
#[utoipa::path(
    get, path = "/messages/unseen/{user_id}",
    responses((status = 200, description = "The counts", body = wire::Unseen), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn count_unseen(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let user = ids.get("user_id")?;
    let named = acting.into_iter().chain([ClaimedActor { field: "user_id", user }]);
    use_cases.acting.check(&caller, named, [ReferencedEntity::User(user)]).await?;
    let unseen = use_cases.receipts.count_unseen(&caller).await?;
    Ok(HttpResponse::Ok().json(wire::Unseen::from(unseen)))
}

/// The body of `POST /conversations/{id}/read`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Read, examples(json!({ "up_to": "01890a5d-ac96-774b-bcce-b302099a8057" })))]
pub struct ReadBody {
    /// A message of the conversation.
    #[schema(value_type = wire::Id)]
    up_to: Option<String>,
}

/// Marks all messages of a conversation up to one as seen.
#[utoipa::path(
    post, path = "/conversations/{id}/read",
    request_body = ReadBody,
    responses((status = 204, description = "Seen"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn mark_read(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (ids, Json(body)) }: Authenticated<(PathIds, Json<ReadBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let up_to = MessageId::parse("up_to", &required("up_to", body.up_to)?)?;
    use_cases.receipts.mark_read(&caller, id, up_to).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The body of `POST /conversations/{id}/unread`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Unread, examples(json!({ "from": "01890a5d-ac96-774b-bcce-b302099a8057" })))]
pub struct UnreadBody {
    /// A message of the conversation.
    #[schema(value_type = wire::Id)]
    from: Option<String>,
}

/// Marks a message and all after it as unread, for the caller alone.
///
/// What others were told stays: they still see the caller's receipts.
#[utoipa::path(
    post, path = "/conversations/{id}/unread",
    request_body = UnreadBody,
    responses((status = 204, description = "Unread"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn mark_unread(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (ids, Json(body)) }: Authenticated<(PathIds, Json<UnreadBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let from = MessageId::parse("from", &required("from", body.from)?)?;
    use_cases.receipts.mark_unread(&caller, id, from).await?;
    Ok(HttpResponse::NoContent().finish())
}
