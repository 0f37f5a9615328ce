//! Authenticating requests, renewing sessions, and listing and ending the caller's. `login` contains logging in.

use super::{LiveSession, PresentedToken, RefreshClaims, Renewed, Session, SessionRepository};
use crate::access::Access;
use crate::context::{Caller, Clock, IdGenerator, Timestamp};
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
        let live = self.sessions.live(session).await?;
        match live.filter(|live| live.user == user && live.token.is_none()) {
            Some(live) => self.admit(session, live).await,
            None => Unauthenticated::InvalidToken.err(),
        }
    }

    /// Finds out who sends a request with a token of a program. Also answers when the token expires, if it does.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidToken`] if there is no such token, its secret is another one, it has ended or expired,
    /// or its user is deleted.
    pub async fn authenticate_token(&self, presented: PresentedToken) -> Result<(Caller, Option<Timestamp>)> {
        let live = self.sessions.live(presented.session).await?;
        let Some(live) = live.filter(|live| live.token.is_some_and(|token| token.hash == presented.hash)) else {
            return Unauthenticated::InvalidToken.err();
        };
        let expires_at = live.token.and_then(|token| token.expires_at);
        Ok((self.admit(presented.session, live).await?, expires_at))
    }

    /// Checks whether a caller who was authenticated before still is, and notes the use.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidToken`] if the session has ended or expired.
    pub async fn check(&self, caller: &Caller) -> Result<()> {
        match self.sessions.live(caller.session).await?.filter(|live| live.user == caller.user) {
            Some(live) => self.admit(caller.session, live).await.map(drop),
            None => Unauthenticated::InvalidToken.err(),
        }
    }

    /// Lets the user of a session in, unless it has expired, and notes the use.
    async fn admit(&self, session: SessionId, live: LiveSession) -> Result<Caller> {
        let (user, now) = (live.user, self.clock.now());
        if live.token.and_then(|token| token.expires_at).is_some_and(|expires_at| expires_at <= now) {
            return Unauthenticated::InvalidToken.err();
        }
        if now.as_micros() - live.last_seen_at.as_micros() >= Session::TOUCH_SECONDS * 1_000_000 {
            self.sessions.touch(user, session, now).await?;
        }
        let access = live.token.map_or(Access::Login, |token| Access::Token(token.scopes));
        Ok(Caller { user, session, admin: self.policy.is_admin(&live.username, live.role), access })
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

    /// Lists the caller's logins that can still be used.
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
    use crate::access::Scopes;
    use crate::error::Error;
    use crate::sessions::{Generation, MockSessionRepository, SecretHash, TokenGrant};
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
            Ok(Some(LiveSession { user: user(1), username, role, last_seen_at: at(0), token: None }))
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

    /// A token of user 1 that expires at 9.
    fn token(scopes: Scopes) -> MockSessionRepository {
        let mut sessions = MockSessionRepository::new();
        sessions.expect_live().returning(move |_| {
            let username = Username::parse("username", "ada").unwrap();
            let token = Some(TokenGrant { hash: SecretHash([1; 32]), scopes, expires_at: Some(at(9)) });
            Ok(Some(LiveSession { user: user(1), username, role: UserRole::Member, last_seen_at: at(0), token }))
        });
        sessions
    }

    #[test]
    fn a_token_is_known_by_its_secret_until_it_expires() {
        let scopes = Scopes::parse(["read"]).unwrap();
        for (secret, now, good) in [(1, 8, true), (2, 8, false), (1, 9, false)] {
            let presented = PresentedToken { session: session(), hash: SecretHash([secret; 32]) };
            let known = outcome(over(token(scopes), now).authenticate_token(presented));
            let expected = Caller { access: Access::Token(scopes), ..caller(1) };
            match known {
                Ok(known) => assert!(good && known == (expected, Some(at(9)))),
                Err(error) => {
                    assert!(!good && matches!(error, Error::Unauthenticated(Unauthenticated::InvalidToken)))
                }
            }
            assert_eq!(outcome(over(token(scopes), now).check(&expected)).is_ok(), now < 9, "{now}");
        }
        // A login has no secret, and the claims of a login are no proof for a token.
        let presented = PresentedToken { session: session(), hash: SecretHash([1; 32]) };
        assert!(outcome(over(live("ada", UserRole::Member), 0).authenticate_token(presented)).is_err());
        assert!(outcome(over(token(scopes), 0).authenticate(session(), user(1))).is_err());
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
