//! The model's accounts, groups and members.

use super::model::{Conversation, Kind, Model, Seat};
use domain::groups::{
    Admission, Departure, Group, GroupAccess, GroupChange, GroupName, GroupNamePrefix, GroupView, Member, NewGroup,
    NewMember, Role, next_owner,
};
use domain::users::{Change, NewUser, ProfileChange, User, UserRole, Username, UsernamePrefix};
use domain::{Conflict, GroupId, Limit, NotFound, Page, Result, Timestamp, UserId};

/// The first of a sorted list, and whether there are more.
pub fn page<T>(items: impl IntoIterator<Item = T>, limit: Limit) -> Page<T> {
    Page::from_surplus(items.into_iter().take(limit.get() + 1).collect(), limit)
}

fn apply<T>(change: Change<T>, value: &mut Option<T>) {
    match change {
        Change::Keep => {}
        Change::Clear => *value = None,
        Change::Set(new) => *value = Some(new),
    }
}

impl Model {
    pub fn sign_up(&mut self, new: NewUser) -> Result<User> {
        if self.users.values().any(|user| user.username.key() == new.username.key()) {
            return Conflict::UsernameTaken.err();
        }
        let key = new.email.as_ref().map(|email| email.key());
        if key.is_some() && self.users.values().any(|user| user.email.as_ref().map(|email| email.key()) == key) {
            return Conflict::EmailTaken.err();
        }
        let user = User {
            id: new.id,
            username: new.username,
            display_name: None,
            email: new.email,
            role: UserRole::Member,
            created_at: new.at,
            updated_at: new.at,
            deleted_at: None,
            disabled_at: None,
        };
        self.users.insert(user.id, user.clone());
        Ok(user)
    }

    pub fn change_profile(&mut self, id: UserId, change: ProfileChange, at: Timestamp) -> Result<User> {
        if let Change::Set(email) = &change.email {
            let taken = |user: &&User| user.email.as_ref().is_some_and(|other| other.key() == email.key());
            if self.users.values().filter(|user| user.id != id).any(|user| taken(&user)) {
                return Conflict::EmailTaken.err();
            }
        }
        let user = self.users.get_mut(&id).filter(|user| user.deleted_at.is_none()).ok_or(NotFound::User)?;
        if change != ProfileChange::default() {
            user.updated_at = at;
        }
        apply(change.email, &mut user.email);
        apply(change.display_name, &mut user.display_name);
        Ok(user.clone())
    }

    pub fn delete_user(&mut self, id: UserId, at: Timestamp) -> Result<()> {
        let user = self.users.get_mut(&id).filter(|user| user.deleted_at.is_none()).ok_or(NotFound::User)?;
        (user.email, user.display_name) = (None, None);
        (user.updated_at, user.deleted_at) = (at, Some(at));
        let groups: Vec<GroupId> = self.groups_of(id);
        for group in groups {
            let others: Vec<Member> =
                self.seats(group).keys().filter(|user| **user != id).map(|user| self.member(group, *user)).collect();
            let seat = self.seats(group)[&id].role;
            let next_owner = next_owner(&others).map(|next_owner| next_owner.user);
            match next_owner {
                None => self.end_group(group, at),
                Some(next_owner) => {
                    let seats = &mut self.conversation_mut(group).seats;
                    if seat == Role::Owner
                        && let Some(seat) = seats.get_mut(&next_owner)
                    {
                        (seat.role, seat.updated_at) = (Role::Owner, at);
                    }
                    seats.remove(&id);
                }
            }
        }
        Ok(())
    }

    fn groups_of(&self, user: UserId) -> Vec<GroupId> {
        let mine = self.conversations.values().filter(|conversation| conversation.seats.contains_key(&user));
        mine.filter(|conversation| matches!(conversation.kind, Kind::Group(_)) && conversation.deleted_at.is_none())
            .map(|conversation| GroupId(conversation.id.0))
            .collect()
    }

    fn end_group(&mut self, group: GroupId, at: Timestamp) {
        let conversation = self.conversation_mut(group);
        conversation.seats.clear();
        conversation.deleted_at = Some(at);
    }

