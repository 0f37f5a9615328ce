//! Fan-out of events: the connections of this process, and other nodes.
//!
//! - [`Hub`] is shared by all threads. It is the domain's [`EventPublisher`](domain::events::EventPublisher): it hands
//!   each commit to every shard and never waits.
//! - [`Shard`] belongs to one worker thread. It holds that thread's connections and their groups, decides which
//!   connection gets an event, and keeps time. A worker receives one dispatch for an event, however many clients are
//!   connected.
//! - [`Connection`] is one client's: a bounded [`Outbox`], and a state (joining, catching up, live).
//! - [`Cluster`] takes the hub's place where there are several nodes: the hub then delivers what all nodes commit.
//!
//! A [`Framer`] makes what clients read, once for all of them. Nothing else here knows what that looks like.

mod cluster;
mod local;
mod telemetry;

pub use cluster::{Cluster, NatsError, NatsOptions, UnstartedNode};
pub use local::connection::{Connection, Transport};
pub use local::frame::{Frame, Framer, Signal};
pub use local::hub::Hub;
pub use local::limits::{AttachError, HubOptions};
pub use local::outbox::{End, Outbox, OutboxItem};
pub use local::sessions::close_ended_sessions;
pub use local::shard::{AttachGuard, Shard};
