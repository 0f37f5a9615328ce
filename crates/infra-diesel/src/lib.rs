//! parlance's storage: every storage port of the domain over SQLite or Postgres.
//!
//! [`Store`] is the whole public face. Reads go to a bounded pool of threads, everything that changes goes through the
//! one door of [`writer`](self). The rules of the domain are asked inside the transactions that act.
//!
//! # Locks
//!
//! On Postgres every transaction takes the locks that it needs in **one order**, so that none waits in a circle:
//!
//! 1. conversations: groups and the broadcast by id, then direct ones by id;
//! 2. users, by id (`users::lock_users`, `users::lock_user`);
//! 3. their sessions, members and receipts, messages and files;
//! 4. the audit record;
//! 5. what counts against quotas of groups, by user (`quotas::Counts`).
//!
//! A transaction that needs a conversation after a user begins with the conversation, and looks again at what it read before it
//! had the lock. One that cannot know its conversations beforehand locks nothing before it has read them (an account that ends
//! leaves its groups afterwards, each in a transaction of its own). What can't be ordered (two that make, under the same two
//! names, what the other makes) is found by the database, which undoes one of the two; the writer does that one again.
//!
//! On SQLite the one writer holds the one write lock.
//!
//! # Bounds
//!
//! No transaction's work grows with what is stored: what could is done in steps of some hundreds of rows, each a transaction of its
//! own, and a start goes on where a stop was ([`endings`](domain::endings), [`retention`](domain::retention)).

mod connection;
mod error;
mod maintenance;
mod replication;
mod repositories;
mod store;
mod tables;
mod telemetry;
mod transaction;
mod writer;

pub use connection::lock::LockError;
pub use connection::postgres::UnfitPostgres;
pub use maintenance::inspect::Examined;
pub use maintenance::names::Doubled;
pub use maintenance::{backup, copy};
pub use store::{OpenError, Store, StoreOptions};
