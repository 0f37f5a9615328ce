//! Signing up, and looking users up.

use super::model::{Email, NewUser, OwnView, User, UserView, Username, UsernamePrefix};
use super::password::Password;
use super::service::UserService;
use crate::context::Caller;
use crate::error::{NotFound, Result};
use crate::ids::UserId;
use crate::page::{Limit, Page};

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

impl UserService {
    /// Creates a user.
    ///
    /// # Errors
    /// [`Conflict`](crate::Conflict) on a taken name or email; [`Unavailable`](crate::Unavailable).
    pub async fn register(&self, wish: Registration) -> Result<User> {
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

    /// Shows one user; a deleted one under the common name.
    ///
    /// # Errors
    /// [`NotFound::User`].
    pub async fn show(&self, caller: &Caller, id: UserId) -> Result<UserView> {
        let user = self.users.find(id).await?.ok_or(NotFound::User)?;
        Ok(self.policy.view(caller, &user))
    }

    /// Shows the caller's own account.
    ///
    /// # Errors
    /// [`NotFound::User`].
    pub async fn show_own(&self, caller: &Caller) -> Result<OwnView> {
        let user = self.users.find(caller.user).await?.ok_or(NotFound::User)?;
        Ok(self.policy.own_view(&user))
    }

    /// The living user of that name.
    ///
    /// # Errors
    /// [`NotFound::User`], also for a text that can be no username.
    pub async fn find_by_name(&self, name: &str) -> Result<User> {
        let Ok(name) = Username::looked_up("user", name) else { return NotFound::User.err() };
        Ok(self.users.find_by_name(&name).await?.ok_or(NotFound::User)?)
    }

    /// Lists living users by name.
    ///
    /// # Errors
    /// [`NotFound::User`] where `after` names nobody.
    pub async fn list(
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
    use crate::testing::{account, at, caller, outcome, user, user_service};
    use crate::users::{AdminNames, Broadcasters, MockPasswordHasher, MockUserRepository, PasswordHash, ServerPolicy};
    use std::sync::Arc;

    fn wish(password: Option<&str>) -> Registration {
        Registration {
            username: Username::parse("username", "Ada").unwrap(),
            email: Some(Email::parse("ada@example.org").unwrap()),
            password: password.map(|text| Password::parse("password", text).unwrap()),
        }
    }

    fn register(users: MockUserRepository, hasher: MockPasswordHasher, wish: Registration) -> Result<User> {
        let users = UserService { users: Arc::new(users), hasher: Arc::new(hasher), ..user_service() };
        outcome(users.register(wish))
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
        let made = register(users, hasher, wish(Some("12345678"))).unwrap();
        assert_eq!(made, account(1, "Ada"));
    }

    #[test]
    fn without_a_password_nothing_is_hashed() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().never();
        let mut users = MockUserRepository::new();
        users.expect_create().once().withf(|new| new.password.is_none()).returning(|_| Conflict::UsernameTaken.err());
        let refused = register(users, hasher, wish(None));
        assert!(matches!(refused, Err(Error::Conflict(Conflict::UsernameTaken))));
    }

    #[test]
    fn nothing_is_stored_while_the_hasher_is_busy() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|_| Unavailable::Overloaded.err());
        let mut users = MockUserRepository::new();
        users.expect_create().never();
        assert!(register(users, hasher, wish(Some("12345678"))).is_err());
    }

    /// Over these users, of whom one is an admin by name.
    fn over(users: MockUserRepository) -> UserService {
        let policy = ServerPolicy { admins: AdminNames::parse(["BOSS"]).unwrap(), ..ServerPolicy::default() };
        UserService { users: Arc::new(users), policy: Arc::new(policy), ..user_service() }
    }

    #[test]
    fn an_email_is_ones_own_and_the_admins_to_see() {
        let named = |name: &'static str| {
            let mut users = MockUserRepository::new();
            users.expect_find().returning(move |_| Ok(Some(account(1, name))));
            over(users)
        };
        let admin = Caller { admin: true, ..caller(9) };
        for (reader, email) in [(caller(1), true), (caller(2), false), (admin, true)] {
            let seen = outcome(named("ada").show(&reader, user(1))).unwrap();
            assert_eq!((seen.email.is_some(), seen.admin), (email, false), "{reader:?}");
        }
        // Being an admin shows to the admin alone.
        assert!(outcome(named("Boss").show(&caller(1), user(1))).unwrap().admin);
        assert!(!outcome(named("Boss").show(&admin, user(1))).unwrap().admin);
    }

    #[test]
    fn one_sees_whether_one_may_broadcast() {
        for (broadcasters, name, may) in [
            (Broadcasters::Everyone, "ada", true),
            (Broadcasters::Admins, "ada", false),
            (Broadcasters::Admins, "boss", true),
        ] {
            let mut users = MockUserRepository::new();
            users.expect_find().returning(move |_| Ok(Some(account(1, name))));
            let admins = AdminNames::parse(["BOSS"]).unwrap();
            let policy = Arc::new(ServerPolicy { admins, broadcasters, ..ServerPolicy::default() });
            let seen = outcome(UserService { policy, ..over(users) }.show_own(&caller(1))).unwrap();
            assert_eq!((seen.may_broadcast, seen.user.email.is_some()), (may, true), "{broadcasters:?} {name}");
        }
    }

    #[test]
    fn what_can_be_no_name_is_nobody_without_asking() {
        let mut users = MockUserRepository::new();
        users.expect_find_by_name().never();
        let users = over(users);
        for name in ["", "a b", "deleted user", "ada\0"] {
            assert!(matches!(outcome(users.find_by_name(name)), Err(Error::NotFound(NotFound::User))), "{name:?}");
        }
    }

    #[test]
    fn a_list_shows_each_as_the_reader_may_see_it() {
        let mut users = MockUserRepository::new();
        users
            .expect_list()
            .returning(|_, _, _| Ok(Page { items: vec![account(1, "ada"), account(2, "bob")], more: true }));
        let page = outcome(over(users).list(&caller(2), None, None, Limit::of_list(None).unwrap())).unwrap();
        let shown: Vec<_> =
            page.items.iter().map(|view| (view.profile.username.as_str(), view.email.is_some())).collect();
        assert_eq!((shown, page.more), (vec![("ada", false), ("bob", true)], true));
    }
}
