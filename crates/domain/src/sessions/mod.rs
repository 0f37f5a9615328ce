//! Sessions: logins that can be listed and ended. A token stands for one; revocation is checked on every request.

use crate::context::{Caller, Timestamp};
use crate::error::{Invalid, NotFound, Result, Unauthenticated};
use crate::ids::{SessionId, UserId};
use crate::users::{ServerPolicy, UserRole, Username};
use async_trait::async_trait;
use std::sync::Arc;

/// What a client called itself at login, cut to 256 characters and cleared of controls: shown, never believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Of any text.
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
    /// The token's `sid`.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// When logged in.
    pub created_at: Timestamp,
    /// When last used, to about a minute.
    pub last_seen_at: Timestamp,
    /// The login's `User-Agent`.
    pub user_agent: Option<UserAgent>,
}

impl Session {
    /// How long a token, and with it the session, is good for, in seconds (`API.md`, Conventions).
    pub const LIFETIME_SECONDS: i64 = 86_400;
    /// How often the last use is written down at the most, in seconds.
    pub const TOUCH_SECONDS: i64 = 60;

    /// A session that begins now.
    pub fn begin(id: SessionId, user: UserId, user_agent: Option<UserAgent>, now: Timestamp) -> Self {
        Self { id, user, created_at: now, last_seen_at: now, user_agent }
    }
}

/// What authentication needs to know of a session, small enough to keep in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Whose.
    pub user: UserId,
    /// For [`ServerPolicy::is_admin`].
    pub username: Username,
    /// For [`ServerPolicy::is_admin`].
    pub role: UserRole,
    /// When last written down as used.
    pub last_seen_at: Timestamp,
}

/// Where sessions are kept.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// Stores a session.
    async fn create(&self, session: Session) -> Result<()>;

    /// The session, unless it was ended or its user deleted. Asked on every request, so that it MUST answer from memory
    /// once it knows a session, and MUST know of an end as soon as the call that ended it (of this port or of
    /// [`UserRepository`](crate::users::UserRepository)) returns.
    async fn live(&self, id: SessionId) -> Result<Option<LiveSession>>;

    /// The user's sessions that are not ended and began after `since`, newest first.
    async fn list(&self, user: UserId, since: Timestamp) -> Result<Vec<Session>>;

    /// Ends the user's session; `false` where the user has no such live session.
    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool>;

    /// Notes that the session was used; may be late or lost.
    async fn touch(&self, id: SessionId, at: Timestamp) -> Result<()>;
}

/// Finds out who sends a request.
pub struct Authenticate {
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionRepository>,
    /// Who is an admin.
    pub policy: Arc<ServerPolicy>,
    /// When.
    pub clock: Arc<dyn crate::Clock>,
}

impl Authenticate {
    /// By the claims of a token whose signature and expiry hold.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidToken`] where the session was ended, is not that user's, or the user is deleted.
    pub async fn execute(&self, session: SessionId, user: UserId) -> Result<Caller> {
        let live = self.sessions.live(session).await?.filter(|live| live.user == user);
        let Some(live) = live else { return Unauthenticated::InvalidToken.err() };
        let now = self.clock.now();
        if now.as_micros() - live.last_seen_at.as_micros() >= Session::TOUCH_SECONDS * 1_000_000 {
            self.sessions.touch(session, now).await?;
        }
        Ok(Caller { user, session, admin: self.policy.is_admin(&live.username, live.role) })
    }
}

/// Lists one's own logins.
pub struct ListSessions {
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionRepository>,
    /// When.
    pub clock: Arc<dyn crate::Clock>,
}

impl ListSessions {
    /// Those that still can be used.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn execute(&self, caller: &Caller) -> Result<Vec<Session>> {
        let oldest = self.clock.now().as_micros() - Session::LIFETIME_SECONDS * 1_000_000;
        let oldest =
            Timestamp::from_micros(oldest).ok_or_else(|| Invalid::new("since", "the clock is out of range"))?;
        self.sessions.list(caller.user, oldest).await
    }
}

/// Ends a login of one's own: this one (logging out) or another.
pub struct EndSession {
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionRepository>,
    /// When.
    pub clock: Arc<dyn crate::Clock>,
}

impl EndSession {
    /// # Errors
    /// [`NotFound::Session`], also for another user's.
    pub async fn execute(&self, caller: &Caller, session: SessionId) -> Result<()> {
        if self.sessions.end(caller.user, session, self.clock.now()).await? { Ok(()) } else { NotFound::Session.err() }
    }
}
