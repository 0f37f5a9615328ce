//! Sessions: logins that users list and end. A token names its session, and the server looks the session up on every
//! request.

mod login;
mod policy;

pub use login::{LogIn, LoggedIn, Proven};
pub use policy::{OpenSession, oldest_remembered, oldest_usable, surplus};

use crate::context::{Caller, Timestamp};
use crate::error::{NotFound, Result, Unauthenticated};
use crate::ids::{SessionId, UserId};
use crate::page::{Limit, Page};
use crate::users::{ServerPolicy, UserRole, Username};
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
    /// How long a token and its session are valid, in seconds (`docs/api.md`, Conventions).
    pub const LIFETIME_SECONDS: i64 = 86_400;
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
    /// For [`ServerPolicy::is_admin`].
    pub username: Username,
    /// For [`ServerPolicy::is_admin`].
    pub role: UserRole,
    /// The last use that the database has stored.
    pub last_seen_at: Timestamp,
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

/// Signs and verifies the bearer tokens of sessions.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait TokenService: Send + Sync {
    /// A token for a session that has just begun. It MUST be valid for [`Session::LIFETIME_SECONDS`] from then.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if it cannot sign.
    fn issue(&self, session: &Session, username: &Username) -> Result<String>;

    /// The claims of the token.
    ///
    /// # Errors
    /// MUST answer [`Unauthenticated::InvalidToken`] for a text that is no valid token of this service.
    fn verify(&self, token: &str) -> std::result::Result<VerifiedToken, Unauthenticated>;
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

    /// The user's sessions that have not ended and began after `since`, newest first. With `after`: those behind that
    /// session, which may have ended.
    ///
    /// # Errors
    /// [`NotFound::Session`] if `after` is no session of the user.
    async fn list(
        &self,
        user: UserId,
        since: Timestamp,
        after: Option<SessionId>,
        limit: Limit,
    ) -> Result<Page<Session>>;

    /// Ends the user's session. `false` if the user has no such session, or it has ended.
    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool>;

    /// Notes that the user used the session. The adapter may write it late or never, but knows it before the user's
    /// next request. [`SessionRepository::list`] MUST return it at once.
    async fn touch(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<()>;

    /// Forgets sessions that began before that moment, ended or not: a small number in one transaction. Returns how
    /// many, 0 once there are no more. A session that had not ended ends. The time when its user was last seen MUST
    /// stay known.
    async fn forget(&self, before: Timestamp) -> Result<usize>;
}

/// Finds out who sends a request.
pub struct Authenticate {
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Says who is an admin.
    pub policy: Arc<ServerPolicy>,
    /// Dates what is done.
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
            self.sessions.touch(user, session, now).await?;
        }
        Ok(Caller { user, session, admin: self.policy.is_admin(&live.username, live.role) })
    }
}

/// Lists one's own logins.
pub struct ListSessions {
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn crate::Clock>,
}

impl ListSessions {
    /// Those that still can be used.
    ///
    /// # Errors
    /// Those of [`SessionRepository::list`].
    pub async fn execute(&self, caller: &Caller, after: Option<SessionId>, limit: Limit) -> Result<Page<Session>> {
        let oldest = oldest_usable(self.clock.now())?;
        self.sessions.list(caller.user, oldest, after, limit).await
    }
}

/// Ends a login of one's own: this one (logging out) or another.
pub struct EndSession {
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn crate::Clock>,
}

impl EndSession {
    /// # Errors
    /// [`NotFound::Session`], also for another user's.
    pub async fn execute(&self, caller: &Caller, session: SessionId) -> Result<()> {
        match self.sessions.end(caller.user, session, self.clock.now()).await? {
            true => Ok(()),
            // The session has ended since the server authenticated the request.
            false if session == caller.session => Unauthenticated::InvalidToken.err(),
            false => NotFound::Session.err(),
        }
    }
}

/// Forgets the sessions that nobody can use any more.
pub struct ForgetSessions {
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn crate::Clock>,
}

