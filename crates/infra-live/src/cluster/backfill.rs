//! Reads conversations from the database that a node has not delivered up to their newest version.

use crate::local::hub::Hub;
use crate::telemetry::NODES;
use domain::live::{Known, NodeReader, Past};
use domain::{ConversationId, UserId};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How many conversations a node reads at once.
const MAX_RUNNING: usize = 8;

/// The answer to one reading.
pub struct Backfill {
    pub conversation: ConversationId,
    /// The users who were connected here when the node asked.
    pub connected: Vec<UserId>,
    pub past: domain::Result<Option<Past>>,
}

/// The conversations that wait for a read, and those that a read is running for.
pub struct Backfills {
    hub: Arc<Hub>,
    reader: Arc<dyn NodeReader>,
    queue: VecDeque<(ConversationId, Known)>,
    running: FuturesUnordered<BoxFuture<'static, Backfill>>,
    /// How often in a row the read of a conversation failed.
    failures: HashMap<ConversationId, u32>,
}

impl Backfills {
    /// Without any.
    pub fn new(hub: Arc<Hub>, reader: Arc<dyn NodeReader>) -> Self {
        let (queue, running, failures) = (VecDeque::new(), FuturesUnordered::new(), HashMap::new());
        Self { hub, reader, queue, running, failures }
    }

    /// Queues conversations, each with what the node knows of it.
    pub fn extend(&mut self, gaps: impl IntoIterator<Item = (ConversationId, Known)>) {
        self.queue.extend(gaps);
    }

    /// Starts as many readings as may run at once.
    pub fn start(&mut self) {
        while self.running.len() < MAX_RUNNING
            && let Some((conversation, known)) = self.queue.pop_front()
        {
            NODES.gaps.increment(1);
            let (reader, connected) = (Arc::clone(&self.reader), self.hub.connected_users());
            self.running.push(Box::pin(async move {
                let past = reader.past(conversation, known, connected.clone()).await;
                Backfill { conversation, connected, past }
            }));
        }
    }

    /// Whether no reading is running.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// The next reading that completes. Waits for ever while none is running. Cancel safe.
    pub async fn next(&mut self) -> Backfill {
        match self.running.next().await {
            Some(backfill) => backfill,
            None => std::future::pending().await,
        }
    }

    /// The read of a conversation failed. Returns how often that happened in a row.
    pub fn count_failure(&mut self, of: ConversationId) -> u32 {
        let failures = self.failures.entry(of).or_default();
        *failures += 1;
        *failures
    }

    /// The read of a conversation succeeded.
    pub fn forget_failures(&mut self, of: ConversationId) {
        self.failures.remove(&of);
    }
}
