//! Making, finding, changing and deleting groups.

use super::model::{
    Description, GroupChange, GroupName, GroupNameKey, GroupNamePrefix, GroupView, NewGroup, Role, Visibility,
};
use super::ports::GroupRepository;
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::{NotFound, Result};
use crate::ids::GroupId;
use crate::page::{Limit, Page};
use std::sync::Arc;

/// Creates, finds, changes and deletes groups.
pub struct GroupService {
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of groups.
    pub ids: Arc<dyn IdGenerator>,
}

impl GroupService {
    /// Creates a group. The caller becomes its owner.
    ///
    /// # Errors
    /// [`Conflict::GroupNameTaken`](crate::Conflict::GroupNameTaken).
    pub async fn create(
        &self,
        caller: &Caller,
        name: GroupName,
        visibility: Visibility,
        description: Description,
    ) -> Result<GroupView> {
        let new = NewGroup {
            id: GroupId(self.ids.next()),
            name,
            description,
            visibility,
            owner: caller.user,
            at: self.clock.now(),
        };
        Ok(GroupView { group: self.groups.create(new).await?, role: Some(Role::Owner) })
    }

    /// Shows a group.
    ///
    /// # Errors
    /// [`NotFound::Group`], also for a private group of others.
    pub async fn show(&self, caller: &Caller, id: GroupId) -> Result<GroupView> {
        Ok(self.groups.find(caller.user, id).await?.ok_or(NotFound::Group)?)
    }

    /// Shows the group of that name, whatever the case and the normal form.
    ///
    /// # Errors
    /// [`NotFound::Group`], also for a text that can be no name.
    pub async fn find_by_name(&self, caller: &Caller, name: &str) -> Result<GroupView> {
        let Some(name) = GroupNameKey::looked_up(name) else { return NotFound::Group.err() };
        Ok(self.groups.find_by_name(caller.user, &name).await?.ok_or(NotFound::Group)?)
    }

    /// Lists the groups the caller is in and the public ones.
    ///
    /// # Errors
    /// [`NotFound::Group`] where `after` names nothing.
    pub async fn list(
        &self,
        caller: &Caller,
        prefix: Option<&GroupNamePrefix>,
        after: Option<GroupId>,
        limit: Limit,
    ) -> Result<Page<GroupView>> {
        self.groups.list(caller.user, prefix, after, limit).await
    }

    /// Changes a group.
    ///
    /// # Errors
    /// Those of [`GroupRepository::change`].
    pub async fn update(&self, caller: &Caller, id: GroupId, change: GroupChange) -> Result<GroupView> {
        self.groups.change(caller.user, id, change, self.clock.now()).await
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// Those of [`GroupRepository::delete`].
    pub async fn delete(&self, caller: &Caller, id: GroupId) -> Result<()> {
        self.groups.delete(caller.user, id, self.clock.now()).await
    }
}
