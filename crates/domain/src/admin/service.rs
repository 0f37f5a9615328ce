//! What an admin does to accounts and groups, and the audit log.

use super::accounts::AccountView;
use super::model::{Actor, AdminCommand, AuditEntry};
use super::ports::AdminRepository;
use crate::context::Clock;
use crate::error::{NotFound, Result};
use crate::ids::UserId;
use crate::page::{Limit, Page};
use crate::users::{ServerPolicy, UsernamePrefix};
use std::sync::Arc;

/// Administers accounts and groups.
pub struct AdminService {
    /// Stores accounts and the audit log.
    pub admin: Arc<dyn AdminRepository>,
    /// Says who is an admin.
    pub policy: Arc<ServerPolicy>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl AdminService {
    /// Executes a command.
    ///
    /// # Errors
    /// Those of [`AdminRepository::execute`].
    pub async fn execute(&self, actor: Actor, command: AdminCommand) -> Result<()> {
        actor.require_admin()?;
        self.admin.execute(actor, command, self.clock.now()).await
    }

    /// Disables an account, or enables it again. Returns the account after that, also if nothing changed.
    ///
    /// # Errors
    /// Those of [`AdminRepository::execute`].
    pub async fn switch_account(&self, actor: Actor, user: UserId, enabled: bool) -> Result<AccountView> {
        let command = if enabled { AdminCommand::Enable(user) } else { AdminCommand::Disable(user) };
        self.execute(actor, command).await?;
        let account = self.admin.account(user).await?.ok_or(NotFound::User)?;
        Ok(account.view(&self.policy))
    }

    /// Lists the accounts by name.
    ///
    /// # Errors
    /// [`Forbidden::NotAnAdmin`](crate::Forbidden::NotAnAdmin); [`NotFound::User`] if `after` names nobody.
    pub async fn list_accounts(
        &self,
        actor: &Actor,
        prefix: Option<&UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<AccountView>> {
        actor.require_admin()?;
        let page = self.admin.accounts(prefix, after, limit).await?;
        Ok(Page { items: page.items.iter().map(|account| account.view(&self.policy)).collect(), more: page.more })
    }

    /// Lists the entries of the audit log.
    ///
    /// # Errors
    /// [`Forbidden::NotAnAdmin`](crate::Forbidden::NotAnAdmin).
    pub async fn list_audit(&self, actor: &Actor, before: Option<i64>, limit: Limit) -> Result<Page<AuditEntry>> {
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
    use crate::testing::{StoppedClock, account, admin_executing, at, caller, outcome, user};
    use crate::users::{AdminNames, User};

    /// Over these accounts, with an admin by name.
    fn over(admin: MockAdminRepository) -> AdminService {
        let policy = ServerPolicy { admins: AdminNames::parse(["bob"]).unwrap(), ..ServerPolicy::default() };
        AdminService { admin: Arc::new(admin), policy: Arc::new(policy), clock: Arc::new(StoppedClock(7)) }
    }

    fn admin() -> Actor {
        Actor::Admin(Caller { admin: true, ..caller(1) })
    }

    #[test]
    fn who_is_no_admin_does_nothing_and_learns_nothing() {
        // Whatever it is asked, it panics.
        let service = over(MockAdminRepository::new());
        let (actor, limit) = (Actor::Admin(caller(1)), Limit::of_list(None).unwrap());
        for refused in [
            outcome(service.execute(actor, AdminCommand::EndSessions(user(2)))),
            outcome(service.switch_account(actor, user(2), false)).map(drop),
            outcome(service.list_accounts(&actor, None, None, limit)).map(drop),
            outcome(service.list_audit(&actor, None, limit)).map(drop),
        ] {
            assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAnAdmin))));
        }
    }

    #[test]
    fn an_account_is_shown_as_it_is_after_the_switch() {
        for enabled in [false, true] {
            let command = if enabled { AdminCommand::Enable(user(2)) } else { AdminCommand::Disable(user(2)) };
            let mut repository = admin_executing(admin(), command);
            repository.expect_account().returning(move |_| {
                let user = User { disabled_at: (!enabled).then(|| at(7)), ..account(2, "bob") };
                Ok(Some(Account { user, last_seen_at: None }))
            });
            let shown = outcome(over(repository).switch_account(admin(), user(2), enabled)).unwrap();
            assert_eq!(shown.disabled, !enabled);
        }
    }

    #[test]
    fn accounts_show_more_than_users() {
        let mut admins = MockAdminRepository::new();
        admins.expect_accounts().returning(|_, _, _| {
            let disabled = User { disabled_at: Some(at(5)), ..account(1, "ada") };
            let items = vec![
                Account { user: disabled, last_seen_at: Some(at(3)) },
                Account { user: account(2, "bob"), last_seen_at: None },
            ];
            Ok(Page { items, more: true })
        });
        let page = outcome(over(admins).list_accounts(&admin(), None, None, Limit::of_list(None).unwrap())).unwrap();
        let shown: Vec<_> = page
            .items
            .iter()
            .map(|view| (view.user.email.is_some(), view.user.admin, view.disabled, view.last_seen_at))
            .collect();
        assert_eq!((shown, page.more), (vec![(true, false, true, Some(at(3))), (true, true, false, None)], true));
    }
}
