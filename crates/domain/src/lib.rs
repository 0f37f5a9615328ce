//! The business of parlance: types, rules, use cases and the ports they need.
//!
//! Pure by construction: no HTTP, no SQL, no runtime, no clock and no randomness of its own; what it needs of
//! the outside it asks of a port (a trait in a `ports` module). The rustdoc of a port is the contract that its
//! adapters are tested against.
//!
//! One module a concept, each with its `model` (types that are valid once they exist), its `ports`, a `policy`
//! where several use cases share a rule, and one file per use case or family of reads.

#![deny(missing_docs)]

pub mod acting;
pub mod admin;
pub mod context;
pub mod conversations;
pub mod endings;
pub mod error;
pub mod events;
pub mod export;
pub mod files;
pub mod groups;
pub mod ids;
pub mod live;
pub mod messages;
pub mod page;
pub mod receipts;
pub mod retention;
pub mod sessions;
#[cfg(test)]
mod testing;
mod text;
mod unicode;
pub mod upkeep;
pub mod users;

pub use context::{Caller, Clock, IdGenerator, Timestamp};
pub use error::{Conflict, Error, Forbidden, Invalid, NotFound, Result, Unauthenticated, Unavailable};
pub use ids::{ConversationId, FileId, GroupId, MessageId, SessionId, UserId};
pub use page::{Limit, Page};
pub use unicode::NAME_FORM;
