//! Raises the limit of open files and derives the limit of connections from it: each connection is an open file.

use crate::config::Config;

/// How many files the process reserves for the database, uploads and downloads, threads and the log: a quarter of the
/// limit, within these bounds.
const MIN_RESERVE: u64 = 64;
const MAX_RESERVE: u64 = 1024;

/// The limit of open files, and how many connections it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Open files.
    pub files: u64,
    /// Connections.
    pub connections: usize,
}

impl Room {
    fn of(files: u64) -> Self {
        let reserve = (files / 4).clamp(MIN_RESERVE, MAX_RESERVE);
        let connections = usize::try_from(files.saturating_sub(reserve)).unwrap_or(usize::MAX).max(1);
        Self { files, connections }
    }
}

/// Raises the limit of open files as far as `connections` need it and the system permits. Returns the resulting room;
/// `None` if the system does not report the limit.
#[cfg(unix)]
pub fn raise(connections: usize) -> Option<Room> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = (connections as u64).saturating_add(MAX_RESERVE);
    // Without a limit, nothing needs to be adjusted.
    let soft = limit.current?;
    let wanted = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    let raised = rustix::process::Rlimit { current: Some(wanted), ..limit };
    let files = if wanted > soft && setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { soft };
    Some(Room::of(files))
}

/// This system reports no limit.
#[cfg(not(unix))]
pub fn raise(_connections: usize) -> Option<Room> {
    None
}

/// Lowers the configured limits of connections (in total, per network, and of live ones) to the available room. Returns
/// the room if that lowered a limit.
pub fn fit(config: &mut Config) -> Option<Room> {
    let room = raise(config.http.max_connections)?;
    if room.connections >= config.http.max_connections {
        return None;
    }
    config.http.max_connections = room.connections;
    config.http.max_connections_per_address =
        config.http.max_connections_per_address.min(Config::a_share_of(room.connections));
    config.live.max = config.live.max.min(room.connections);
    Some(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_for_what_is_no_connection() {
        for (files, connections) in
            [(0, 1), (33, 1), (65, 1), (128, 64), (1024, 768), (65_536, 64_512), (u64::MAX, usize::MAX - 1024)]
        {
            assert_eq!(Room::of(files), Room { files, connections });
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_wanted_is_had_as_far_as_the_system_lets() {
        let before = raise(1).unwrap();
        let after = raise(100_000).unwrap();
        assert!(after.files >= before.files && after.connections <= 100_000 + 1024);
        assert_eq!(raise(1), Some(after), "it is not lowered");
    }
}
