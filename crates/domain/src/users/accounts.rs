//! Signing up, and looking users up.

use super::model::{Email, NewUser, User, UserView, Username, UsernamePrefix};
use super::password::Password;
use super::policy::ServerPolicy;
use super::ports::{PasswordHasher, UserRepository};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::{NotFound, Result};
use crate::ids::UserId;
use crate::page::{Limit, Page};
use std::sync::Arc;

/// A wish to become a user.
#[derive(Debug, Clone)]
pub struct Registration {
    /// To be unique whatever its case.
    pub username: Username,
    /// To be unique whatever its case.
    pub email: Option<Email>,
    /// Without one the user exists but cannot log in.
    pub password: Option<Password>,
}

/// Makes a user.
pub struct RegisterUser {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Hashes the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
}

impl RegisterUser {
    /// # Errors
    /// [`Conflict`](crate::Conflict) on a taken name or email; [`Unavailable`](crate::Unavailable).
    pub async fn execute(&self, wish: Registration) -> Result<User> {
        let password = match wish.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let new = NewUser {
            id: UserId(self.ids.next()),
            username: wish.username,
            email: wish.email,
            password,
            at: self.clock.now(),
        };
        self.users.create(new).await
    }
}

/// Shows one user, deleted ones under their common name.
pub struct ShowUser {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Says who sees what.
    pub policy: Arc<ServerPolicy>,
}

impl ShowUser {
    /// # Errors
    /// [`NotFound::User`].
    pub async fn execute(&self, caller: &Caller, id: UserId) -> Result<UserView> {
        let user = self.users.find(id).await?.ok_or(NotFound::User)?;
        Ok(self.policy.view(caller, &user))
    }

    /// The living user of that name.
    ///
    /// # Errors
    /// [`NotFound::User`], also for a text that can be no username.
    pub async fn by_name(&self, name: &str) -> Result<User> {
        let Ok(name) = Username::looked_up("user", name) else { return NotFound::User.err() };
        Ok(self.users.find_by_name(&name).await?.ok_or(NotFound::User)?)
    }
}

/// Lists living users by name.
pub struct ListUsers {
    /// Stores users.
    pub users: Arc<dyn UserRepository>,
    /// Says who sees what.
    pub policy: Arc<ServerPolicy>,
}

impl ListUsers {
    /// # Errors
    /// [`NotFound::User`] where `after` names nobody.
    pub async fn execute(
        &self,
        caller: &Caller,
        prefix: Option<&UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<UserView>> {
        let page = self.users.list(prefix, after, limit).await?;
        Ok(Page { items: page.items.iter().map(|user| self.policy.view(caller, user)).collect(), more: page.more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Conflict, Error, Unavailable};
    use crate::testing::{CountedIds, StoppedClock, account, at, caller, outcome, user};
    use crate::users::{AdminNames, MockPasswordHasher, MockUserRepository, PasswordHash};

    fn wish(password: Option<&str>) -> Registration {
        Registration {
            username: Username::parse("username", "Ada").unwrap(),
            email: Some(Email::parse("ada@example.org").unwrap()),
            password: password.map(|text| Password::parse("password", text).unwrap()),
        }
    }

    fn register(users: MockUserRepository, hasher: MockPasswordHasher) -> RegisterUser {
        RegisterUser {
            users: Arc::new(users),
            hasher: Arc::new(hasher),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
        }
    }

    #[test]
    fn a_hash_is_stored_and_never_the_password() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().once().returning(|password| Ok(PasswordHash(format!("of {}", password.expose()))));
        let mut users = MockUserRepository::new();
        let stored = NewUser {
            id: user(1),
            username: Username::parse("username", "Ada").unwrap(),
            email: Some(Email::parse("ada@example.org").unwrap()),
            password: Some(PasswordHash("of 12345678".to_owned())),
            at: at(7),
        };
        users.expect_create().once().withf(move |new| *new == stored).returning(|_| Ok(account(1, "Ada")));
        let made = outcome(register(users, hasher).execute(wish(Some("12345678")))).unwrap();
        assert_eq!(made, account(1, "Ada"));
    }

    #[test]
    fn without_a_password_nothing_is_hashed() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().never();
        let mut users = MockUserRepository::new();
        users.expect_create().once().withf(|new| new.password.is_none()).returning(|_| Conflict::UsernameTaken.err());
        let refused = outcome(register(users, hasher).execute(wish(None)));
        assert!(matches!(refused, Err(Error::Conflict(Conflict::UsernameTaken))));
    }

    #[test]
    fn nothing_is_stored_while_the_hasher_is_busy() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|_| Unavailable::Overloaded.err());
        let mut users = MockUserRepository::new();
        users.expect_create().never();
        assert!(outcome(register(users, hasher).execute(wish(Some("12345678")))).is_err());
    }

    fn policy() -> Arc<ServerPolicy> {
        Arc::new(ServerPolicy { admins: AdminNames::parse(["BOSS"]).unwrap(), ..ServerPolicy::default() })
    }

    #[test]
    fn an_email_is_ones_own_and_the_admins_to_see() {
        let show = |name: &'static str| {
            let mut users = MockUserRepository::new();
            users.expect_find().returning(move |_| Ok(Some(account(1, name))));
            ShowUser { users: Arc::new(users), policy: policy() }
        };
        let admin = Caller { admin: true, ..caller(9) };
        for (reader, email) in [(caller(1), true), (caller(2), false), (admin, true)] {
            let seen = outcome(show("ada").execute(&reader, user(1))).unwrap();
            assert_eq!((seen.email.is_some(), seen.admin), (email, false), "{reader:?}");
        }
        // Being an admin shows to the admin alone.
        assert!(outcome(show("Boss").execute(&caller(1), user(1))).unwrap().admin);
        assert!(!outcome(show("Boss").execute(&admin, user(1))).unwrap().admin);
    }

    #[test]
    fn what_can_be_no_name_is_nobody_without_asking() {
        let mut users = MockUserRepository::new();
        users.expect_find_by_name().never();
        let show = ShowUser { users: Arc::new(users), policy: policy() };
        for name in ["", "a b", "deleted user", "ada\0"] {
            assert!(matches!(outcome(show.by_name(name)), Err(Error::NotFound(NotFound::User))), "{name:?}");
        }
    }

    #[test]
    fn a_list_shows_each_as_the_reader_may_see_it() {
        let mut users = MockUserRepository::new();
        users
            .expect_list()
            .returning(|_, _, _| Ok(Page { items: vec![account(1, "ada"), account(2, "bob")], more: true }));
        let list = ListUsers { users: Arc::new(users), policy: policy() };
        let page = outcome(list.execute(&caller(2), None, None, Limit::of_list(None).unwrap())).unwrap();
        let shown: Vec<_> =
            page.items.iter().map(|view| (view.profile.username.as_str(), view.email.is_some())).collect();
        assert_eq!((shown, page.more), (vec![("ada", false), ("bob", true)], true));
    }
}
