//! `/messages/{id}/reactions`: reacting to messages.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, PathIds, Query, number};
use super::link::{self, cursor};
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::Limit;
use domain::acting::ReferencedEntity;
use domain::messages::{Emoji, Update};
use serde::Deserialize;

/// Reacts to a message.
///
/// For everybody who may send there. Repeating it changes nothing. A message has room for 50 different emoji, and for
/// 20 of one user.
#[utoipa::path(
    put, path = "/messages/{id}/reactions/{emoji}",
    responses(
        (status = 204, description = "Reacted"),
        ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>,
    ),
)]
pub async fn add(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let (id, emoji) = (ids.get("id")?, Emoji::parse(&ids.text("emoji")?)?);
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Message(id)]).await?;
    use_cases.messages.react(&caller, id, emoji).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Takes a reaction back.
#[utoipa::path(
    delete, path = "/messages/{id}/reactions/{emoji}",
    responses((status = 204, description = "Not there"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn take_back(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, ids) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let (id, emoji) = (ids.get("id")?, Emoji::parse(&ids.text("emoji")?)?);
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Message(id)]).await?;
    use_cases.messages.unreact(&caller, id, emoji).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The query of `GET /messages/{id}/reactions`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReactionsQuery {
    /// One emoji; all if absent.
    emoji: Option<String>,
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The value from the previous page's `Link`.
    after: Option<String>,
}

/// Lists who reacted to a message, oldest first.
#[utoipa::path(
    get, path = "/messages/{id}/reactions",
    params(ReactionsQuery),
    responses(Page<wire::Reactor>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, ids, Query(query)) }: Authenticated<(
        Acting,
        PathIds,
        Query<ReactionsQuery>,
    )>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let emoji = query.emoji.as_deref().map(Emoji::parse).transpose()?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let after = cursor("after", query.after.as_deref())?.unwrap_or(Update(0));
    let page = use_cases.messages.reactors(&caller, id, emoji, after, limit).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.update.0.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Reactor::from), next))
}
