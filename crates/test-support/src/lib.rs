//! Databases for tests: a SQLite file each, or a Postgres database each.
//!
//! Postgres is the server that `TEST_POSTGRES_URL` names, else a cluster of the test binary's own, made of the programs
//! installed here (see [`Cluster`]). Without either, tests on Postgres are left out and it is said so on standard
//! error; where the environment has `CI`, that is a failure.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "only tests use this, and they want the panic")]

mod clock;
mod cluster;
mod database;
mod nats;
mod owner;
mod pgbouncer;
mod tls;
mod watchdog;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

pub use clock::{SystemClock, UuidV7};
pub use cluster::Cluster;
pub use database::{Backend, TestDb, run_sql};
pub use nats::NatsServer;
pub use pgbouncer::PgBouncer;
pub use tls::Certificates;

/// A port on 127.0.0.1 that is free, and outside the range that the system hands out by itself: for a server that has
/// to have the same one after a restart, while other tests take theirs.
pub(crate) fn free_port() -> u16 {
    // Two processes' first are far from each other.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(997));
        let port = u16::try_from(PORTS.start + next % (PORTS.end - PORTS.start)).expect("it is below the end");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
