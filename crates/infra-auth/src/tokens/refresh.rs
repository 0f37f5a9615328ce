//! Refresh tokens: `plr_`, the id of the session and the number of the token, and an HMAC over both.
//!
//! The database holds ids and numbers but not the key, so nothing in it, in a backup or in a log is good as a token. A
//! token follows from its claims: a client that asks again gets the same one, whatever got lost in between.

use domain::sessions::{Generation, RefreshClaims};
use domain::{SessionId, Unauthenticated};
use ring::hmac;

const PREFIX: &str = "plr_";
/// Characters of the id, the number and the HMAC.
const ID: usize = 36;
const NUMBER: usize = 16;
const TAG: usize = 64;
/// What the key is derived for. A key serves one purpose: the secret itself signs bearer tokens.
const PURPOSE: &[u8] = b"parlance refresh tokens 1";

/// Makes and checks refresh tokens.
pub struct RefreshTokens {
    key: hmac::Key,
}

impl RefreshTokens {
    /// Derives the key from the server's secret.
    pub fn new(secret: &[u8]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) }
    }

    /// The token with these claims.
    pub fn issue(&self, claims: RefreshClaims) -> String {
        let mut token = format!("{PREFIX}{}{:016x}", claims.session, claims.generation.0);
        let tag = hmac::sign(&self.key, token.as_bytes());
        push_hex(&mut token, tag.as_ref());
        token
    }

    /// The claims of a token that [`RefreshTokens::issue`] made with this secret.
    pub fn verify(&self, token: &str) -> Result<RefreshClaims, Unauthenticated> {
        self.read(token).ok_or(Unauthenticated::InvalidToken)
    }

    fn read(&self, token: &str) -> Option<RefreshClaims> {
        if token.len() != PREFIX.len() + ID + NUMBER + TAG {
            return None;
        }
        let (signed, tag) = token.split_at_checked(token.len() - TAG)?;
        // In constant time. Whatever it accepts, this server has written.
        hmac::verify(&self.key, signed.as_bytes(), &bytes_of_hex(tag)?).ok()?;
        let (session, number) = signed.strip_prefix(PREFIX)?.split_at_checked(ID)?;
        let session = SessionId::parse("refresh_token", session).ok()?;
        Some(RefreshClaims { session, generation: Generation(i64::from_str_radix(number, 16).ok()?) })
    }
}

/// Appends the bytes in lower-case hexadecimal digits.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
}

/// The bytes of lower-case hexadecimal digits: a token has one spelling.
pub fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? << 4) | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn claims(session: u128, generation: i64) -> RefreshClaims {
        RefreshClaims { session: SessionId(Uuid::from_u128(session)), generation: Generation(generation) }
    }

    #[test]
    fn what_is_issued_verifies_and_is_always_the_same() {
        let tokens = RefreshTokens::new(SECRET);
        for claims in [claims(1, 1), claims(u128::MAX, i64::MAX), claims(1, 2)] {
            let token = tokens.issue(claims);
            assert!(
                token.starts_with("plr_")
                    && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            );
            assert_eq!(tokens.verify(&token), Ok(claims));
            assert_eq!(RefreshTokens::new(SECRET).issue(claims), token);
        }
        assert_ne!(tokens.issue(claims(1, 1)), tokens.issue(claims(1, 2)));
        assert_ne!(tokens.issue(claims(1, 1)), tokens.issue(claims(2, 1)));
    }

    #[test]
    fn nothing_else_verifies() {
        let tokens = RefreshTokens::new(SECRET);
        let good = tokens.issue(claims(1, 1));
        assert!(RefreshTokens::new(b"another secret of thirty-two byte").verify(&good).is_err());
        for at in 0..good.len() {
            let other = if &good[at..=at] == "0" { "1" } else { "0" };
            assert!(tokens.verify(&format!("{}{other}{}", &good[..at], &good[at + 1..])).is_err(), "{at}");
        }
        let head = &good[..good.len() - TAG];
        for other in [
            "",
            "plr_",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace('_', "é"),
        ] {
            assert!(tokens.verify(other).is_err(), "{other}");
        }
        // With the secret itself in the place of the derived key.
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), head.as_bytes());
        let mut forged = head.to_owned();
        push_hex(&mut forged, tag.as_ref());
        assert!(tokens.verify(&forged).is_err());
    }
}
