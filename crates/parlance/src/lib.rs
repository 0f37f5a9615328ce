//! The `parlance` server: configuration, composition of the domain with its adapters, and the command line.
//!
//! [`app::Application`] is the whole program on a port. `main` and the tests run the same one.

pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod logging;
mod private_files;
mod probe;
mod reindex;
mod storage;
pub mod telemetry;
