//! Live connections: `/ws` and `/events`.

pub mod client;

mod catching_up;
mod digests;
mod event_stream;
mod events;
mod faults;
mod guide;
pub mod load;
mod operations;
mod readers;
pub mod replica;
mod signals;
mod signing_out;
mod upgrade;
