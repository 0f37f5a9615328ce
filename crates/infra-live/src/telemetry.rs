//! What operators see of live connections (`docs/observability.md`).

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::sync::LazyLock;

/// Made when first used, of the recorder that is there by then: from then on counting costs an atomic operation.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// The hub's numbers.
pub struct Metrics {
    /// Connections that are open.
    pub connections: Gauge,
    /// Frames put into a connection's queue.
    pub deliveries: Counter,
    /// Signals dropped for a reader that is too slow.
    pub drops: Counter,
    /// Connections that were ended because their reader is too slow.
    pub laggards: Counter,
    /// Times that a client was told to reload.
    pub resyncs: Counter,
}

impl Metrics {
    fn register() -> Self {
        describe_gauge!("parlance_live_connections", "WebSockets and event streams that are open");
        describe_counter!("parlance_live_deliveries_total", "Frames given to connections");
        describe_counter!("parlance_live_drops_total", "Typing and presence dropped for readers that are too slow");
        describe_counter!("parlance_live_laggards_total", "Connections ended because their reader is too slow");
        describe_counter!("parlance_live_resyncs_total", "Times that a client was told to reload");
        Self {
            connections: gauge!("parlance_live_connections"),
            deliveries: counter!("parlance_live_deliveries_total"),
            drops: counter!("parlance_live_drops_total"),
            laggards: counter!("parlance_live_laggards_total"),
            resyncs: counter!("parlance_live_resyncs_total"),
        }
    }
}
