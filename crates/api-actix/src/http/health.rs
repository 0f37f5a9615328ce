//! `/health` and `/ready`, for monitoring.

use super::error::ApiError;
use crate::readiness::Readiness;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

/// The state of the server.
#[derive(Serialize, ToSchema)]
pub struct Status {
    status: &'static str,
}

/// Reports that the process is running.
///
/// Uses neither database nor files.
#[utoipa::path(
    get, path = "/health", tag = "operations",
    responses((status = 200, description = "The process is running", body = Status, example = json!({ "status": "ok" }))),
    security(()),
)]
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Status { status: "ok" })
}

/// Reports that the server can serve requests: the database answers and accepts writes, and the directory for uploads
/// exists.
#[utoipa::path(
    get, path = "/ready", tag = "operations",
    responses((status = 200, description = "Ready", body = Status, example = json!({ "status": "ready" }))),
    security(()),
)]
pub async fn ready(readiness: web::Data<Readiness>) -> Result<HttpResponse, ApiError> {
    readiness.check().await?;
    Ok(HttpResponse::Ok().json(Status { status: "ready" }))
}
