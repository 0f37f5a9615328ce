//! Metrics of live connections and of several nodes (`docs/observability.md`).

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use std::sync::LazyLock;

/// The metrics of connections, registered with the recorder that is installed at the first use. Counting costs one
/// atomic operation.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// Metrics of connections.
pub struct Metrics {
    /// Open connections.
    pub connections: Gauge,
    /// Frames that entered the queue of a connection.
    pub deliveries: Counter,
    /// Signals that a connection dropped because its client reads too slowly.
    pub drops: Counter,
    /// Connections that closed because their client reads too slowly.
    pub laggards: Counter,
    /// How often the server told a client to reload.
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

/// The metrics of a node. Only a server with other nodes registers them.
pub static NODES: LazyLock<NodeMetrics> = LazyLock::new(NodeMetrics::register);

/// Metrics of what passes between nodes.
pub struct NodeMetrics {
    /// 1 while the connection to NATS is up.
    pub connected: Gauge,
    /// Packets that the node has sent.
    pub sent: Counter,
    /// Packets that the node has received.
    pub received: Counter,
    /// Packets that the node could not send or read, and commits and notices for which the inbox had no room.
    pub lost: Counter,
    /// How often the node read a conversation because a packet did not arrive.
    pub gaps: Counter,
    /// How often a comparison with the database found nothing missing.
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
