//! Sessions: logins that users list and end. A token names its session, and the server looks the session up on every
//! request. A refresh token renews the token of its session, once: its answer carries the next refresh token.

mod login;
mod policy;
mod renewal;
mod service;

pub use login::{LoggedIn, Proven};
pub use policy::{OpenSession, surplus};
pub use renewal::{Generation, Redemption, RefreshClaims, RefreshState, Renewed, redeem};
pub use service::SessionService;

pub use crate::users::SessionLifetime;

use crate::access::Scopes;
use crate::context::{Clock, Timestamp};
use crate::error::{Result, Unauthenticated};
use crate::ids::{SessionId, UserId};
use crate::page::{Limit, Page};
use crate::users::{UserRole, Username};
use async_trait::async_trait;
use std::sync::Arc;

/// What a client called itself at login, cut to 256 characters, without control characters. Users see it; the server
/// does not rely on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Takes any text.
    pub fn clean(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control()).take(256).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The `sid` of the token.
    pub id: SessionId,
    /// The id of the user.
    pub user: UserId,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// When a request last used it, to about a minute.
    pub last_seen_at: Timestamp,
    /// The `User-Agent` header of the login.
    pub user_agent: Option<UserAgent>,
}

impl Session {
    /// How long a token is valid, in seconds (`docs/api.md`, Conventions). [`SessionLifetime`] says how long its
    /// session is.
    pub const TOKEN_SECONDS: i64 = 86_400;
    /// Seconds between two writes of the last use, at least.
    pub const TOUCH_SECONDS: i64 = 60;

    /// A session that begins at `at`.
    pub fn begin(id: SessionId, user: UserId, user_agent: Option<UserAgent>, now: Timestamp) -> Self {
        Self { id, user, created_at: now, last_seen_at: now, user_agent }
    }
}

/// What authentication needs to know of a session. Small enough to keep in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// The id of the user.
    pub user: UserId,
    /// For [`ServerPolicy::is_admin`](crate::users::ServerPolicy::is_admin).
    pub username: Username,
    /// For [`ServerPolicy::is_admin`](crate::users::ServerPolicy::is_admin).
    pub role: UserRole,
    /// The last use that the database has stored.
    pub last_seen_at: Timestamp,
    /// What a token of a program that it is was made for. `None` for a login.
    pub token: Option<TokenGrant>,
}

/// SHA-256 of the secret of a token of a program. The secret has 256 random bits, so that nobody finds it by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

/// How the server knows a token of a program, and what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenGrant {
    /// Whoever knows the secret has the token.
    pub hash: SecretHash,
    /// What it is good for.
    pub scopes: Scopes,
    /// The server refuses it from then on.
    pub expires_at: Option<Timestamp>,
}

/// The text of a new token, and what the database keeps of it.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// What a program sends.
    pub text: String,
    /// The hash of its secret.
    pub hash: SecretHash,
}

/// What a text says that has the form of a token of a program. Anybody can write one: only
/// [`SessionService::authenticate_token`] finds out whether it is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken {
    /// The session that it claims to be.
    pub session: SessionId,
    /// The hash of its secret.
    pub hash: SecretHash,
}

/// The claims of a token with a valid signature that has not expired. The session may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The id of the user.
    pub user: UserId,
    /// The session of the token.
    pub session: SessionId,
    /// The server refuses the token from then on.
    pub expires_at: Timestamp,
}

/// Signs and verifies the bearer tokens and the refresh tokens of sessions.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait TokenService: Send + Sync {
    /// A token for a session that has just begun or was just renewed. It MUST be valid for [`Session::TOKEN_SECONDS`]
    /// from the session's last use, and differ from every other token.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if it cannot sign.
    fn issue(&self, session: &Session, username: &Username) -> Result<String>;

    /// The claims of the token.
    ///
    /// # Errors
    /// MUST answer [`Unauthenticated::InvalidToken`] for a text that is no valid token of this service.
    fn verify(&self, token: &str) -> std::result::Result<VerifiedToken, Unauthenticated>;

    /// A new token of a program, which is this session: a text with the id and a random secret of 256 bits.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if there is no randomness.
    fn issue_api_token(&self, session: SessionId) -> Result<NewSecret>;

    /// What a text says that has the form of those that [`TokenService::issue_api_token`] makes. `None` for any other
    /// text.
    fn read_api_token(&self, token: &str) -> Option<PresentedToken>;

    /// The refresh token with these claims: always the same one for the same claims. Nothing that the database holds
    /// MUST suffice to make it.
    fn issue_refresh(&self, claims: RefreshClaims) -> String;

    /// The claims of a refresh token that this service issued. The token may be spent, and its session may have ended.
    ///
    /// # Errors
    /// MUST answer [`Unauthenticated::InvalidToken`] for any other text.
    fn verify_refresh(&self, token: &str) -> std::result::Result<RefreshClaims, Unauthenticated>;
}

