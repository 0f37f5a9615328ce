//! Tokens of programs: `plt_`, the id of the session that the token is, and a random secret.
//!
//! The database holds the hash of the secret, so nothing in it, in a backup or in a log is good as a token. The prefix
//! lets scanners of leaked secrets find one.

use super::refresh::{bytes_of_hex, push_hex};
use domain::SessionId;
use domain::sessions::{NewSecret, PresentedToken, SecretHash};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

const PREFIX: &str = "plt_";
/// Digits of the id and of the secret.
const ID: usize = 32;
const SECRET: usize = 64;

/// A new token, which is this session.
pub fn issue(session: SessionId, random: &SystemRandom) -> domain::Result<NewSecret> {
    let mut secret = [0; SECRET / 2];
    random.fill(&mut secret).map_err(|_| domain::Error::internal("the system has no random numbers"))?;
    let mut text = PREFIX.to_owned();
    push_hex(&mut text, session.0.as_bytes());
    push_hex(&mut text, &secret);
    Ok(NewSecret { text, hash: hash(&secret) })
}

/// What a text says that has the form of a token.
pub fn read(token: &str) -> Option<PresentedToken> {
    let digits = token.strip_prefix(PREFIX).filter(|digits| digits.len() == ID + SECRET)?;
    let (id, secret) = digits.split_at_checked(ID)?;
    let id = Uuid::from_slice(&bytes_of_hex(id)?).ok()?;
    Some(PresentedToken { session: SessionId(id), hash: hash(&bytes_of_hex(secret)?) })
}

fn hash(secret: &[u8]) -> SecretHash {
    let mut hash = [0; 32];
    // A SHA-256 has as many bytes.
    hash.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
    SecretHash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));

    #[test]
    fn what_is_issued_reads_as_its_session_and_hash_and_is_never_the_same() {
        let random = SystemRandom::new();
        let (one, other) = (issue(SESSION, &random).unwrap(), issue(SESSION, &random).unwrap());
        assert!(one.text.starts_with("plt_01900000000070008000000000000001") && one.text.len() == 100);
        assert_eq!(read(&one.text), Some(PresentedToken { session: SESSION, hash: one.hash }));
        assert!(one.text != other.text && one.hash != other.hash);
        let mut hash = String::new();
        push_hex(&mut hash, &one.hash.0);
        assert!(!one.text.contains(&hash));
    }

    #[test]
    fn a_token_has_one_spelling() {
        let good = issue(SESSION, &SystemRandom::new()).unwrap().text;
        for other in [
            "",
            "plt_",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace("plt_", "plr_"),
            &format!("plt_{}", "é".repeat(48)),
            &format!("plt_{}", "g".repeat(96)),
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
