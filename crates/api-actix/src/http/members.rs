//! `/groups/{id}/members` and `/groups/{id}/leave`.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, Json, PageQuery, PathIds, Query, required};
use super::groups::RequesterBody;
use super::link;
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::UserId;
use domain::acting::ReferencedEntity;
use domain::groups::{NewMember, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of `POST /groups/{id}/members`.
#[derive(Deserialize, ToSchema)]
#[schema(as = MemberAdd, examples(json!({ "user_id": "01890a5d-ac96-774b-bcce-b302099a8057", "role": "member" })))]
pub struct AddBody {
    #[schema(value_type = wire::Id)]
    user_id: Option<String>,
    /// `member` if absent.
    #[schema(pattern = "^(admin|member)$")]
    role: Option<String>,
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    requester_id: Option<String>,
}

/// The new member.
#[derive(Serialize, ToSchema)]
pub struct Added {
    #[schema(examples("member added"))]
    message: &'static str,
    member: wire::Member,
}

/// Adds a member to a group: the owner and admins add anyone; in a public group, any user may join.
///
/// Only the owner adds admins. Adding a member again changes nothing.
#[utoipa::path(
    post, path = "/groups/{id}/members",
    request_body = AddBody,
    responses((status = 200, description = "The member", body = Added), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn add(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path, Json(body)) }: Authenticated<(Acting, PathIds, Json<AddBody>)>,
) -> Result<HttpResponse, ApiError> {
    let user = UserId::parse("user_id", &required("user_id", body.user_id)?)?;
    let role = body.role.as_deref().map_or(Ok(Role::Member), Role::parse)?;
    let new = NewMember::new(path.get("id")?, user, role)?;
    let acting = acting.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Group(new.group), ReferencedEntity::User(user)]).await?;
    let member = use_cases.members.add(&caller, new).await?;
    Ok(HttpResponse::Ok().json(Added { message: "member added", member: member.into() }))
}

/// The body that changes a member's role.
#[derive(Deserialize, ToSchema)]
#[schema(as = RoleChange, examples(json!({ "role": "admin" })))]
pub struct RoleBody {
    #[schema(schema_with = wire::role_word, required)]
    role: Option<String>,
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    requester_id: Option<String>,
}

/// Changes a member's role; for the owner.
///
/// `owner` transfers the group: the previous owner becomes an admin.
#[utoipa::path(
    patch, path = "/groups/{id}/members/{user_id}",
    request_body = RoleBody,
    responses((status = 200, description = "Changed", body = wire::Member), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn change_role(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path, Json(body)) }: Authenticated<(Acting, PathIds, Json<RoleBody>)>,
) -> Result<HttpResponse, ApiError> {
    let (group, user) = (path.get("id")?, path.get("user_id")?);
    let role = Role::parse(&required("role", body.role)?)?;
    let acting = acting.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Member(group, user)]).await?;
    let member = use_cases.members.change_role(&caller, group, user, role).await?;
    Ok(HttpResponse::Ok().json(wire::Member::from(member)))
}

/// Removes a member: the owner removes anyone, admins remove plain members, members remove themselves.
#[utoipa::path(
    delete, path = "/groups/{id}/members/{user_id}",
    request_body(content = Option<RequesterBody>, content_type = "application/json"),
    responses((status = 204, description = "No longer a member"), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn remove(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path, Json(body)) }: Authenticated<(Acting, PathIds, Json<RequesterBody>)>,
) -> Result<HttpResponse, ApiError> {
    let (group, user) = (path.get("id")?, path.get("user_id")?);
    let acting = acting.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Member(group, user)]).await?;
    use_cases.members.remove(&caller, group, user).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The body of `POST /groups/{id}/leave`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Leave, examples(json!({})))]
pub struct LeaveBody {
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    user_id: Option<String>,
    /// The caller, if given, as on the other routes of groups.
    #[schema(value_type = Option<wire::Id>)]
    requester_id: Option<String>,
}

/// Leaves a group.
#[utoipa::path(
    post, path = "/groups/{id}/leave",
    request_body(content = Option<LeaveBody>, content_type = "application/json"),
    responses((status = 204, description = "No longer a member"), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn leave(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path, Json(body)) }: Authenticated<(Acting, PathIds, Json<LeaveBody>)>,
) -> Result<HttpResponse, ApiError> {
    let group = path.get("id")?;
    let acting = acting.and("user_id", body.user_id.as_deref())?.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Member(group, caller.user)]).await?;
    use_cases.members.remove(&caller, group, caller.user).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Lists the members of a group.
#[utoipa::path(
    get, path = "/groups/{id}/members",
    params(PageQuery),
    responses(Page<wire::Member>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, path, Query(query)) }: Authenticated<(Acting, PathIds, Query<PageQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let group = path.get("id")?;
    let (after, limit) = query.read()?;
    let page = use_cases.members.list(&caller, group, after, limit).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.user.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Member::from), next))
}
