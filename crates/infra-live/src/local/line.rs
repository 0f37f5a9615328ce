//! The line from the hub to its shards.

use crate::local::frame::Dispatch;
use crate::telemetry::METRICS;
use domain::events::Revision;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// How many commits may wait for one worker. One that is further behind cuts its connections off: they resume.
pub const MOST_WAITING: usize = 65_536;

/// What the hub knows of a shard.
#[derive(Debug, Default)]
pub struct ShardState {
    /// Nobody connected: nothing to tell. Counted up before a connection's roster is read, so that whatever was not told
    /// is in the roster.
    pub connections: AtomicUsize,
    /// Its queue was full: something was lost that is not to be lost.
    pub overrun: AtomicBool,
}

/// Where what happens is given to all shards, to all in the same order.
pub struct Line {
    pub shards: Vec<(mpsc::Sender<Arc<Dispatch>>, Arc<ShardState>)>,
    pub cursor: Revision,
    pub stopping: bool,
}

impl Line {
    /// Gives it to every shard that has connections. Never waits.
    pub fn give(&mut self, dispatch: Dispatch) {
        // Signals leave half of a queue to what is not to be lost.
        let may_be_lost = dispatch.may_be_lost();
        let dispatch = Arc::new(dispatch);
        self.shards.retain(|(queue, state)| {
            if state.connections.load(Ordering::SeqCst) == 0 {
                return !queue.is_closed();
            }
            if may_be_lost && queue.capacity() < MOST_WAITING / 2 {
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
