//! Connections as they are: what is sent over them byte by byte, how long they are kept, and how many there are.

mod bodies;
mod files;
mod many;
mod pipelined;
pub mod raw;
mod upgrades;
