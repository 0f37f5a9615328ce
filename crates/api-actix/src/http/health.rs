//! For whoever watches over the server.

use super::error::ApiError;
use crate::app::Readiness;
use actix_web::{HttpResponse, web};
use serde_json::json;

/// `GET /health`: the process lives. Touches nothing.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// `GET /ready`: requests can be served.
pub async fn ready(readiness: web::Data<Readiness>) -> Result<HttpResponse, ApiError> {
    readiness.check().await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}
