//! One server process: the connections of its clients, and which of them gets which event.

pub mod broadcaster;
pub mod connection;
pub mod connection_list;
pub mod frame;
pub mod hub;
pub mod interest;
pub mod limits;
pub mod outbox;
pub mod peers;
pub mod presence;
pub mod sessions;
pub mod shard;
pub mod subscribers;