    fn conversation_mut(&mut self, group: GroupId) -> &mut Conversation {
        self.conversations.get_mut(&group.conversation()).unwrap()
    }

    fn seats(&self, group: GroupId) -> &std::collections::BTreeMap<UserId, Seat> {
        &self.conversations[&group.conversation()].seats
    }

    fn member(&self, group: GroupId, user: UserId) -> Member {
        let seat = &self.seats(group)[&user];
        Member {
            group,
            user,
            username: self.users[&user].profile().username,
            role: seat.role,
            created_at: seat.joined_at,
            updated_at: seat.updated_at,
        }
    }

    /// The live group as it is, if there is one.
    pub fn group(&self, id: GroupId) -> Option<Group> {
        let conversation = self.conversations.get(&id.conversation())?;
        match &conversation.kind {
            Kind::Group(group) if conversation.deleted_at.is_none() => {
                Some(Group { member_count: conversation.seats.len() as u64, ..group.clone() })
            }
            _ => None,
        }
    }

    /// The live group and how the user stands to it, if the user may see it.
    pub fn group_access(&self, user: UserId, id: GroupId) -> Result<(Group, GroupAccess)> {
        let group = self.group(id).ok_or(NotFound::Group)?;
        let role = self.seats(id).get(&user).map(|seat| seat.role);
        let group_access = GroupAccess { visibility: group.visibility, role };
        group_access.may_read()?;
        Ok((group, group_access))
    }

    fn name_taken(&self, name: &GroupName, but: Option<GroupId>) -> bool {
        let groups = self.conversations.keys().filter_map(|id| self.group(GroupId(id.0)));
        groups.filter(|group| Some(group.id) != but).any(|group| group.name.key() == name.key())
    }

    pub fn create_group(&mut self, new: NewGroup) -> Result<Group> {
        if self.name_taken(&new.name, None) {
            return Conflict::GroupNameTaken.err();
        }
        let group = Group {
            id: new.id,
            name: new.name,
            description: new.description,
            visibility: new.visibility,
            member_count: 1,
            created_at: new.at,
            updated_at: new.at,
        };
        let mut conversation = Conversation::new(new.id.conversation(), Kind::Group(group.clone()));
        conversation.seats.insert(new.owner, Seat::new(Role::Owner, 0, new.at, self.calls));
        self.conversations.insert(conversation.id, conversation);
        Ok(group)
    }

    pub fn change_group(
        &mut self,
        actor: UserId,
        id: GroupId,
        change: GroupChange,
        at: Timestamp,
    ) -> Result<GroupView> {
        let (_, group_access) = self.group_access(actor, id)?;
        group_access.may_change()?;
        if change.name.as_ref().is_some_and(|name| self.name_taken(name, Some(id))) {
            return Conflict::GroupNameTaken.err();
        }
        let change = change.of(&self.group(id).ok_or(NotFound::Group)?);
        if let Kind::Group(group) = &mut self.conversation_mut(id).kind
            && change != GroupChange::default()
        {
            group.name = change.name.unwrap_or_else(|| group.name.clone());
            group.visibility = change.visibility.unwrap_or(group.visibility);
            group.updated_at = at;
        }
        Ok(GroupView { group: self.group(id).ok_or(NotFound::Group)?, role: group_access.role })
    }

    pub fn delete_group(&mut self, actor: UserId, id: GroupId, at: Timestamp) -> Result<()> {
        self.group_access(actor, id)?.1.may_delete()?;
        self.end_group(id, at);
        Ok(())
    }

    pub fn add(&mut self, actor: UserId, new: NewMember, at: Timestamp) -> Result<Member> {
        let (_, group_access) = self.group_access(actor, new.group)?;
        self.living_user(new.user)?;
        let present = self.seats(new.group).get(&new.user).map(|seat| seat.role);
        if let Admission::Joins(role) = group_access.may_add(actor, &new, present)? {
            self.join(new.group, new.user, role, at);
        }
        Ok(self.member(new.group, new.user))
    }

    pub fn join(&mut self, group: GroupId, user: UserId, role: Role, at: Timestamp) {
        let calls = self.calls;
        let conversation = self.conversation_mut(group);
        conversation.views.remove(&user);
        conversation.seats.insert(user, Seat::new(role, conversation.update, at, calls));
    }

