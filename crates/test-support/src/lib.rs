//! Databases for tests: a SQLite file each, or a Postgres database each.
//!
//! Postgres is the server that `TEST_POSTGRES_URL` names, else a cluster of the test binary's own, made of the programs
//! installed here (see [`Cluster`]). Without either, tests on Postgres are left out and it is said so on standard error;
//! where the environment has `CI`, that is a failure.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "only tests use this, and they want the panic")]

mod cluster;
mod database;
mod nats;
mod owner;
mod tls;
mod watchdog;

pub use cluster::Cluster;
pub use database::{Backend, TestDb};
pub use nats::NatsServer;
pub use tls::Certificates;
