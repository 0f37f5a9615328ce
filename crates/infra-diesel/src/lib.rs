//! parlance's storage: every storage port of the domain over SQLite or Postgres.
//!
//! [`Store`] is the only public type that the server needs. Reads run on a bounded number of threads over a pool of
//! connections. Every change goes through a writer. Transactions call the rules of the domain themselves.
//!
//! # The map
//!
//! A module uses only modules above it in this list:
//!
//! - `error`, `telemetry`: translates errors of the database into errors of the domain; the metrics.
//! - `connection/`: opening a database: its URL, its file and lock, the demands on a Postgres, its health, and the
//!   readers (threads, their queue, the pool).
//! - `tables/`: the schema and the list of tables, rows, queries that many modules share, and the one definition of
//!   "unseen" and of "contacts".
//! - `transaction/`: parts of transactions: accounts, membership, quotas, and revisions, the order of transactions.
//! - `maintenance/`: a database as a whole: migrations, backup, copy, check, inspection, the keeper of an open file.
//! - `writer/`: the write path: batches, and appending messages.
//! - `search/`: the index of messages by their words.
//! - `store/`: [`Store`]: opening, reading, writing, and the session cache.
//! - `repositories/`: one file for each port of the domain.
//! - `replication/`: the ports of live connections and of other nodes.
//!
//! # Locks
//!
//! On Postgres every transaction takes its locks in **one order**, so that no two wait for each other:
//!
//! 1. conversations: groups and the broadcast by id, then direct ones by id;
//! 2. users, by id (`accounts::lock_users`, `accounts::lock_user`);
//! 3. their sessions, members and receipts, messages and files;
//! 4. the audit record;
//! 5. the usage of group quotas, by user (`quotas::Counts`).
//!
//! A transaction that needs a conversation after a user locks the conversation first, and then reads again what it has
//! read before. A transaction that cannot know its conversations beforehand reads them before it locks anything: an
//! account that ends leaves its groups afterwards, each in a separate transaction. Some transactions have no order: two
//! may create the same two names in opposite order. The database rolls one of them back, and the writer retries it.
//!
//! On SQLite the one writer holds the one write lock.
//!
//! # Bounds
//!
//! The work of a transaction does not grow with the stored data. The store cuts larger work into steps of some hundreds
//! of rows, each in a separate transaction. A server that starts goes on where the last process stopped
//! ([`endings`](domain::endings), [`retention`](domain::retention)).

mod connection;
mod error;
mod mailbox;
mod maintenance;
mod reads;
mod replication;
mod repositories;
mod search;
mod store;
mod tables;
mod telemetry;
mod transaction;
mod writer;

pub use connection::lock::LockError;
pub use connection::open_error::OpenError;
pub use connection::postgres::UnfitPostgres;
pub use maintenance::inspect::Inspection;
pub use maintenance::names::Doubled;
pub use maintenance::{backup, copy, images};
pub use repositories::search::SearchIndexer;
pub use store::{Reindex, Store, StoreOptions};
