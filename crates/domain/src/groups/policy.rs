//! Who may do what in a group, as one table.
//!
//! | | owner | admin | member | reader of a public group | others |
//! |---|---|---|---|---|---|
//! | read | yes | yes | yes | yes | 404 |
//! | send | yes | yes | yes | joins | 404 |
//! | mark as seen or read | yes | yes | yes | 403 | 404 |
//! | change the group | yes | yes | 403 | 403 | 404 |
//! | delete the group | yes | 403 | 403 | 403 | 404 |
//! | add a member | yes | yes | 403 | themselves | 404 |
//! | add an admin | yes | 403 | 403 | 403 | 404 |
//! | change a role | others' | 403 | 403 | 403 | 404 |
//! | remove | anyone | plain members, themselves | themselves | 403 | 404 |
//! | delete another's message | yes | yes | 403 | 403 | 404 |
//!
//! Adapters call these inside the transaction that acts, with what that transaction sees.

use super::model::{Member, NewMember, Role, Visibility};
use crate::error::{Conflict, Forbidden, NotFound, Result};
use crate::ids::UserId;

/// The relation of a user to a group that is not deleted: everything that the rules look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupAccess {
    /// The group's visibility.
    pub visibility: Visibility,
    /// The user's role. `None` for a user who is no member.
    pub role: Option<Role>,
}

/// How a sender comes to write in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The sender is a member.
    Member,
    /// The sender becomes a plain member by sending.
    Joins,
}

/// The outcome of adding a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The user becomes a member with that role.
    Joins(Role),
    /// The user is a member already and keeps their role.
    Unchanged,
}

/// The outcome of removing a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The member leaves.
    Leaves,
    /// The last member leaves, and the group ends.
    EndsGroup,
}

impl GroupAccess {
    /// # Errors
    /// [`NotFound::Group`] for a user who is no member and may not see it.
    pub fn may_read(self) -> Result<()> {
        if self.role.is_some() || self.visibility == Visibility::Public { Ok(()) } else { NotFound::Group.err() }
    }

    /// # Errors
    /// [`NotFound::Group`].
    pub fn may_send(self) -> Result<Entry> {
        self.may_read()?;
        Ok(if self.role.is_some() { Entry::Member } else { Entry::Joins })
    }

    /// # Errors
    /// [`NotFound::Group`], [`Forbidden::NotAMember`].
    pub fn may_mark(self) -> Result<()> {
        self.may_read()?;
        if self.role.is_some() { Ok(()) } else { Forbidden::NotAMember.err() }
    }

    /// Whether the user is its owner or an admin.
    pub fn is_moderator(self) -> bool {
        matches!(self.role, Some(Role::Owner | Role::Admin))
    }

    /// # Errors
    /// [`NotFound::Group`], [`Forbidden::NotAModerator`].
    pub fn may_change(self) -> Result<()> {
        self.may_read()?;
        if self.is_moderator() { Ok(()) } else { Forbidden::NotAModerator.err() }
    }

    /// # Errors
    /// [`NotFound::Group`], [`Forbidden::NotTheOwner`].
    pub fn may_delete(self) -> Result<()> {
        self.may_read()?;
        if self.role == Some(Role::Owner) { Ok(()) } else { Forbidden::NotTheOwner.err() }
    }

    /// Whether `actor`, who has this access, may add `new`. `present` is the role that the new member has already, if
    /// any.
    ///
    /// # Errors
    /// [`NotFound::Group`], [`Forbidden::NotAModerator`], [`Forbidden::NotTheOwner`].
    pub fn may_add(self, actor: UserId, new: &NewMember, present: Option<Role>) -> Result<Admission> {
        self.may_read()?;
        let allowed = match (self.role, new.role()) {
            (Some(Role::Owner), _) | (Some(Role::Admin), Role::Member) => Ok(()),
            (Some(Role::Admin), _) => Forbidden::NotTheOwner.err(),
            (_, Role::Member) if new.user == actor && self.visibility == Visibility::Public => Ok(()),
            _ => Forbidden::NotAModerator.err(),
        };
        allowed?;
        Ok(if present.is_some() { Admission::Unchanged } else { Admission::Joins(new.role()) })
    }

    /// Whether `actor` may change the role of `target`, who is a member. Callers check that first: existence comes
    /// before right.
    ///
    /// # Errors
    /// [`NotFound::Group`], [`Forbidden::NotTheOwner`], [`Conflict::OwnRole`].
    pub fn may_change_role(self, actor: UserId, target: UserId) -> Result<()> {
        self.may_delete()?;
        if actor == target { Conflict::OwnRole.err() } else { Ok(()) }
    }

