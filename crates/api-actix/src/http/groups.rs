//! `/groups`.

use super::error::ApiError;
use super::extract::{Acting, Authenticated, Json, ListQuery, PathIds, Query, required};
use super::link;
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::Invalid;
use domain::acting::ReferencedEntity;
use domain::groups::{Description, GroupChange, GroupName, GroupNamePrefix, Visibility};
use serde::Deserialize;
use utoipa::ToSchema;

/// A body that may name the acting user.
#[derive(Deserialize, ToSchema)]
#[schema(as = Requester, examples(json!({})))]
pub struct RequesterBody {
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
    pub requester_id: Option<String>,
}

/// The fields of a group.
#[derive(Deserialize, ToSchema)]
#[schema(as = GroupEdit, examples(json!({ "name": "book club", "visibility": "public", "description": "one a month" })))]
pub struct GroupBody {
    /// Required to create a group. Unique among existing groups, ignoring case and normal form; not blank, without
    /// hidden characters.
    #[schema(min_length = 1, max_length = 64)]
    name: Option<String>,
    /// `private` or `public`.
    #[schema(pattern = "^(private|public)$")]
    visibility: Option<String>,
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// The caller, if given.
    #[schema(value_type = Option<wire::Id>)]
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

/// Creates a group, private by default; the caller becomes its owner.
#[utoipa::path(
    post, path = "/groups",
    request_body = GroupBody,
    responses((status = 201, description = "Created", body = wire::Group), ErrorResponse<403>, ErrorResponse<409>),
)]
pub async fn create(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, Json(body)) }: Authenticated<(Acting, Json<GroupBody>)>,
) -> Result<HttpResponse, ApiError> {
    let GroupChange { name, description, visibility } = body.change()?;
    let name = required("name", name)?;
    let acting = acting.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, None).await?;
    let visibility = visibility.unwrap_or(Visibility::Private);
    let description = description.unwrap_or_else(Description::none);
    let group = use_cases.groups.create(&caller, name, visibility, description).await?;
    Ok(HttpResponse::Created().json(wire::Group::from(group)))
}

/// Lists the groups that the caller is in and those that are public.
#[utoipa::path(
    get, path = "/groups",
    params(ListQuery),
    responses(Page<wire::Group>, ErrorResponse<404>),
)]
pub async fn list(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: (acting, Query(query)) }: Authenticated<(Acting, Query<ListQuery>)>,
) -> Result<HttpResponse, ApiError> {
    let (prefix, after, limit) = query.read(GroupNamePrefix::parse)?;
    let page = use_cases.groups.list(&caller, prefix.as_ref(), after, limit).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.group.id.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Group::from), next))
}

/// Shows a group.
#[utoipa::path(
    get, path = "/groups/{id}",
    responses((status = 200, description = "The group", body = wire::Group), ErrorResponse<404>),
)]
pub async fn show(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path) }: Authenticated<(Acting, PathIds)>,
) -> Result<HttpResponse, ApiError> {
    let group = use_cases.groups.show(&caller, path.get("id")?).await?;
    use_cases.acting.check(&caller, acting, None).await?;
    Ok(HttpResponse::Ok().json(wire::Group::from(group)))
}

/// Changes a group; for its owner and admins.
///
/// Absent fields stay unchanged.
#[utoipa::path(
    put, path = "/groups/{id}",
    request_body(content = Option<GroupBody>, content_type = "application/json"),
    responses((status = 200, description = "Changed", body = wire::Group), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>),
)]
pub async fn edit(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path, Json(body)) }: Authenticated<(Acting, PathIds, Json<GroupBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = path.get("id")?;
    let change = body.change()?;
    let acting = acting.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Group(id)]).await?;
    let group = use_cases.groups.update(&caller, id, change).await?;
    Ok(HttpResponse::Ok().json(wire::Group::from(group)))
}

/// Deletes a group; for its owner.
#[utoipa::path(
    delete, path = "/groups/{id}",
    request_body(content = Option<RequesterBody>, content_type = "application/json"),
    responses((status = 204, description = "Deleted; its name is free"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn delete(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: (acting, path, Json(body)) }: Authenticated<(Acting, PathIds, Json<RequesterBody>)>,
) -> Result<HttpResponse, ApiError> {
    let id = path.get("id")?;
    let acting = acting.and("requester_id", body.requester_id.as_deref())?;
    use_cases.acting.check(&caller, acting, [ReferencedEntity::Group(id)]).await?;
    use_cases.groups.delete(&caller, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
