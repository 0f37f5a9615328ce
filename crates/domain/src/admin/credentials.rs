//! Setting the passwords of accounts, for which the service needs a hasher.

use super::model::{Actor, AdminCommand};
use super::ports::AdminRepository;
use crate::context::{Clock, IdGenerator};
use crate::error::Result;
use crate::ids::UserId;
use crate::users::{NewUser, Password, PasswordHasher, Registration, UserRole};
use std::sync::Arc;

/// Creates accounts, and sets their passwords. Only the command line uses it.
pub struct CredentialService {
    /// Stores accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Hashes passwords.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of users.
    pub ids: Arc<dyn IdGenerator>,
}

impl CredentialService {
    /// Creates a user who may be an admin of the server.
    ///
    /// # Errors
    /// [`Conflict`](crate::Conflict) on a taken name or email; [`Unavailable`](crate::Unavailable).
    pub async fn create_account(&self, actor: Actor, wish: Registration, role: UserRole) -> Result<UserId> {
        actor.require_admin()?;
        let password = match wish.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let (id, at) = (UserId(self.ids.next()), self.clock.now());
        let user = NewUser { id, username: wish.username, email: wish.email, password, at };
        self.admin.execute(actor, AdminCommand::CreateUser(user, role), at).await?;
        Ok(id)
    }

    /// Sets a user's password, and ends the user's sessions.
    ///
    /// # Errors
    /// [`NotFound::User`](crate::NotFound::User); [`Unavailable`](crate::Unavailable).
    pub async fn set_password(&self, actor: Actor, user: UserId, password: Password) -> Result<()> {
        actor.require_admin()?;
        let hash = self.hasher.hash(password).await?;
        self.admin.execute(actor, AdminCommand::SetPassword(user, hash), self.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::MockAdminRepository;
    use crate::error::{Error, Forbidden};
    use crate::testing::{CountedIds, StoppedClock, admin_executing, at, caller, outcome, user};
    use crate::users::{MockPasswordHasher, PasswordHash, Username};

    fn over(admin: MockAdminRepository, hasher: MockPasswordHasher) -> CredentialService {
        CredentialService {
            admin: Arc::new(admin),
            hasher: Arc::new(hasher),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
        }
    }

    fn hasher() -> MockPasswordHasher {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|password| Ok(PasswordHash(format!("of {}", password.expose()))));
        hasher
    }

    fn password() -> Password {
        Password::parse("password", "12345678").unwrap()
    }

    fn wish() -> Registration {
        let username = Username::parse("username", "ada").unwrap();
        Registration { username, email: None, password: Some(password()) }
    }

    #[test]
    fn the_command_line_makes_admins_and_sets_passwords_by_their_hashes() {
        let stored = NewUser {
            id: user(1),
            username: wish().username,
            email: None,
            password: Some(PasswordHash("of 12345678".to_owned())),
            at: at(7),
        };
        let admin = admin_executing(Actor::CommandLine, AdminCommand::CreateUser(stored, UserRole::Admin));
        let create = over(admin, hasher());
        assert_eq!(outcome(create.create_account(Actor::CommandLine, wish(), UserRole::Admin)).unwrap(), user(1));

        let set = AdminCommand::SetPassword(user(1), PasswordHash("of 12345678".to_owned()));
        let set = over(admin_executing(Actor::CommandLine, set), hasher());
        outcome(set.set_password(Actor::CommandLine, user(1), password())).unwrap();
    }

    #[test]
    fn for_who_is_no_admin_nothing_is_hashed() {
        let service = over(MockAdminRepository::new(), MockPasswordHasher::new());
        let actor = Actor::Admin(caller(1));
        for refused in [
            outcome(service.create_account(actor, wish(), UserRole::Member)).map(drop),
            outcome(service.set_password(actor, user(2), password())),
        ] {
            assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAnAdmin))));
        }
    }
}
