//! Members of groups.

use super::error::ApiError;
use super::extract::{Json, PathIds, Query, Signed, acting, number, required};
use super::groups::RequesterBody;
use super::{link, wire};
use crate::app::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::groups::{NewMember, Role};
use domain::{Limit, UserId};
use serde::{Deserialize, Serialize};

/// Whom to take in.
#[derive(Deserialize)]
pub struct AddBody {
    user_id: Option<String>,
    role: Option<String>,
    requester_id: Option<String>,
}

/// `POST /groups/{id}/members`
pub async fn add(
    app: web::Data<UseCases>,
    Signed { caller, input: (path, Json(body)) }: Signed<(PathIds, Json<AddBody>)>,
) -> Result<HttpResponse, ApiError> {
    #[derive(Serialize)]
    struct Added {
        message: &'static str,
        member: wire::Member,
    }
    let user = UserId::parse("user_id", &required("user_id", body.user_id)?)?;
    let role = body.role.as_deref().map_or(Ok(Role::Member), Role::parse)?;
    let new = NewMember::new(path.get("id")?, user, role)?;
    caller.must_be(acting("requester_id", body.requester_id.as_deref())?)?;
    let member = app.add_member.execute(&caller, new).await?;
    Ok(HttpResponse::Ok().json(Added { message: "member added", member: member.into() }))
}

/// What a member is to be.
#[derive(Deserialize)]
pub struct RoleBody {
    role: Option<String>,
    requester_id: Option<String>,
}

/// `PATCH /groups/{id}/members/{user_id}`
pub async fn change_role(
    app: web::Data<UseCases>,
    Signed { caller, input: (path, Json(body)) }: Signed<(PathIds, Json<RoleBody>)>,
) -> Result<HttpResponse, ApiError> {
    let (group, user) = (path.get("id")?, path.get("user_id")?);
    let role = Role::parse(&required("role", body.role)?)?;
    caller.must_be(acting("requester_id", body.requester_id.as_deref())?)?;
    let member = app.change_role.execute(&caller, group, user, role).await?;
    Ok(HttpResponse::Ok().json(wire::Member::from(member)))
}

/// `DELETE /groups/{id}/members/{user_id}`
pub async fn remove(
    app: web::Data<UseCases>,
    Signed { caller, input: (path, Json(body)) }: Signed<(PathIds, Json<RequesterBody>)>,
) -> Result<HttpResponse, ApiError> {
    let (group, user) = (path.get("id")?, path.get("user_id")?);
    caller.must_be(body.requester()?)?;
    app.remove_member.execute(&caller, group, user).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Where the seed names who leaves.
#[derive(Deserialize)]
pub struct LeaveBody {
    user_id: Option<String>,
}

/// `POST /groups/{id}/leave`
pub async fn leave(
    app: web::Data<UseCases>,
    Signed { caller, input: (path, Json(body)) }: Signed<(PathIds, Json<LeaveBody>)>,
) -> Result<HttpResponse, ApiError> {
    let group = path.get("id")?;
    caller.must_be(acting("user_id", body.user_id.as_deref())?)?;
    app.remove_member.execute(&caller, group, caller.user).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Which members to list.
#[derive(Deserialize)]
pub struct ListQuery {
    after: Option<String>,
    limit: Option<String>,
}

/// `GET /groups/{id}/members`
pub async fn list(
    app: web::Data<UseCases>,
    request: HttpRequest,
    Signed { caller, input: (path, Query(query)) }: Signed<(PathIds, Query<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let group = path.get("id")?;
    let after = query.after.as_deref().map(|id| UserId::parse("after", id)).transpose()?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let page = app.list_members.execute(&caller, group, after, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.user.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Member::from), next))
}
