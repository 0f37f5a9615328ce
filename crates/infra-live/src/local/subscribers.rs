//! Which of a worker's connections belong to which user and group.

use super::connection::Connection;
use super::connection_list::ConnectionList;
use super::hub::Hub;
use super::presence::PresenceAudience;
use domain::events::{Audience, ConversationVersion, MembershipChange};
use domain::{GroupId, UserId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// A user whose last connection has gone. The server announces them as offline if no new one begins before `until`.
pub struct PendingOffline {
    pub until: Instant,
    /// The token for [`Hub::confirm_offline`].
    pub departure: u64,
    pub user: UserId,
    pub audience: PresenceAudience,
}

/// The connections of one worker, by user and group.
pub struct Subscribers {
    hub: Arc<Hub>,
    pub all: ConnectionList,
    /// These get nothing yet and hold every event. Some may be members of groups already: only the events that they
    /// hold change their memberships.
    pub joining: ConnectionList,
    pub by_user: HashMap<UserId, Vec<Rc<Connection>>>,
    by_group: HashMap<GroupId, Vec<Rc<Connection>>>,
    pub pending_offline: Vec<PendingOffline>,
}

/// Takes a connection out of a short list.
pub fn remove(from: &mut Vec<Rc<Connection>>, connection: &Rc<Connection>) {
    if let Some(at) = from.iter().position(|other| Rc::ptr_eq(other, connection)) {
        from.swap_remove(at);
    }
}

impl Subscribers {
    /// Without connections.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            all: ConnectionList::new(|connection| &connection.index),
            joining: ConnectionList::new(|connection| &connection.joining_index),
            by_user: HashMap::new(),
            by_group: HashMap::new(),
            pending_offline: Vec::new(),
        }
    }

    /// Makes the connection a member of the group. Returns `false` if it was one before. `known` is the version of the
    /// group that the connection knows; `None` if it learns of the group by an event. The cost does not depend on the
    /// number of the connection's groups or of the group's members.
    pub fn join(&mut self, group: GroupId, connection: &Rc<Connection>, known: Option<ConversationVersion>) -> bool {
        let mut groups = connection.groups.borrow_mut();
        let Entry::Vacant(entry) = groups.entry(group) else { return false };
        let members = self.by_group.entry(group).or_default();
        if members.is_empty() {
            self.hub.watch_group(group, known);
        }
        if let Some(known) = known {
            self.hub.lower_known(group, known);
        }
        entry.insert(members.len());
        members.push(Rc::clone(connection));
        true
    }

    /// Removes the connection from the group. Returns `false` if it was no member.
    pub fn leave(&mut self, group: GroupId, connection: &Rc<Connection>) -> bool {
        let Some(index) = connection.groups.borrow_mut().remove(&group) else { return false };
        let Some(members) = self.by_group.get_mut(&group) else { return false };
        members.swap_remove(index);
        if let Some(moved) = members.get(index) {
            moved.groups.borrow_mut().insert(group, index);
        }
        if members.is_empty() {
            self.by_group.remove(&group);
            self.hub.unwatch_group(group);
        }
        true
    }

    pub fn of_user(&self, user: UserId) -> &[Rc<Connection>] {
        self.by_user.get(&user).map_or(&[], Vec::as_slice)
    }

    pub fn of_group(&self, group: GroupId) -> &[Rc<Connection>] {
        self.by_group.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Applies a change of members to all connections but the joining ones, which hold the event.
    pub fn change(&mut self, change: MembershipChange) {
        match change {
            MembershipChange::Joins(group, user) => {
                for connection in self.of_user(user).to_vec() {
                    if !connection.is_joining() {
                        self.join(group, &connection, None);
                    }
                }
            }
            MembershipChange::Leaves(group, user) => {
                for connection in self.of_user(user).to_vec() {
                    if !connection.is_joining() {
                        self.leave(group, &connection);
                    }
                }
            }
            MembershipChange::Ends(group) => {
                let Some(members) = self.by_group.remove(&group) else { return };
                let (joining, members): (Vec<_>, Vec<_>) = members.into_iter().partition(|member| member.is_joining());
                for connection in members {
                    connection.groups.borrow_mut().remove(&group);
                }
                if joining.is_empty() {
                    return self.hub.unwatch_group(group);
                }
                for (index, connection) in joining.iter().enumerate() {
                    connection.groups.borrow_mut().insert(group, index);
                }
                self.by_group.insert(group, joining);
            }
        }
    }

    /// Calls `deliver` for every connection of the audience. Joining connections drop what they get.
    pub fn each(&self, audience: Audience, deliver: impl FnMut(&Rc<Connection>)) {
        match audience {
            Audience::Everybody => self.all.iter().for_each(deliver),
            Audience::Members(group) => self.of_group(group).iter().for_each(deliver),
            Audience::Users(users) => self.of_users(users).for_each(deliver),
            Audience::MembersAmong(group, users) => {
                let inside = |connection: &&Rc<Connection>| connection.is_in(group);
                self.of_users(users).filter(inside).for_each(deliver);
            }
            Audience::Nobody => {}
        }
    }

    fn of_users(&self, [one, other]: [UserId; 2]) -> impl Iterator<Item = &Rc<Connection>> {
        let others = if one == other { &[] } else { self.of_user(other) };
        self.of_user(one).iter().chain(others)
    }
}
