//! The port that the administration of the server needs.

use super::accounts::Account;
use super::model::{Actor, AdminCommand, AuditEntry};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::UserId;
use crate::page::{Limit, Page};
use crate::users::UsernamePrefix;
use async_trait::async_trait;

/// Administers accounts, and records what was done.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AdminRepository: Send + Sync {
    /// Existing users by username key, disabled ones included, after the user `after` (existing or deleted).
    ///
    /// # Errors
    /// MUST answer [`NotFound::User`](crate::NotFound::User) if `after` is the id of no user.
    async fn accounts<'a>(
        &self,
        prefix: Option<&'a UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Account>>;

    /// The existing user of that id.
    async fn account(&self, id: UserId) -> Result<Option<Account>>;

    /// Executes the command and records it, both in one transaction. The transaction MUST ask
    /// [`may_execute`](super::may_execute) first. If the command changes nothing (the user is disabled already, has the
    /// role, or has no session), the adapter records nothing. The same transaction MUST end all sessions of a user whom
    /// it disables or gives another password; a login under way at that time MUST NOT begin a session. A group ends as
    /// by [`GroupRepository::delete`](crate::groups::GroupRepository::delete).
    ///
    /// # Errors
    /// Those of [`may_execute`](super::may_execute); [`NotFound`](crate::NotFound) if there is no such existing user or
    /// group; those of [`UserRepository::create`](crate::users::UserRepository::create) for a new user.
    async fn execute(&self, actor: Actor, command: AdminCommand, at: Timestamp) -> Result<()>;

    /// The entries of the audit log before the entry `before`, newest first.
    async fn audit(&self, before: Option<i64>, limit: Limit) -> Result<Page<AuditEntry>>;
}
