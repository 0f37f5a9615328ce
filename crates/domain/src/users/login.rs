//! Logging in.

use super::model::{Password, PasswordHash, User, Username};
use super::ports::{PasswordHasher, UserRepository};
use crate::context::{Clock, IdGenerator};
use crate::error::{Result, Unauthenticated};
use crate::ids::SessionId;
use crate::sessions::{Session, SessionRepository, UserAgent};
use std::sync::Arc;

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// What a token is to stand for.
    pub session: Session,
}

/// Somebody who has proven to be a user.
#[derive(Debug, Clone)]
pub struct Proven {
    user: User,
    /// What the password was proven by.
    hash: Option<PasswordHash>,
}

/// Proves to be a user and begins a session: two steps, so that the edge can refuse who knows the password, and only those.
pub struct LogIn {
    /// Where users are kept.
    pub users: Arc<dyn UserRepository>,
    /// Where sessions are kept.
    pub sessions: Arc<dyn SessionRepository>,
    /// Compares the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// The session's id.
    pub ids: Arc<dyn IdGenerator>,
}

impl LogIn {
    /// An unknown user costs the same as a wrong password: a hash is compared in any case.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidCredentials`] for whatever does not fit; [`Unavailable`](crate::Unavailable).
    pub async fn prove(&self, username: &str, password: &str) -> Result<Proven> {
        let credentials = match Username::parse("username", username) {
            Ok(name) => self.users.credentials_by_name(&name).await?,
            Err(_) => None,
        };
        // Who is disabled is nobody here.
        let credentials = credentials.filter(|found| found.user.disabled_at.is_none());
        let (user, hash) = credentials.map(|c| (c.user, c.password)).unzip();
        let hash = hash.flatten();
        // What could never have been set as a password proves nothing, but must not be faster to refuse.
        let (password, hash) = match Password::parse("password", password) {
            Ok(password) => (password, hash),
            Err(_) => (Password::parse("password", "a stand-in").map_err(crate::Error::from)?, None),
        };
        let (true, Some(user)) = (self.hasher.verify(password, hash.clone()).await?, user) else {
            return Unauthenticated::InvalidCredentials.err();
        };
        Ok(Proven { user, hash })
    }

    /// Begins a session of who has proven to be a user.
    ///
    /// # Errors
    /// Those of [`SessionRepository::create`].
    pub async fn begin(&self, proven: Proven, user_agent: Option<UserAgent>) -> Result<LoggedIn> {
        let Proven { user, hash } = proven;
        let session = Session::begin(SessionId(self.ids.next()), user.id, user_agent, self.clock.now());
        self.sessions.create(session.clone(), hash).await?;
        Ok(LoggedIn { user, session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Timestamp;
    use crate::error::{Error, Unavailable};
    use crate::sessions::MockSessionRepository;
    use crate::testing::{CountedIds, StoppedClock, account, at, outcome, user};
    use crate::users::{Credentials, MockPasswordHasher, MockUserRepository};

    fn hash() -> PasswordHash {
        PasswordHash("of ada".to_owned())
    }

    /// Ada (user 1) has a password, Bob (user 2) has none, Eve (user 3) is disabled, and nobody else is there.
    fn users() -> MockUserRepository {
        let mut users = MockUserRepository::new();
        users.expect_credentials_by_name().returning(|name| {
            Ok(match name.key().as_str() {
                "ada" => Some(Credentials { user: account(1, "ada"), password: Some(hash()) }),
                "bob" => Some(Credentials { user: account(2, "bob"), password: None }),
                "eve" => {
                    let user = User { disabled_at: Some(at(5)), ..account(3, "eve") };
                    Some(Credentials { user, password: Some(hash()) })
                }
                _ => None,
            })
        });
        users
    }

    fn log_in(hasher: MockPasswordHasher, sessions: MockSessionRepository) -> LogIn {
        LogIn {
            users: Arc::new(users()),
            sessions: Arc::new(sessions),
            hasher: Arc::new(hasher),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
        }
    }

    /// Both steps.
    fn run(log_in: &LogIn, name: &str, password: &str, agent: Option<UserAgent>) -> Result<LoggedIn> {
        outcome(async { log_in.begin(log_in.prove(name, password).await?, agent).await })
    }

    #[test]
    fn the_right_password_begins_a_session() {
        let mut hasher = MockPasswordHasher::new();
        hasher
            .expect_verify()
            .once()
            .withf(|password, against| password.expose() == "12345678" && *against == Some(hash()))
            .returning(|_, _| Ok(true));
        let mut sessions = MockSessionRepository::new();
        let agent = UserAgent::clean("tests");
        let begun = |session: &Session, proven: &Option<PasswordHash>| {
            let expected: (_, Timestamp, _) = (user(1), at(7), Some(UserAgent::clean("tests")));
            (session.user, session.created_at, session.user_agent.clone()) == expected && *proven == Some(hash())
        };
        sessions.expect_create().once().withf(begun).returning(|_, _| Ok(()));
        let login = run(&log_in(hasher, sessions), "ADA", "12345678", Some(agent)).unwrap();
        assert_eq!((login.user, login.session.user), (account(1, "ada"), user(1)));
    }

    #[test]
    fn whoever_it_is_one_hash_is_compared_and_the_answer_is_the_same() {
        for (name, password, against) in [
            ("ada", "wrong password", Some(hash())),
            ("bob", "12345678", None),
            ("nobody", "12345678", None),
            ("eve", "12345678", None),
            ("no name at all", "12345678", None),
            // What cannot be a password is not compared with Ada's hash, but costs the same.
            ("ada", "short", None),
            ("ada", "with\0nul", None),
            ("nobody", "", None),
        ] {
            let mut hasher = MockPasswordHasher::new();
            hasher.expect_verify().once().withf(move |_, given| *given == against).returning(|_, _| Ok(false));
            let mut sessions = MockSessionRepository::new();
            sessions.expect_create().never();
            let refused = run(&log_in(hasher, sessions), name, password, None).unwrap_err();
            assert!(matches!(refused, Error::Unauthenticated(Unauthenticated::InvalidCredentials)), "{name}");
        }
    }

    #[test]
    fn a_hash_that_matches_nobodys_lets_nobody_in() {
        // A careless hasher that says yes to the dummy.
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().returning(|_, _| Ok(true));
        let mut sessions = MockSessionRepository::new();
        sessions.expect_create().never();
        let log_in = log_in(hasher, sessions);
        for name in ["nobody", "eve"] {
            let refused = run(&log_in, name, "12345678", None).unwrap_err();
            assert!(matches!(refused, Error::Unauthenticated(_)), "{name}");
        }
    }

    #[test]
    fn a_busy_hasher_is_told_as_such() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().returning(|_, _| Unavailable::Overloaded.err());
        let refused = run(&log_in(hasher, MockSessionRepository::new()), "ada", "12345678", None);
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))));
    }
}
