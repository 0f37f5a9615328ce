//! `/health` and `/ready`, for monitoring.

use super::error::ApiError;
use crate::readiness::Readiness;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

/// How the server is.
#[derive(Serialize, ToSchema)]
pub struct Status {
    status: &'static str,
}

/// Tells that the process lives.
///
/// Touches nothing.
#[utoipa::path(
    get, path = "/health", tag = "operations",
    responses((status = 200, description = "It lives", body = Status, example = json!({ "status": "ok" }))),
    security(()),
)]
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Status { status: "ok" })
}

/// Tells that requests can be served: the database answers and takes writes, and the directory for uploads is there.
#[utoipa::path(
    get, path = "/ready", tag = "operations",
    responses((status = 200, description = "They can", body = Status, example = json!({ "status": "ready" }))),
    security(()),
)]
pub async fn ready(readiness: web::Data<Readiness>) -> Result<HttpResponse, ApiError> {
    readiness.check().await?;
    Ok(HttpResponse::Ok().json(Status { status: "ready" }))
}
