//! Where groups and members are kept.
//!
//! Every call that acts decides by [`GroupAccess`](super::GroupAccess) inside its own transaction, and publishes its
//! event after the commit, in the order of the commits of that conversation.

use super::model::{Group, GroupChange, GroupNameKey, GroupNamePrefix, GroupView, Member, NewGroup, NewMember, Role};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{GroupId, UserId};
use crate::page::{Limit, Page};
use async_trait::async_trait;

/// Groups.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait GroupRepository: Send + Sync {
    /// Stores a group with its owner as its one member, by [`GroupQuotas::may_make`](super::GroupQuotas::may_make). Of
    /// several at once, on whatever nodes, none MUST be let in beyond a quota; so for members.
    ///
    /// # Errors
    /// The quota's; [`Conflict::GroupNameTaken`](crate::Conflict::GroupNameTaken) where a live group has the name in
    /// any case; [`Unauthenticated::InvalidToken`](crate::Unauthenticated::InvalidToken) where the owner is deleted.
    async fn create(&self, group: NewGroup) -> Result<Group>;

    /// The live group, if the viewer may see it.
    async fn find(&self, viewer: UserId, id: GroupId) -> Result<Option<GroupView>>;

    /// The live group of that name, whatever its spelling, if the viewer may see it.
    async fn find_by_name(&self, viewer: UserId, name: &GroupNameKey) -> Result<Option<GroupView>>;

    /// Live groups the viewer is in and public ones, by name key, from after the group `after` on:
    /// one that the viewer may see, or a public one that was deleted meanwhile.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group) where `after` names nothing that the viewer may know of.
    async fn list<'a>(
        &self,
        viewer: UserId,
        prefix: Option<&'a GroupNamePrefix>,
        after: Option<GroupId>,
        limit: Limit,
    ) -> Result<Page<GroupView>>;

    /// Changes a group, by [`GroupAccess::may_change`](super::GroupAccess::may_change). What it has already
    /// ([`GroupChange::of`]) MUST leave no trace: no event, and `updated_at` as it was.
    ///
    /// # Errors
    /// The rule's; [`Conflict::GroupNameTaken`](crate::Conflict::GroupNameTaken), but its own name in another case is
    /// free.
    async fn change(&self, actor: UserId, id: GroupId, change: GroupChange, at: Timestamp) -> Result<GroupView>;

    /// Deletes a group, by [`GroupAccess::may_delete`](super::GroupAccess::may_delete): it and its messages are gone
    /// for everybody, its name is free.
    ///
    /// # Errors
    /// The rule's.
    async fn delete(&self, actor: UserId, id: GroupId, at: Timestamp) -> Result<()>;
}

/// Members.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MemberRepository: Send + Sync {
    /// Takes somebody in, by [`GroupAccess::may_add`](super::GroupAccess::may_add), then by
    /// [`GroupQuotas::may_join`](super::GroupQuotas::may_join) whoever joins oneself, and by
    /// [`GroupQuotas::may_be_added`](super::GroupQuotas::may_be_added) whoever is added by another. What was said
    /// before MUST NOT count as unseen for the new member.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group), then [`NotFound::User`](crate::NotFound::User) where there is no
    /// such living user, then the rules'.
    async fn add(&self, actor: UserId, new: NewMember, at: Timestamp) -> Result<Member>;

    /// Gives a member another role, by [`GroupAccess::may_change_role`](super::GroupAccess::may_change_role); with
    /// [`Role::Owner`] the actor becomes admin in the same transaction.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group), [`NotFound::Member`](crate::NotFound::Member), then the rule's.
    async fn change_role(
        &self,
        actor: UserId,
        group: GroupId,
        target: UserId,
        role: Role,
        at: Timestamp,
    ) -> Result<Member>;

    /// Takes a member out, by [`GroupAccess::may_remove`](super::GroupAccess::may_remove); the last one's going deletes
    /// the group.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group), [`NotFound::Member`](crate::NotFound::Member), then the rule's.
    async fn remove(&self, actor: UserId, group: GroupId, target: UserId, at: Timestamp) -> Result<()>;

    /// Members by id, those whose account has ended left out, from after the user `after` on, who may be in it or not,
    /// if the viewer may see the group. MUST cost in proportion to the page, however large the group.
    ///
    /// # Errors
    /// [`NotFound::Group`](crate::NotFound::Group); [`NotFound::User`](crate::NotFound::User) where `after` names
    /// nobody.
    async fn list(&self, viewer: UserId, group: GroupId, after: Option<UserId>, limit: Limit) -> Result<Page<Member>>;
}