    /// Whether `actor` may remove `target`, who has `target_role` in a group of `member_count`.
    ///
    /// # Errors
    /// [`NotFound::Group`], [`Forbidden::NotAModerator`], [`Forbidden::NotTheOwner`], [`Conflict::OwnerMustHandOver`].
    pub fn may_remove(self, actor: UserId, target: UserId, target_role: Role, member_count: u64) -> Result<Departure> {
        self.may_read()?;
        if actor == target {
            return match target_role {
                Role::Owner if member_count <= 1 => Ok(Departure::EndsGroup),
                Role::Owner => Conflict::OwnerMustHandOver.err(),
                _ => Ok(Departure::Leaves),
            };
        }
        match (self.role, target_role) {
            (Some(Role::Owner), _) | (Some(Role::Admin), Role::Member) => Ok(Departure::Leaves),
            (Some(Role::Admin), _) => Forbidden::NotTheOwner.err(),
            _ => Forbidden::NotAModerator.err(),
        }
    }
}

/// How many groups a user may make and join, and how many members a user may add.
///
/// A membership counts against the user who made it. Groups that others added a user to leave the user's own quota of
/// joining alone. Each of those others has only a share of the memberships that others may make for one user. So nobody
/// can use up another user's quota, and no single user can keep others from adding a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupQuotas {
    /// Groups that a user made and still owns. Deleted groups do not count.
    pub made: u64,
    /// Groups that a user joined or made; counted apart, the same number of groups that others added the user to.
    pub joined: u64,
    /// Memberships of others that a user made and that have not ended.
    pub added: u64,
    /// Those of them that are of one and the same other user.
    pub added_of_one: u64,
}

impl Default for GroupQuotas {
    fn default() -> Self {
        Self { made: 1_000, joined: 5_000, added: 20_000, added_of_one: 200 }
    }
}

/// What counts when a user adds another. An adapter counts each only as far as its quota reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddedSoFar {
    /// Memberships of others that the actor made.
    pub by_actor: u64,
    /// Those of them that are of the user to be added.
    pub of_target_by_actor: u64,
    /// Memberships of the user to be added that any other user made.
    pub of_target: u64,
}

impl GroupQuotas {
    /// Whether a user may make another group who owns `made` of their own and is in `joined` that they joined or made.
    ///
    /// # Errors
    /// [`Conflict::TooManyGroupsMade`], [`Conflict::TooManyGroupsJoined`].
    pub fn may_make(&self, made: u64, joined: u64) -> Result<()> {
        if made >= self.made { Conflict::TooManyGroupsMade.err() } else { self.may_join(joined) }
    }

    /// Whether a user may join another group who is in `joined` that they joined or made.
    ///
    /// # Errors
    /// [`Conflict::TooManyGroupsJoined`].
    pub fn may_join(&self, joined: u64) -> Result<()> {
        if joined >= self.joined { Conflict::TooManyGroupsJoined.err() } else { Ok(()) }
    }

    /// Whether a user may add another, given the memberships so far.
    ///
    /// # Errors
    /// [`Conflict::TooManyAdded`], [`Conflict::AddedTooOften`].
    pub fn may_be_added(&self, so_far: AddedSoFar) -> Result<()> {
        if so_far.by_actor >= self.added {
            return Conflict::TooManyAdded.err();
        }
        let too_often = so_far.of_target_by_actor >= self.added_of_one || so_far.of_target >= self.joined;
        if too_often { Conflict::AddedTooOften.err() } else { Ok(()) }
    }
}

