//! The other nodes, and which users are connected to each. When a node stops or dies, the remaining nodes announce its
//! users as offline, unless they have connected to another node.

use domain::UserId;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tracing::info;
use uuid::Uuid;

/// How often a node sends a sign of life.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);
/// How long a node may be silent before its users count as offline: five heartbeats. Silence counts only while this
/// node is connected to the bus.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the users of a node that stops may take to connect to another: a second longer than the longest wait that
/// the server asks of them (`retry_hint` in api-actix).
pub const MOVE_TIME: Duration = Duration::from_secs(6);
/// How long a node remembers the users that it announced as offline because their node was silent. That node may only
/// have been cut off.
const REMEMBER_MISSING: Duration = Duration::from_secs(600);

struct Peer {
    /// When it last sent a packet.
    heard: Instant,
    /// Whether this node has asked for its roster since packets of it may have been lost.
    roster_requested: bool,
    /// The users who are connected to it.
    users: HashSet<UserId>,
    /// The users whom the parts of its roster have named so far.
    named: HashSet<UserId>,
    /// How many parts of its roster have arrived.
    parts: usize,
    /// Whether this node has had its whole roster before. Only then does a difference to the next one mean that
    /// something was missed.
    has_roster: bool,
    /// The node said that it stops. From then on its users count as offline.
    leaves_at: Option<Instant>,
}

impl Peer {
    fn new(now: Instant) -> Self {
        let (users, named) = (HashSet::new(), HashSet::new());
        Self { heard: now, roster_requested: true, users, named, parts: 0, has_roster: false, leaves_at: None }
    }
}

/// What this node knows of the others.
pub struct PeerDirectory {
    nodes: HashMap<Uuid, Peer>,
    /// The users whom this node announced as offline together with their node, and when.
    missing: HashMap<UserId, Instant>,
    /// A user has connected here and could not learn who is online at other nodes.
    user_not_told: bool,
    /// Since when this node receives packets.
    connected_since: Instant,
    next_heartbeat: Instant,
}

impl PeerDirectory {
    /// Knows no node yet.
    pub fn new(now: Instant) -> Self {
        let (nodes, missing) = (HashMap::new(), HashMap::new());
        Self { nodes, missing, user_not_told: false, connected_since: now, next_heartbeat: now }
    }

    /// A node sent a packet. Returns whether it is new, so that this node has to ask for its roster.
    pub fn heard(&mut self, node: Uuid, now: Instant) -> bool {
        match self.nodes.entry(node) {
            Entry::Occupied(mut known) => {
                known.get_mut().heard = now;
                false
            }
            Entry::Vacant(new) => {
                new.insert(Peer::new(now));
                true
            }
        }
    }

    /// Packets may have been lost: this node has to ask every other one for its roster again.
    pub fn request_all_rosters(&mut self) {
        self.nodes.values_mut().for_each(|peer| peer.roster_requested = false);
    }

    /// All packets were lost for a while, so silence of a node means nothing.
    pub fn connection_changed(&mut self, now: Instant) {
        self.request_all_rosters();
        self.connected_since = now;
        self.nodes.values_mut().for_each(|peer| peer.heard = now);
    }

    /// A user came online at another node.
    pub fn came_online(&mut self, node: Uuid, user: UserId) {
        if let Some(peer) = self.nodes.get_mut(&node) {
            peer.users.insert(user);
            peer.named.insert(user);
        }
        self.missing.remove(&user);
    }

    /// A user came online at this node.
    pub fn came_online_here(&mut self, user: UserId) {
        self.missing.remove(&user);
    }

    /// A user's last connection to another node has gone.
    pub fn left(&mut self, node: Uuid, user: UserId) {
        if let Some(peer) = self.nodes.get_mut(&node) {
            peer.users.remove(&user);
            peer.named.remove(&user);
        }
    }

