//! One of several nodes.

use super::Command;
use super::nats::{Bus, Incoming};
use super::reconcile::{self, Asked, Check};
use super::peers::{Found, MOVING, Others};
use super::codec::{EventOnWire, MOST_BYTES, Packet, Word};
use super::sequencer::{Sequencer, Step};
use super::subjects::{Subject, audience_of, concerned, subjects};
use crate::local::hub::Hub;
use crate::local::presence::{Announcement, Circle, in_parts};
use crate::telemetry::NODES;
use bytes::Bytes;
use domain::events::{Audience, Committed, Event, Revision};
use domain::live::{Known, LiveReader, NodeReader, Typing};
use domain::{ConversationId, GroupId, UserId};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, warn};
use uuid::Uuid;

/// How often it is looked what waits.
const TICK: Duration = Duration::from_millis(50);
/// How long other nodes may take to say that somebody is with them.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// How many packets that went by two subjects are remembered.
const MOST_REMEMBERED: usize = 8_192;
/// How many of those who are there are told of at once; somebody who comes is told of no more by one node.
pub(super) const MOST_TOLD: usize = 1_000;

/// What came by two subjects is taken once.
#[derive(Default)]
struct Remembered {
    known: HashSet<(Uuid, u64)>,
    order: VecDeque<(Uuid, u64)>,
}

impl Remembered {
    fn is_new(&mut self, packet: (Uuid, u64)) -> bool {
        if self.order.len() >= MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let new = self.known.insert(packet);
        if new {
            self.order.push_back(packet);
        }
        new
    }
}

/// The node's own part of what all nodes do.
pub struct Node {
    id: Uuid,
    number: u64,
    pub(super) hub: Arc<Hub>,
    pub(super) reader: Arc<dyn NodeReader>,
    pub(super) bus: Bus,
    pub(super) connected: bool,
    pub(super) sequencer: Sequencer,
    remembered: Remembered,
    /// Conversations to be asked for, and those that are being asked for.
    pub(super) to_ask: VecDeque<(ConversationId, Known)>,
    pub(super) asked: FuturesUnordered<BoxFuture<'static, Asked>>,
    /// Of these it is asked who of those here is in.
    pub(super) members_asked: HashSet<ConversationId>,
    /// These could not be read, and how often.
    pub(super) unread: HashMap<ConversationId, u32>,
    pub(super) check: Check,
    /// Who has left this node, and is announced as gone then unless another says otherwise.
    pub(super) leaving: Vec<(Instant, Announcement)>,
    pub(super) others: Others,
    pub(super) rosters: Arc<dyn LiveReader>,
    /// Who came or went with a node, and it is not known yet who is to be told; and those that this is being found out of.
    pub(super) to_find: VecDeque<(UserId, bool)>,
    pub(super) finding: FuturesUnordered<BoxFuture<'static, Found>>,
}

impl Node {
    /// A node that has given out all that is older than `horizon`.
    pub fn new(
        id: Uuid,
        hub: Arc<Hub>,
        reader: Arc<dyn NodeReader>,
        rosters: Arc<dyn LiveReader>,
        mut bus: Bus,
        horizon: Revision,
    ) -> Self {
        bus.watch(Subject::Everybody);
        bus.watch(Subject::Presence);
        Self {
            id,
            number: 0,
            hub,
            reader,
            bus,
            connected: false,
            sequencer: Sequencer::new(horizon),
            remembered: Remembered::default(),
            to_ask: VecDeque::new(),
            asked: FuturesUnordered::new(),
            members_asked: HashSet::new(),
            unread: HashMap::new(),
            check: Check::Due(Instant::now()),
            leaving: Vec::new(),
            others: Others::new(Instant::now()),
            rosters,
            to_find: VecDeque::new(),
            finding: FuturesUnordered::new(),
        }
    }

