//! Adding, promoting, removing and listing members.

use super::model::{Member, NewMember, Role};
use super::ports::MemberRepository;
use crate::context::{Caller, Clock};
use crate::error::Result;
use crate::ids::{GroupId, UserId};
use crate::page::{Limit, Page};
use std::sync::Arc;

/// Adds, promotes, removes and lists members of groups.
pub struct MemberService {
    /// Stores members.
    pub members: Arc<dyn MemberRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl MemberService {
    /// Adds a user, possibly the caller, to a group.
    ///
    /// # Errors
    /// Those of [`MemberRepository::add`].
    pub async fn add(&self, caller: &Caller, new: NewMember) -> Result<Member> {
        self.members.add(caller.user, new, self.clock.now()).await
    }

    /// Changes a member's role, or transfers the group.
    ///
    /// # Errors
    /// Those of [`MemberRepository::change_role`].
    pub async fn change_role(&self, caller: &Caller, group: GroupId, target: UserId, role: Role) -> Result<Member> {
        self.members.change_role(caller.user, group, target, role, self.clock.now()).await
    }

    /// Removes a member. A member who leaves removes themselves.
    ///
    /// # Errors
    /// Those of [`MemberRepository::remove`].
    pub async fn remove(&self, caller: &Caller, group: GroupId, target: UserId) -> Result<()> {
        self.members.remove(caller.user, group, target, self.clock.now()).await
    }

    /// Lists the members of a group.
    ///
    /// # Errors
    /// Those of [`MemberRepository::list`].
    pub async fn list(
        &self,
        caller: &Caller,
        group: GroupId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member>> {
        self.members.list(caller.user, group, after, limit).await
    }
}