    /// A node names users who are connected to it, in part `part` of `parts`. After the last part, returns the users
    /// who came online (`true`) or went offline (`false`) without this node having noticed.
    pub fn roster_part(
        &mut self,
        node: Uuid,
        users: impl Iterator<Item = UserId>,
        (part, parts): (usize, usize),
    ) -> Vec<(UserId, bool)> {
        let Some(peer) = self.nodes.get_mut(&node) else { return Vec::new() };
        if part == 0 {
            peer.named.clear();
        } else if part != peer.parts {
            // A part got lost: this node asks again.
            (peer.roster_requested, peer.parts) = (false, 0);
            return Vec::new();
        }
        peer.parts = part + 1;
        peer.named.extend(users);
        if peer.parts < parts {
            return Vec::new();
        }
        peer.parts = 0;
        let before = std::mem::replace(&mut peer.users, std::mem::take(&mut peer.named));
        let tell_all = std::mem::replace(&mut peer.has_roster, true) || self.user_not_told;
        let missing = &mut self.missing;
        let came =
            peer.users.iter().filter(|user| missing.remove(user).is_some() || (tell_all && !before.contains(user)));
        let went = before.iter().filter(|user| !peer.users.contains(user));
        came.map(|user| (*user, true)).chain(went.map(|user| (*user, false))).collect()
    }

    /// A user has connected here while this node could not ask others who is online.
    pub fn user_was_not_told(&mut self) {
        self.user_not_told = true;
    }

    /// A node stops. These users were connected to it, and count as offline from `at` on.
    pub fn leaves(&mut self, node: Uuid, users: impl IntoIterator<Item = UserId>, at: Instant) {
        if let Some(peer) = self.nodes.get_mut(&node) {
            peer.users.extend(users);
            peer.leaves_at.get_or_insert(at);
        }
    }

    /// Whether the user is connected to another node, as far as this node knows.
    pub fn has(&self, user: UserId) -> bool {
        self.nodes.values().any(|peer| peer.users.contains(&user))
    }

    /// Whether this node has to send a heartbeat now.
    pub fn heartbeat_is_due(&mut self, now: Instant) -> bool {
        if self.next_heartbeat + HEARTBEAT_EVERY <= now {
            // This node itself stood still, and has not read the packets that arrived.
            self.connection_changed(now);
        }
        let due = self.next_heartbeat <= now;
        if due {
            self.next_heartbeat = now + HEARTBEAT_EVERY;
            // Every node has sent its roster by then.
            self.user_not_told &= now.duration_since(self.connected_since) < SILENCE_TIMEOUT;
        }
        due
    }

    /// The nodes whose rosters this node has to ask for. Each is returned once.
    pub fn rosters_to_request(&mut self) -> Vec<Uuid> {
        let due = self.nodes.iter_mut().filter(|(_, peer)| !peer.roster_requested && peer.leaves_at.is_none());
        due.map(|(node, peer)| (peer.roster_requested = true, *node).1).collect()
    }

