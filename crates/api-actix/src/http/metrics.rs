//! `GET /metrics`.

use super::error::ApiError;
use super::extract::Signed;
use super::openapi::Refused;
use super::proxies::is_near;
use crate::telemetry::{METRICS, Telemetry};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use infra_diesel::Store;
use std::sync::Arc;

/// All there is to be read.
pub struct Gauges {
    telemetry: Telemetry,
    store: Arc<Store>,
}

impl Gauges {
    /// Of this process, and of this store's size.
    pub fn new(telemetry: Telemetry, store: Arc<Store>) -> Self {
        Self { telemetry, store }
    }

    /// A database out of reach keeps nobody from reading the rest.
    async fn render(&self) -> String {
        if let Ok(bytes) = self.store.size().await {
            METRICS.database_bytes.set(bytes as f64);
        }
        self.telemetry.render()
    }
}

/// Gives numbers in Prometheus' text format, to loopback peers and admins.
///
/// The peer is who opened the connection. It is not near where it says that it speaks for somebody else (`X-Forwarded-For`,
/// `Forwarded`, `X-Real-IP`, `Via` and the like), asks for another `Host` than this machine, or speaks HTTP/1.0: that is a proxy
/// on this machine, or the page of another host in a browser on it.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "All metrics", content_type = "text/plain", body = String), Refused<403>),
    security((), ("bearer" = [])),
)]
pub async fn show(gauges: web::Data<Gauges>, request: HttpRequest) -> Result<HttpResponse, actix_web::Error> {
    if !is_near(&request) {
        let Signed { caller, .. } = Signed::<()>::extract(&request).await?;
        caller.must_be_admin().map_err(ApiError::from)?;
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(gauges.render().await))
}
