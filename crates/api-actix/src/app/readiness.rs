//! Whether requests can be served.

use domain::{Result, Unavailable};
use infra_diesel::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// What `GET /ready` tells.
pub struct Readiness {
    store: Arc<Store>,
    draining: AtomicBool,
    under_way: AtomicUsize,
    idle: Notify,
}

/// A request under way, until it is dropped.
pub struct UnderWay<'a>(&'a Readiness);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.draining.load(Ordering::SeqCst) {
            self.0.idle.notify_one();
        }
    }
}

impl Readiness {
    /// Ready as long as the store is.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, draining: AtomicBool::new(false), under_way: AtomicUsize::new(0), idle: Notify::new() }
    }

    /// A request begins.
    pub fn begins(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }

    /// Never ready again: the server is stopping. Who asks is told, until no request is under way.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        while self.under_way.load(Ordering::SeqCst) > 0 {
            self.idle.notified().await;
        }
    }

    /// # Errors
    /// [`Unavailable::Stopping`], [`Unavailable::StorageOutOfReach`].
    pub async fn check(&self) -> Result<()> {
        if self.draining.load(Ordering::SeqCst) {
            return Unavailable::Stopping.err();
        }
        if self.store.ready().await { Ok(()) } else { Unavailable::StorageOutOfReach.err() }
    }
}
