//! How many sessions a user has at once, and how long the server remembers them.

use super::Session;
use crate::context::Timestamp;
use crate::error::{Error, Invalid, Result};
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
    /// How long the server remembers a session after its end, in seconds. Longer than any token of it is valid, and long
    /// enough that a client that walks through the list finds the place where its page ended.
    pub const REMEMBERED_SECONDS: i64 = 2 * Self::TOKEN_SECONDS;
}

/// How long a session lasts without use, in seconds (`PARLANCE_SESSION_DAYS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLifetime(i64);

impl SessionLifetime {
    /// The most days.
    pub const MAX_DAYS: u32 = 3_650;
    const DAY: i64 = 86_400;

    /// # Errors
    /// [`Invalid`] for anything but 1 to [`SessionLifetime::MAX_DAYS`]. A session lasts as long as its token at least.
    pub fn of_days(days: u32) -> Result<Self, Invalid> {
        if !(1..=Self::MAX_DAYS).contains(&days) {
            return Err(Invalid::new("days", format!("days must be 1 to {}", Self::MAX_DAYS)));
        }
        Ok(Self(i64::from(days) * Self::DAY))
    }

    /// The lifetime in seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// Sessions that were used after this moment can still be used.
    ///
    /// # Errors
    /// [`Error::Internal`] if the clock is out of range.
    pub fn oldest_usable(self, now: Timestamp) -> Result<Timestamp> {
        earlier(now, self.0)
    }

    /// The server forgets sessions that nobody has used since this moment: a day after they ended, so that the last
    /// page of a list is still found.
    ///
    /// # Errors
    /// [`Error::Internal`] if the clock is out of range.
    pub fn oldest_remembered(self, now: Timestamp) -> Result<Timestamp> {
        earlier(now, self.0 + Self::DAY)
    }
}

impl Default for SessionLifetime {
    /// 30 days.
    fn default() -> Self {
        Self(30 * Self::DAY)
    }
}

/// The server forgets sessions that ended before this moment.
///
/// # Errors
/// [`Error::Internal`] if the clock is out of range.
pub(super) fn oldest_remembered_end(now: Timestamp) -> Result<Timestamp> {
    earlier(now, Session::REMEMBERED_SECONDS)
}

fn earlier(now: Timestamp, seconds: i64) -> Result<Timestamp> {
    let then = now.as_micros().checked_sub(seconds * 1_000_000).and_then(Timestamp::from_micros);
    then.ok_or_else(|| Error::internal("the clock is out of range"))
}

/// The sessions that end so that at most `most` remain: those without use since `oldest`
/// ([`SessionLifetime::oldest_usable`]), then those without use for the longest time.
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
