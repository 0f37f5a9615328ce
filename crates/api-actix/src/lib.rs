//! HTTP, WebSocket and event streams over the domain's use cases.
//!
//! This crate depends on the domain, the JSON shapes ([`wire`]) and the fan-out ([`infra_live`]). It does not know
//! where data is kept or how the server is configured. [`server::bind`] builds the server from the parts that the
//! composition root passes.

pub mod connection;
pub mod document;
pub mod features;
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
