//! Live connections: `/ws` and `/events`.

pub mod client;

mod catching_up;
mod event_stream;
mod events;
mod guide;
pub mod load;
mod operations;
mod readers;
mod signals;
mod signing_out;
mod upgrade;
