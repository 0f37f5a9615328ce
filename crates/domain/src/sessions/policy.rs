//! How many sessions a user has at once, and how long the server remembers them.

use super::Session;
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::SessionId;
use crate::users::earlier;

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
    /// How long the server remembers a session after its end, in seconds. Longer than any token of it is valid, and
    /// long enough that a client that walks through the list finds the place where its page ended.
    pub const REMEMBERED_SECONDS: i64 = 2 * Self::TOKEN_SECONDS;
}

/// The server forgets sessions that ended before this moment.
///
/// # Errors
/// [`Error::Internal`](crate::Error::Internal) if the clock is out of range.
pub(super) fn oldest_remembered_end(now: Timestamp) -> Result<Timestamp> {
    earlier(now, Session::REMEMBERED_SECONDS)
}

/// The sessions that end so that at most `most` remain: those without use since `oldest`
/// ([`SessionLifetime::oldest_usable`](crate::users::SessionLifetime::oldest_usable)), then those without use for the
/// longest time.
pub fn surplus(mut sessions: Vec<OpenSession>, most: usize, oldest: Timestamp) -> Vec<SessionId> {
    sessions.sort_unstable_by_key(|session| (session.last_seen_at, session.created_at, session.id.0));
    let expired = sessions.partition_point(|session| session.last_seen_at <= oldest);
    let ending = expired.max(sessions.len().saturating_sub(most));
    sessions.into_iter().take(ending).map(|session| session.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use crate::users::SessionLifetime;
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
            [open_session(1, 10, 19), open_session(2, 11, 20), open_session(3, 12, 21), open_session(4, 20, 22)];
        assert_eq!(ending(&sessions, 2, 20), [1, 2]);
        assert_eq!(ending(&sessions, 1, 20), [1, 2, 3]);
        assert_eq!(ending(&sessions, 4, 22), [1, 2, 3, 4]);
    }

    #[test]
    fn how_long_is_counted_from_the_last_use() {
        let day = 86_400_000_000;
        let lifetime = SessionLifetime::of_days(3).unwrap();
        assert_eq!(lifetime.oldest_usable(at(50 * day)).unwrap(), at(47 * day));
        assert_eq!(lifetime.oldest_remembered(at(50 * day)).unwrap(), at(46 * day));
        assert_eq!(oldest_remembered_end(at(50 * day)).unwrap(), at(48 * day));
        assert_eq!(SessionLifetime::default().seconds(), 2_592_000);
        for days in [0, SessionLifetime::MAX_DAYS + 1] {
            assert!(SessionLifetime::of_days(days).is_err());
        }
        assert_eq!(SessionLifetime::of_days(1).unwrap().seconds(), Session::TOKEN_SECONDS);
    }
}
