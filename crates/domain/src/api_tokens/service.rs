//! Making, listing and ending one's tokens.

use super::model::{ApiToken, TokenName};
use super::ports::ApiTokenRepository;
use crate::access::Scopes;
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::{NotFound, Result};
use crate::ids::SessionId;
use crate::sessions::TokenService;
use std::sync::Arc;

/// A wish for a token.
#[derive(Debug, Clone)]
pub struct TokenWish {
    /// What its user calls it.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: Scopes,
    /// Seconds until it expires.
    pub expires_in: Option<u64>,
}

/// A token that was made, and its text, which nobody can find out later.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: ApiToken,
    /// What a program sends.
    pub text: String,
}

/// Makes, lists and ends tokens of programs.
pub struct ApiTokenService {
    /// Stores tokens.
    pub tokens: Arc<dyn ApiTokenRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of tokens.
    pub ids: Arc<dyn IdGenerator>,
}

impl ApiTokenService {
    /// Makes a token of the caller, with a secret from `secrets`.
    ///
    /// # Errors
    /// Those of [`ApiToken::expiry`] and of [`ApiTokenRepository::create`].
    pub async fn create(&self, caller: &Caller, wish: TokenWish, secrets: &dyn TokenService) -> Result<Issued> {
        let now = self.clock.now();
        let expires_at = wish.expires_in.map(|seconds| ApiToken::expiry(now, seconds)).transpose()?;
        let id = SessionId(self.ids.next());
        let secret = secrets.issue_api_token(id)?;
        let (name, scopes) = (wish.name, wish.scopes);
        let token = ApiToken { id, name, scopes, created_at: now, expires_at, last_used_at: None };
        self.tokens.create(caller.user, token.clone(), secret.hash).await?;
        Ok(Issued { token, text: secret.text })
    }

    /// The caller's tokens that are good for something, the last made first.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<ApiToken>> {
        self.tokens.list(caller.user, self.clock.now()).await
    }

    /// Ends a token of the caller.
    ///
    /// # Errors
    /// [`NotFound::Token`], also for a token of another user.
    pub async fn end(&self, caller: &Caller, token: SessionId) -> Result<()> {
        match self.tokens.end(caller.user, token, self.clock.now()).await? {
            true => Ok(()),
            false => NotFound::Token.err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_tokens::MockApiTokenRepository;
    use crate::error::Error;
    use crate::sessions::{MockTokenService, NewSecret, SecretHash};
    use crate::testing::{CountedIds, StoppedClock, at, caller, outcome, user};
    use uuid::Uuid;

    fn over(tokens: MockApiTokenRepository) -> ApiTokenService {
        let (clock, ids) = (Arc::new(StoppedClock(7)), Arc::new(CountedIds::default()));
        ApiTokenService { tokens: Arc::new(tokens), clock, ids }
    }

    fn wish(expires_in: Option<u64>) -> TokenWish {
        TokenWish { name: TokenName::parse("ci").unwrap(), scopes: Scopes::ALL, expires_in }
    }

    #[test]
    fn the_hash_is_stored_and_the_text_is_answered() {
        let mut secrets = MockTokenService::new();
        secrets
            .expect_issue_api_token()
            .once()
            .withf(|id| id.0 == Uuid::from_u128(1))
            .returning(|_| Ok(NewSecret { text: "plt_1".to_owned(), hash: SecretHash([9; 32]) }));
        let mut tokens = MockApiTokenRepository::new();
        tokens
            .expect_create()
            .once()
            .withf(|of, token, hash| {
                let times = (token.created_at, token.expires_at, token.last_used_at);
                *of == user(1) && *hash == SecretHash([9; 32]) && times == (at(7), Some(at(60_000_007)), None)
            })
            .returning(|_, _, _| Ok(()));
        let made = outcome(over(tokens).create(&caller(1), wish(Some(60)), &secrets)).unwrap();
        assert_eq!((made.text.as_str(), made.token.name.as_str()), ("plt_1", "ci"));
    }

    #[test]
    fn nothing_is_made_that_has_expired() {
        let refused =
            outcome(over(MockApiTokenRepository::new()).create(&caller(1), wish(Some(0)), &MockTokenService::new()));
        assert_eq!(refused.unwrap_err().field(), Some("expires_in"));
    }

    #[test]
    fn one_lists_and_ends_ones_own() {
        let id = SessionId(Uuid::from_u128(5));
        for known in [true, false] {
            let mut tokens = MockApiTokenRepository::new();
            tokens.expect_list().withf(|of, now| (*of, *now) == (user(1), at(7))).returning(|_, _| Ok(Vec::new()));
            tokens
                .expect_end()
                .once()
                .withf(move |of, token, when| (*of, *token, *when) == (user(1), id, at(7)))
                .returning(move |_, _, _| Ok(known));
            let service = over(tokens);
            assert!(outcome(service.list(&caller(1))).unwrap().is_empty());
            match outcome(service.end(&caller(1), id)) {
                Ok(()) => assert!(known),
                Err(error) => assert!(!known && matches!(error, Error::NotFound(NotFound::Token))),
            }
        }
    }
}
