//! Logging in.

use super::service::SessionService;
use super::{Session, UserAgent};
use crate::error::{Result, Unauthenticated};
use crate::ids::SessionId;
use crate::users::{PasswordHash, TypedPassword, User, Username, Verdict};

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

/// Logging in has two steps, so that the edge can apply a limit only to clients that know the password.
impl SessionService {
    /// The first step: checks the password. An unknown user costs the same as a wrong password: the hasher compares a
    /// hash in any case.
    ///
    /// # Errors
    /// [`Unauthenticated::InvalidCredentials`] for whatever does not fit; [`Unavailable`](crate::Unavailable).
    pub async fn verify_password(&self, username: &str, password: &str) -> Result<Proven> {
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

    /// The second step: begins a session of the user who has proven the password.
    ///
    /// # Errors
    /// Those of [`SessionRepository::create`](super::SessionRepository::create).
    pub async fn log_in(&self, proven: Proven, user_agent: Option<UserAgent>) -> Result<LoggedIn> {
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
    use crate::testing::{account, at, outcome, session_service, user};
    use crate::users::{Credentials, MockPasswordHasher, MockUserRepository};
    use std::sync::Arc;

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

    fn over(hasher: MockPasswordHasher, sessions: MockSessionRepository) -> SessionService {
        SessionService {
            users: Arc::new(users()),
            sessions: Arc::new(sessions),
            hasher: Arc::new(hasher),
            ..session_service()
        }
    }

    /// Both steps.
    fn run(service: &SessionService, name: &str, password: &str, agent: Option<UserAgent>) -> Result<LoggedIn> {
        outcome(async { service.log_in(service.verify_password(name, password).await?, agent).await })
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
        let login = run(&over(hasher, sessions), "ADA", "12345678", Some(agent)).unwrap();
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
            let refused = run(&over(hasher, sessions), name, password, None).unwrap_err();
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
            let service = SessionService { users: Arc::new(users), ..over(hasher, sessions) };
            run(&service, "ada", typed, None).unwrap();
        }
    }

    #[test]
    fn a_hash_that_matches_nobodys_lets_nobody_in() {
        // A careless hasher that says yes to the dummy.
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().returning(|_, _| Ok(Verdict::Right));
        let mut sessions = MockSessionRepository::new();
        sessions.expect_create().never();
        let service = over(hasher, sessions);
        for name in ["nobody", "eve"] {
            let refused = run(&service, name, "12345678", None).unwrap_err();
            assert!(matches!(refused, Error::Unauthenticated(_)), "{name}");
        }
    }

    #[test]
    fn a_busy_hasher_is_told_as_such() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().returning(|_, _| Unavailable::Overloaded.err());
        let refused = run(&over(hasher, MockSessionRepository::new()), "ada", "12345678", None);
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))));
    }
}
