//! Which users are connected to this node.

use domain::events::Revision;
use domain::{GroupId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use tokio::sync::mpsc;

/// How many groups and contacts one packet to other nodes names, so that NATS accepts it.
const MAX_NAMED: usize = 4_000;

/// The users who learn that a user is online or offline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceAudience {
    /// The members of these groups.
    pub groups: Vec<GroupId>,
    /// These users, besides.
    pub contacts: Vec<UserId>,
}

impl PresenceAudience {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.contacts.is_empty()
    }

    /// Splits the audience into parts that fit into one packet each; at least one. A user who belongs to two parts
    /// learns of it twice.
    pub fn into_parts(self) -> Vec<Self> {
        if self.groups.len() + self.contacts.len() <= MAX_NAMED {
            return vec![self];
        }
        let groups = self.groups.chunks(MAX_NAMED).map(|some| Self { groups: some.to_vec(), contacts: Vec::new() });
        let contacts = self.contacts.chunks(MAX_NAMED).map(|some| Self { groups: Vec::new(), contacts: some.to_vec() });
        groups.chain(contacts).collect()
    }
}

/// A user is online or offline now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    pub user: UserId,
    pub online: bool,
    pub audience: PresenceAudience,
}

/// A user has connected and asks who of an audience is online.
#[derive(Debug)]
pub struct PresenceQuery {
    /// The user who asks. The answer leaves this user out.
    pub user: UserId,
    pub audience: PresenceAudience,
    /// Each shard sends its answer here.
    pub answers: mpsc::UnboundedSender<Vec<UserId>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The session of each connection.
    sessions: Vec<SessionId>,
    /// The oldest revision at which a connection read its subscriptions. `None` until then.
    known_since: Option<Revision>,
    /// Whether the user was announced as online.
    online: bool,
    /// How often the last connection has gone.
    departures: u64,
    /// The audience of a connection that has gone. The remaining connections may never read their subscriptions.
    audience: PresenceAudience,
}

/// The connections of each user.
#[derive(Debug, Default)]
pub struct Registry(HashMap<UserId, Entry>);

impl Registry {
    /// Adds a connection. Returns `false` if the user has `max` already.
    pub fn admit(&mut self, user: UserId, session: SessionId, max: usize) -> bool {
        let entry = self.0.entry(user).or_default();
        let admitted = entry.sessions.len() < max;
        if admitted {
            entry.sessions.push(session);
        }
        admitted
    }

