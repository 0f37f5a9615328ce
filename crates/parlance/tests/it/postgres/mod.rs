//! A server over Postgres: outages, unfit databases, TLS, other servers, and copies in both directions.

mod copy;
mod nodes;
mod outage;
mod pooler;
mod read_only;
mod start;
mod tls;
mod users;

use crate::harness::{Process, SECRET};
use std::path::Path;

/// Starts a server over the database.
fn serve(directory: &Path, url: &str) -> Process {
    let environment = [("DATABASE_URL", url), ("PARLANCE_RATE_LIMITS", "off"), ("PARLANCE_JWT_SECRET", SECRET)];
    Process::start(directory, &["serve"], &environment)
}
