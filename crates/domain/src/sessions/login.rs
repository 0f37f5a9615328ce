//! Logging in.

use super::{Session, SessionRepository, UserAgent};
use crate::context::{Clock, IdGenerator};
use crate::error::{Result, Unauthenticated};
use crate::ids::SessionId;
use crate::users::{PasswordHash, PasswordHasher, TypedPassword, User, UserRepository, Username, Verdict};
use std::sync::Arc;

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The id of the user.
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
    /// The password, where the hash was not made of its normal form.
    rehash: Option<TypedPassword>,
}

/// Proves to be a user and begins a session: two steps, so that the edge can refuse who knows the password, and only
/// those.
pub struct LogIn {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Stores sessions.
    pub sessions: Arc<dyn SessionRepository>,
    /// Compares the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Dates what is done.
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
        let credentials = match Username::looked_up("username", username) {
            Ok(name) => self.users.credentials_by_name(&name).await?,
            Err(_) => None,
        };
        // Who is disabled is nobody here.
        let credentials = credentials.filter(|found| found.user.disabled_at.is_none());
        let (user, hash) = credentials.map(|c| (c.user, c.password)).unzip();
        let hash = hash.flatten();
        let typed = TypedPassword::of(password);
        let verdict = self.hasher.verify(typed.clone(), hash.clone()).await?;
        let (Verdict::Right | Verdict::RightAsTyped, Some(user)) = (verdict, user) else {
            return Unauthenticated::InvalidCredentials.err();
        };
        let rehash = Some(typed).filter(|_| verdict == Verdict::RightAsTyped);
        Ok(Proven { user, hash, rehash })
    }

    /// Begins a session of who has proven to be a user.
    ///
    /// # Errors
    /// Those of [`SessionRepository::create`].
    pub async fn begin(&self, proven: Proven, user_agent: Option<UserAgent>) -> Result<LoggedIn> {
        let Proven { user, hash, rehash } = proven;
        let session = Session::begin(SessionId(self.ids.next()), user.id, user_agent, self.clock.now());
        self.sessions.create(session.clone(), hash.clone()).await?;
        if let (Some(old), Some(password)) = (hash, rehash.and_then(|typed| typed.to_set())) {
            // From now on any keyboard will do. Where it cannot be now, the next login does it: no reason to refuse
            // this one.
            if let Ok(new) = self.hasher.hash(password).await {
                let _ = self.users.rehash(user.id, old, new).await;
            }
        }
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
            .withf(|typed, against| *typed == TypedPassword::of("12345678") && *against == Some(hash()))
            .returning(|_, _| Ok(Verdict::Right));
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
            // What cannot be a password costs the same.
            ("ada", "short", Some(hash())),
            ("ada", "with\0nul", Some(hash())),
            ("nobody", "", None),
        ] {
            let mut hasher = MockPasswordHasher::new();
            hasher
                .expect_verify()
                .once()
                .withf(move |typed, given| *typed == TypedPassword::of(password) && *given == against)
                .returning(|_, _| Ok(Verdict::Wrong));
            let mut sessions = MockSessionRepository::new();
            sessions.expect_create().never();
            let refused = run(&log_in(hasher, sessions), name, password, None).unwrap_err();
            assert!(matches!(refused, Error::Unauthenticated(Unauthenticated::InvalidCredentials)), "{name}");
        }
    }

    #[test]
    fn a_hash_of_the_bytes_as_typed_is_replaced_by_one_of_the_normal_form() {
        let typed = "pa\u{308}ssword";
        // The second could not be set today; the third finds the hasher busy.
        for (typed, verdict, hashed, kept) in [
            (typed, Verdict::RightAsTyped, true, true),
            ("e\u{301}e\u{301}e\u{301}e\u{301}", Verdict::RightAsTyped, false, false),
            (typed, Verdict::RightAsTyped, true, false),
            (typed, Verdict::Right, false, false),
            ("12345678", Verdict::Right, false, false),
        ] {
            let mut hasher = MockPasswordHasher::new();
            hasher.expect_verify().once().returning(move |_, _| Ok(verdict));
            hasher.expect_hash().times(usize::from(hashed)).returning(move |password| {
                assert_eq!(password.expose(), "pässword");
                if kept { Ok(PasswordHash("new".to_owned())) } else { Unavailable::Overloaded.err() }
            });
            let mut sessions = MockSessionRepository::new();
            sessions.expect_create().once().withf(|_, proven| *proven == Some(hash())).returning(|_, _| Ok(()));
            let mut users = users();
            let new = |id: &crate::UserId, old: &PasswordHash, new: &PasswordHash| {
                (*id, old, new) == (user(1), &hash(), &PasswordHash("new".to_owned()))
            };
            // That it fails is no reason to refuse the login.
            let fault = |_, _, _| Unavailable::Overloaded.err();
            users.expect_rehash().times(usize::from(kept)).withf(new).returning(fault);
            let log_in = LogIn { users: Arc::new(users), ..log_in(hasher, sessions) };
            run(&log_in, "ada", typed, None).unwrap();
        }
    }

    #[test]
    fn a_hash_that_matches_nobodys_lets_nobody_in() {
        // A careless hasher that says yes to the dummy.
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().returning(|_, _| Ok(Verdict::Right));
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