    /// Whether the user has a connection.
    pub fn is_connected(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|entry| !entry.sessions.is_empty())
    }

    /// A connection of the user has read its subscriptions at that revision.
    pub fn note_known_since(&mut self, user: UserId, at: Revision) {
        if let Some(entry) = self.0.get_mut(&user) {
            entry.known_since = Some(entry.known_since.map_or(at, |since| since.min(at)));
        }
    }

    /// The revision from which on a connected user needs every event. 0 while no connection has read its subscriptions.
    pub fn known_since(&self, user: UserId) -> Option<Revision> {
        let entry = self.0.get(&user).filter(|entry| !entry.sessions.is_empty())?;
        Some(entry.known_since.unwrap_or(Revision(0)))
    }

    /// The users who have a connection.
    pub fn connected_users(&self) -> Vec<UserId> {
        self.0.iter().filter(|(_, entry)| !entry.sessions.is_empty()).map(|(user, _)| *user).collect()
    }

    /// The users who were announced as online, and not as offline since.
    pub fn announced_users(&self) -> Vec<UserId> {
        self.0.iter().filter(|(_, entry)| entry.online).map(|(user, _)| *user).collect()
    }

    /// Whether the user was announced as online, and not as offline since.
    pub fn is_announced(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|entry| entry.online)
    }

    /// Whether the user is connected, or was a moment ago.
    pub fn is_present(&self, user: UserId) -> bool {
        self.0.contains_key(&user)
    }

    /// The sessions of all connections, each once, with their users.
    pub fn sessions(&self) -> Vec<(SessionId, UserId)> {
        let of = |(user, entry): (&UserId, &Entry)| {
            let unique: HashSet<SessionId> = entry.sessions.iter().copied().collect();
            let user = *user;
            unique.into_iter().map(move |session| (session, user))
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Marks a connected user as online. Returns whether others have to learn of it: not after a moment's absence.
    pub fn mark_online(&mut self, user: UserId) -> bool {
        self.0.get_mut(&user).is_some_and(|entry| {
            entry.audience = PresenceAudience::default();
            !std::mem::replace(&mut entry.online, true)
        })
    }

    /// Removes a connection. If it was the user's last and the user was announced online, returns a token for
    /// [`confirm_offline`](Self::confirm_offline) and the audience to notify. `audience` is empty for a connection that
    /// has not read its subscriptions.
    pub fn disconnect(
        &mut self,
        user: UserId,
        session: SessionId,
        audience: PresenceAudience,
    ) -> Option<(u64, PresenceAudience)> {
        let entry = self.0.get_mut(&user)?;
        if let Some(at) = entry.sessions.iter().position(|other| *other == session) {
            entry.sessions.swap_remove(at);
        }
        if !audience.is_empty() {
            entry.audience = audience;
        }
        if !entry.sessions.is_empty() {
            return None;
        }
        entry.known_since = None;
        if !entry.online {
            self.0.remove(&user);
            return None;
        }
        entry.departures += 1;
        Some((entry.departures, std::mem::take(&mut entry.audience)))
    }

    /// Removes a user who has not connected again since that departure. Returns whether it did. The caller then
    /// announces the user as offline.
    pub fn confirm_offline(&mut self, user: UserId, departure: u64) -> bool {
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
    fn a_large_audience_is_told_in_parts_that_leave_nobody_out() {
        let groups = |count| (0..count).map(|n| GroupId(Uuid::from_u128(n))).collect::<Vec<_>>();
        let users = |count| (0..count).map(|n| UserId(Uuid::from_u128(n))).collect::<Vec<_>>();
        for (many, few, parts) in [(0, 0, 1), (3, 2, 1), (3_999, 1, 1), (4_000, 1, 2), (10_001, 4_001, 5)] {
            let told = PresenceAudience { groups: groups(many), contacts: users(few) }.into_parts();
            assert_eq!(told.len(), parts, "{many} {few}");
            assert!(told.iter().all(|part| part.groups.len() + part.contacts.len() <= MAX_NAMED));
            assert_eq!(told.iter().flat_map(|part| part.groups.clone()).collect::<Vec<_>>(), groups(many));
            assert_eq!(told.iter().flat_map(|part| part.contacts.clone()).collect::<Vec<_>>(), users(few));
        }
    }

    #[test]
    fn a_user_has_no_more_connections_than_allowed() {
        let mut registry = Registry::default();
        assert!(registry.admit(USER, SESSION, 2) && registry.admit(USER, SESSION, 2));
        assert!(!registry.admit(USER, SESSION, 2));
        registry.disconnect(USER, SESSION, PresenceAudience::default());
        assert!(registry.admit(USER, SESSION, 2));
    }

    #[test]
    fn a_user_who_reconnects_soon_was_never_offline() {
        let mut registry = Registry::default();
        registry.admit(USER, SESSION, 9);
        assert!(registry.mark_online(USER));
        registry.admit(USER, SESSION, 9);
        assert!(!registry.mark_online(USER));
        assert_eq!(registry.disconnect(USER, SESSION, PresenceAudience::default()), None);
        let (first, _) = registry.disconnect(USER, SESSION, PresenceAudience::default()).unwrap();
        registry.admit(USER, SESSION, 9);
        assert!(!registry.mark_online(USER) && !registry.confirm_offline(USER, first));
        let (second, _) = registry.disconnect(USER, SESSION, PresenceAudience::default()).unwrap();
        assert!(!registry.confirm_offline(USER, first));
        assert!(registry.confirm_offline(USER, second) && registry.0.is_empty());
    }

    #[test]
    fn a_user_whose_last_connection_never_read_its_roster_goes_offline_all_the_same() {
        let audience = |n| PresenceAudience { groups: vec![GroupId(Uuid::from_u128(n))], contacts: vec![] };
        let mut registry = Registry::default();
        for _ in 0..2 {
            registry.admit(USER, SESSION, 9);
        }
        registry.mark_online(USER);
        assert_eq!(registry.disconnect(USER, SESSION, audience(1)), None);
        assert_eq!(registry.disconnect(USER, SESSION, PresenceAudience::default()), Some((1, audience(1))));
        // The audience of a connection that reads its subscriptions is newer.
        for _ in 0..2 {
            registry.admit(USER, SESSION, 9);
        }
        registry.disconnect(USER, SESSION, audience(1));
        registry.mark_online(USER);
        assert_eq!(registry.disconnect(USER, SESSION, audience(2)), Some((2, audience(2))));
    }

    #[test]
    fn of_several_connections_the_one_that_knows_least_counts() {
        let mut registry = Registry::default();
        for _ in 0..2 {
            registry.admit(USER, SESSION, 9);
        }
        assert_eq!(registry.known_since(USER), Some(Revision(0)));
        for (at, oldest) in [(7, 7), (5, 5), (9, 5)] {
            registry.note_known_since(USER, Revision(at));
            assert_eq!(registry.known_since(USER), Some(Revision(oldest)));
        }
    }
}
