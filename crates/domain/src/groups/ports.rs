//! The ports that store groups and members.
//!
//! Every call that acts decides by [`GroupAccess`](super::GroupAccess) inside its own transaction. It publishes its
//! event after the commit, in the commit order of the conversation.

use super::model::{Group, GroupChange, GroupNameKey, GroupNamePrefix, GroupView, Member, NewGroup, NewMember, Role};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{GroupId, UserId};
use crate::page::{Limit, Page};
use async_trait::async_trait;

/// Stores groups.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait GroupRepository: Send + Sync {
    /// Stores a group with its owner as its only member, by [`GroupQuotas::may_make`](super::GroupQuotas::may_make).
    /// Concurrent calls MUST NOT exceed a quota, whichever nodes make them. The same holds for members.
    ///
    /// # Errors
    /// Those of the quota; [`Conflict::GroupNameTaken`](crate::Conflict::GroupNameTaken) if a group that is not deleted
    /// has the name in any case; [`Unauthenticated::InvalidToken`](crate::Unauthenticated::InvalidToken) if the owner
    /// is deleted.
    async fn create(&self, group: NewGroup) -> Result<Group>;

    /// The group, if it is not deleted and the viewer may see it.
    async fn find(&self, viewer: UserId, id: GroupId) -> Result<Option<GroupView>>;

    /// The group of that name in any spelling, if it is not deleted and the viewer may see it.
    async fn find_by_name(&self, viewer: UserId, name: &GroupNameKey) -> Result<Option<GroupView>>;

    /// Groups that the viewer is in and public ones, by name key, after the group `after`: one that the viewer may see,
    /// or a public one that was deleted in the meantime.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group) if `after` names no such group.
    async fn list<'a>(
        &self,
        viewer: UserId,
        prefix: Option<&'a GroupNamePrefix>,
        after: Option<GroupId>,
        limit: Limit,
    ) -> Result<Page<GroupView>>;

    /// Changes a group, by [`GroupAccess::may_change`](super::GroupAccess::may_change). A value that the group has
    /// already ([`GroupChange::of`]) MUST leave no trace: no event, and `updated_at` as it was.
    ///
    /// # Errors
    /// Those of the rule; [`Conflict::GroupNameTaken`](crate::Conflict::GroupNameTaken), but never for the group's own
    /// name in another case.
    async fn change(&self, actor: UserId, id: GroupId, change: GroupChange, at: Timestamp) -> Result<GroupView>;

    /// Deletes a group, by [`GroupAccess::may_delete`](super::GroupAccess::may_delete): nobody sees it or its messages
    /// any more, and its name is free.
    ///
    /// # Errors
    /// Those of the rule.
    async fn delete(&self, actor: UserId, id: GroupId, at: Timestamp) -> Result<()>;
}

/// Stores members.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MemberRepository: Send + Sync {
    /// Adds a member, by [`GroupAccess::may_add`](super::GroupAccess::may_add), and then by
    /// [`GroupQuotas::may_join`](super::GroupQuotas::may_join) if the actor is the new member, else by
    /// [`GroupQuotas::may_be_added`](super::GroupQuotas::may_be_added). Earlier messages MUST NOT count as unseen for
    /// the new member.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group), then [`NotFound::User`](crate::NotFound::User) if there is no such
    /// existing user, then those of the rules.
    async fn add(&self, actor: UserId, new: NewMember, at: Timestamp) -> Result<Member>;

    /// Gives a member another role, by [`GroupAccess::may_change_role`](super::GroupAccess::may_change_role). With
    /// [`Role::Owner`] the actor becomes an admin in the same transaction.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group), [`NotFound::Member`](crate::NotFound::Member), then those of the
    /// rule.
    async fn change_role(
        &self,
        actor: UserId,
        group: GroupId,
        target: UserId,
        role: Role,
        at: Timestamp,
    ) -> Result<Member>;

    /// Removes a member, by [`GroupAccess::may_remove`](super::GroupAccess::may_remove). Removing the last one deletes
    /// the group.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group), [`NotFound::Member`](crate::NotFound::Member), then those of the
    /// rule.
    async fn remove(&self, actor: UserId, group: GroupId, target: UserId, at: Timestamp) -> Result<()>;

    /// The existing members of a group that the viewer may see, by id, after the user `after`, who need not be a
    /// member. MUST cost in proportion to the page, however large the group.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group); [`NotFound::User`](crate::NotFound::User) if `after` is the id of
    /// no user.
    async fn list(&self, viewer: UserId, group: GroupId, after: Option<UserId>, limit: Limit) -> Result<Page<Member>>;
}
