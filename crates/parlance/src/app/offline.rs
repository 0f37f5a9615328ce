//! The use cases without a server, for the command line.

use crate::backup;
use crate::config::Config;
use crate::storage::{open_blobs, store_options};
use crate::telemetry::Telemetry;
use anyhow::Context as _;
use api_actix::use_cases::{Adapters, UseCases};
use domain::events::NoListeners;
use domain::{Clock, IdGenerator};
use infra_auth::BcryptPool;
use infra_diesel::Store;
use infra_images::Workshop;
use std::num::NonZero;
use std::sync::Arc;

/// The use cases over the configured database and uploads. On SQLite it locks the file as a server does.
pub struct Offline {
    store: Arc<Store>,
    /// The use cases.
    pub use_cases: UseCases,
}

impl Offline {
    /// Opens everything, with the caller's clock and ids. It needs a running actix system.
    ///
    /// # Errors
    /// A message for the operator.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> anyhow::Result<Self> {
        // A server may start later in this process; its counters need the recorder first.
        Telemetry::start()?;
        backup::refuse_half_restored(config)?;
        config.make_data_dir()?;
        let options = store_options(config, Arc::new(NoListeners), Some(1));
        let store =
            Store::open(&config.database_url, options).await.context("the database cannot be opened (DATABASE_URL)")?;
        let store = Arc::new(store);
        let blobs = Arc::new(open_blobs(config).await?);
        let images = Arc::new(Workshop::new(blobs.clone()));
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let hasher = Arc::new(BcryptPool::start(config.bcrypt_cost, cores)?);
        let adapters = Adapters::from_store(&store, blobs, images, hasher, clock, ids);
        let use_cases = UseCases::new(adapters, Arc::new(config.policy.clone()), config.http.max_file_bytes);
        Ok(Self { store, use_cases })
    }

    /// Waits until everything is on disk, and closes the storage.
    pub async fn close(self) {
        self.store.close().await;
    }
}
