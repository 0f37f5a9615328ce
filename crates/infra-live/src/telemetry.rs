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

/// Made when first used, which only a node of several does.
pub static NODES: LazyLock<NodeMetrics> = LazyLock::new(NodeMetrics::register);

/// What passes between nodes.
pub struct NodeMetrics {
    /// 1 while NATS is there.
    pub connected: Gauge,
    /// Packets sent.
    pub sent: Counter,
    /// Packets that came.
    pub received: Counter,
    /// Packets that were not sent or not read.
    pub lost: Counter,
    /// Times that the database was asked for what did not come.
    pub gaps: Counter,
    /// Times that all was compared with the database.
    pub checks: Counter,
}

impl NodeMetrics {
    fn register() -> Self {
        describe_gauge!("parlance_nodes_connected", "1 while the connection to NATS stands");
        describe_counter!("parlance_nodes_sent_total", "Packets sent to other nodes");
        describe_counter!("parlance_nodes_received_total", "Packets that came from other nodes");
        describe_counter!("parlance_nodes_lost_total", "Packets that could not be sent or read");
        describe_counter!("parlance_nodes_gaps_total", "Times that the database was asked for what did not come");
        describe_counter!("parlance_nodes_checks_total", "Times that all was compared with the database");
        Self {
            connected: gauge!("parlance_nodes_connected"),
            sent: counter!("parlance_nodes_sent_total"),
            received: counter!("parlance_nodes_received_total"),
            lost: counter!("parlance_nodes_lost_total"),
            gaps: counter!("parlance_nodes_gaps_total"),
            checks: counter!("parlance_nodes_checks_total"),
        }
    }
}
