//! Several nodes over one database: the commits of one node reach the clients of all. `docs/cluster.md` explains the
//! design.
//!
//! - [`Cluster`] is the domain's [`EventPublisher`] here, in the hub's place. It puts commits into the node's
//!   [`inbox`].
//! - A [`node`] publishes deltas on the [`bus`], which promises nothing, and receives those of other nodes.
//! - The [`sequencer`] puts the deltas of each conversation into order.
//! - The [`reconcile`]r reads from the database what is missing.
//! - [`presence`] and [`peers`] know which users are online at other nodes.

mod backfill;
mod bus;
mod codec;
mod driver;
mod inbox;
#[cfg(test)]
mod memory;
mod nats;
mod node;
mod outbound;
mod peers;
mod presence;
mod reconcile;
mod sequencer;
#[cfg(test)]
mod simulation;
mod subjects;

pub use nats::{NatsError, NatsOptions};

use crate::local::hub::Hub;
use crate::local::interest::Subject;
use crate::local::peers::{PeerNotice, Peers};
use crate::telemetry::NODES;
use domain::events::{Committed, EventPublisher, Revision};
use domain::live::{LiveReader, NodeReader};
use inbox::{Inbox, Outlet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

/// How long a start waits for NATS before it goes on without.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A process's connection to the other nodes. If there are several nodes, the writer publishes commits to it in place
/// of the hub.
pub struct Cluster(Outlet);

/// A node that has not started.
pub struct UnstartedNode {
    hub: Arc<Hub>,
    options: NatsOptions,
    inbox: Inbox,
}

impl Cluster {
    /// From now on the hub tells other nodes about its connections and their subscriptions. They learn of it once the
    /// node has started.
    pub fn new(hub: Arc<Hub>, options: NatsOptions) -> (Arc<Self>, UnstartedNode) {
        LazyLock::force(&NODES);
        let (outlet, inbox) = inbox::inbox();
        let cluster = Arc::new(Self(outlet));
        hub.set_peers(Arc::<Self>::clone(&cluster));
        (cluster, UnstartedNode { hub, options, inbox })
    }

    /// Sends the packets that wait, as far as NATS is there, and stops the node. Takes at most a second.
    pub async fn close(&self) {
        // The other nodes read from the database what the node has not sent by then.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.0.close()).await;
    }
}

impl Peers for Cluster {
    fn subscribe(&self, subject: Subject) {
        self.0.set_subscribed(subject, true);
    }

    fn unsubscribe(&self, subject: Subject) {
        self.0.set_subscribed(subject, false);
    }

    fn notify(&self, notice: PeerNotice) -> Result<(), PeerNotice> {
        self.0.notify(notice)
    }
}

impl EventPublisher for Cluster {
    fn publish(&self, committed: Committed) {
        self.0.commit(committed);
    }

    /// The node finds it when it compares itself with the database, like everything that a bus has lost.
    fn lost(&self) {}
}

impl UnstartedNode {
    /// Starts the node on a separate thread. Every client here knows everything that was committed before `watermark`.
    /// `id` identifies this start of the node. If the node ever panics, it calls `fatal`: the process must not go on
    /// without telling its clients anything.
    ///
    /// # Errors
    /// [`NatsError`]; also if the system starts no thread.
    pub async fn start(
        self,
        id: Uuid,
        reader: Arc<dyn NodeReader>,
        live: Arc<dyn LiveReader>,
        watermark: Revision,
        fatal: impl FnOnce(&str) + Send + 'static,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (started, starts) = oneshot::channel();
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error.into()))),
            };
            let running = async move {
                match nats::Nats::connect(self.options).await {
                    Ok((bus, mut events)) => {
                        let mut node = node::Node::new((id, bus), self.hub, reader, live, watermark, Instant::now());
                        // A client that connects right after the start learns who is online at other nodes. The node
                        // also starts without NATS.
                        if let Ok(Some(first)) = tokio::time::timeout(CONNECT_TIMEOUT, events.recv()).await {
                            node.received(first, Instant::now());
                        }
                        // An error means that the caller has stopped waiting.
                        let _ = started.send(Ok(()));
                        driver::run(node, self.inbox, events).await;
                    }
                    Err(error) => drop(started.send(Err(error.into()))),
                }
            };
            // A panic leaves nothing half done that others share with the node: the hub's locks guard it.
            if std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(running))).is_err() {
                fatal("the node has panicked: its clients would not be told anything any more");
            }
        };
        std::thread::Builder::new().name("live-node".to_owned()).spawn(run)?;
        starts.await?
    }
}
