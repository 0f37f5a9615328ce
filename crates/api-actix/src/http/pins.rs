//! `/messages/{id}/pin`, `/conversations/{id}/pins`: pinned messages.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, PathIds, Query, number};
use super::link::{self, cursor};
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::Limit;
use domain::acting::ReferencedEntity;
use serde::Deserialize;
use wire::PublicUrl;

/// Pins a message.
///
/// For both users of a direct conversation, the owner and admins of a group, and whoever may broadcast. Repeating it
/// changes nothing. A conversation has room for 250 pins.
#[utoipa::path(
    put, path = "/messages/{id}/pin",
    responses(
        (status = 204, description = "Pinned"),
        ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>,
    ),
)]
pub async fn pin(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Message(id)]).await?;
    use_cases.messages.pin(&caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Unpins a message.
#[utoipa::path(
    delete, path = "/messages/{id}/pin",
    responses((status = 204, description = "Not pinned"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn unpin(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Message(id)]).await?;
    use_cases.messages.unpin(&caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The query of `GET /conversations/{id}/pins`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PinsQuery {
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The value from the previous page's `Link`.
    before: Option<String>,
}

/// Lists the pinned messages of a conversation, the one pinned last first.
#[utoipa::path(
    get, path = "/conversations/{id}/pins",
    params(PinsQuery),
    responses(Page<wire::Message>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: (ids, Query(query)) }: Authenticated<(PathIds, Query<PinsQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let before = cursor("before", query.before.as_deref())?;
    let page = use_cases.messages.pins(&caller, id, before, limit).await?;
    let last = page.items.last().filter(|_| page.more).and_then(|last| last.pinned);
    let next = last.map(|pin| ("before", pin.update.0.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(|message| wire::Message::at(&public, message)), next))
}
