//! Looking at accounts.

use super::model::Actor;
use super::ports::AdminRepository;
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::UserId;
use crate::page::{Limit, Page};
use crate::users::{ServerPolicy, User, UserView, UsernamePrefix};
use std::sync::Arc;

/// A user with what only an admin is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Living.
    pub user: User,
    /// When a session of the user was last used, to about a minute; `None` if there never was one.
    pub last_seen_at: Option<Timestamp>,
}

/// How an admin sees a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// What the user sees of oneself: the email, and whether an admin.
    pub user: UserView,
    /// Whether the user cannot log in.
    pub disabled: bool,
    /// See [`Account::last_seen_at`].
    pub last_seen_at: Option<Timestamp>,
}

impl Account {
    /// How an admin sees it.
    pub fn view(&self, policy: &ServerPolicy) -> AccountView {
        AccountView {
            user: policy.own_view(&self.user),
            disabled: self.user.disabled_at.is_some(),
            last_seen_at: self.last_seen_at,
        }
    }
}

/// Lists the accounts there are by name.
pub struct ListAccounts {
    /// Stores accounts.
    pub admin: Arc<dyn AdminRepository>,
    /// Says who is an admin.
    pub policy: Arc<ServerPolicy>,
}

impl ListAccounts {
    /// # Errors
    /// [`Forbidden::NotAnAdmin`](crate::Forbidden::NotAnAdmin); [`NotFound::User`](crate::NotFound::User) where `after`
    /// names nobody.
    pub async fn execute(
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::MockAdminRepository;
    use crate::context::Caller;
    use crate::error::{Error, Forbidden};
    use crate::testing::{account, at, caller, outcome};
    use crate::users::AdminNames;

    #[test]
    fn accounts_are_for_admins_and_show_more_than_users() {
        let list = |admin: MockAdminRepository| ListAccounts {
            admin: Arc::new(admin),
            policy: Arc::new(ServerPolicy { admins: AdminNames::parse(["bob"]).unwrap(), ..ServerPolicy::default() }),
        };
        let limit = Limit::of_list(None).unwrap();
        let mut unasked = MockAdminRepository::new();
        unasked.expect_accounts().never();
        let refused = outcome(list(unasked).execute(&Actor::Admin(caller(1)), None, None, limit));
        assert!(matches!(refused, Err(Error::Forbidden(Forbidden::NotAnAdmin))));

        let mut admin = MockAdminRepository::new();
        admin.expect_accounts().returning(|_, _, _| {
            let disabled = User { disabled_at: Some(at(5)), ..account(1, "ada") };
            let items = vec![
                Account { user: disabled, last_seen_at: Some(at(3)) },
                Account { user: account(2, "bob"), last_seen_at: None },
            ];
            Ok(Page { items, more: true })
        });
        let actor = Actor::Admin(Caller { admin: true, ..caller(2) });
        let page = outcome(list(admin).execute(&actor, None, None, limit)).unwrap();
        let shown: Vec<_> = page
            .items
            .iter()
            .map(|view| (view.user.email.is_some(), view.user.admin, view.disabled, view.last_seen_at))
            .collect();
        assert_eq!((shown, page.more), (vec![(true, false, true, Some(at(3))), (true, true, false, None)], true));
    }
}