    /// Until it is closed.
    pub async fn run(
        mut self,
        mut commits: mpsc::Receiver<Committed>,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut comes: mpsc::Receiver<Incoming>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(committed) = commits.recv() => self.committed(committed),
                Some(incoming) = comes.recv() => self.incoming(incoming),
                command = commands.recv() => match command {
                    Some(Command::Close(done)) => {
                        while let Ok(committed) = commits.try_recv() {
                            self.committed(committed);
                        }
                        self.take_leave();
                        self.bus.close().await;
                        // Who waits for it may have given up.
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.command(command),
                    None => return,
                },
                // Looking at all that waits is for now and then, not for every event.
                Some((of, among, past)) = self.asked.next() => {
                    self.answered(of, among, past);
                    // Looking at everything after each of many answers would cost their square.
                    self.ask();
                    if self.asked.is_empty() {
                        self.go_on(Instant::now());
                    }
                }
                Some(found) = self.finding.next() => self.found(found),
                changed = reconcile::changed(&mut self.check) => {
                    self.changed(changed);
                    self.go_on(Instant::now());
                }
                _ = ticks.tick() => self.go_on(Instant::now()),
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Watch(subject, true) => self.bus.watch(subject),
            Command::Watch(subject, false) => self.bus.unwatch(subject),
            Command::Typing(typing) => self.tell_typing(&typing),
            Command::Appeared(announcement) => {
                self.leaving.retain(|(_, left)| left.user != announcement.user);
                self.others.came_here(announcement.user);
                self.tell_presence(&announcement);
            }
            Command::Left(announcement) => {
                self.tell(&[Subject::Presence], Word::Left { user: announcement.user.0 });
                self.leaving.push((Instant::now() + ANSWER_WITHIN, announcement));
            }
            Command::WhoIsThere(user, groups, contacts) => {
                if !self.connected {
                    self.others.somebody_was_not_told();
                }
                for Circle { groups, contacts } in in_parts(&groups, &contacts) {
                    let groups = groups.into_iter().map(|group| group.0).collect();
                    let contacts = contacts.into_iter().map(|user| user.0).collect();
                    self.tell(&[Subject::Presence], Word::WhoIsThere { user: user.0, groups, contacts });
                }
            }
            Command::Close(_) => {}
        }
    }

    /// Tells the other nodes that somebody came or went.
    pub(super) fn tell_presence(&mut self, announcement: &Announcement) {
        let Announcement { user, online, groups, contacts } = announcement;
        for Circle { groups, contacts } in in_parts(groups, contacts) {
            let part = Announcement { user: *user, online: *online, groups, contacts };
            self.tell(&[Subject::Presence], Word::presence(&part));
        }
    }

    pub(super) fn tell(&mut self, subjects: &[Subject], word: Word) {
        self.number += 1;
        let packet = Packet { from: self.id, number: self.number, word };
        match serde_json::to_vec(&packet) {
            Ok(bytes) => self.send(subjects, Bytes::from(bytes)),
            // Our own types always serialize.
            Err(error) => warn!(%error, "a packet was not made"),
        }
    }

    fn send(&self, subjects: &[Subject], packet: Bytes) {
        for subject in subjects {
            self.bus.send(*subject, packet.clone());
        }
    }

    fn tell_typing(&mut self, typing: &Typing) {
        self.tell(&subjects(typing.audience), Word::typing(typing));
    }

    /// Something was committed here.
    fn committed(&mut self, committed: Committed) {
        let Committed { events, heads, revision, .. } = committed;
        let mut order = Vec::new();
        let mut by_conversation: HashMap<ConversationId, Vec<Event>> = HashMap::new();
        for event in events {
            let Some(of) = event.conversation() else {
                self.tell(&concerned([&event]), Word::Happened(Box::new(EventOnWire::from(&event))));
                self.hub.deliver(vec![event]);
                continue;
            };
            let events = by_conversation.entry(of).or_default();
            if events.is_empty() {
                order.push(of);
            }
            events.push(event);
        }
        for of in order {
            let Some(events) = by_conversation.remove(&of) else { continue };
            let Some(before) = heads.get(&of).copied() else {
                warn!(conversation = %of, "a commit came without where its conversation stood");
                self.sequencer.want(of, audience_of(&events));
                continue;
            };
            let audience = audience_of(&events);
            let after = before.after(&events, revision);
            let step = Step { conversation: of, before, after, events };
            let subjects = concerned(&step.events);
            self.number += 1;
            let packet = |word| serde_json::to_vec(&Packet { from: self.id, number: self.number, word });
            let whole = packet(Word::step(&step, audience)).ok().filter(|bytes| bytes.len() <= MOST_BYTES);
            match whole.map_or_else(|| packet(Word::bare_step(&step, audience)), Ok) {
                Ok(bytes) => self.send(&subjects, Bytes::from(bytes)),
                Err(error) => warn!(%error, "a packet was not made"),
            }
            self.offer(step, audience);
        }
    }

    fn offer(&mut self, step: Step, audience: Audience) {
        let interest = self.hub.interest(audience);
        let events = self.sequencer.offer(step, audience, interest, Instant::now());
        self.hub.deliver(events);
    }

