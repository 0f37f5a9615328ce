//! `/search`: messages by their words.

use super::error::ApiError;
use super::extract::{Authenticated, Query, number};
use super::link;
use super::openapi::{ErrorResponse, Page};
use super::sending::recipient;
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::search::{Has, Search, SearchCursor, SearchQuery};
use domain::{Invalid, Timestamp, UserId};
use serde::Deserialize;
use wire::PublicUrl;

/// The query of `GET /search`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchParameters {
    /// Words that must be there; `"next to each other"`; `-not` there. At most 256 characters.
    #[param(required = true, value_type = String, max_length = 256)]
    q: Option<String>,
    /// Only messages of this user. It filters; it does not say who acts.
    #[param(value_type = Option<wire::Id>)]
    sender_id: Option<String>,
    /// Only the direct conversation with this user; not with `group_id`.
    #[param(value_type = Option<wire::Id>)]
    receiver_id: Option<String>,
    /// Only this group.
    #[param(value_type = Option<wire::Id>)]
    group_id: Option<String>,
    /// Only messages with a `file`, an `image` or a `link`.
    has: Option<String>,
    /// Not sent before this time.
    #[param(value_type = Option<wire::Time>)]
    since: Option<String>,
    /// Not sent after this time.
    #[param(value_type = Option<wire::Time>)]
    until: Option<String>,
    /// The most entries of the page; 20 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 50)]
    limit: Option<String>,
    /// The value from the previous page's `Link`.
    before: Option<String>,
}

impl SearchParameters {
    fn parse(self) -> Result<Search, Invalid> {
        // A plus that the client did not encode is a blank by now.
        let time =
            |field, text: Option<String>| text.map(|text| Timestamp::parse(field, &text.replace(' ', "+"))).transpose();
        let within = match (self.receiver_id.as_deref(), self.group_id.as_deref()) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(Invalid::new("receiver_id", "receiver_id can't be combined with group_id"));
            }
            (user, group) => Some(recipient(user, group)?),
        };
        Ok(Search {
            within,
            sender: self.sender_id.map(|id| UserId::parse("sender_id", &id)).transpose()?,
            has: self.has.as_deref().map(Has::parse).transpose()?,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            before: self.before.as_deref().map(SearchCursor::parse).transpose()?,
            limit: Search::limit(number("limit", self.limit.as_deref())?)?,
            query: SearchQuery::parse(&self.q.ok_or_else(|| Invalid::missing("q"))?)?,
        })
    }
}

/// Finds messages by their words, newest first.
///
/// Finds what the caller may read: in the caller's own conversations and the broadcast, and in a public group that
/// `group_id` names.
#[utoipa::path(
    get, path = "/search",
    params(SearchParameters),
    responses(Page<wire::Found>, ErrorResponse<404>),
)]
pub async fn find(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: Query(parameters) }: Authenticated<Query<SearchParameters>>,
) -> Result<HttpResponse, ApiError> {
    let search = parameters.parse()?;
    let page = use_cases.search.search(&caller, search).await?;
    let next = page.items.last().filter(|_| page.more);
    let next = next.map(|last| ("before", SearchCursor::at(&last.message).to_string()));
    Ok(link::page(&request, page.items.into_iter().map(|found| wire::Found::at(&public, found)), next))
}
