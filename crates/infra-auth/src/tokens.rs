//! Bearer tokens: JWTs signed with HS256. A token is valid for 24 hours, and at most as long as its session. `refresh`
//! has the tokens that renew it, `programs` those of programs.

mod programs;
mod refresh;
mod signing;

use domain::sessions::{NewSecret, PresentedToken, RefreshClaims, Session, TokenService, VerifiedToken};
use domain::users::Username;
use domain::{SessionId, Timestamp, Unauthenticated, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use refresh::{RefreshTokens, push_hex};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

/// How far the clocks of two nodes may differ, in seconds.
const LEEWAY_SECONDS: u64 = 5;

/// The claims of a token (`docs/api.md`, Conventions).
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    username: String,
    sid: String,
    iat: i64,
    exp: i64,
    /// Random, so that no two tokens are the same. Tokens of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

/// Signs and verifies tokens.
pub struct JwtTokens {
    sign: EncodingKey,
    verify: DecodingKey,
    validation: Validation,
    refresh: RefreshTokens,
    random: SystemRandom,
}

impl JwtTokens {
    /// Uses this secret, which should have 32 bytes or more (RFC 7518, 3.2).
    pub fn new(secret: &[u8]) -> Self {
        signing::prepare();
        // Accepts HS256 only: a token must not choose the algorithm that verifies it.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self {
            sign: EncodingKey::from_secret(secret),
            verify: DecodingKey::from_secret(secret),
            validation,
            refresh: RefreshTokens::new(secret),
            random: SystemRandom::new(),
        }
    }
}

