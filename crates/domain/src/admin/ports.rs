//! What running the server needs of the outside.

use super::accounts::Account;
use super::model::{Actor, AdminCommand, AuditEntry};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::UserId;
use crate::page::{Limit, Page};
use crate::users::UsernamePrefix;
use async_trait::async_trait;

/// Where accounts are administered and what was done is recorded.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AdminRepository: Send + Sync {
    /// Living users by username key, disabled ones too, from after the user `after` (living or deleted) on.
    ///
    /// # Errors
    /// MUST answer [`NotFound::User`](crate::NotFound::User) where `after` names nobody.
    async fn accounts<'a>(
        &self,
        prefix: Option<&'a UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Account>>;

    /// The living user of that id.
    async fn account(&self, id: UserId) -> Result<Option<Account>>;

    /// Does it, and records it, both in one transaction, which MUST ask [`may_execute`](super::may_execute) first.
    /// Where the command changes nothing (the user is disabled already, has the role, or no session), nothing is
    /// recorded. A user who is disabled or gets another password MUST lose all sessions in the same transaction, and
    /// MUST not begin one by a login that was under way. A group ends as by
    /// [`GroupRepository::delete`](crate::groups::GroupRepository::delete).
    ///
    /// # Errors
    /// Those of [`may_execute`](super::may_execute); [`NotFound`](crate::NotFound) where there is no such living
    /// user or group; those of [`UserRepository::create`](crate::users::UserRepository::create) for a new user.
    async fn execute(&self, actor: Actor, command: AdminCommand, at: Timestamp) -> Result<()>;

    /// What was recorded, newest first, from before the entry of that number on.
    async fn audit(&self, before: Option<i64>, limit: Limit) -> Result<Page<AuditEntry>>;
}
