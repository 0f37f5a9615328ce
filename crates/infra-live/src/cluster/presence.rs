//! Which users are online at which node, and which of its clients this node tells.

use super::bus::Bus;
use super::codec::PeerMessage;
use super::outbound::Outbound;
use super::peers::{MOVE_TIME, PeerDirectory};
use crate::local::hub::Hub;
use crate::local::interest::Subject;
use crate::local::presence::{Announcement, PresenceAudience};
use domain::UserId;
use domain::live::{LiveReader, Subscriptions};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::debug;
use uuid::Uuid;

/// How long other nodes may take to say that a user is connected to them.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);
/// How many users one packet names. A user who connects learns of no more from one node.
const MAX_NAMED: usize = 1_000;
/// How many users' groups and contacts a node reads at once.
const MAX_LOOKUPS: usize = 4;
/// How many questions of other nodes this node answers at once. It leaves more than these unanswered.
const MAX_ANSWERS: usize = 1_024;

/// What the node waited for.
pub enum Answer {
    /// The groups and contacts of a user whom this node has to announce as online or offline.
    Lookup(UserId, bool, domain::Result<Subscriptions>),
    /// The users here of whom another node's user has to learn.
    Online { asked_by: UserId, users: Vec<UserId> },
}

/// What a node knows of the presence of users at other nodes, and does about it.
pub struct PeerPresence {
    hub: Arc<Hub>,
    live: Arc<dyn LiveReader>,
    directory: PeerDirectory,
    connected: bool,
    /// Users who have left this node. It announces them as offline at that time, unless another node says that they are
    /// connected to it.
    leaving: Vec<(Instant, Announcement)>,
    /// Users who came online or went offline with a node. This node still has to read their groups and contacts.
    to_look_up: VecDeque<(UserId, bool)>,
    running: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// How many lookups are running.
    lookups: usize,
}

impl PeerPresence {
    /// For a node that knows no other yet.
    pub fn new(hub: Arc<Hub>, live: Arc<dyn LiveReader>, now: Instant) -> Self {
        let (leaving, to_look_up) = (Vec::new(), VecDeque::new());
        let (directory, running) = (PeerDirectory::new(now), FuturesUnordered::new());
        Self { hub, live, directory, connected: false, leaving, to_look_up, running, lookups: 0 }
    }

    /// Does the work that is due: announces who is offline, sends a sign of life, and finds out which other nodes are
    /// alive.
    pub fn tick(&mut self, outbound: &mut Outbound<impl Bus>, now: Instant) {
        let gone: Vec<_> = self.leaving.extract_if(.., |(until, _)| *until <= now).collect();
        for (_, announcement) in gone {
            if !self.is_online(announcement.user) {
                Self::publish(outbound, announcement.clone());
                self.hub.announce(announcement);
            }
        }
        if self.connected {
            if self.directory.heartbeat_is_due(now) {
                outbound.publish(&[Subject::Presence], &PeerMessage::Heartbeat);
                for node in self.directory.rosters_to_request() {
                    outbound.publish(&[Subject::Presence], &PeerMessage::RosterRequest { node });
                }
            }
            self.to_look_up.extend(self.directory.expire(now).into_iter().map(|user| (user, false)));
        }
        self.start_lookups();
    }

    fn start_lookups(&mut self) {
        while self.lookups < MAX_LOOKUPS
            && let Some((user, online)) = self.to_look_up.pop_front()
        {
            // Otherwise there is nobody to tell, or the user is back or gone again.
            if self.hub.connections() > 0 && self.is_online(user) == online {
                let live = Arc::clone(&self.live);
                self.lookups += 1;
                self.running
                    .push(Box::pin(async move { Answer::Lookup(user, online, live.subscriptions(user).await) }));
            }
        }
    }

