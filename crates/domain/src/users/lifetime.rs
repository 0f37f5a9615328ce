//! How long sessions last.

use crate::context::Timestamp;
use crate::error::{Error, Invalid, Result};

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

/// The moment so many seconds before `now`.
///
/// # Errors
/// [`Error::Internal`] if the clock is out of range.
pub(crate) fn earlier(now: Timestamp, seconds: i64) -> Result<Timestamp> {
    let then = now.as_micros().checked_sub(seconds * 1_000_000).and_then(Timestamp::from_micros);
    then.ok_or_else(|| Error::internal("the clock is out of range"))
}
