//! Connections at the level of bytes: what clients send, how long the server keeps connections, and how many it allows.

mod bodies;
mod files;
mod many;
mod pipelined;
pub mod raw;
mod upgrades;
