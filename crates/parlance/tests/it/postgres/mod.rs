//! What only a server over Postgres meets: a database that goes and comes back, one that is not fit, TLS, other
//! servers, and being copied from or to.

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
