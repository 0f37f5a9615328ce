//! `/admin/...`: accounts, groups and the audit log, for the server's admins. No handler here reads a message.

use super::error::ApiError;
use super::extract::{Authenticated, ListQuery, PathIds, Query, number};
use super::link;
use super::openapi::{ErrorResponse, Page};
use crate::use_cases::UseCases;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::admin::{Actor, AdminCommand};
use domain::users::UsernamePrefix;
use domain::{Invalid, Limit};
use serde::Deserialize;

/// Lists accounts by username, disabled ones too; for admins.
#[utoipa::path(
    get, path = "/admin/users",
    params(ListQuery),
    responses(Page<wire::Account>, ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn users(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<ListQuery>>,
) -> Result<HttpResponse, ApiError> {
    let (prefix, after, limit) = query.read(UsernamePrefix::parse)?;
    let page = use_cases.admin.list_accounts(&Actor::Admin(caller), prefix.as_ref(), after, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("after", last.user.profile.id.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::Account::from), next))
}

/// Disables an account; for admins.
///
/// The user can no longer log in, and all of the user's sessions end. Other users see no difference and may go on
/// writing to the user. Disabling a disabled account changes nothing.
#[utoipa::path(
    post, path = "/admin/users/{id}/disable",
    responses(
        (status = 200, description = "Disabled", body = wire::Account), ErrorResponse<403>, ErrorResponse<404>, ErrorResponse<409>,
    ),
)]
pub async fn disable(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let account = use_cases.admin.switch_account(Actor::Admin(caller), path.get("id")?, false).await?;
    Ok(HttpResponse::Ok().json(wire::Account::from(account)))
}

/// Enables an account again; for admins.
///
/// Sessions that have ended stay ended.
#[utoipa::path(
    post, path = "/admin/users/{id}/enable",
    responses((status = 200, description = "Enabled", body = wire::Account), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn enable(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    let account = use_cases.admin.switch_account(Actor::Admin(caller), path.get("id")?, true).await?;
    Ok(HttpResponse::Ok().json(wire::Account::from(account)))
}

/// Ends all sessions of a user; for admins.
#[utoipa::path(
    delete, path = "/admin/users/{id}/sessions",
    responses((status = 204, description = "Ended"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn end_sessions(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    use_cases.admin.execute(Actor::Admin(caller), AdminCommand::EndSessions(path.get("id")?)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes any group, as its owner could; for admins.
#[utoipa::path(
    delete, path = "/admin/groups/{id}",
    responses((status = 204, description = "Deleted; its name is free"), ErrorResponse<403>, ErrorResponse<404>),
)]
pub async fn delete_group(
    use_cases: web::Data<UseCases>,
    Authenticated { caller, input: path }: Authenticated<PathIds>,
) -> Result<HttpResponse, ApiError> {
    use_cases.admin.execute(Actor::Admin(caller), AdminCommand::DeleteGroup(path.get("id")?)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The page of the audit log.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// The number of the previous page's last entry.
    #[param(value_type = Option<u64>, minimum = 0)]
    before: Option<String>,
    /// The most entries of the page; 50 if absent.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// Lists the actions of admins and the command line, newest first; for admins.
#[utoipa::path(
    get, path = "/admin/audit",
    params(AuditQuery),
    responses(Page<wire::AuditEntry>, ErrorResponse<403>),
)]
pub async fn audit(
    use_cases: web::Data<UseCases>,
    request: HttpRequest,
    Authenticated { caller, input: Query(query) }: Authenticated<Query<AuditQuery>>,
) -> Result<HttpResponse, ApiError> {
    let before = number("before", query.before.as_deref())?.map(i64::try_from).transpose();
    let before = before.map_err(|_| Invalid::new("before", "before is too large"))?;
    let limit = Limit::of_list(number("limit", query.limit.as_deref())?)?;
    let page = use_cases.admin.list_audit(&Actor::Admin(caller), before, limit).await?;
    let next = page.items.last().filter(|_| page.more).map(|last| ("before", last.number.to_string()));
    Ok(link::page(&request, page.items.into_iter().map(wire::AuditEntry::from), next))
}
