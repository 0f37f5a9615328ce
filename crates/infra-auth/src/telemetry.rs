//! Metrics of password hashing (`docs/observability.md`).

use metrics::{Gauge, Histogram, Unit, describe_gauge, describe_histogram, gauge, histogram};
use std::sync::LazyLock;

/// Created on first use, when the metrics recorder is installed.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    hash_queue: gauge!("parlance_password_queue_depth"),
    hashing: histogram!("parlance_password_hash_seconds"),
});

/// The metrics of this crate.
pub struct Metrics {
    /// Passwords waiting to be hashed.
    pub hash_queue: Gauge,
    /// The duration of hashing.
    pub hashing: Histogram,
}

/// Describes the metrics of this crate to the recorder and registers them, so that they exist from the start.
pub fn describe() {
    describe_gauge!("parlance_password_queue_depth", "Passwords that wait to be hashed or compared");
    describe_histogram!(
        "parlance_password_hash_seconds",
        Unit::Seconds,
        "How long hashing or comparing a password took"
    );
    LazyLock::force(&METRICS);
}
