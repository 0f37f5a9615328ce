//! The port that stores tokens of programs.

use super::model::ApiToken;
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{SessionId, UserId};
use crate::sessions::SecretHash;
use async_trait::async_trait;

/// Stores tokens of programs. [`SessionRepository::live`](crate::sessions::SessionRepository::live) MUST know a token
/// as it knows a session, with its [`TokenGrant`](crate::sessions::TokenGrant), and of its end as soon.
///
/// A token is in no list of sessions, does not count among them, and does not end because nobody uses it. It ends with
/// the account, when an admin disables it, and with a change of its user's password, in the same transaction.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ApiTokenRepository: Send + Sync {
    /// Stores a token of the user, which has this hash.
    ///
    /// # Errors
    /// MUST answer [`Unauthenticated::InvalidToken`](crate::Unauthenticated::InvalidToken) if the user was disabled or
    /// deleted, else [`Conflict::TooManyTokens`](crate::Conflict::TooManyTokens) if the user has [`ApiToken::MAX`]
    /// tokens that have not ended or expired. Of several concurrent calls as many MUST succeed as there is room for.
    async fn create(&self, user: UserId, token: ApiToken, hash: SecretHash) -> Result<()>;

    /// The user's tokens that have neither ended nor expired by `now`, the last made first. A use that
    /// [`SessionRepository::touch`](crate::sessions::SessionRepository::touch) noted MUST show at once.
    async fn list(&self, user: UserId, now: Timestamp) -> Result<Vec<ApiToken>>;

    /// Ends the user's token. `false` if the user has no such token, or it has ended or expired.
    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool>;
}
