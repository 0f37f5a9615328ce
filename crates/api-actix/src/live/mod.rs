//! Live connections: `GET /ws` (WebSocket) and `GET /events` (Server-Sent Events) carry the same events (`docs/api.md`,
//! Live).
//!
//! A connection is three things: a [`Connection`](infra_live::Connection) in its worker's shard, where events queue for
//! it; a response body that writes what is queued; and a task that first replays what was missed and then, on a
//! WebSocket, answers the client's operations. The bodies take frames as the [`frames::JsonFramer`] made them, once for
//! all receivers.

mod catch_up;
mod cursor;
pub mod event_stream;
pub mod frames;
mod handshake;
mod incoming;
mod members;
mod ops;
mod reference;
pub mod socket;
#[cfg(test)]
mod testing;
