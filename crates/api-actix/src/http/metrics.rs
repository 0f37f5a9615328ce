//! `GET /metrics`.

use super::error::ApiError;
use super::extract::Signed;
use super::openapi::Refused;
use crate::telemetry::{METRICS, Telemetry};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use infra_diesel::Store;
use std::net::SocketAddr;
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
/// The peer is who opened the connection, whatever `X-Forwarded-For` says.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "All metrics", content_type = "text/plain", body = String), Refused<403>),
    security((), ("bearer" = [])),
)]
pub async fn show(gauges: web::Data<Gauges>, request: HttpRequest) -> Result<HttpResponse, actix_web::Error> {
    if !request.peer_addr().is_some_and(is_loopback) {
        let Signed { caller, .. } = Signed::<()>::extract(&request).await?;
        caller.must_be_admin().map_err(ApiError::from)?;
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(gauges.render().await))
}

/// Also where a socket for both versions of IP shows a peer of the older one.
fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_near() {
        for (peer, near) in [
            ("127.0.0.1:1", true),
            ("127.8.8.8:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
            ("[fd00::1]:1", false),
        ] {
            assert_eq!(is_loopback(peer.parse().unwrap()), near, "{peer}");
        }
    }
}
