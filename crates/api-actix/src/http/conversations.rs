//! `/conversations`: the user's conversations, and the changes of each.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, Json, PathIds, Query, flag, number, required};
use super::link;
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::conversations::{ConversationCursor, ConversationFilter, Opened};
use domain::messages::{DigestRange, Update};
use domain::{Invalid, Limit, UserId};
use serde::Deserialize;
use utoipa::ToSchema;
use wire::PublicUrl;

/// The query of `GET /conversations`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The value from the previous page's `Link`.
    before: Option<String>,
    /// Only archived conversations, or only others.
    #[param(value_type = Option<bool>)]
    archived: Option<String>,
    /// Only conversations with unseen messages, or only others.
    #[param(value_type = Option<bool>)]
    unseen: Option<String>,
}

/// Lists the caller's conversations, the one with the latest message first.
#[utoipa::path(
    get, path = "/conversations",
    params(ListQuery),
    responses(Page<wire::Conversation>, ErrorResponse<403>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, Query(query)) }: Authenticated<(Acting, Query<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let before = query.before.as_deref().map(ConversationCursor::parse).transpose()?;
    let filter = ConversationFilter {
        archived: flag("archived", query.archived.as_deref())?,
        unseen: flag("unseen", query.unseen.as_deref())?,
    };
    let page = use_cases.conversations.list(&caller, filter, before, limit).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let next = page.items.last().filter(|_| page.more);
    let next = next.map(|last| ("before", ConversationCursor::behind(last).to_string()));
    let view = |user: &_| use_cases.policy.view(&caller, user);
    let shown = page.items.into_iter().map(|conversation| wire::Conversation::listed(&public, conversation, view));
    Ok(link::page(&request, shown, next))
}

/// The other user of a direct conversation.
#[derive(Deserialize, ToSchema)]
#[schema(as = DirectConversation, examples(json!({ "user_id": "01890a5d-ac96-774b-bcce-b302099a8057" })))]
pub struct OpenBody {
    /// Possibly the caller.
    #[schema(value_type = wire::Id)]
    user_id: Option<String>,
}

/// Opens the direct conversation with a user, before anybody writes there.
///
/// Until then it is in nobody else's list.
#[utoipa::path(
    post, path = "/conversations",
    request_body = OpenBody,
    responses(
        (status = 201, description = "Made", body = wire::Conversation),
        (status = 200, description = "It existed", body = wire::Conversation),
        ErrorResponse<404>,
    ),
)]
pub async fn open(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    Authenticated { caller, input: Json(body) }: Authenticated<Json<OpenBody>>,
) -> Result<HttpResponse, ApiError> {
    let other = UserId::parse("user_id", &required("user_id", body.user_id)?)?;
    let (mut answer, conversation) = match use_cases.conversations.open_direct(&caller, other).await? {
        Opened::Made(conversation) => (HttpResponse::Created(), conversation),
        Opened::Found(conversation) => (HttpResponse::Ok(), conversation),
    };
    let view = |user: &_| use_cases.policy.view(&caller, user);
    Ok(answer.json(wire::Conversation::listed(&public, conversation, view)))
}

/// The query of `GET /conversations/{id}/changes`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// The `update` of the previous page; 0 if absent.
    #[param(value_type = Option<u64>, minimum = 0)]
    after: Option<String>,
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// Lists the changes of a conversation in order.
#[utoipa::path(
    get, path = "/conversations/{id}/changes",
    params(ChangesQuery),
    responses((status = 200, description = "A page of changes", body = wire::Changes), ErrorResponse<404>),
)]
pub async fn changes(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    Authenticated { caller, input: (ids, Query(query)) }: Authenticated<(PathIds, Query<ChangesQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let after = number("after", query.after.as_deref())?.unwrap_or(0);
    let after = i64::try_from(after).map_err(|_| Invalid::new("after", "after is too large"))?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let changes = use_cases.messages.list_changes(&caller, id, Update(after), limit).await?;
    Ok(HttpResponse::Ok().json(wire::Changes::at(&public, changes)))
}

/// The query of `GET /conversations/{id}/digest`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DigestQuery {
    /// The first `seq` of the part; 1 if absent.
    #[param(value_type = Option<u64>, minimum = 0)]
    from: Option<String>,
    /// The last `seq` of the part; the conversation's `update` if absent or beyond it.
    #[param(value_type = Option<u64>, minimum = 0)]
    to: Option<String>,
}

/// Shows the digest of a conversation or of a part of it.
#[utoipa::path(
    get, path = "/conversations/{id}/digest",
    params(DigestQuery),
    responses((status = 200, description = "The digest", body = wire::RangeDigest), ErrorResponse<404>),
)]
pub async fn digest(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (ids, Query(query)) }: Authenticated<(PathIds, Query<DigestQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let range = DigestRange::parse(number("from", query.from.as_deref())?, number("to", query.to.as_deref())?)?;
    let found = use_cases.digests.show(&caller, id, range).await?;
    Ok(HttpResponse::Ok().json(wire::RangeDigest::from(found)))
}