/// The member who inherits a group when its owner's account ends: the oldest admin, else the oldest member (by joining,
/// then by id). `None` if there is no other member.
pub fn next_owner<'a>(others: impl IntoIterator<Item = &'a Member>) -> Option<&'a Member> {
    others.into_iter().min_by_key(|member| (member.role != Role::Admin, member.created_at, member.user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::{GroupId, Timestamp};
    use uuid::Uuid;

    const ME: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));
    const GROUP: GroupId = GroupId(Uuid::from_u128(9));

    fn stand(visibility: Visibility, role: Option<Role>) -> GroupAccess {
        GroupAccess { visibility, role }
    }

    fn kind<T>(outcome: Result<T>) -> &'static str {
        match outcome {
            Ok(_) => "yes",
            Err(Error::Forbidden(_)) => "403",
            Err(Error::NotFound(_)) => "404",
            Err(Error::Conflict(_)) => "409",
            Err(_) => "?",
        }
    }

    /// The table at the top of this file, row by row: owner, admin, member, public reader, other.
    #[test]
    fn the_table_holds() {
        use Role::{Admin, Member, Owner};
        let columns = [
            stand(Visibility::Private, Some(Owner)),
            stand(Visibility::Private, Some(Admin)),
            stand(Visibility::Private, Some(Member)),
            stand(Visibility::Public, None),
            stand(Visibility::Private, None),
        ];
        let row = |f: &dyn Fn(GroupAccess) -> &'static str| columns.map(f);
        let adding = |user, role| NewMember::new(GROUP, user, role).unwrap();
        assert_eq!(row(&|s| kind(s.may_read())), ["yes", "yes", "yes", "yes", "404"]);
        assert_eq!(row(&|s| kind(s.may_send())), ["yes", "yes", "yes", "yes", "404"]);
        assert_eq!(columns[3].may_send().unwrap(), Entry::Joins);
        assert_eq!(row(&|s| kind(s.may_mark())), ["yes", "yes", "yes", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_change())), ["yes", "yes", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_delete())), ["yes", "403", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_add(ME, &adding(OTHER, Member), None))), ["yes", "yes", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_add(ME, &adding(ME, Member), None))), ["yes", "yes", "403", "yes", "404"]);
        assert_eq!(row(&|s| kind(s.may_add(ME, &adding(OTHER, Admin), None))), ["yes", "403", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_add(ME, &adding(ME, Admin), None))), ["yes", "403", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_change_role(ME, OTHER))), ["yes", "403", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_change_role(ME, ME))), ["409", "403", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_remove(ME, OTHER, Member, 3))), ["yes", "yes", "403", "403", "404"]);
        assert_eq!(row(&|s| kind(s.may_remove(ME, OTHER, Admin, 3))), ["yes", "403", "403", "403", "404"]);
        assert_eq!(kind(columns[1].may_remove(ME, ME, Admin, 3)), "yes");
        assert_eq!(kind(columns[2].may_remove(ME, ME, Member, 3)), "yes");
        assert_eq!(kind(columns[0].may_remove(ME, ME, Owner, 2)), "409");
        assert_eq!(columns[0].may_remove(ME, ME, Owner, 1).unwrap(), Departure::EndsGroup);
    }

    #[test]
    fn quotas_hold_from_the_first_too_many_on() {
        let quotas = GroupQuotas { made: 2, joined: 3, added: 5, added_of_one: 2 };
        let told = |outcome: Result<()>| match outcome {
            Ok(()) => None,
            Err(Error::Conflict(conflict)) => Some(conflict),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(told(quotas.may_make(1, 2)), None);
        assert_eq!(told(quotas.may_make(2, 2)), Some(Conflict::TooManyGroupsMade));
        assert_eq!(told(quotas.may_make(1, 3)), Some(Conflict::TooManyGroupsJoined));
        assert_eq!(told(quotas.may_join(2)), None);
        assert_eq!(told(quotas.may_join(3)), Some(Conflict::TooManyGroupsJoined));
        for (by_actor, of_target_by_actor, of_target, expected) in [
            (4, 1, 2, None),
            (5, 0, 0, Some(Conflict::TooManyAdded)),
            (4, 2, 2, Some(Conflict::AddedTooOften)),
            (4, 0, 3, Some(Conflict::AddedTooOften)),
        ] {
            let so_far = AddedSoFar { by_actor, of_target_by_actor, of_target };
            assert_eq!(told(quotas.may_be_added(so_far)), expected, "{so_far:?}");
        }
    }

    #[test]
    fn who_is_in_stays_as_one_is() {
        let owner = stand(Visibility::Private, Some(Role::Owner));
        let again = NewMember::new(GROUP, OTHER, Role::Member).unwrap();
        assert_eq!(owner.may_add(ME, &again, Some(Role::Admin)).unwrap(), Admission::Unchanged);
        assert!(NewMember::new(GROUP, OTHER, Role::Owner).is_err());
    }

    #[test]
    fn the_oldest_admin_inherits_else_the_oldest_member() {
        let member = |user: u128, role, at| Member {
            group: GROUP,
            user: UserId(Uuid::from_u128(user)),
            username: String::new(),
            role,
            created_at: Timestamp::from_micros(at).unwrap(),
            updated_at: Timestamp::from_micros(at).unwrap(),
        };
        let members = [member(1, Role::Member, 1), member(2, Role::Admin, 9), member(3, Role::Admin, 5)];
        assert_eq!(next_owner(&members).unwrap().user.0.as_u128(), 3);
        assert_eq!(next_owner(&members[..1]).unwrap().user.0.as_u128(), 1);
        assert!(next_owner(&[]).is_none());
    }
}
