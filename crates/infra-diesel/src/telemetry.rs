//! What operators see of the database's work (`docs/observability.md`).

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use std::sync::LazyLock;

/// The metrics, registered with the recorder that is installed at the first use. A count costs an atomic operation or
/// two.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// The metrics of the store.
pub struct Metrics {
    /// Jobs that wait for a writer.
    pub write_queue: Gauge,
    /// Jobs that a writer took at once.
    pub write_batch: Histogram,
    /// The time that commits took.
    pub commit: Histogram,
    /// Transactions that failed as a whole, or whose outcome is unknown.
    pub write_failures: Counter,
    /// Messages that were written. Duplicates do not count.
    pub messages: Counter,
    /// Jobs that wait for a reader.
    pub read_queue: Gauge,
    /// The time that they waited.
    pub read_wait: Histogram,
    /// Connections in the readers' pool, idle or in use.
    pub read_connections: Gauge,
    /// Connections that the pool has opened.
    pub read_connections_opened: Counter,
    /// Connections that the pool could not open.
    pub read_connections_failed: Counter,
    /// Reads that got no connection in time.
    pub read_connection_timeouts: Counter,
}

impl Metrics {
    fn register() -> Self {
        describe_gauge!("parlance_write_queue_depth", "Writes that wait for their transaction");
        describe_histogram!("parlance_write_batch_jobs", "Writes that were taken out of the queue at once");
        describe_histogram!("parlance_write_commit_seconds", Unit::Seconds, "How long a commit took");
        describe_counter!("parlance_write_failures_total", "Transactions that failed as a whole");
        describe_counter!("parlance_messages_sent_total", "Messages stored, each once however often it was sent");
        describe_gauge!("parlance_read_queue_depth", "Reads that wait for a database thread");
        describe_histogram!(
            "parlance_read_wait_seconds",
            Unit::Seconds,
            "How long a read waited for a database thread"
        );
        describe_gauge!("parlance_read_connections", "Connections in the pool of the readers");
        describe_counter!("parlance_read_connections_opened_total", "Connections that the pool of the readers opened");
        describe_counter!(
            "parlance_read_connections_failed_total",
            "Connections that the pool of the readers could not open"
        );
        describe_counter!("parlance_read_connection_timeouts_total", "Reads that got no connection in time");
        Self {
            write_queue: gauge!("parlance_write_queue_depth"),
            write_batch: histogram!("parlance_write_batch_jobs"),
            commit: histogram!("parlance_write_commit_seconds"),
            write_failures: counter!("parlance_write_failures_total"),
            messages: counter!("parlance_messages_sent_total"),
            read_queue: gauge!("parlance_read_queue_depth"),
            read_wait: histogram!("parlance_read_wait_seconds"),
            read_connections: gauge!("parlance_read_connections"),
            read_connections_opened: counter!("parlance_read_connections_opened_total"),
            read_connections_failed: counter!("parlance_read_connections_failed_total"),
            read_connection_timeouts: counter!("parlance_read_connection_timeouts_total"),
        }
    }
}
