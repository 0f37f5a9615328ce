//! How many live connections a server takes, and how long it waits for them.

use std::time::Duration;

/// The limits of live connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubOptions {
    /// How long a client may be silent before it is sent a ping, and how long it may take to answer.
    pub heartbeat: Duration,
    /// How long a user may be disconnected before others are told.
    pub absence: Duration,
    /// How many connections a user may have.
    pub max_per_user: usize,
    /// How many connections the server may have.
    pub max: usize,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(25), absence: Duration::from_secs(3), max_per_user: 50, max: 20_000 }
    }
}

/// Why the server takes no further connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachError {
    /// The user has as many as are allowed.
    TooManyOfUser,
    /// The server has as many as are allowed.
    Full,
    /// The server stops.
    Stopping,
}
