//! The port for operators' requests to a running server. The composition root implements it.

use async_trait::async_trait;

/// Reports on everything behind the use cases.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Whether the database accepts writes and the store accepts uploads. MUST answer within a few seconds, also if one
    /// of them is out of reach.
    async fn is_ready(&self) -> bool;

    /// All metrics of this process in Prometheus' text format.
    async fn metrics(&self) -> String;
}
