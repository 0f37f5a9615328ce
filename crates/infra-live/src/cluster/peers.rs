//! The other nodes, and who is connected to each: whoever was with one that ends or dies is announced as gone by those that are
//! left, unless they have come to another.

use super::node::{MOST_TOLD, Node};
use super::codec::Word;
use super::subjects::Subject;
use crate::local::presence::Announcement;
use domain::UserId;
use domain::live::Roster;
use futures_util::future::BoxFuture;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info};
use uuid::Uuid;

/// How often a node says that it lives.
const SAY_EVERY: Duration = Duration::from_secs(2);
/// How long a node may say nothing before those who are with it count as gone: five of its words. Only while NATS is there.
const SILENCE: Duration = Duration::from_secs(10);
/// How long those who were with a node that stops may take to come to another: a second more than they are told to wait at the
/// most (`retry_hint` in api-actix).
pub const MOVING: Duration = Duration::from_secs(6);
/// How long it is remembered who was announced as gone for a node's silence: it may only have been cut off.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many users' groups and contacts are read at once.
const MOST_READ: usize = 4;

/// A user who is to be announced, whether as there, and to whom.
pub type Found = (UserId, bool, domain::Result<Roster>);

struct Other {
    heard: Instant,
    /// Whether it was asked who is with it, since something may have been missed.
    asked: bool,
    users: HashSet<UserId>,
    /// Those it has named so far, while it names all of them.
    named: HashSet<UserId>,
    /// How many parts of that have come.
    parts: usize,
    /// Whether it has named all of them before, so that who was told of them differs from what is so by what was missed.
    known: bool,
    /// It said that it ends: from then on its users count as gone.
    ends: Option<Instant>,
}

/// What is known of the other nodes.
pub struct Others {
    nodes: HashMap<Uuid, Other>,
    /// Who was announced as gone with a node, and when.
    missing: HashMap<UserId, Instant>,
    /// Somebody has come here who could not be told who is there.
    untold: bool,
    /// Since when NATS is there.
    hears_since: Instant,
    say_next: Instant,
}

impl Others {
    pub fn new(now: Instant) -> Self {
        Self { nodes: HashMap::new(), missing: HashMap::new(), untold: false, hears_since: now, say_next: now }
    }

    /// A node lives. Says whether it was not known, so that it is to be asked who is with it.
    pub fn heard(&mut self, node: Uuid, now: Instant) -> bool {
        match self.nodes.entry(node) {
            Entry::Occupied(mut known) => known.get_mut().heard = now,
            Entry::Vacant(new) => {
                let (users, named) = (HashSet::new(), HashSet::new());
                new.insert(Other { heard: now, asked: true, users, named, parts: 0, known: false, ends: None });
                return true;
            }
        }
        false
    }

    /// Packets may have been missed.
    pub fn missed_some(&mut self) {
        self.nodes.values_mut().for_each(|other| other.asked = false);
    }

    /// So were all for a while: nobody's silence says anything.
    pub fn missed_all(&mut self, now: Instant) {
        self.missed_some();
        self.hears_since = now;
        self.nodes.values_mut().for_each(|other| other.heard = now);
    }

    /// Somebody was announced as there.
    pub fn came(&mut self, node: Uuid, user: UserId) {
        if let Some(other) = self.nodes.get_mut(&node) {
            other.users.insert(user);
            other.named.insert(user);
        }
        self.missing.remove(&user);
    }

    /// Somebody has come here.
    pub fn came_here(&mut self, user: UserId) {
        self.missing.remove(&user);
    }

    /// Somebody's last connection to the node has gone.
    pub fn left(&mut self, node: Uuid, user: UserId) {
        if let Some(other) = self.nodes.get_mut(&node) {
            other.users.remove(&user);
            other.named.remove(&user);
        }
    }

    /// A node names those who are with it, in several parts where they are many. Gives who has come to it or gone from it,
    /// and whether it is the one or the other, as far as that was not told before.
    pub fn has(
        &mut self,
        node: Uuid,
        users: impl Iterator<Item = UserId>,
        part: usize,
        parts: usize,
    ) -> Vec<(UserId, bool)> {
        let Some(other) = self.nodes.get_mut(&node) else { return Vec::new() };
        if part == 0 {
            other.named.clear();
        } else if part != other.parts {
            // One was lost: it is asked again.
            (other.asked, other.parts) = (false, 0);
            return Vec::new();
        }
        other.parts = part + 1;
        other.named.extend(users);
        if other.parts < parts {
            return Vec::new();
        }
        other.parts = 0;
        let before = std::mem::replace(&mut other.users, std::mem::take(&mut other.named));
        let all = std::mem::replace(&mut other.known, true) || self.untold;
        let missing = &mut self.missing;
        let came = other.users.iter().filter(|user| missing.remove(user).is_some() || (all && !before.contains(user)));
        let went = before.iter().filter(|user| !other.users.contains(user));
        came.map(|user| (*user, true)).chain(went.map(|user| (*user, false))).collect()
    }

