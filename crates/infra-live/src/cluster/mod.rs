//! Several nodes over one database: what is committed on one reaches the connections of all.
//!
//! A node tells the others of each commit by NATS ([`nats`]), which promises nothing; the [`sequencer`] puts what comes, and
//! what this node commits itself, into the order of each conversation, and sees by the heads (where the conversation stood
//! before a commit and after it) whether something is missing; the [`node`] reads that from the database, and compares all of
//! it with the database every second, so that nothing is lost for long whatever becomes of NATS or of other nodes. Who is
//! connected where is kept by the [`peers`].

mod nats;
mod reconcile;
mod node;
mod peers;
mod codec;
mod sequencer;
mod subjects;

pub use nats::{NatsError, NatsOptions};

use crate::local::hub::Hub;
use crate::local::presence::Announcement;
use crate::telemetry::NODES;
use domain::events::{Committed, EventPublisher, Revision};
use domain::live::{LiveReader, NodeReader, Typing};
use domain::{GroupId, UserId};
pub(crate) use sequencer::Interest;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
pub(crate) use subjects::Subject;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How many commits of this node may wait to be given out. Beyond that they are lost here, and read from the database.
const MOST_WAITING: usize = 65_536;
/// How long a start waits for NATS, before it goes on without.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// How long closing may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What the hub tells the relay.
#[derive(Debug)]
pub(crate) enum Command {
    /// From now on somebody here is interested in it, or not any more.
    Watch(Subject, bool),
    /// Somebody here is typing.
    Typing(Typing),
    /// Somebody has come here.
    Appeared(Announcement),
    /// Somebody's last connection here has gone.
    Left(Announcement),
    /// Somebody has come here, and is to be told who is there elsewhere.
    WhoIsThere(UserId, Vec<GroupId>, Vec<UserId>),
    /// Send what waits, and end.
    Close(oneshot::Sender<()>),
}

/// A node's way to the others. Where there is one, it is what commits are published to, in the hub's place.
pub struct Relay {
    commits: mpsc::Sender<Committed>,
    commands: mpsc::UnboundedSender<Command>,
}

/// A relay that has not begun.
pub struct Unstarted {
    hub: Arc<Hub>,
    options: NatsOptions,
    commits: mpsc::Receiver<Committed>,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Relay {
    /// What the hub's connections are interested in is watched from now on.
    pub fn new(hub: Arc<Hub>, options: NatsOptions) -> (Arc<Self>, Unstarted) {
        LazyLock::force(&NODES);
        let (commits, committed) = mpsc::channel(MOST_WAITING);
        let (commands, commanded) = mpsc::unbounded_channel();
        let relay = Arc::new(Self { commits, commands });
        hub.relay_by(Arc::clone(&relay));
        (relay, Unstarted { hub, options, commits: committed, commands: commanded })
    }

    pub(crate) fn tell(&self, command: Command) {
        // It ends with the process: then nobody is to be told.
        let _ = self.commands.send(command);
    }

    /// Sends what waits, as far as NATS is there, and ends.
    pub async fn close(&self) {
        let (done, ended) = oneshot::channel();
        self.tell(Command::Close(done));
        // Late or gone: the others read it from the database.
        let _ = tokio::time::timeout(CLOSE_WITHIN, ended).await;
    }
}

impl EventPublisher for Relay {
    fn publish(&self, committed: Committed) {
        if self.commits.try_send(committed).is_err() {
            NODES.lost.increment(1);
        }
    }

    /// It is found by comparing with the database, as what other nodes could not tell.
    fn lost(&self) {}
}

impl Unstarted {
    /// Begins, on a thread of its own. All that was committed before `horizon` is known to everybody here; `id` is of this start
    /// of this node. Should it ever panic, `fatal` is called: a node that goes on without it would be well by all signs, and tell
    /// nobody anything.
    ///
    /// # Errors
    /// [`NatsError`], and where the system gives no thread.
    pub async fn start(
        self,
        id: Uuid,
        reader: Arc<dyn NodeReader>,
        rosters: Arc<dyn LiveReader>,
        horizon: Revision,
        fatal: impl FnOnce(&str) + Send + 'static,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (begun, begins) = oneshot::channel();
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(begun.send(Err(error.into()))),
            };
            let relaying = async move {
                match nats::Bus::connect(self.options).await {
                    Ok((bus, mut comes)) => {
                        let mut node = node::Node::new(id, self.hub, reader, rosters, bus, horizon);
                        // Who comes to a node that has just begun is told who is at the others. One starts without NATS, too.
                        if let Ok(Some(first)) = tokio::time::timeout(CONNECT_WITHIN, comes.recv()).await {
                            node.incoming(first);
                        }
                        // Who waits for it may have given up.
                        let _ = begun.send(Ok(()));
                        node.run(self.commits, self.commands, comes).await;
                    }
                    Err(error) => drop(begun.send(Err(error.into()))),
                }
            };
            // Nothing that it shares is left half done: others only read what the hub's locks guard.
            if std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(relaying))).is_err() {
                fatal("what passes between nodes is not given out any more");
            }
        };
        std::thread::Builder::new().name("live-relay".to_owned()).spawn(run)?;
        begins.await?
    }
}
