//! Adding, promoting, removing and listing members.

use super::model::{Member, NewMember, Role};
use super::ports::MemberRepository;
use crate::context::{Caller, Clock};
use crate::error::Result;
use crate::ids::{GroupId, UserId};
use crate::page::{Limit, Page};
use std::sync::Arc;

/// Takes somebody, or oneself, into a group.
pub struct AddMember {
    /// Stores members.
    pub members: Arc<dyn MemberRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl AddMember {
    /// # Errors
    /// Those of [`MemberRepository::add`].
    pub async fn execute(&self, caller: &Caller, new: NewMember) -> Result<Member> {
        self.members.add(caller.user, new, self.clock.now()).await
    }
}

/// Gives a member another role, or hands the group over.
pub struct ChangeRole {
    /// Stores members.
    pub members: Arc<dyn MemberRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl ChangeRole {
    /// # Errors
    /// Those of [`MemberRepository::change_role`].
    pub async fn execute(&self, caller: &Caller, group: GroupId, target: UserId, role: Role) -> Result<Member> {
        self.members.change_role(caller.user, group, target, role, self.clock.now()).await
    }
}

/// Takes a member out; leaving is removing oneself.
pub struct RemoveMember {
    /// Stores members.
    pub members: Arc<dyn MemberRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl RemoveMember {
    /// # Errors
    /// Those of [`MemberRepository::remove`].
    pub async fn execute(&self, caller: &Caller, group: GroupId, target: UserId) -> Result<()> {
        self.members.remove(caller.user, group, target, self.clock.now()).await
    }
}

/// Lists who is in a group.
pub struct ListMembers {
    /// Stores members.
    pub members: Arc<dyn MemberRepository>,
}

impl ListMembers {
    /// # Errors
    /// Those of [`MemberRepository::list`].
    pub async fn execute(
        &self,
        caller: &Caller,
        group: GroupId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member>> {
        self.members.list(caller.user, group, after, limit).await
    }
}
