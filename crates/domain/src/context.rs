//! What every use case needs: the caller, the time, new ids.

use crate::access::Access;
use crate::error::Invalid;
use crate::ids::{SessionId, UserId};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A moment in whole microseconds. Both databases store it and clients see it to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "replication", serde(into = "i64", try_from = "i64"))]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Microseconds since 1970-01-01T00:00:00Z. `None` outside the years that chrono knows (about ±262,000).
    pub fn from_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Parses a moment as RFC 3339 writes it, such as `2026-01-31T12:00:00Z`.
    ///
    /// # Errors
    /// [`Invalid`] naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let parsed = DateTime::parse_from_rfc3339(text);
        let parsed =
            parsed.map_err(|_| Invalid::new(field, format!("{field} must be a time like 2026-01-31T12:00:00Z")))?;
        Ok(parsed.to_utc().into())
    }

    /// The moment as chrono's type, for presenting it.
    pub fn as_datetime(self) -> DateTime<Utc> {
        self.0
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// Drops what is finer than a microsecond.
    fn from(moment: DateTime<Utc>) -> Self {
        // Never takes the fallback: every moment of chrono has its microseconds in range.
        Self(DateTime::from_timestamp_micros(moment.timestamp_micros()).unwrap_or(moment))
    }
}

#[cfg(feature = "replication")]
impl From<Timestamp> for i64 {
    fn from(moment: Timestamp) -> Self {
        moment.as_micros()
    }
}

#[cfg(feature = "replication")]
impl TryFrom<i64> for Timestamp {
    type Error = &'static str;

    fn try_from(micros: i64) -> Result<Self, Self::Error> {
        Self::from_micros(micros).ok_or("no moment that chrono knows")
    }
}

/// The wall clock.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Clock: Send + Sync {
    /// The time now. It may jump either way, so nothing may be ordered by it.
    fn now(&self) -> Timestamp;
}

/// The source of new ids.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait IdGenerator: Send + Sync {
    /// A UUID of version 7 that is nobody else's.
    fn next(&self) -> Uuid;
}

/// The acting user. Always the token's user, never one that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user of the token.
    pub user: UserId,
    /// The session of the token.
    pub session: SessionId,
    /// Whether the user is an admin of the server.
    pub admin: bool,
    /// How the user has proven who they are.
    pub access: Access,
}

impl Caller {
    /// # Errors
    /// [`crate::Forbidden::NotAnAdmin`].
    pub fn require_admin(&self) -> crate::Result<()> {
        if self.admin { Ok(()) } else { crate::Forbidden::NotAnAdmin.err() }
    }
}