    /// Somebody has come here while the others could not be asked who is there.
    pub fn somebody_was_not_told(&mut self) {
        self.untold = true;
    }

    /// A node ends, and these were with it until now.
    pub fn ends(&mut self, node: Uuid, users: impl IntoIterator<Item = UserId>, at: Instant) {
        if let Some(other) = self.nodes.get_mut(&node) {
            other.users.extend(users);
            other.ends.get_or_insert(at);
        }
    }

    /// Whether somebody is with another node, as far as is known.
    pub fn have(&self, user: UserId) -> bool {
        self.nodes.values().any(|other| other.users.contains(&user))
    }

    /// Nodes to be asked again who is with them.
    fn ask_now(&mut self) -> Vec<Uuid> {
        let unasked = self.nodes.iter_mut().filter(|(_, other)| !other.asked && other.ends.is_none());
        unasked.map(|(node, other)| (other.asked = true, *node).1).collect()
    }

    /// Forgets nodes that have ended or say nothing any more, and gives who was with them and is with no other.
    fn lost(&mut self, now: Instant) -> Vec<UserId> {
        let ended = |_: &Uuid, other: &mut Other| {
            other.ends.map_or_else(|| now.duration_since(other.heard) >= SILENCE, |at| now >= at)
        };
        let ended: Vec<_> = self.nodes.extract_if(ended).collect();
        if ended.is_empty() {
            return Vec::new();
        }
        self.missing.retain(|_, since| now.duration_since(*since) < REMEMBERED);
        let mut users = HashSet::new();
        for (node, other) in ended {
            let said = other.ends.is_some();
            info!(%node, users = other.users.len(), said, "another node has ended");
            users.extend(other.users);
        }
        let lost: Vec<_> = users.into_iter().filter(|user| !self.have(*user)).collect();
        self.missing.extend(lost.iter().map(|user| (*user, now)));
        lost
    }
}

impl Node {
    /// Says that it lives, and finds out who else does.
    pub(super) fn keep_company(&mut self, now: Instant) {
        if self.connected {
            if self.others.say_next + SAY_EVERY <= now {
                // It stood still itself, and has not read what came meanwhile.
                self.others.missed_all(now);
            }
            if self.others.say_next <= now {
                self.others.say_next = now + SAY_EVERY;
                // By then all have named those who are with them.
                self.others.untold &= now.duration_since(self.others.hears_since) < SILENCE;
                self.tell(&[Subject::Presence], Word::Alive);
                for node in self.others.ask_now() {
                    self.tell(&[Subject::Presence], Word::WhoIsWithYou { node });
                }
            }
            self.to_find.extend(self.others.lost(now).into_iter().map(|user| (user, false)));
        }
        while self.finding.len() < MOST_READ
            && let Some((user, online)) = self.to_find.pop_front()
        {
            // Nobody here is to be told, or it is not so any more.
            if self.hub.connections() > 0 && self.is_anywhere(user) == online {
                let rosters = Arc::clone(&self.rosters);
                let find: BoxFuture<'static, Found> =
                    Box::pin(async move { (user, online, rosters.roster(user).await) });
                self.finding.push(find);
            }
        }
    }

    pub(super) fn is_anywhere(&self, user: UserId) -> bool {
        self.hub.is_shown(user) || self.others.have(user)
    }

    /// It is known who is to be told of somebody.
    pub(super) fn found(&mut self, (user, online, roster): Found) {
        match roster {
            Ok(Roster { groups, contacts, .. }) if self.is_anywhere(user) == online => {
                let groups = groups.into_iter().map(|(group, _)| group).collect();
                self.hub.announce(Announcement { user, online, groups, contacts });
            }
            Ok(_) => {}
            Err(error) => {
                debug!(%error, "it was not found out who is to be told of somebody");
                self.to_find.push_back((user, online));
            }
        }
    }

