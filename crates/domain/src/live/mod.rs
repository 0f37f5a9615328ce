//! Live connections: catching up with what a client missed, and signals that the server does not store.

mod acquaintance;
mod catch_up;
mod nodes;
mod ports;
mod service;
mod typing;

pub use acquaintance::Acquaintance;
pub use catch_up::{CatchUpPlan, MAX_MISSED_IN_ALL, MAX_MISSED_IN_ONE, Resync, ResyncReason, Since};
#[cfg(feature = "mocks")]
pub use nodes::MockNodeReader;
pub use nodes::{Changed, ChangedConversation, Known, NodeReader, Past};
#[cfg(feature = "mocks")]
pub use ports::MockLiveReader;
pub use ports::{LiveReader, Missed, MissedIn, Subscriptions};
pub use service::LiveService;
pub use typing::{Typing, TypingThrottle};
