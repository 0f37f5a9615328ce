//! Metrics of password hashing (`docs/observability.md`).

use metrics::{Gauge, Histogram, Unit, describe_gauge, describe_histogram, gauge, histogram};
use std::sync::LazyLock;

/// Made when first used, of the recorder that is there by then.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    hash_queue: gauge!("parlance_password_queue_depth"),
    hashing: histogram!("parlance_password_hash_seconds"),
});

/// What this crate counts.
pub struct Metrics {
    /// Passwords that wait to be hashed.
    pub hash_queue: Gauge,
    /// How long hashing took.
    pub hashing: Histogram,
}

/// Tells the recorder what the metrics of this crate mean, and makes them, so that they are there from the beginning.
pub fn describe() {
    describe_gauge!("parlance_password_queue_depth", "Passwords that wait to be hashed or compared");
    describe_histogram!(
        "parlance_password_hash_seconds",
        Unit::Seconds,
        "How long hashing or comparing a password took"
    );
    LazyLock::force(&METRICS);
}
