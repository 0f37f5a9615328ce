//! The queues from the hub to its shards.

use super::frame::Dispatch;
use crate::telemetry::METRICS;
use domain::events::Revision;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// How many dispatches may wait for one worker. A worker that is further behind closes its connections, which resume.
pub const MAX_QUEUED: usize = 65_536;

/// What the hub knows of a shard.
#[derive(Debug, Default)]
pub struct ShardState {
    /// How many connections the shard has. The broadcaster skips a shard without any. A shard counts a connection
    /// before it reads the user's subscriptions, so the subscriptions contain everything that the broadcaster skipped.
    pub connections: AtomicUsize,
    /// The queue was full, and the shard lost an event that it must not lose.
    pub overrun: AtomicBool,
}

/// Hands dispatches to all shards, to each in the same order.
pub struct ShardBroadcaster {
    pub shards: Vec<(mpsc::Sender<Arc<Dispatch>>, Arc<ShardState>)>,
    pub cursor: Revision,
    pub stopping: bool,
}

impl ShardBroadcaster {
    /// Without shards.
    pub fn new() -> Self {
        Self { shards: Vec::new(), cursor: Revision(0), stopping: false }
    }

    /// Queues the dispatch for every shard that has connections. Never waits.
    pub fn broadcast(&mut self, dispatch: Dispatch) {
        // Half of a queue is reserved for dispatches that must not be lost.
        let may_be_lost = dispatch.may_be_lost();
        let dispatch = Arc::new(dispatch);
        self.shards.retain(|(queue, state)| {
            if state.connections.load(Ordering::SeqCst) == 0 {
                return !queue.is_closed();
            }
            if may_be_lost && queue.capacity() < MAX_QUEUED / 2 {
                METRICS.drops.increment(dispatch.items.len() as u64);
                return true;
            }
            match queue.try_send(Arc::clone(&dispatch)) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    state.overrun.store(true, Ordering::SeqCst);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }
}
