//! One server process: the connections of its clients, and who of them gets what.

pub mod connection;
pub mod frame;
pub mod hub;
pub mod line;
pub mod members;
pub mod outbox;
pub mod presence;
pub mod roll;
pub mod sessions;
pub mod shard;
