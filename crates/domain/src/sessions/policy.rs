//! How many sessions a user has at once, and how long the server remembers them.

use super::Session;
use crate::context::Timestamp;
use crate::error::{Error, Result};
use crate::ids::SessionId;

/// A session that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSession {
    /// The id of the session.
    pub id: SessionId,
    /// When its user logged in.
    pub created_at: Timestamp,
    /// When a request last used it, to about a minute.
    pub last_seen_at: Timestamp,
}

impl Session {
    /// Most sessions of a user at once.
    pub const MAX: usize = 100;
    /// How long the server remembers a session, in seconds from the login. Twice as long as a client can use it, so
    /// that a client that walks through the list finds the place where its page ended.
    pub const REMEMBERED_SECONDS: i64 = 2 * Self::LIFETIME_SECONDS;
}

/// Sessions that began after this moment can still be used. The token of a login at this moment has just expired.
///
/// # Errors
/// [`Error::Internal`] if the clock is out of range.
pub fn oldest_usable(now: Timestamp) -> Result<Timestamp> {
    earlier(now, Session::LIFETIME_SECONDS)
}

/// The server forgets sessions that began before this moment.
///
/// # Errors
/// [`Error::Internal`] if the clock is out of range.
pub fn oldest_remembered(now: Timestamp) -> Result<Timestamp> {
    earlier(now, Session::REMEMBERED_SECONDS)
}

fn earlier(now: Timestamp, seconds: i64) -> Result<Timestamp> {
    let then = now.as_micros().checked_sub(seconds * 1_000_000).and_then(Timestamp::from_micros);
    then.ok_or_else(|| Error::internal("the clock is out of range"))
}

/// The sessions that end so that at most `most` remain: those that began at `oldest` ([`oldest_usable`]) or before,
/// then those without use for the longest time.
pub fn surplus(mut sessions: Vec<OpenSession>, most: usize, oldest: Timestamp) -> Vec<SessionId> {
    sessions.sort_unstable_by_key(|session| {
        (session.created_at > oldest, session.last_seen_at, session.created_at, session.id.0)
    });
    let expired = sessions.partition_point(|session| session.created_at <= oldest);
    let ending = expired.max(sessions.len().saturating_sub(most));
    sessions.into_iter().take(ending).map(|session| session.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use uuid::Uuid;

    fn open_session(number: u128, created_at: i64, last_seen_at: i64) -> OpenSession {
        OpenSession {
            id: SessionId(Uuid::from_u128(number)),
            created_at: at(created_at),
            last_seen_at: at(last_seen_at),
        }
    }

    fn ending(sessions: &[OpenSession], most: usize, oldest: i64) -> Vec<u128> {
        let mut ending: Vec<_> =
            surplus(sessions.to_vec(), most, at(oldest)).into_iter().map(|id| id.0.as_u128()).collect();
        ending.sort_unstable();
        ending
    }

    #[test]
    fn those_unused_for_longest_end() {
        // The first has begun first, and was used last.
        let sessions =
            [open_session(1, 10, 90), open_session(2, 20, 40), open_session(3, 30, 60), open_session(4, 40, 50)];
        for (most, ends) in [(9, &[][..]), (4, &[]), (3, &[2]), (2, &[2, 4]), (1, &[2, 3, 4]), (0, &[1, 2, 3, 4])] {
            assert_eq!(ending(&sessions, most, 0), ends, "{most}");
        }
    }

    #[test]
    fn of_those_used_at_the_same_time_the_oldest_end() {
        let sessions = [open_session(3, 10, 90), open_session(2, 20, 90), open_session(1, 20, 90)];
        assert_eq!(ending(&sessions, 2, 0), [3]);
        assert_eq!(ending(&sessions, 1, 0), [1, 3]);
    }

    #[test]
    fn what_has_expired_ends_and_takes_no_place() {
        let sessions =
            [open_session(1, 10, 99), open_session(2, 11, 98), open_session(3, 12, 13), open_session(4, 20, 20)];
        assert_eq!(ending(&sessions, 2, 11), [1, 2]);
        assert_eq!(ending(&sessions, 1, 11), [1, 2, 3]);
        assert_eq!(ending(&sessions, 4, 20), [1, 2, 3, 4]);
    }

    #[test]
    fn how_long_is_counted_from_the_login() {
        let day = Session::LIFETIME_SECONDS * 1_000_000;
        assert_eq!(oldest_usable(at(5 * day)).unwrap(), at(4 * day));
        assert_eq!(oldest_remembered(at(5 * day)).unwrap(), at(3 * day));
    }
}
