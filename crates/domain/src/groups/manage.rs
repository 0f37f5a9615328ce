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

/// Makes a group.
pub struct CreateGroup {
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
}

impl CreateGroup {
    /// The caller becomes its owner.
    ///
    /// # Errors
    /// [`Conflict::GroupNameTaken`](crate::Conflict::GroupNameTaken).
    pub async fn execute(
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
}

/// Shows a group.
pub struct ShowGroup {
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
}

impl ShowGroup {
    /// # Errors
    /// [`NotFound::Group`], also for a private group of others.
    pub async fn execute(&self, caller: &Caller, id: GroupId) -> Result<GroupView> {
        Ok(self.groups.find(caller.user, id).await?.ok_or(NotFound::Group)?)
    }

    /// By name, whatever the case and the normal form.
    ///
    /// # Errors
    /// [`NotFound::Group`], also for a text that can be no name.
    pub async fn by_name(&self, caller: &Caller, name: &str) -> Result<GroupView> {
        let Some(name) = GroupNameKey::looked_up(name) else { return NotFound::Group.err() };
        Ok(self.groups.find_by_name(caller.user, &name).await?.ok_or(NotFound::Group)?)
    }
}

/// Lists the groups the caller is in and the public ones.
pub struct ListGroups {
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
}

impl ListGroups {
    /// # Errors
    /// [`NotFound::Group`] where `after` names nothing.
    pub async fn execute(
        &self,
        caller: &Caller,
        prefix: Option<&GroupNamePrefix>,
        after: Option<GroupId>,
        limit: Limit,
    ) -> Result<Page<GroupView>> {
        self.groups.list(caller.user, prefix, after, limit).await
    }
}

/// Changes a group.
pub struct UpdateGroup {
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl UpdateGroup {
    /// # Errors
    /// Those of [`GroupRepository::change`].
    pub async fn execute(&self, caller: &Caller, id: GroupId, change: GroupChange) -> Result<GroupView> {
        self.groups.change(caller.user, id, change, self.clock.now()).await
    }
}

/// Deletes a group.
pub struct DeleteGroup {
    /// Stores groups.
    pub groups: Arc<dyn GroupRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl DeleteGroup {
    /// # Errors
    /// Those of [`GroupRepository::delete`].
    pub async fn execute(&self, caller: &Caller, id: GroupId) -> Result<()> {
        self.groups.delete(caller.user, id, self.clock.now()).await
    }
}
