//! Accounts as an admin sees them.

use crate::context::Timestamp;
use crate::users::{ServerPolicy, User, UserView};

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
            user: policy.own_view(&self.user).user,
            disabled: self.user.disabled_at.is_some(),
            last_seen_at: self.last_seen_at,
        }
    }
}
