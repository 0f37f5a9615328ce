//! The `parlance` server: configuration, composition of the domain with its adapters, HTTP, and the command line.
//!
//! [`app::Application`] is the whole program on a port; `main` and the tests run the same one.

pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod demo;
pub mod doctor;
pub mod http;
pub mod limits;
pub mod live;
pub mod logging;
pub mod passwords;
mod probe;
pub mod telemetry;
pub mod tokens;
