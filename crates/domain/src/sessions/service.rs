//! Authenticating requests, renewing sessions, and listing and ending the caller's. `login` contains logging in.

use super::{RefreshClaims, Renewed, Session, SessionRepository};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::{NotFound, Result, Unauthenticated};
use crate::ids::{SessionId, UserId};
use crate::page::{Limit, Page};
use crate::users::{PasswordHasher, ServerPolicy, UserRepository};
use std::sync::Arc;

/// Begins, authenticates, renews, lists and ends sessions.
pub struct SessionService {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Compares and hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Says who is an admin.
    pub policy: Arc<ServerPolicy>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of sessions.
    pub ids: Arc<dyn IdGenerator>,
}

impl SessionService {
    /// Finds out who sends a request, by the claims of a token whose signature and expiry hold.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidToken`] if the session has ended or belongs to another user, or the user is deleted.
    pub async fn authenticate(&self, session: SessionId, user: UserId) -> Result<Caller> {
        let live = self.sessions.live(session).await?.filter(|live| live.user == user);
        let Some(live) = live else { return Unauthenticated::InvalidToken.err() };
        let now = self.clock.now();
        if now.as_micros() - live.last_seen_at.as_micros() >= Session::TOUCH_SECONDS * 1_000_000 {
            self.sessions.touch(user, session, now).await?;
        }
        Ok(Caller { user, session, admin: self.policy.is_admin(&live.username, live.role) })
    }

    /// Spends a refresh token whose signature holds, and renews its session.
    ///
    /// # Errors
    /// Those of [`SessionRepository::renew`].
    pub async fn renew(&self, spent: RefreshClaims) -> Result<Renewed> {
        // Who comes again after the end costs no transaction.
        let Some(live) = self.sessions.live(spent.session).await? else { return Unauthenticated::InvalidToken.err() };
        self.sessions.renew(live.user, spent, self.clock.now()).await
    }

    /// Lists the caller's sessions that can still be used.
    ///
    /// # Errors
    /// Those of [`SessionRepository::list`].
    pub async fn list(&self, caller: &Caller, after: Option<SessionId>, limit: Limit) -> Result<Page<Session>> {
        let oldest = self.policy.sessions.oldest_usable(self.clock.now())?;
        self.sessions.list(caller.user, oldest, after, limit).await
    }

    /// Ends a session of the caller: the one of the request (logging out) or another.
    ///
    /// # Errors
    /// [`NotFound::Session`], also for a session of another user.
    pub async fn end(&self, caller: &Caller, session: SessionId) -> Result<()> {
        match self.sessions.end(caller.user, session, self.clock.now()).await? {
            true => Ok(()),
            // The session has ended since the server authenticated the request.
            false if session == caller.session => Unauthenticated::InvalidToken.err(),
            false => NotFound::Session.err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::sessions::{Generation, LiveSession, MockSessionRepository};
    use crate::testing::{StoppedClock, at, caller, outcome, session_service, user};
    use crate::users::{AdminNames, UserRole, Username};

    const MINUTE: i64 = Session::TOUCH_SECONDS * 1_000_000;

    fn session() -> SessionId {
        caller(1).session
    }

    /// Over these sessions, at that time, with an admin by name.
    fn over(sessions: MockSessionRepository, now: i64) -> SessionService {
        let policy = ServerPolicy { admins: AdminNames::parse(["Boss"]).unwrap(), ..ServerPolicy::default() };
        SessionService {
            sessions: Arc::new(sessions),
            policy: Arc::new(policy),
            clock: Arc::new(StoppedClock(now)),
            ..session_service()
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
            let known = outcome(over(live(name, role), 0).authenticate(session(), user(1))).unwrap();
            assert_eq!(known, Caller { admin, ..caller(1) });
        }
    }

    #[test]
    fn an_ended_session_and_another_users_are_no_proof() {
        let mut ended = MockSessionRepository::new();
        ended.expect_live().returning(|_| Ok(None));
        for (sessions, claimed) in [(ended, user(1)), (live("ada", UserRole::Member), user(2))] {
            let refused = outcome(over(sessions, MINUTE).authenticate(session(), claimed));
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
            outcome(over(sessions, now).authenticate(session(), user(1))).unwrap();
        }
    }

    #[test]
    fn sessions_are_listed_as_long_as_they_can_be_used() {
        let month = 30 * 86_400_000_000;
        let mut sessions = MockSessionRepository::new();
        sessions
            .expect_list()
            .once()
            .withf(|of, since, after, limit| (*of, *since, *after, limit.get()) == (user(1), at(7), Some(session()), 3))
            .returning(|of, since, _, _| {
                Ok(Page { items: vec![Session::begin(SessionId(uuid::Uuid::nil()), of, None, since)], more: true })
            });
        let three = Limit::of_list(Some(3)).unwrap();
        let page = outcome(over(sessions, month + 7).list(&caller(1), Some(session()), three)).unwrap();
        assert_eq!((page.items.len(), page.more), (1, true));
    }

    #[test]
    fn a_refresh_token_renews_its_session_and_no_ended_one() {
        let spent = RefreshClaims { session: session(), generation: Generation::FIRST };
        let renewed = |at| Renewed {
            session: Session::begin(session(), user(1), None, at),
            username: Username::parse("username", "ada").unwrap(),
            successor: Generation::FIRST.next(),
        };
        let mut sessions = live("ada", UserRole::Member);
        sessions
            .expect_renew()
            .once()
            .withf(move |of, claims, when| (*of, *claims, *when) == (user(1), spent, at(9)))
            .returning(move |_, _, at| Ok(renewed(at)));
        assert_eq!(outcome(over(sessions, 9).renew(spent)).unwrap(), renewed(at(9)));
        let mut ended = MockSessionRepository::new();
        ended.expect_live().returning(|_| Ok(None));
        ended.expect_renew().never();
        let refused = outcome(over(ended, 9).renew(spent));
        assert!(matches!(refused, Err(Error::Unauthenticated(Unauthenticated::InvalidToken))));
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
            match outcome(over(sessions, 7).end(&caller(1), session)) {
                Ok(()) => assert!(ended),
                // One's own has ended since it let one in.
                Err(Error::Unauthenticated(Unauthenticated::InvalidToken)) => assert!(!ended && session != another),
                Err(error) => {
                    assert!(!ended && session == another && matches!(error, Error::NotFound(NotFound::Session)))
                }
            }
        }
    }
}
