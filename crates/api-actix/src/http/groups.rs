//! Groups.

use super::error::ApiError;
use super::extract::{Json, PathIds, Query, Signed, acting, number, required};
use super::{link, wire};
use crate::app::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::groups::{Description, GroupChange, GroupName, GroupNamePrefix, Visibility};
use domain::{GroupId, Invalid, Limit, UserId};
use serde::Deserialize;

/// Where a body names the acting user too.
#[derive(Deserialize)]
pub struct RequesterBody {
    requester_id: Option<String>,
}

impl RequesterBody {
    /// # Errors
    /// [`Invalid`] naming `requester_id`.
    pub fn requester(&self) -> Result<Option<UserId>, Invalid> {
        acting("requester_id", self.requester_id.as_deref())
    }
}

/// What a group is, or is to become.
#[derive(Deserialize)]
pub struct GroupBody {
    name: Option<String>,
    visibility: Option<String>,
    description: Option<String>,
    requester_id: Option<String>,
}

impl GroupBody {
    fn change(&self) -> Result<GroupChange, Invalid> {
        Ok(GroupChange {
            name: self.name.as_deref().map(|name| GroupName::parse("name", name)).transpose()?,
            description: self.description.as_deref().map(Description::parse).transpose()?,
            visibility: self.visibility.as_deref().map(Visibility::parse).transpose()?,
        })
    }
}

/// `POST /groups`
pub async fn create(
    app: web::Data<UseCases>,
    Signed { caller, input: Json(body) }: Signed<Json<GroupBody>>,
) -> Result<HttpResponse, ApiError> {
    let GroupChange { name, description, visibility } = body.change()?;
    let name = required("name", name)?;
    caller.must_be(acting("requester_id", body.requester_id.as_deref())?)?;
    let visibility = visibility.unwrap_or(Visibility::Private);
    let description = description.unwrap_or_else(Description::none);
    let group = app.create_group.execute(&caller, name, visibility, description).await?;
    Ok(HttpResponse::Created().json(wire::Group::from(group)))
}

/// Which groups to list.
#[derive(Deserialize)]
pub struct ListQuery {
    q: Option<String>,
    after: Option<String>,
    limit: Option<String>,
}

/// `GET /groups`
pub async fn list(
    app: web::Data<UseCases>,
    request: HttpRequest,
    Signed { caller, input: Query(query) }: Signed<Query<ListQuery>>,
) -> Result<HttpResponse, ApiError> {
    let prefix = query.q.as_deref().map(GroupNamePrefix::parse).transpose()?;
    let after = query.after.as_deref().map(|id| GroupId::parse("after", id)).transpose()?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let page = app.list_groups.execute(&caller, prefix.as_ref(), after, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.group.id.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Group::from), next))
}

/// `GET /groups/{id}`
pub async fn show(
    app: web::Data<UseCases>,
    Signed { caller, input: path }: Signed<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let group = app.show_group.execute(&caller, path.get("id")?).await?;
    Ok(HttpResponse::Ok().json(wire::Group::from(group)))
}

/// `PUT /groups/{id}`
pub async fn edit(
    app: web::Data<UseCases>,
    Signed { caller, input: (path, Json(body)) }: Signed<(PathIds, Json<GroupBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = path.get("id")?;
    let change = body.change()?;
    caller.must_be(acting("requester_id", body.requester_id.as_deref())?)?;
    let group = app.update_group.execute(&caller, id, change).await?;
    Ok(HttpResponse::Ok().json(wire::Group::from(group)))
}

/// `DELETE /groups/{id}`
pub async fn delete(
    app: web::Data<UseCases>,
    Signed { caller, input: (path, Json(body)) }: Signed<(PathIds, Json<RequesterBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = path.get("id")?;
    caller.must_be(body.requester()?)?;
    app.delete_group.execute(&caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
