//! Opens the database and the store of uploads, for the server and for commands beside it.

use crate::config::{Config, Uploads};
use crate::logging;
use anyhow::Context as _;
use domain::events::EventPublisher;
use domain::users::ServerPolicy;
use infra_diesel::StoreOptions;
use infra_files::Blobs;
use std::sync::Arc;
use std::time::Duration;
use tracing::error;

/// How long the bucket may be unreachable when the server starts.
const BUCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// The options for the database. A failed commit ends the process. `pool_size` as in [`StoreOptions`].
pub fn store_options(config: &Config, events: Arc<dyn EventPublisher>, pool_size: Option<u32>) -> StoreOptions {
    StoreOptions {
        policy: Arc::new(ServerPolicy { reserve: config.disk_reserve, ..config.policy.clone() }),
        events,
        fatal: Arc::new(die),
        pool_size,
        allow_unsafe_durability: config.allow_unsafe_durability,
    }
}

/// Opens the store of uploads.
///
/// # Errors
/// An error if it cannot be opened.
pub async fn open_blobs(config: &Config) -> anyhow::Result<Blobs> {
    let opened = match &config.uploads {
        Uploads::Directory(directory) => Blobs::on_disk(directory),
        Uploads::Bucket(bucket) => Blobs::in_bucket(bucket, config.aws.iter().cloned(), BUCKET_TIMEOUT).await,
    };
    opened.context("PARLANCE_FILES cannot be used")
}

/// Ends the process after a failed commit: the state on disk is unknown, and only a restart can determine it.
pub fn die(reason: &str) {
    error!(reason, "stopping at once");
    logging::flush();
    std::process::exit(1);
}
