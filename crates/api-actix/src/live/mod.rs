//! Live connections: `GET /ws` (WebSocket) and `GET /events` (Server-Sent Events) carry the same events (`docs/api.md`,
//! Live).
//!
//! A connection has three parts. A [`Connection`](infra_live::Connection) in its worker's shard queues its events. A
//! writer writes the queued frames: on an event stream the body of the response, on a WebSocket [`outgoing`]. A reader
//! first replays the missed events; on a WebSocket, it then answers the client's operations. The
//! [`frames::JsonFramer`] encodes each frame once for all receivers.

mod catch_up;
mod cursor;
pub mod event_stream;
pub mod frames;
mod handshake;
mod incoming;
mod json_object;
mod ops;
mod outgoing;
mod reference;
pub mod socket;
#[cfg(test)]
mod testing;