impl ForgetSessions {
    /// One step after the other, so that whoever writes meanwhile waits for one small step at the most. Says how many
    /// it forgot.
    ///
    /// # Errors
    /// Faults of storage, and [`Unavailable`](crate::Unavailable) where it is busy: the next time goes on from there.
    pub async fn execute(&self) -> Result<usize> {
        let before = oldest_remembered(self.clock.now())?;
        let mut forgotten = 0;
        loop {
            match self.sessions.forget(before).await? {
                0 => return Ok(forgotten),
                some => forgotten += some,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::testing::{StoppedClock, at, caller, outcome, user};
    use crate::users::AdminNames;

    const MINUTE: i64 = Session::TOUCH_SECONDS * 1_000_000;

    fn session() -> SessionId {
        caller(1).session
    }

    fn authenticate(sessions: MockSessionRepository, now: i64) -> Authenticate {
        let admins = AdminNames::parse(["Boss"]).unwrap();
        Authenticate {
            sessions: Arc::new(sessions),
            policy: Arc::new(ServerPolicy { admins, ..ServerPolicy::default() }),
            clock: Arc::new(StoppedClock(now)),
        }
    }

    /// The session of user 1, last used at 0.
    fn live(name: &'static str, role: UserRole) -> MockSessionRepository {
        let mut sessions = MockSessionRepository::new();
        sessions.expect_live().returning(move |_| {
            let username = Username::parse("username", name).unwrap();
            Ok(Some(LiveSession { user: user(1), username, role, last_seen_at: at(0) }))
        });
        sessions
    }

    #[test]
    fn the_caller_is_the_sessions_user_and_an_admin_by_name_or_role() {
        for (name, role, admin) in
            [("ada", UserRole::Member, false), ("BOSS", UserRole::Member, true), ("ada", UserRole::Admin, true)]
        {
            let known = outcome(authenticate(live(name, role), 0).execute(session(), user(1))).unwrap();
            assert_eq!(known, Caller { admin, ..caller(1) });
        }
    }

    #[test]
    fn an_ended_session_and_another_users_are_no_proof() {
        let mut ended = MockSessionRepository::new();
        ended.expect_live().returning(|_| Ok(None));
        for (sessions, claimed) in [(ended, user(1)), (live("ada", UserRole::Member), user(2))] {
            let refused = outcome(authenticate(sessions, MINUTE).execute(session(), claimed));
            assert!(matches!(refused, Err(Error::Unauthenticated(Unauthenticated::InvalidToken))));
        }
    }

    #[test]
    fn a_use_is_written_down_once_a_minute() {
        // Before the last use the clock has jumped back: not written down either.
        for (now, written) in [(-MINUTE, 0), (0, 0), (MINUTE - 1, 0), (MINUTE, 1), (5 * MINUTE, 1)] {
            let mut sessions = live("ada", UserRole::Member);
            sessions
                .expect_touch()
                .times(written)
                .withf(move |of, id, when| (*of, *id, *when) == (user(1), session(), at(now)))
                .returning(|_, _, _| Ok(()));
            outcome(authenticate(sessions, now).execute(session(), user(1))).unwrap();
        }
    }

    #[test]
    fn sessions_are_listed_as_long_as_their_tokens_are_good() {
        let day = Session::LIFETIME_SECONDS * 1_000_000;
        let mut sessions = MockSessionRepository::new();
        sessions
            .expect_list()
            .once()
            .withf(|of, since, after, limit| (*of, *since, *after, limit.get()) == (user(1), at(7), Some(session()), 3))
            .returning(|of, since, _, _| {
                Ok(Page { items: vec![Session::begin(SessionId(uuid::Uuid::nil()), of, None, since)], more: true })
            });
        let list = ListSessions { sessions: Arc::new(sessions), clock: Arc::new(StoppedClock(day + 7)) };
        let three = Limit::of_list(Some(3)).unwrap();
        let page = outcome(list.execute(&caller(1), Some(session()), three)).unwrap();
        assert_eq!((page.items.len(), page.more), (1, true));
    }

    #[test]
    fn one_ends_only_ones_own_sessions() {
        let another = SessionId(uuid::Uuid::from_u128(77));
        for (session, ended) in [(session(), true), (session(), false), (another, true), (another, false)] {
            let mut sessions = MockSessionRepository::new();
            sessions
                .expect_end()
                .once()
                .withf(move |of, id, when| (*of, *id, *when) == (user(1), session, at(7)))
                .returning(move |_, _, _| Ok(ended));
            let end = EndSession { sessions: Arc::new(sessions), clock: Arc::new(StoppedClock(7)) };
            match outcome(end.execute(&caller(1), session)) {
                Ok(()) => assert!(ended),
                // One's own has ended since it let one in.
                Err(Error::Unauthenticated(Unauthenticated::InvalidToken)) => assert!(!ended && session != another),
                Err(error) => {
                    assert!(!ended && session == another && matches!(error, Error::NotFound(NotFound::Session)))
                }
            }
        }
    }

    #[test]
    fn sessions_are_forgotten_until_none_is_too_old() {
        let day = Session::LIFETIME_SECONDS * 1_000_000;
        let mut sessions = MockSessionRepository::new();
        let mut steps = vec![0, 3, 500];
        sessions
            .expect_forget()
            .times(3)
            .withf(move |before| *before == at(7 * day + 7))
            .returning(move |_| Ok(steps.pop().unwrap()));
        let forget = ForgetSessions { sessions: Arc::new(sessions), clock: Arc::new(StoppedClock(9 * day + 7)) };
        assert_eq!(outcome(forget.execute()).unwrap(), 503);
    }

    #[test]
    fn a_user_agent_is_short_and_plain() {
        let agent = UserAgent::clean(&format!("a\u{1b}[31m\r\n{}", "é".repeat(300)));
        assert_eq!(agent.as_str().chars().count(), 256);
        assert!(agent.as_str().starts_with("a[31mé"));
    }
}
