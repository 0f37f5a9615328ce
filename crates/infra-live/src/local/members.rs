//! Who of a worker's connections is in which group.

use crate::local::connection::Connection;
use crate::local::hub::Hub;
use crate::local::presence::Circle;
use crate::local::roll::Roll;
use domain::events::{Audience, Head, MembershipChange};
use domain::{GroupId, UserId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Somebody whose last connection went.
pub struct Absence {
    pub until: Instant,
    pub departure: u64,
    pub user: UserId,
    pub circle: Circle,
}

/// The connections of one worker, by what they are told of.
pub struct Members {
    hub: Arc<Hub>,
    pub all: Roll,
    /// They are told nothing yet, and hold what happens. Some may be among the members of groups already: only what they do
    /// themselves takes them in or out.
    pub joining: Roll,
    pub by_user: HashMap<UserId, Vec<Rc<Connection>>>,
    by_group: HashMap<GroupId, Vec<Rc<Connection>>>,
    pub absences: Vec<Absence>,
}

/// Takes a connection out of a short list.
pub fn remove(from: &mut Vec<Rc<Connection>>, connection: &Rc<Connection>) {
    if let Some(at) = from.iter().position(|other| Rc::ptr_eq(other, connection)) {
        from.swap_remove(at);
    }
}

impl Members {
    pub fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            all: Roll::new(|connection| &connection.place),
            joining: Roll::new(|connection| &connection.place_joining),
            by_user: HashMap::new(),
            by_group: HashMap::new(),
            absences: Vec::new(),
        }
    }

    /// Whether the connection was not in the group before. It knows the group as it stands at `known`; `None` where it is told
    /// of the group by what happens. Costs the same however many groups it is in and members the group has.
    pub fn join(&mut self, group: GroupId, connection: &Rc<Connection>, known: Option<Head>) -> bool {
        let mut groups = connection.groups.borrow_mut();
        let Entry::Vacant(place) = groups.entry(group) else { return false };
        let members = self.by_group.entry(group).or_default();
        if members.is_empty() {
            self.hub.watch_group(group, known);
        }
        place.insert(members.len());
        members.push(Rc::clone(connection));
        true
    }

    /// Whether the connection was in the group before.
    pub fn leave(&mut self, group: GroupId, connection: &Rc<Connection>) -> bool {
        let Some(place) = connection.groups.borrow_mut().remove(&group) else { return false };
        let Some(members) = self.by_group.get_mut(&group) else { return false };
        members.swap_remove(place);
        if let Some(moved) = members.get(place) {
            moved.groups.borrow_mut().insert(group, place);
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

    /// Takes note of what happened, for all that do not learn of it by what they hold.
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
                for (place, connection) in joining.iter().enumerate() {
                    connection.groups.borrow_mut().insert(group, place);
                }
                self.by_group.insert(group, joining);
            }
        }
    }

    /// Calls `give` for every connection of the audience; joining ones take nothing.
    pub fn each(&self, audience: Audience, give: impl FnMut(&Rc<Connection>)) {
        match audience {
            Audience::Everybody => self.all.iter().for_each(give),
            Audience::Members(group) => self.of_group(group).iter().for_each(give),
            Audience::Users(users) => self.of_users(users).for_each(give),
            Audience::MembersAmong(group, users) => {
                let inside = |connection: &&Rc<Connection>| connection.is_in(group);
                self.of_users(users).filter(inside).for_each(give);
            }
            Audience::Nobody => {}
        }
    }

    fn of_users(&self, [one, other]: [UserId; 2]) -> impl Iterator<Item = &Rc<Connection>> {
        let others = if one == other { &[] } else { self.of_user(other) };
        self.of_user(one).iter().chain(others)
    }
}