/// Stores sessions.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Stores a session of a user whose password has the hash `proven`. In the same transaction it MUST end the
    /// [`surplus`] of the user's other sessions, so that at most [`Session::MAX`] remain. A use that
    /// [`SessionRepository::touch`] noted and that is not written yet MUST count.
    ///
    /// # Errors
    /// MUST answer [`Unauthenticated::InvalidCredentials`] if the user was disabled or deleted, or has another password
    /// by now, so that a login racing with account deletion or a password change cannot leave a live session.
    async fn create(&self, session: Session, proven: Option<crate::users::PasswordHash>) -> Result<()>;

    /// The session. `None` if it has ended or its user is disabled or deleted. The server asks on every request, so the
    /// adapter MUST answer from memory once it knows a session, and MUST know of an end as soon as the call that ended
    /// it (of this port or of [`UserRepository`](crate::users::UserRepository)) returns. Remembering a session
    /// MUST cost the same however many there are, and MUST NOT displace one in use.
    async fn live(&self, id: SessionId) -> Result<Option<LiveSession>>;

    /// Spends a refresh token of the user's session: does what [`redeem`] says, in the transaction that reads and locks
    /// the session, so that of several calls with one token exactly one MUST spend it. A renewal is a use of the
    /// session. If the session ends, [`SessionRepository::live`] MUST know before this answers.
    ///
    /// # Errors
    /// MUST answer [`Unauthenticated::InvalidToken`] if [`redeem`] refuses the token or ends the session, and if the
    /// user has no such session or it has ended.
    async fn renew(&self, user: UserId, spent: RefreshClaims, at: Timestamp) -> Result<Renewed>;

    /// The user's logins that have not ended and were used after `since`, the last to have begun first. With `after`:
    /// those behind that session, which may have ended.
    ///
    /// # Errors
    /// [`NotFound::Session`](crate::NotFound::Session) if `after` is no session of the user.
    async fn list(
        &self,
        user: UserId,
        since: Timestamp,
        after: Option<SessionId>,
        limit: Limit,
    ) -> Result<Page<Session>>;

    /// Ends the user's login. `false` if the user has no such login, or it has ended.
    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool>;

    /// Notes that the user used the session. The adapter may write it late or never, but knows it before the user's
    /// next request. [`SessionRepository::list`] MUST return it at once.
    async fn touch(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<()>;

    /// Forgets sessions that ended before `ended`, tokens of programs that expired before it, and logins that nobody
    /// has used since `unused`, which end by it: a small number in one transaction. Returns how many, 0 once there are
    /// no more. The time when their users were last seen MUST stay known.
    async fn forget(&self, ended: Timestamp, unused: Timestamp) -> Result<usize>;
}

/// Forgets the sessions that nobody can use any more.
pub struct ForgetSessions {
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// How long sessions last without use.
    pub lifetime: SessionLifetime,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl ForgetSessions {
    /// One step after the other, so that whoever writes meanwhile waits for one small step at the most. Says how many
    /// it forgot.
    ///
    /// # Errors
    /// Faults of storage, and [`Unavailable`](crate::Unavailable) where it is busy: the next time goes on from there.
    pub async fn run(&self) -> Result<usize> {
        let now = self.clock.now();
        let (ended, unused) = (policy::oldest_remembered_end(now)?, self.lifetime.oldest_remembered(now)?);
        let mut forgotten = 0;
        loop {
            match self.sessions.forget(ended, unused).await? {
                0 => return Ok(forgotten),
                some => forgotten += some,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{StoppedClock, at, outcome};

    #[test]
    fn sessions_are_forgotten_until_none_is_too_old() {
        let day = 86_400_000_000;
        let mut sessions = MockSessionRepository::new();
        let mut steps = vec![0, 3, 500];
        sessions
            .expect_forget()
            .times(3)
            .withf(move |ended, unused| (*ended, *unused) == (at(97 * day + 7), at(92 * day + 7)))
            .returning(move |_, _| Ok(steps.pop().unwrap()));
        let forget = ForgetSessions {
            sessions: Arc::new(sessions),
            lifetime: SessionLifetime::of_days(6).unwrap(),
            clock: Arc::new(StoppedClock(99 * day + 7)),
        };
        assert_eq!(outcome(forget.run()).unwrap(), 503);
    }

    #[test]
    fn a_user_agent_is_short_and_plain() {
        let agent = UserAgent::clean(&format!("a\u{1b}[31m\r\n{}", "é".repeat(300)));
        assert_eq!(agent.as_str().chars().count(), 256);
        assert!(agent.as_str().starts_with("a[31mé"));
    }
}
