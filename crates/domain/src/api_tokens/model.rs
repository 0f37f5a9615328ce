//! Tokens of programs, and their names.

use crate::access::Scopes;
use crate::context::Timestamp;
use crate::error::{Error, Invalid, Result};
use crate::ids::SessionId;
use crate::text::text_type;
use crate::unicode::shown_name;

text_type!(
    /// What its user calls a token: 1 to 64 characters after trimming, without control or hidden characters.
    TokenName
);

impl TokenName {
    /// # Errors
    /// [`Invalid`] naming `name`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Ok(Self(shown_name("name", text, 64)?.to_owned()))
    }
}

/// A token of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The session that the token is.
    pub id: SessionId,
    /// What its user calls it.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: Scopes,
    /// When its user made it.
    pub created_at: Timestamp,
    /// The server refuses it from then on.
    pub expires_at: Option<Timestamp>,
    /// When a request last came with it, to about a minute. `None` before the first.
    pub last_used_at: Option<Timestamp>,
}

impl ApiToken {
    /// Most tokens of a user that have neither ended nor expired.
    pub const MAX: usize = 50;
    /// The longest time after which a token may expire, in seconds: a hundred years.
    pub const MAX_SECONDS: u64 = 3_153_600_000;

    /// When a token that is made now expires, if it does so after this many seconds.
    ///
    /// # Errors
    /// [`Invalid`] naming `expires_in` for anything but 1 to [`ApiToken::MAX_SECONDS`]; [`Error::Internal`] if the
    /// clock is out of range.
    pub fn expiry(now: Timestamp, seconds: u64) -> Result<Timestamp> {
        let most = Self::MAX_SECONDS;
        if !(1..=most).contains(&seconds) {
            return Invalid::new("expires_in", format!("expires_in must be from 1 to {most} seconds")).err();
        }
        let micros = i64::try_from(seconds * 1_000_000).ok().and_then(|lasts| now.as_micros().checked_add(lasts));
        micros.and_then(Timestamp::from_micros).ok_or_else(|| Error::internal("the clock is out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn a_token_expires_within_a_hundred_years() {
        assert_eq!(ApiToken::expiry(at(5), 1).unwrap(), at(1_000_005));
        assert_eq!(ApiToken::expiry(at(0), ApiToken::MAX_SECONDS).unwrap(), at(3_153_600_000_000_000));
        for bad in [0, ApiToken::MAX_SECONDS + 1, u64::MAX] {
            let refused = ApiToken::expiry(at(0), bad).unwrap_err();
            assert_eq!(refused.field(), Some("expires_in"), "{bad}");
        }
    }

    #[test]
    fn a_name_hides_nothing() {
        assert_eq!(TokenName::parse(" ci ").unwrap().as_str(), "ci");
        for bad in ["", " ", "a\nb", "a\u{202e}b", &"a".repeat(65)] {
            assert_eq!(TokenName::parse(bad).unwrap_err().field, "name", "{bad:?}");
        }
    }
}