    pub fn change_role(
        &mut self,
        actor: UserId,
        group: GroupId,
        user: UserId,
        role: Role,
        at: Timestamp,
    ) -> Result<Member> {
        let (_, group_access) = self.group_access(actor, group)?;
        let present = self.seats(group).get(&user).map(|seat| seat.role).ok_or(NotFound::Member)?;
        group_access.may_change_role(actor, user)?;
        let seats = &mut self.conversation_mut(group).seats;
        let changed = [(actor, Role::Admin, role == Role::Owner), (user, role, present != role)];
        for (user, role, _) in changed.into_iter().filter(|(.., changes)| *changes) {
            if let Some(seat) = seats.get_mut(&user) {
                (seat.role, seat.updated_at) = (role, at);
            }
        }
        Ok(self.member(group, user))
    }

    pub fn remove(&mut self, actor: UserId, group: GroupId, user: UserId, at: Timestamp) -> Result<()> {
        let (whole, group_access) = self.group_access(actor, group)?;
        let role = self.seats(group).get(&user).map(|seat| seat.role).ok_or(NotFound::Member)?;
        match group_access.may_remove(actor, user, role, whole.member_count)? {
            Departure::Leaves => drop(self.conversation_mut(group).seats.remove(&user)),
            Departure::EndsGroup => self.end_group(group, at),
        }
        Ok(())
    }

    pub fn living_user(&self, id: UserId) -> Result<&User> {
        Ok(self.users.get(&id).filter(|user| user.deleted_at.is_none()).ok_or(NotFound::User)?)
    }

    pub fn find_user(&self, name: &Username) -> Option<User> {
        let found = self.users.values().find(|user| user.username.key() == name.key());
        found.filter(|user| user.deleted_at.is_none()).cloned()
    }

    pub fn list_users(&self, prefix: &UsernamePrefix, after: Option<UserId>, limit: Limit) -> Result<Page<User>> {
        let after =
            after.map(|id| self.users.get(&id).map(|user| user.username.key()).ok_or(NotFound::User)).transpose()?;
        let mut users: Vec<User> = self.users.values().filter(|user| user.deleted_at.is_none()).cloned().collect();
        users.sort_by_key(|user| user.username.key());
        users.retain(|user| user.username.key().starts_with(prefix.key()) && Some(user.username.key()) > after);
        Ok(page(users, limit))
    }

    fn view(&self, viewer: UserId, id: GroupId) -> Option<GroupView> {
        let (group, group_access) = self.group_access(viewer, id).ok()?;
        Some(GroupView { group, role: group_access.role })
    }

    pub fn find_group(&self, viewer: UserId, name: &GroupName) -> Option<GroupView> {
        let mut views = self.conversations.keys().filter_map(|id| self.view(viewer, GroupId(id.0)));
        views.find(|view| view.group.name.key() == name.key())
    }

    pub fn list_groups(
        &self,
        viewer: UserId,
        prefix: &GroupNamePrefix,
        after: Option<GroupId>,
        limit: Limit,
    ) -> Result<Page<GroupView>> {
        let place = |id: GroupId| match self.conversations.get(&id.conversation()).map(|found| &found.kind) {
            Some(Kind::Group(group)) => Ok((group.name.key(), id)),
            _ => Err(NotFound::Group),
        };
        let after = after.map(place).transpose()?;
        let mut views: Vec<GroupView> =
            self.conversations.keys().filter_map(|id| self.view(viewer, GroupId(id.0))).collect();
        views.sort_by_key(|view| (view.group.name.key(), view.group.id));
        views.retain(|view| {
            let key = view.group.name.key();
            key.as_str().starts_with(prefix.key()) && Some((key, view.group.id)) > after
        });
        Ok(page(views, limit))
    }

    pub fn list_members(
        &self,
        viewer: UserId,
        group: GroupId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Member>> {
        self.group_access(viewer, group)?;
        if let Some(after) = after {
            self.users.get(&after).ok_or(NotFound::User)?;
        }
        let members = self.seats(group).keys().copied().filter(|user| Some(*user) > after);
        Ok(page(members.map(|user| self.member(group, user)), limit))
    }
}
