//! Event fan-out: the hub is told what was committed, and every connection gets what concerns its user.
//!
//! - [`Hub`] is shared by all threads. It is the domain's [`EventPublisher`](domain::events::EventPublisher): it hands each
//!   commit to every shard and never waits.
//! - [`Shard`] belongs to one worker thread. It holds that thread's connections and the members of groups among them, decides
//!   who gets an event, and keeps time. One message a worker and event, however many are connected.
//! - [`Connection`] is one client's: a bounded [`Outbox`] and the stage it is in (joining, catching up, live).
//!
//! Nothing here knows how an event looks on the wire: a [`Framer`] makes it, once for all.

mod cluster;
mod local;
mod telemetry;

pub use cluster::{NatsError, NatsOptions, Relay, Unstarted};
pub use local::connection::{Connection, Transport};
pub use local::frame::{Frame, Framer, Signal};
pub use local::hub::{Hub, HubOptions, Refused};
pub use local::outbox::{End, Outbox, Outgoing};
pub use local::sessions::end_with_their_sessions;
pub use local::shard::{Link, Shard};
