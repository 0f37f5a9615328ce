//! `GET /metrics`.

use super::error::ApiError;
use super::extract::Authenticated;
use super::openapi::ErrorResponse;
use crate::operations::Operations;
use crate::proxies::is_near;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};

/// Returns metrics in Prometheus' text format, to loopback peers and admins.
///
/// The peer is the other end of the connection. A request from loopback does not count as local if it has a proxy's
/// header (`X-Forwarded-For`, `Forwarded`, `X-Real-IP`, `Via` and the like), asks for another `Host` than this machine,
/// or speaks HTTP/1.0: it then comes from a proxy on this machine, or from another host's page in a browser on it.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "All metrics", content_type = "text/plain", body = String), ErrorResponse<403>),
    security((), ("bearer" = [])),
)]
pub async fn show(
    operations: web::Data<dyn Operations>,
    request: HttpRequest,
) -> Result<HttpResponse, actix_web::Error> {
    if !is_near(&request) {
        let Authenticated { caller, .. } = Authenticated::<()>::extract(&request).await?;
        caller.require_admin().map_err(ApiError::from)?;
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(operations.metrics().await))
}
