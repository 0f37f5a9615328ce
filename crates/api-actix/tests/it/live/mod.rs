//! Live connections: `/ws` and `/events`.

mod client;

mod catching_up;
mod event_stream;
mod events;
mod guide;
mod load;
mod operations;
mod signals;
mod signing_out;
mod upgrade;
