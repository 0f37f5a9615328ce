//! parlance's storage: every storage port of the domain over SQLite or Postgres.
//!
//! [`Store`] is the whole public face. Reads go to a bounded pool of threads, everything that changes goes through the
//! one door of [`writer`](self). The rules of the domain are asked inside the transactions that act.

mod admin;
pub mod backup;
mod check;
mod connection;
mod conversations;
pub mod copy;
mod error;
mod examine;
mod export;
mod files;
mod groups;
mod health;
mod keeper;
mod live;
mod lock;
mod members;
mod messages;
mod migrations;
mod names;
mod nodes;
mod place;
mod pool;
mod pooler;
mod postgres;
mod receipts;
mod retention;
mod revisions;
mod rows;
mod schema;
mod session_cache;
mod sessions;
mod sql_types;
mod store;
mod telemetry;
mod text_range;
mod unseen;
mod upkeep;
mod users;
mod writable;
mod writer;

pub use examine::Examined;
pub use lock::LockError;
pub use names::Doubled;
pub use postgres::UnfitPostgres;
pub use store::{OpenError, Store, StoreOptions};
