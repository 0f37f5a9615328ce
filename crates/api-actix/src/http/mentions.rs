//! `/mentions`: messages that mention the caller.

use super::error::ApiError;
use super::extract::{Authenticated, Query, number};
use super::link;
use super::openapi::Page;
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::{Limit, MessageId};
use serde::Deserialize;
use wire::PublicUrl;

/// The query of `GET /mentions`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MentionsQuery {
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// The value from the previous page's `Link`.
    #[param(value_type = Option<wire::Id>)]
    before: Option<String>,
}

/// Lists messages that mention the caller and that the caller may still read, newest first.
#[utoipa::path(
    get, path = "/mentions",
    params(MentionsQuery),
    responses(Page<wire::Message>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<MentionsQuery>>,
) -> Result<HttpResponse, ApiError> {
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let before = query.before.as_deref().map(|id| MessageId::parse("before", id)).transpose()?;
    let page = use_cases.messages.mentions(&caller, before, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("before", last.id.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(|message| wire::Message::at(&public, message)), next))
}
