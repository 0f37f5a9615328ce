//! Who is connected to this node.

use domain::events::Revision;
use domain::{GroupId, SessionId, UserId};
use std::collections::{HashMap, HashSet};
use tokio::sync::mpsc;

/// Somebody came or went.
#[derive(Debug, Clone)]
pub(crate) struct Announcement {
    pub user: UserId,
    pub online: bool,
    /// Told: who is in these groups,
    pub groups: Vec<GroupId>,
    /// and these users.
    pub contacts: Vec<UserId>,
}

/// How many groups and contacts are named to other nodes at once: in a packet that NATS takes.
const MOST_NAMED: usize = 4_000;

/// In parts that can be told one by one; one at least. Who is reached by two of them is told twice.
pub(crate) fn in_parts(groups: &[GroupId], contacts: &[UserId]) -> Vec<Circle> {
    let groups = groups.chunks(MOST_NAMED).map(|groups| Circle { groups: groups.to_vec(), contacts: Vec::new() });
    let contacts = contacts.chunks(MOST_NAMED).map(|users| Circle { groups: Vec::new(), contacts: users.to_vec() });
    let mut parts: Vec<Circle> = groups.chain(contacts).collect();
    match &mut parts[..] {
        [] => parts.push(Circle::default()),
        [groups, contacts] if groups.groups.len() + contacts.contacts.len() <= MOST_NAMED => {
            groups.contacts = std::mem::take(&mut contacts.contacts);
            parts.truncate(1);
        }
        _ => {}
    }
    parts
}

/// Somebody who has come asks who is there.
#[derive(Debug)]
pub(crate) struct Question {
    /// Who asks, and is not told of.
    pub user: UserId,
    /// Of who is in these groups,
    pub groups: Vec<GroupId>,
    /// and of these users.
    pub contacts: Vec<UserId>,
    /// Where each shard's answer goes.
    pub answers: mpsc::UnboundedSender<Vec<UserId>>,
}

/// Who is told of somebody's coming and going.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Circle {
    /// Who is in these groups,
    pub groups: Vec<GroupId>,
    /// and these users.
    pub contacts: Vec<UserId>,
}

impl Circle {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.contacts.is_empty()
    }
}

#[derive(Debug, Default)]
struct Entry {
    /// By which session each connection is.
    sessions: Vec<SessionId>,
    /// What the first connection knew when it began, once that is known.
    since: Option<Revision>,
    /// Was announced as online.
    online: bool,
    /// How often the last connection went.
    departures: u64,
    /// What a connection that went knew, in case that those left never come to know it.
    circle: Circle,
}

/// How many connections each user has.
#[derive(Debug, Default)]
pub(crate) struct Registry(HashMap<UserId, Entry>);

impl Registry {
    /// Counts one more, unless the user has as many as are allowed.
    pub fn admit(&mut self, user: UserId, session: SessionId, most: usize) -> bool {
        let entry = self.0.entry(user).or_default();
        let admitted = entry.sessions.len() < most;
        if admitted {
            entry.sessions.push(session);
        }
        admitted
    }