impl TokenService for JwtTokens {
    fn issue(&self, session: &Session, username: &Username) -> domain::Result<String> {
        let iat = session.last_seen_at.as_micros().div_euclid(1_000_000);
        let mut random = [0; 8];
        self.random.fill(&mut random).map_err(|_| domain::Error::internal("the system has no random numbers"))?;
        let mut jti = String::new();
        push_hex(&mut jti, &random);
        let claims = Claims {
            sub: session.user.to_string(),
            username: username.to_string(),
            sid: session.id.to_string(),
            iat,
            exp: iat + Session::TOKEN_SECONDS,
            jti: Some(jti),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(domain::Error::internal)
    }

    fn verify(&self, token: &str) -> Result<VerifiedToken, Unauthenticated> {
        let invalid = |_| Unauthenticated::InvalidToken;
        let claims = decode::<Claims>(token, &self.verify, &self.validation).map_err(invalid)?.claims;
        Ok(VerifiedToken {
            user: UserId::parse("sub", &claims.sub).map_err(|_| Unauthenticated::InvalidToken)?,
            session: SessionId::parse("sid", &claims.sid).map_err(|_| Unauthenticated::InvalidToken)?,
            expires_at: claims
                .exp
                .checked_mul(1_000_000)
                .and_then(Timestamp::from_micros)
                .ok_or(Unauthenticated::InvalidToken)?,
        })
    }

    fn issue_api_token(&self, session: SessionId) -> domain::Result<NewSecret> {
        programs::issue(session, &self.random)
    }

    fn read_api_token(&self, token: &str) -> Option<PresentedToken> {
        programs::read(token)
    }

    fn issue_refresh(&self, claims: RefreshClaims) -> String {
        self.refresh.issue(claims)
    }

    fn verify_refresh(&self, token: &str) -> Result<RefreshClaims, Unauthenticated> {
        self.refresh.verify(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::sessions::Generation;
    use domain::{Clock as _, Timestamp};
    use serde_json::{Value, json};
    use test_support::SystemClock;
    use uuid::Uuid;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const USER: UserId = UserId(Uuid::from_u128(1));
    const SESSION: SessionId = SessionId(Uuid::from_u128(2));

    fn now() -> i64 {
        SystemClock.now().as_micros() / 1_000_000
    }

    fn issued(secret: &[u8], seconds_ago: i64) -> String {
        let begun = Timestamp::from_micros((now() - seconds_ago) * 1_000_000).unwrap();
        let session = Session::begin(SESSION, USER, None, begun);
        JwtTokens::new(secret).issue(&session, &Username::parse("username", "alice").unwrap()).unwrap()
    }

    /// A token with arbitrary claims, signed with the right secret.
    fn forged(algorithm: Algorithm, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn claims() -> Value {
        json!({ "sub": USER.to_string(), "username": "alice", "sid": SESSION.to_string(), "iat": now(), "exp": now() + 60 })
    }

    #[test]
    fn what_is_issued_verifies_for_a_day() {
        let tokens = JwtTokens::new(SECRET);
        let whose = |token: &str| tokens.verify(token).map(|verified| (verified.user, verified.session));
        assert_eq!(whose(&issued(SECRET, 0)), Ok((USER, SESSION)));
        assert_eq!(whose(&issued(SECRET, 86_390)), Ok((USER, SESSION)));
        assert_eq!(whose(&forged(Algorithm::HS256, &claims())), Ok((USER, SESSION)));
        let expires_at = tokens.verify(&issued(SECRET, 86_390)).unwrap().expires_at.as_micros() / 1_000_000;
        assert!((9..=11).contains(&(expires_at - now())));
        // The session has ended 6 s ago: past the leeway.
        assert!(tokens.verify(&issued(SECRET, 86_406)).is_err());
    }

    #[test]
    fn no_two_tokens_of_a_session_are_the_same_and_a_renewed_one_counts_from_its_last_use() {
        assert_ne!(issued(SECRET, 0), issued(SECRET, 0));
        let at = |seconds| Timestamp::from_micros((now() - seconds) * 1_000_000).unwrap();
        let session = Session { last_seen_at: at(0), ..Session::begin(SESSION, USER, None, at(900_000)) };
        let tokens = JwtTokens::new(SECRET);
        let token = tokens.issue(&session, &Username::parse("username", "alice").unwrap()).unwrap();
        assert!(tokens.verify(&token).is_ok());
        // Each kind of token serves its own purpose only.
        assert!(tokens.verify_refresh(&token).is_err());
        let claims = RefreshClaims { session: SESSION, generation: Generation::FIRST };
        assert!(tokens.verify(&tokens.issue_refresh(claims)).is_err());
        assert_eq!(tokens.verify_refresh(&tokens.issue_refresh(claims)), Ok(claims));
    }

    #[test]
    fn other_secrets_and_algorithms_are_refused() {
        let tokens = JwtTokens::new(SECRET);
        assert!(tokens.verify(&issued(b"another secret of thirty-two byte", 0)).is_err());
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert!(tokens.verify(&forged(algorithm, &claims())).is_err());
        }
        let good = issued(SECRET, 0);
        let (head, signature) = good.rsplit_once('.').unwrap();
        let payload = head.split_once('.').unwrap().1;
        // {"alg":"none","typ":"JWT"}, in three spellings
        for none in ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOb25lIn0", "e30"] {
            for tail in ["", signature] {
                assert!(tokens.verify(&format!("{none}.{payload}.{tail}")).is_err());
            }
        }
        for broken in [head, &format!("{head}."), &format!("{good}x"), "", "..", "not.a.token", &good[1..]] {
            assert!(tokens.verify(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn every_claim_is_there_and_of_its_type() {
        let tokens = JwtTokens::new(SECRET);
        for claim in ["sub", "sid", "exp", "iat", "username"] {
            let mut less = claims();
            less.as_object_mut().unwrap().remove(claim);
            assert!(tokens.verify(&forged(Algorithm::HS256, &less)).is_err(), "without {claim}");
        }
        for (claim, value) in [
            ("exp", json!("9999999999")),
            ("exp", json!([9_999_999_999_i64])),
            ("exp", json!(null)),
            ("exp", json!(-1)),
            ("exp", json!(now() - 6)),
            ("sub", json!(["a"])),
            ("sub", json!("alice")),
            ("sub", json!(1)),
            ("sid", json!("")),
            ("sid", json!({})),
        ] {
            let mut other = claims();
            other[claim] = value.clone();
            assert!(tokens.verify(&forged(Algorithm::HS256, &other)).is_err(), "{claim} {value}");
        }
    }
}