    /// Forgets the nodes that have stopped or are silent. Returns the users who were connected to them and to no other
    /// node.
    pub fn expire(&mut self, now: Instant) -> Vec<UserId> {
        let expired = |_: &Uuid, peer: &mut Peer| {
            peer.leaves_at.map_or_else(|| now.duration_since(peer.heard) >= SILENCE_TIMEOUT, |at| now >= at)
        };
        let expired: Vec<_> = self.nodes.extract_if(expired).collect();
        if expired.is_empty() {
            return Vec::new();
        }
        self.missing.retain(|_, since| now.duration_since(*since) < REMEMBER_MISSING);
        let mut users = HashSet::new();
        for (node, peer) in expired {
            let announced = peer.leaves_at.is_some();
            info!(%node, users = peer.users.len(), announced, "another node has stopped");
            users.extend(peer.users);
        }
        let offline: Vec<_> = users.into_iter().filter(|user| !self.has(*user)).collect();
        self.missing.extend(offline.iter().map(|user| (*user, now)));
        offline
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
    fn users_of_a_silent_node_who_are_at_no_other_go_offline() {
        let start = Instant::now();
        let mut directory = PeerDirectory::new(start);
        directory.heard(ONE, start);
        directory.heard(OTHER, start);
        for (node, somebody) in [(ONE, 1), (ONE, 2), (ONE, 3), (OTHER, 2)] {
            directory.came_online(node, user(somebody));
        }
        directory.left(ONE, user(3));
        directory.heard(OTHER, start + SILENCE_TIMEOUT);
        assert_eq!(directory.expire(start + SILENCE_TIMEOUT - Duration::from_millis(1)), []);
        assert_eq!(directory.expire(start + SILENCE_TIMEOUT), [user(1)]);
        assert_eq!(directory.expire(start + SILENCE_TIMEOUT), [], "once");
    }

    fn whole_roster(directory: &mut PeerDirectory, users: &[u128]) -> Vec<(UserId, bool)> {
        let mut difference = directory.roster_part(ONE, users.iter().copied().map(user), (0, 1));
        difference.sort();
        difference
    }

    #[test]
    fn a_node_that_was_only_cut_off_is_asked_for_its_roster_and_its_users_are_back() {
        let start = Instant::now();
        let mut directory = PeerDirectory::new(start);
        assert!(directory.heard(ONE, start) && !directory.heard(ONE, start));
        assert_eq!(whole_roster(&mut directory, &[1, 2]), [], "a user who connects asks for them");
        assert_eq!(directory.expire(start + SILENCE_TIMEOUT).len(), 2);
        directory.came_online_here(user(2));
        assert!(directory.heard(ONE, start + SILENCE_TIMEOUT), "it is asked again");
        assert_eq!(whole_roster(&mut directory, &[1, 2]), [(user(1), true)]);
    }

    #[test]
    fn the_difference_between_two_rosters_is_what_was_missed() {
        let start = Instant::now();
        let mut directory = PeerDirectory::new(start);
        directory.heard(ONE, start);
        assert_eq!(whole_roster(&mut directory, &[1, 2]), []);
        directory.came_online(ONE, user(3));
        directory.connection_changed(start + SILENCE_TIMEOUT);
        assert!(directory.expire(start + SILENCE_TIMEOUT).is_empty(), "no packet could arrive");
        assert_eq!((directory.rosters_to_request(), directory.rosters_to_request()), (vec![ONE], vec![]));
        assert_eq!(whole_roster(&mut directory, &[2, 3, 4]), [(user(1), false), (user(4), true)]);
        // In parts, while one user comes and another leaves.
        assert_eq!(directory.roster_part(ONE, [user(2), user(3)].into_iter(), (0, 2)), []);
        directory.came_online(ONE, user(5));
        directory.left(ONE, user(3));
        assert!(directory.roster_part(ONE, [user(4)].into_iter(), (1, 2)).is_empty());
        assert!(directory.has(user(5)) && !directory.has(user(3)));
        // A part was lost: nobody goes offline for it, and the node asks for all parts again.
        assert!(directory.roster_part(ONE, [user(2)].into_iter(), (0, 3)).is_empty());
        assert!(directory.roster_part(ONE, [user(5)].into_iter(), (2, 3)).is_empty());
        assert!(directory.has(user(4)));
        assert_eq!(directory.rosters_to_request(), [ONE]);
    }

    #[test]
    fn a_user_who_connected_without_a_bus_is_told_of_everybody_later() {
        let start = Instant::now();
        let mut directory = PeerDirectory::new(start);
        directory.user_was_not_told();
        directory.heard(ONE, start);
        assert_eq!(whole_roster(&mut directory, &[1]), [(user(1), true)]);
    }

    #[test]
    fn the_users_of_a_node_that_stops_have_a_moment_to_connect_to_another() {
        let (start, moment) = (Instant::now(), Duration::from_secs(3));
        let mut directory = PeerDirectory::new(start);
        directory.heard(ONE, start);
        directory.came_online(ONE, user(1));
        directory.leaves(ONE, [user(2)], start + moment);
        assert_eq!(directory.expire(start), []);
        let mut lost = directory.expire(start + moment);
        lost.sort();
        assert_eq!(lost, [user(1), user(2)]);
    }
}
