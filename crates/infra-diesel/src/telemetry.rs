//! What operators see of the database's work (`docs/observability.md`).

use crate::connection::AnyConnection;
use crate::store::Store;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use std::sync::LazyLock;

/// Made when first used, of the recorder that is there by then: from then on counting costs an atomic operation or two.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// The store's numbers.
pub struct Metrics {
    /// Jobs that wait for a writer.
    pub write_queue: Gauge,
    /// Jobs that a writer took at once.
    pub write_batch: Histogram,
    /// How long commits took.
    pub commit: Histogram,
    /// Transactions of which nothing was kept, or it is unknown what.
    pub write_failures: Counter,
    /// Messages on disk; not those that were there already.
    pub messages: Counter,
    /// Jobs that wait for a reader.
    pub read_queue: Gauge,
    /// How long they waited.
    pub read_wait: Histogram,
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
        Self {
            write_queue: gauge!("parlance_write_queue_depth"),
            write_batch: histogram!("parlance_write_batch_jobs"),
            commit: histogram!("parlance_write_commit_seconds"),
            write_failures: counter!("parlance_write_failures_total"),
            messages: counter!("parlance_messages_sent_total"),
            read_queue: gauge!("parlance_read_queue_depth"),
            read_wait: histogram!("parlance_read_wait_seconds"),
        }
    }
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

impl Store {
    /// How many bytes the database takes (SQLite: its file, without what is not checkpointed yet).
    ///
    /// # Errors
    /// [`domain::Unavailable`].
    pub async fn size(&self) -> domain::Result<u64> {
        let size = |conn: &mut AnyConnection| {
            let query = match conn {
                AnyConnection::Sqlite(_) => {
                    "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size"
                }
                AnyConnection::Postgres(_) => "SELECT pg_database_size(current_database()) AS bytes",
            };
            let size: Size = diesel::sql_query(query).get_result(conn)?;
            Ok(size.bytes.unsigned_abs())
        };
        self.read(size).await
    }
}
