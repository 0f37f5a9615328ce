//! Whether requests can be served.

use domain::{Result, Unavailable};
use infra_diesel::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `GET /ready` tells.
pub struct Readiness {
    store: Arc<Store>,
    draining: AtomicBool,
}

impl Readiness {
    /// Ready as long as the store is.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, draining: AtomicBool::new(false) }
    }

    /// Never ready again: the server is stopping.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// [`Unavailable::Stopping`], [`Unavailable::StorageOutOfReach`].
    pub async fn check(&self) -> Result<()> {
        if self.draining.load(Ordering::Relaxed) {
            return Unavailable::Stopping.err();
        }
        if self.store.ready().await { Ok(()) } else { Unavailable::StorageOutOfReach.err() }
    }
}
