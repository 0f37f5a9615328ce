//! The port for operators' requests to a running server. The composition root implements it.

use async_trait::async_trait;

/// The state of everything behind the use cases.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Whether the database takes writes and uploads can be kept. MUST answer within a few seconds, whatever is out of
    /// reach.
    async fn is_ready(&self) -> bool;

    /// Every metric of this process in Prometheus' text format.
    async fn metrics(&self) -> String;
}
