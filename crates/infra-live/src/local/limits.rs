//! How many live connections a server accepts, and how long it waits for them.

use std::time::Duration;

/// The limits of live connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubOptions {
    /// How long a client may be silent before the server pings it, and how long it may take to answer.
    pub heartbeat: Duration,
    /// How long a user may be disconnected before others learn of it.
    pub absence: Duration,
    /// Most connections of a user.
    pub max_per_user: usize,
    /// Most connections of the server.
    pub max: usize,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(25), absence: Duration::from_secs(3), max_per_user: 50, max: 20_000 }
    }
}

/// Why the server accepts no further connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachError {
    /// The user has [`HubOptions::max_per_user`] already.
    TooManyOfUser,
    /// The server has [`HubOptions::max`] already.
    Full,
    /// The server stops.
    Stopping,
}
