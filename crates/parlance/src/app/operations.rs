//! Answers operators' requests to a running server.

use crate::logging;
use crate::telemetry::{self, METRICS, Telemetry};
use api_actix::operations::Operations;
use async_trait::async_trait;
use domain::files::Reserve;
use infra_diesel::Store;
use infra_files::{Blobs, space_of};
use std::path::PathBuf;
use std::sync::Arc;

/// The resources behind this process's use cases.
pub struct ProcessOperations {
    /// The metrics recorder.
    pub telemetry: Telemetry,
    /// The database.
    pub store: Arc<Store>,
    /// The store of uploads.
    pub blobs: Arc<Blobs>,
    /// The local disks that the server writes to, by what it keeps there.
    pub disks: Vec<(&'static str, PathBuf)>,
    /// How many bytes uploads leave free on each disk.
    pub reserve: Reserve,
}

#[async_trait]
impl Operations for ProcessOperations {
    async fn is_ready(&self) -> bool {
        self.store.ready().await && self.blobs.is_there().await
    }

    /// If the database is out of reach, operators can still read the other metrics.
    async fn metrics(&self) -> String {
        if let Ok(bytes) = self.store.size().await {
            METRICS.database_bytes.set(bytes as f64);
        }
        METRICS.log_lines_lost.set(logging::lost() as f64);
        let disks = self.disks.clone();
        let look = move || disks.into_iter().filter_map(|(place, path)| space_of(&path).map(|space| (place, space)));
        let looked = tokio::task::spawn_blocking(move || look().collect::<Vec<_>>()).await;
        for (place, space) in looked.unwrap_or_default() {
            telemetry::disk(place, space, self.reserve);
        }
        self.telemetry.render()
    }
}