    pub(super) fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Packet(bytes) => {
                NODES.received.increment(1);
                match serde_json::from_slice::<Packet>(&bytes) {
                    Ok(packet) if packet.from == self.id => {}
                    Ok(packet) => self.heard((packet.from, packet.number), packet.word),
                    Err(error) => {
                        NODES.lost.increment(1);
                        debug!(%error, "a packet cannot be read");
                    }
                }
            }
            Incoming::Connected(connected) => {
                self.connected = connected;
                NODES.connected.set(f64::from(u8::from(connected)));
                self.others.missed_all(Instant::now());
                self.check_soon();
            }
            Incoming::Lost => {
                NODES.lost.increment(1);
                self.others.missed_some();
                self.check_soon();
            }
        }
    }

    fn check_soon(&mut self) {
        if let Check::Due(at) = &mut self.check {
            *at = Instant::now();
        }
    }

    /// Another node said something.
    fn heard(&mut self, packet: (Uuid, u64), word: Word) {
        let (from, _) = packet;
        if self.others.heard(from, Instant::now()) {
            self.tell(&[Subject::Presence], Word::WhoIsWithYou { node: from });
        }
        match word {
            Word::Step { of, audience, before, after, events } => {
                let events: Option<Vec<Event>> = events.into_iter().map(EventOnWire::into_event).collect();
                let step = Step {
                    conversation: ConversationId(of),
                    before: before.into(),
                    after: after.into(),
                    // What cannot be read is read from the database.
                    events: events.unwrap_or_default(),
                };
                if step.before != step.after || self.remembered.is_new(packet) {
                    self.offer(step, audience.into());
                }
            }
            Word::Happened(event) => {
                let events: Vec<_> = event.into_event().into_iter().collect();
                self.reader.heard(&events);
                self.hub.deliver(events);
            }
            Word::Typing { user, username, conversation, audience } => {
                let (user, conversation) = (UserId(user), conversation.map(ConversationId));
                self.hub.typing_elsewhere(Typing { user, username, conversation, audience: audience.into() });
            }
            Word::Presence { user, online, groups, contacts } => {
                let user = UserId(user);
                if online {
                    self.others.came(from, user);
                    self.leaving.retain(|(_, left)| left.user != user);
                }
                // Gone from there, but here or at another.
                if online || !self.is_anywhere(user) {
                    let groups = groups.into_iter().map(GroupId).collect();
                    let contacts = contacts.into_iter().map(UserId).collect();
                    self.hub.announce(Announcement { user, online, groups, contacts });
                }
            }
            Word::Left { user } => {
                self.others.left(from, UserId(user));
                if self.hub.is_connected(UserId(user)) {
                    self.tell(&[Subject::Presence], Word::Here { user });
                }
            }
            Word::Here { user } => self.leaving.retain(|(_, left)| left.user != UserId(user)),
            Word::WhoIsThere { user, groups, contacts } => {
                let groups: Vec<_> = groups.into_iter().map(GroupId).collect();
                let contacts: Vec<_> = contacts.into_iter().map(UserId).collect();
                self.tell_who_is_here(UserId(user), groups, contacts);
            }
            Word::There { asked_by, users } => {
                self.hub.tell_of(UserId(asked_by), users.into_iter().map(UserId));
            }
            Word::Alive => {}
            Word::WhoIsWithYou { node } if node == self.id => self.tell_who_is_with_us(),
            Word::WhoIsWithYou { .. } => {}
            Word::With { users, part, parts } => {
                let difference = self.others.has(from, users.into_iter().map(UserId), part, parts);
                self.to_find.extend(difference);
            }
            Word::Ending { users } => {
                let until = Instant::now() + MOVING.max(self.hub.options().absence);
                self.others.ends(from, users.into_iter().map(UserId), until);
            }
        }
    }

    fn tell_who_is_here(&mut self, asked_by: UserId, groups: Vec<GroupId>, contacts: Vec<UserId>) {
        let hub = Arc::clone(&self.hub);
        self.number += 1;
        let (from, number) = (self.id, self.number);
        let answer = self.bus.sender(Subject::User(asked_by));
        tokio::spawn(async move {
            let there = hub.who_is_here(asked_by, groups, contacts).await;
            let users: Vec<_> = there.into_iter().map(|user| user.0).take(MOST_TOLD).collect();
            if users.is_empty() {
                return;
            }
            let word = Word::There { asked_by: asked_by.0, users };
            if let Ok(bytes) = serde_json::to_vec(&Packet { from, number, word }) {
                answer(Bytes::from(bytes));
            }
        });
    }
}
