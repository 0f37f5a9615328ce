//! `GET /metrics`.

use super::error::ApiError;
use super::extract::Signed;
use super::openapi::Refused;
use super::proxies::is_near;
use crate::telemetry::{self, METRICS, Telemetry};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use domain::files::Reserve;
use infra_diesel::Store;
use infra_files::space_of;
use std::path::PathBuf;
use std::sync::Arc;

/// All there is to be read.
pub struct Gauges {
    telemetry: Telemetry,
    store: Arc<Store>,
    disks: Vec<(&'static str, PathBuf)>,
    reserve: Reserve,
}

impl Gauges {
    /// Of this process, of this store's size, and of the room on these disks.
    pub fn new(telemetry: Telemetry, store: Arc<Store>, disks: Vec<(&'static str, PathBuf)>, reserve: Reserve) -> Self {
        Self { telemetry, store, disks, reserve }
    }

    /// A database out of reach keeps nobody from reading the rest.
    async fn render(&self) -> String {
        if let Ok(bytes) = self.store.size().await {
            METRICS.database_bytes.set(bytes as f64);
        }
        let disks = self.disks.clone();
        let look = move || disks.into_iter().filter_map(|(place, path)| space_of(&path).map(|space| (place, space)));
        let looked = tokio::task::spawn_blocking(move || look().collect::<Vec<_>>()).await;
        for (place, space) in looked.unwrap_or_default() {
            telemetry::disk(place, space, self.reserve);
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