    /// The next answer. Waits for ever if no question is open. Cancel safe.
    pub async fn next(&mut self) -> Answer {
        match self.running.next().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// Takes an answer.
    pub fn complete(&mut self, answer: Answer, outbound: &mut Outbound<impl Bus>) {
        match answer {
            Answer::Lookup(user, online, subscriptions) => {
                self.lookups -= 1;
                match subscriptions {
                    Ok(Subscriptions { groups, contacts, .. }) if self.is_online(user) == online => {
                        let groups = groups.into_iter().map(|(group, _)| group).collect();
                        let audience = PresenceAudience { groups, contacts };
                        self.hub.announce(Announcement { user, online, audience });
                    }
                    Ok(_) => {}
                    Err(error) => {
                        debug!(%error, "the groups and contacts of a user were not read");
                        self.to_look_up.push_back((user, online));
                    }
                }
            }
            Answer::Online { asked_by, mut users } => {
                users.truncate(MAX_NAMED);
                if !users.is_empty() {
                    outbound.publish(&[Subject::User(asked_by)], &PeerMessage::Online { asked_by, users });
                }
            }
        }
    }

    fn is_online(&self, user: UserId) -> bool {
        self.hub.is_present(user) || self.directory.has(user)
    }

    fn publish(outbound: &mut Outbound<impl Bus>, announcement: Announcement) {
        let Announcement { user, online, audience } = announcement;
        for audience in audience.into_parts() {
            let part = Announcement { user, online, audience };
            outbound.publish(&[Subject::Presence], &PeerMessage::Presence(part));
        }
    }

    /// The connection to the bus is up, or lost.
    pub fn set_connected(&mut self, connected: bool, now: Instant) {
        self.connected = connected;
        self.directory.connection_changed(now);
    }

    /// Packets of other nodes were lost.
    pub fn packets_were_lost(&mut self) {
        self.directory.request_all_rosters();
    }

    /// The hub dropped notices of this node. Its roster tells other nodes which users came online and which went
    /// offline.
    pub fn notices_were_lost(&mut self, outbound: &mut Outbound<impl Bus>) {
        self.publish_roster(outbound);
    }

    /// A user has come online here.
    pub fn came_online(&mut self, announcement: Announcement, outbound: &mut Outbound<impl Bus>) {
        self.leaving.retain(|(_, left)| left.user != announcement.user);
        self.directory.came_online_here(announcement.user);
        Self::publish(outbound, announcement);
    }

    /// The last connection of a user to this node has gone.
    pub fn last_connection_gone(
        &mut self,
        announcement: Announcement,
        outbound: &mut Outbound<impl Bus>,
        now: Instant,
    ) {
        outbound.publish(&[Subject::Presence], &PeerMessage::LastConnectionGone(announcement.user));
        self.leaving.push((now + ANSWER_TIMEOUT, announcement));
    }

    /// A user of this node asks who of the audience is online at other nodes.
    pub fn ask(&mut self, user: UserId, audience: &PresenceAudience, outbound: &mut Outbound<impl Bus>) {
        if !self.connected {
            self.directory.user_was_not_told();
        }
        for audience in audience.clone().into_parts() {
            outbound.publish(&[Subject::Presence], &PeerMessage::WhoIsOnline(user, audience));
        }
    }

    /// Another node sent a packet.
    pub fn heard(&mut self, node: Uuid, outbound: &mut Outbound<impl Bus>, now: Instant) {
        if self.directory.heard(node, now) {
            outbound.publish(&[Subject::Presence], &PeerMessage::RosterRequest { node });
        }
    }

    /// Another node announces a user.
    pub fn announced(&mut self, node: Uuid, announcement: Announcement) {
        let Announcement { user, online, .. } = announcement;
        if online {
            self.directory.came_online(node, user);
            self.leaving.retain(|(_, left)| left.user != user);
        }
        // A user who is offline there may be connected to this node or to a third one.
        if online || !self.is_online(user) {
            self.hub.announce(announcement);
        }
    }

    /// The last connection of a user to another node has gone.
    pub fn left_peer(&mut self, node: Uuid, user: UserId, outbound: &mut Outbound<impl Bus>) {
        self.directory.left(node, user);
        if self.hub.is_connected(user) {
            outbound.publish(&[Subject::Presence], &PeerMessage::StillOnline(user));
        }
    }

    /// A user who has left this node is connected to another one.
    pub fn is_still_online(&mut self, user: UserId) {
        self.leaving.retain(|(_, left)| left.user != user);
    }

    /// A user of another node asks who of the audience is online here.
    pub fn asked(&mut self, asked_by: UserId, audience: PresenceAudience) {
        if self.running.len() < MAX_ANSWERS {
            let hub = Arc::clone(&self.hub);
            self.running.push(Box::pin(async move {
                let users = hub.who_is_online_here(asked_by, audience).await.into_iter().collect();
                Answer::Online { asked_by, users }
            }));
        }
    }

    /// Another node names users who are connected to it.
    pub fn roster_part(&mut self, node: Uuid, users: Vec<UserId>, part: (usize, usize)) {
        let difference = self.directory.roster_part(node, users.into_iter(), part);
        self.to_look_up.extend(difference);
    }

    /// Another node stops. Its users have a moment to connect to another one.
    pub fn peer_leaves(&mut self, node: Uuid, users: Vec<UserId>, now: Instant) {
        let until = now + MOVE_TIME.max(self.hub.options().absence);
        self.directory.leaves(node, users, until);
    }

    /// Names the users who are connected to this node, or were a moment ago.
    pub fn publish_roster(&mut self, outbound: &mut Outbound<impl Bus>) {
        let users = self.hub.announced_users();
        // An empty roster is one part, too.
        let parts = users.len().div_ceil(MAX_NAMED).max(1);
        for part in 0..parts {
            let users = users.iter().skip(part * MAX_NAMED).take(MAX_NAMED).copied().collect();
            outbound.publish(&[Subject::Presence], &PeerMessage::RosterPart { users, part, parts });
        }
    }

    /// Tells the others that this node stops, and which users were connected to it.
    pub fn leave(&mut self, outbound: &mut Outbound<impl Bus>) {
        let leaving = self.leaving.iter().map(|(_, announcement)| announcement.user);
        let users: Vec<UserId> = self.hub.announced_users().into_iter().chain(leaving).collect();
        // The others have to know it even if no user was connected.
        outbound.publish(&[Subject::Presence], &PeerMessage::Leaving { users: Vec::new() });
        for users in users.chunks(MAX_NAMED) {
            outbound.publish(&[Subject::Presence], &PeerMessage::Leaving { users: users.to_vec() });
        }
    }
}
