//! The business of parlance: types, rules, use cases and the ports that they need.
//!
//! The crate is pure: no HTTP, no SQL, no runtime, no clock and no randomness. It asks a port (a trait in a `ports`
//! module) for everything from outside. The rustdoc of a port is the contract that the tests of its adapters check.
//!
//! One module for each concept. Its `model` holds types that are valid once they exist. Its `ports` holds the traits,
//! and its `policy` the rules that several use cases share. The methods of its service are the use cases.

#![deny(missing_docs)]

pub mod access;
pub mod acting;
pub mod admin;
pub mod api_tokens;
pub mod context;
pub mod conversations;
pub mod endings;
pub mod error;
pub mod events;
pub mod export;
pub mod files;
pub mod followers;
pub mod groups;
pub mod ids;
pub mod live;
pub mod messages;
pub mod page;
pub mod receipts;
pub mod retention;
pub mod rights;
pub mod search;
pub mod sessions;
#[cfg(test)]
mod testing;
mod text;
mod unicode;
pub mod upkeep;
pub mod users;
pub mod views;

pub use access::{Access, Need, Scope, Scopes};
pub use context::{Caller, Clock, IdGenerator, Timestamp};
pub use error::{Conflict, Error, Forbidden, Invalid, NotFound, Result, Unauthenticated, Unavailable};
pub use ids::{ConversationId, FileId, GroupId, MessageId, SessionId, UserId};
pub use page::{Limit, Page};
pub use unicode::NAME_FORM;
