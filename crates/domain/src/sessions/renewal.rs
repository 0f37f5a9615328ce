//! Renewing a session: the rule for spent refresh tokens.
//!
//! A refresh token names its session and a generation. The database holds the generation that is unspent, and when its
//! predecessor was spent; it holds no token. A client that presents the unspent token gets the next one. So whoever
//! presents an older one has a token that somebody else has spent: one of the two has stolen it, and the session ends.

use super::{Session, SessionLifetime};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::SessionId;
use crate::users::Username;

/// The number of a session's refresh token, from 1. Each renewal takes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub i64);

impl Generation {
    /// Of the refresh token that a login answers.
    pub const FIRST: Self = Self(1);
    /// How long a client may present the token again that it spent last, in seconds: an answer may be lost, and two
    /// windows of one client may ask at once.
    pub const REPEAT_SECONDS: i64 = 60;

    /// The generation of the successor.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The claims of a refresh token of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshClaims {
    /// The session that it renews.
    pub session: SessionId,
    /// Its number.
    pub generation: Generation,
}

/// What the database holds of a session that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshState {
    /// The generation of the unspent token.
    pub unspent: Generation,
    /// When its predecessor was spent. `None` for [`Generation::FIRST`].
    pub spent_at: Option<Timestamp>,
    /// When the session was last used.
    pub last_seen_at: Timestamp,
}

/// What becomes of a presented refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redemption {
    /// The token is spent now, and this is its successor.
    Spend(Generation),
    /// The token was spent a moment ago: the client gets the same successor again. Nothing changes but the last use.
    Repeat(Generation),
    /// Somebody else has spent the token: the session ends.
    Reused,
    /// Nobody has used the session for too long: it ends.
    Expired,
    /// The database does not know of the token yet: it was restored from a backup that is older. The session goes on.
    Unknown,
}

/// Decides about a presented refresh token of a session that has not ended.
///
/// # Errors
/// [`Error::Internal`](crate::Error::Internal) if the clock is out of range.
pub fn redeem(
    presented: Generation,
    state: RefreshState,
    lifetime: SessionLifetime,
    now: Timestamp,
) -> Result<Redemption> {
    let RefreshState { unspent, spent_at, last_seen_at } = state;
    if last_seen_at <= lifetime.oldest_usable(now)? {
        return Ok(Redemption::Expired);
    }
    // A clock that another node's is ahead of sees a time of spending that is yet to come.
    let just_spent = |spent_at: Timestamp| {
        now.as_micros().saturating_sub(spent_at.as_micros()) <= Generation::REPEAT_SECONDS * 1_000_000
    };
    Ok(match presented {
        presented if presented == unspent => Redemption::Spend(unspent.next()),
        presented if presented > unspent => Redemption::Unknown,
        presented if presented.next() == unspent && spent_at.is_some_and(just_spent) => Redemption::Repeat(unspent),
        _ => Redemption::Reused,
    })
}

/// A session that was renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The session, last used at the renewal.
    pub session: Session,
    /// The name of its user.
    pub username: Username,
    /// The generation of the next refresh token.
    pub successor: Generation,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;

    /// Of a session that was last used at 0 and whose predecessor was spent then.
    fn redeemed(presented: i64, unspent: i64, now: i64) -> Redemption {
        let spent_at = (unspent > 1).then(|| at(0));
        let state = RefreshState { unspent: Generation(unspent), spent_at, last_seen_at: at(0) };
        redeem(Generation(presented), state, SessionLifetime::of_days(30).unwrap(), at(now)).unwrap()
    }

    #[test]
    fn the_unspent_one_is_good_once() {
        assert_eq!(redeemed(1, 1, 5), Redemption::Spend(Generation(2)));
        assert_eq!(redeemed(7, 7, 29 * DAY), Redemption::Spend(Generation(8)));
    }

    #[test]
    fn the_one_spent_last_is_good_for_a_minute_while_its_successor_is_unspent() {
        // Of two nodes the other's clock may be a little ahead.
        for now in [-SECOND, 0, SECOND, 60 * SECOND] {
            assert_eq!(redeemed(1, 2, now), Redemption::Repeat(Generation(2)), "{now}");
            assert_eq!(redeemed(1, 3, now), Redemption::Reused, "its successor is spent, {now}");
        }
        for now in [60 * SECOND + 1, DAY] {
            assert_eq!(redeemed(1, 2, now), Redemption::Reused, "{now}");
        }
    }

    #[test]
    fn one_that_was_never_spent_is_not_repeated() {
        assert_eq!(redeemed(0, 1, 0), Redemption::Reused);
    }

    #[test]
    fn the_database_may_have_been_restored() {
        for now in [0, DAY] {
            assert_eq!(redeemed(3, 2, now), Redemption::Unknown);
        }
    }

    #[test]
    fn what_nobody_has_used_for_so_long_has_ended() {
        for presented in [1, 2, 3] {
            assert_eq!(redeemed(presented, 2, 30 * DAY), Redemption::Expired);
        }
        assert_eq!(redeemed(2, 2, 30 * DAY - 1), Redemption::Spend(Generation(3)));
    }
}