    /// Names those who are here, or went only a moment ago.
    pub(super) fn tell_who_is_with_us(&mut self) {
        let users: Vec<Uuid> = self.hub.shown().into_iter().map(|user| user.0).collect();
        // Also where there is nobody.
        let parts = users.len().div_ceil(MOST_TOLD).max(1);
        for part in 0..parts {
            let users = users.iter().skip(part * MOST_TOLD).take(MOST_TOLD).copied().collect();
            self.tell(&[Subject::Presence], Word::With { users, part, parts });
        }
    }

    /// Says that this is the end, and who was here until now.
    pub(super) fn take_leave(&mut self) {
        let leaving = self.leaving.iter().map(|(_, announcement)| announcement.user);
        let users: Vec<Uuid> = self.hub.shown().into_iter().chain(leaving).map(|user| user.0).collect();
        // Also where there is nobody.
        self.tell(&[Subject::Presence], Word::Ending { users: Vec::new() });
        for users in users.chunks(MOST_TOLD) {
            self.tell(&[Subject::Presence], Word::Ending { users: users.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    #[test]
    fn who_was_with_a_silent_node_and_with_no_other_is_lost() {
        let start = Instant::now();
        let mut others = Others::new(start);
        others.heard(ONE, start);
        others.heard(OTHER, start);
        for (node, somebody) in [(ONE, 1), (ONE, 2), (ONE, 3), (OTHER, 2)] {
            others.came(node, user(somebody));
        }
        others.left(ONE, user(3));
        others.heard(OTHER, start + SILENCE);
        assert_eq!(others.lost(start + SILENCE - Duration::from_millis(1)), []);
        assert_eq!(others.lost(start + SILENCE), [user(1)]);
        assert_eq!(others.lost(start + SILENCE), [], "once");
    }

    fn names(others: &mut Others, users: &[u128]) -> Vec<(UserId, bool)> {
        let mut difference = others.has(ONE, users.iter().copied().map(user), 0, 1);
        difference.sort();
        difference
    }

    #[test]
    fn a_node_that_was_only_cut_off_is_asked_and_its_users_are_back() {
        let start = Instant::now();
        let mut others = Others::new(start);
        assert!(others.heard(ONE, start) && !others.heard(ONE, start));
        assert_eq!(names(&mut others, &[1, 2]), [], "who comes asks for them");
        assert_eq!(others.lost(start + SILENCE).len(), 2);
        others.came_here(user(2));
        assert!(others.heard(ONE, start + SILENCE), "it is asked again");
        assert_eq!(names(&mut others, &[1, 2]), [(user(1), true)]);
    }

    #[test]
    fn what_was_missed_is_told_by_the_difference() {
        let start = Instant::now();
        let mut others = Others::new(start);
        others.heard(ONE, start);
        assert_eq!(names(&mut others, &[1, 2]), []);
        others.came(ONE, user(3));
        others.missed_all(start + SILENCE);
        assert!(others.lost(start + SILENCE).is_empty(), "nobody could be heard");
        assert_eq!((others.ask_now(), others.ask_now()), (vec![ONE], vec![]));
        assert_eq!(names(&mut others, &[2, 3, 4]), [(user(1), false), (user(4), true)]);
        // In parts, while somebody comes and somebody leaves.
        assert_eq!(others.has(ONE, [user(2), user(3)].into_iter(), 0, 2), []);
        others.came(ONE, user(5));
        others.left(ONE, user(3));
        assert!(others.has(ONE, [user(4)].into_iter(), 1, 2).is_empty());
        assert!(others.have(user(5)) && !others.have(user(3)));
        // A part that was lost: nobody is gone for it, and all are asked for again.
        assert!(others.has(ONE, [user(2)].into_iter(), 0, 3).is_empty());
        assert!(others.has(ONE, [user(5)].into_iter(), 2, 3).is_empty());
        assert!(others.have(user(4)));
        assert_eq!(others.ask_now(), [ONE]);
    }

    #[test]
    fn who_came_while_nobody_could_be_asked_is_told_of_all() {
        let start = Instant::now();
        let mut others = Others::new(start);
        others.somebody_was_not_told();
        others.heard(ONE, start);
        assert_eq!(names(&mut others, &[1]), [(user(1), true)]);
    }

    #[test]
    fn a_node_that_takes_leave_gives_its_users_a_moment_to_come_elsewhere() {
        let (start, moment) = (Instant::now(), Duration::from_secs(3));
        let mut others = Others::new(start);
        others.heard(ONE, start);
        others.came(ONE, user(1));
        others.ends(ONE, [user(2)], start + moment);
        assert_eq!(others.lost(start), []);
        let mut lost = others.lost(start + moment);
        lost.sort();
        assert_eq!(lost, [user(1), user(2)]);
    }
}
