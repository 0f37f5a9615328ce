//! `/messages/{id}/thread`: the first message of a thread and its replies.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, PathIds, Query, number};
use super::link;
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::messages::ThreadWindow;
use domain::{Invalid, Limit, MessageId};
use serde::Deserialize;
use wire::PublicUrl;

/// The query of `GET /messages/{id}/thread`.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ThreadQuery {
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// A message's id; not with `after`.
    #[param(value_type = Option<wire::Id>)]
    before: Option<String>,
    /// A message's id.
    #[param(value_type = Option<wire::Id>)]
    after: Option<String>,
}

impl ThreadQuery {
    fn window(&self) -> Result<ThreadWindow, Invalid> {
        match (self.before.as_deref(), self.after.as_deref()) {
            (None, None) => Ok(ThreadWindow::Start),
            (Some(_), Some(_)) => Err(Invalid::new("before", "before can't be combined with after")),
            (Some(id), None) => MessageId::parse("before", id).map(ThreadWindow::Before),
            (None, Some(id)) => MessageId::parse("after", id).map(ThreadWindow::After),
        }
    }
}

/// Lists the first message of a thread and its replies, oldest first. The path names any of them.
///
/// A message without replies is a thread of one.
#[utoipa::path(
    get, path = "/messages/{id}/thread",
    params(ThreadQuery),
    responses(Page<wire::Message>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    public: web::Data<PublicUrl>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, ids, Query(query)) }: Authenticated<(Acting, PathIds, Query<ThreadQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let id = ids.get("id")?;
    let window = query.window()?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let page = use_cases.messages.thread(&caller, id, window, limit).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let next = match window {
        ThreadWindow::Before(_) => page.items.first().map(|oldest| ("before", oldest.id.to_string())),
        ThreadWindow::Start | ThreadWindow::After(_) => {
            page.items.last().map(|newest| ("after", newest.id.to_string()))
        }
    };
    let next = next.filter(|_| page.more);
    Ok(link::page(&request, page.items.into_iter().map(|message| wire::Message::at(&public, message)), next))
}
