//! HTTP, WebSocket and event streams over the domain's use cases.
//!
//! Sees the domain, the shapes that clients read ([`wire`]) and the fan-out ([`infra_live`]); neither where anything is
//! kept nor how the server is configured. [`server::bind`] makes the server of what the composition root gives it.

pub mod connection;
pub mod document;
pub mod http;
pub mod limits;
mod listener;
pub mod live;
pub mod operations;
pub mod proxies;
mod readiness;
pub mod routes;
pub mod server;
pub mod telemetry;
pub mod use_cases;

pub use readiness::Readiness;