    /// Whether the user has a connection.
    pub fn is_connected(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|entry| !entry.sessions.is_empty())
    }

    /// What a connection of the user begins with.
    pub fn begins(&mut self, user: UserId, at: Revision) {
        if let Some(entry) = self.0.get_mut(&user) {
            entry.since.get_or_insert(at);
        }
    }

    /// From when on a connected user has to be given everything; from the beginning, while that is not known yet.
    pub fn known_since(&self, user: UserId) -> Option<Revision> {
        let entry = self.0.get(&user).filter(|entry| !entry.sessions.is_empty())?;
        Some(entry.since.unwrap_or(Revision(0)))
    }

    /// Who has one.
    pub fn users(&self) -> Vec<UserId> {
        self.0.iter().filter(|(_, entry)| !entry.sessions.is_empty()).map(|(user, _)| *user).collect()
    }

    /// Who was announced as online, and not as gone.
    pub fn shown(&self) -> Vec<UserId> {
        self.0.iter().filter(|(_, entry)| entry.online).map(|(user, _)| *user).collect()
    }

    /// Whether the user was announced as online, and not as gone.
    pub fn is_announced(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|entry| entry.online)
    }

    /// Whether the user is connected, or was a moment ago.
    pub fn is_shown(&self, user: UserId) -> bool {
        self.0.contains_key(&user)
    }

    /// By which sessions, each once, and whose.
    pub fn sessions(&self) -> Vec<(SessionId, UserId)> {
        let of = |(user, entry): (&UserId, &Entry)| {
            let unique: HashSet<SessionId> = entry.sessions.iter().copied().collect();
            let user = *user;
            unique.into_iter().map(move |session| (session, user))
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Whether the user, who is connected, is to be announced as online: not after a moment's absence.
    pub fn appears(&mut self, user: UserId) -> bool {
        self.0.get_mut(&user).is_some_and(|entry| {
            entry.circle = Circle::default();
            !std::mem::replace(&mut entry.online, true)
        })
    }

    /// Counts one less, which knew this circle: an empty one if it never began. Where none is left and the user was announced,
    /// gives what [`Registry::is_gone`] has to be asked with after a while, and who is to be told then.
    pub fn depart(&mut self, user: UserId, session: SessionId, circle: Circle) -> Option<(u64, Circle)> {
        let entry = self.0.get_mut(&user)?;
        if let Some(at) = entry.sessions.iter().position(|other| *other == session) {
            entry.sessions.swap_remove(at);
        }
        if !circle.is_empty() {
            entry.circle = circle;
        }
        if !entry.sessions.is_empty() {
            return None;
        }
        entry.since = None;
        if !entry.online {
            self.0.remove(&user);
            return None;
        }
        entry.departures += 1;
        Some((entry.departures, std::mem::take(&mut entry.circle)))
    }

    /// Whether the user has not come back since that departure, and is to be announced as gone.
    pub fn is_gone(&mut self, user: UserId, departure: u64) -> bool {
        let gone = self.0.get(&user).is_some_and(|entry| entry.sessions.is_empty() && entry.departures == departure);
        if gone {
            self.0.remove(&user);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const USER: UserId = UserId(Uuid::from_u128(1));
    const SESSION: SessionId = SessionId(Uuid::from_u128(2));

    #[test]
    fn a_large_circle_is_told_in_parts_that_leave_nobody_out() {
        let groups = |count| (0..count).map(|n| GroupId(Uuid::from_u128(n))).collect::<Vec<_>>();
        let users = |count| (0..count).map(|n| UserId(Uuid::from_u128(n))).collect::<Vec<_>>();
        for (many, few, parts) in [(0, 0, 1), (3, 2, 1), (3_999, 1, 1), (4_000, 1, 2), (10_001, 4_001, 5)] {
            let told = in_parts(&groups(many), &users(few));
            assert_eq!(told.len(), parts, "{many} {few}");
            assert!(told.iter().all(|part| part.groups.len() + part.contacts.len() <= MOST_NAMED));
            assert_eq!(told.iter().flat_map(|part| part.groups.clone()).collect::<Vec<_>>(), groups(many));
            assert_eq!(told.iter().flat_map(|part| part.contacts.clone()).collect::<Vec<_>>(), users(few));
        }
    }

    #[test]
    fn a_user_has_so_many_connections_at_the_most() {
        let mut registry = Registry::default();
        assert!(registry.admit(USER, SESSION, 2) && registry.admit(USER, SESSION, 2));
        assert!(!registry.admit(USER, SESSION, 2));
        registry.depart(USER, SESSION, Circle::default());
        assert!(registry.admit(USER, SESSION, 2));
    }

    #[test]
    fn who_comes_back_soon_was_never_away() {
        let mut registry = Registry::default();
        registry.admit(USER, SESSION, 9);
        assert!(registry.appears(USER));
        registry.admit(USER, SESSION, 9);
        assert!(!registry.appears(USER));
        assert_eq!(registry.depart(USER, SESSION, Circle::default()), None);
        let (first, _) = registry.depart(USER, SESSION, Circle::default()).unwrap();
        registry.admit(USER, SESSION, 9);
        assert!(!registry.appears(USER) && !registry.is_gone(USER, first));
        let (second, _) = registry.depart(USER, SESSION, Circle::default()).unwrap();
        assert!(!registry.is_gone(USER, first));
        assert!(registry.is_gone(USER, second) && registry.0.is_empty());
    }

    #[test]
    fn whose_last_connection_never_began_goes_all_the_same() {
        let circle = |n| Circle { groups: vec![GroupId(Uuid::from_u128(n))], contacts: vec![] };
        let mut registry = Registry::default();
        for _ in 0..2 {
            registry.admit(USER, SESSION, 9);
        }
        registry.appears(USER);
        assert_eq!(registry.depart(USER, SESSION, circle(1)), None);
        assert_eq!(registry.depart(USER, SESSION, Circle::default()), Some((1, circle(1))));
        // What one that begins knows is newer.
        for _ in 0..2 {
            registry.admit(USER, SESSION, 9);
        }
        registry.depart(USER, SESSION, circle(1));
        registry.appears(USER);
        assert_eq!(registry.depart(USER, SESSION, circle(2)), Some((2, circle(2))));
    }
}
