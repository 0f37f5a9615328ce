//! Doing something to accounts and groups, and reading what was done.

use super::accounts::AccountView;
use super::model::{Actor, AdminCommand, AuditEntry};
use super::ports::AdminRepository;
use crate::context::{Clock, IdGenerator};
use crate::error::{NotFound, Result};
use crate::ids::UserId;
use crate::page::{Limit, Page};
use crate::users::{NewUser, Password, PasswordHasher, Registration, ServerPolicy, UserRole};
use std::sync::Arc;

/// Executes a command that needs nothing else.
pub struct ExecuteAdminCommand {
    /// Stores accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl ExecuteAdminCommand {
    /// # Errors
    /// Those of [`AdminRepository::execute`].
    pub async fn execute(&self, actor: Actor, command: AdminCommand) -> Result<()> {
        actor.require_admin()?;
        self.admin.execute(actor, command, self.clock.now()).await
    }
}

/// Disables an account, or enables it again.
pub struct SwitchAccount {
    /// Stores accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Says who is an admin.
    pub policy: Arc<ServerPolicy>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl SwitchAccount {
    /// The account as it is then; also where it was so before.
    ///
    /// # Errors
    /// Those of [`AdminRepository::execute`].
    pub async fn execute(&self, actor: Actor, user: UserId, enabled: bool) -> Result<AccountView> {
        actor.require_admin()?;
        let command = if enabled { AdminCommand::Enable(user) } else { AdminCommand::Disable(user) };
        self.admin.execute(actor, command, self.clock.now()).await?;
        let account = self.admin.account(user).await?.ok_or(NotFound::User)?;
        Ok(account.view(&self.policy))
    }
}

/// Makes a user who may be an admin of the server.
pub struct CreateAccount {
    /// Stores accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Hashes the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
}

impl CreateAccount {
    /// # Errors
    /// [`Conflict`](crate::Conflict) on a taken name or email; [`Unavailable`](crate::Unavailable).
    pub async fn execute(&self, actor: Actor, wish: Registration, role: UserRole) -> Result<UserId> {
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
}

/// Gives a user another password and ends the user's sessions.
pub struct SetPassword {
    /// Stores accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Hashes the password.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl SetPassword {
    /// # Errors
    /// [`NotFound::User`]; [`Unavailable`](crate::Unavailable).
    pub async fn execute(&self, actor: Actor, user: UserId, password: Password) -> Result<()> {
        actor.require_admin()?;
        let hash = self.hasher.hash(password).await?;
        self.admin.execute(actor, AdminCommand::SetPassword(user, hash), self.clock.now()).await
    }
}

/// Reads the record of what was done.
pub struct ListAudit {
    /// Stores the record.
    pub admin: Arc<dyn AdminRepository>,
}

impl ListAudit {
    /// # Errors
    /// [`Forbidden::NotAnAdmin`](crate::Forbidden::NotAnAdmin).
    pub async fn execute(&self, actor: &Actor, before: Option<i64>, limit: Limit) -> Result<Page<AuditEntry>> {
        actor.require_admin()?;
        self.admin.audit(before, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{Account, MockAdminRepository};
    use crate::context::Caller;
    use crate::error::{Error, Forbidden};
    use crate::testing::{CountedIds, StoppedClock, account, at, caller, outcome, user};
    use crate::users::{MockPasswordHasher, PasswordHash, User, Username};

    fn admin() -> Actor {
        Actor::Admin(Caller { admin: true, ..caller(1) })
    }

    fn hasher() -> MockPasswordHasher {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|password| Ok(PasswordHash(format!("of {}", password.expose()))));
        hasher
    }

    /// Expects this one command of this actor.
    fn expecting(actor: Actor, expected: AdminCommand) -> MockAdminRepository {
        let mut repository = MockAdminRepository::new();
        repository
            .expect_execute()
            .once()
            .withf(move |by, command, when| (by, command, *when) == (&actor, &expected, at(7)))
            .returning(|_, _, _| Ok(()));
        repository
    }

    #[test]
    fn who_is_no_admin_does_nothing_and_learns_nothing() {
        let mut repository = MockAdminRepository::new();
        repository.expect_execute().never();
        repository.expect_audit().never();
        let repository = Arc::new(repository);
        let actor = Actor::Admin(caller(1));
        let administer = ExecuteAdminCommand { admin: repository.clone(), clock: Arc::new(StoppedClock(7)) };
        let refused = outcome(administer.execute(actor, AdminCommand::EndSessions(user(2))));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAnAdmin))));
        let refused = outcome(ListAudit { admin: repository }.execute(&actor, None, Limit::of_list(None).unwrap()));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAnAdmin))));
    }

    #[test]
    fn an_account_is_shown_as_it_is_after_the_switch() {
        for enabled in [false, true] {
            let command = if enabled { AdminCommand::Enable(user(2)) } else { AdminCommand::Disable(user(2)) };
            let mut repository = expecting(admin(), command);
            repository.expect_account().returning(move |_| {
                let user = User { disabled_at: (!enabled).then(|| at(7)), ..account(2, "bob") };
                Ok(Some(Account { user, last_seen_at: None }))
            });
            let switch =
                SwitchAccount { admin: Arc::new(repository), policy: Arc::default(), clock: Arc::new(StoppedClock(7)) };
            assert_eq!(outcome(switch.execute(admin(), user(2), enabled)).unwrap().disabled, !enabled);
        }
    }

    #[test]
    fn the_command_line_makes_admins_and_sets_passwords_by_their_hashes() {
        let password = || Password::parse("password", "12345678").unwrap();
        let username = Username::parse("username", "ada").unwrap();
        let stored = NewUser {
            id: user(1),
            username: username.clone(),
            email: None,
            password: Some(PasswordHash("of 12345678".to_owned())),
            at: at(7),
        };
        let create = CreateAccount {
            admin: Arc::new(expecting(Actor::CommandLine, AdminCommand::CreateUser(stored, UserRole::Admin))),
            hasher: Arc::new(hasher()),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
        };
        let wish = Registration { username, email: None, password: Some(password()) };
        assert_eq!(outcome(create.execute(Actor::CommandLine, wish, UserRole::Admin)).unwrap(), user(1));

        let set = AdminCommand::SetPassword(user(1), PasswordHash("of 12345678".to_owned()));
        let set = SetPassword {
            admin: Arc::new(expecting(Actor::CommandLine, set)),
            hasher: Arc::new(hasher()),
            clock: Arc::new(StoppedClock(7)),
        };
        outcome(set.execute(Actor::CommandLine, user(1), password())).unwrap();
    }
}
