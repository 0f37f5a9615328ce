//! A client as the contract describes it: it loads what it may read, then follows the events.

use super::database::{DIRECT, Database, Shown};
use crate::local::frame::{Frame, Framer, Signal};
use crate::local::outbox::OutboxItem;
use crate::local::shard::AttachGuard;
use bytes::Bytes;
use domain::events::{Event, Revision};
use domain::live::{Resync, Subscriptions};
use domain::messages::{Seq, Update};
use domain::{ConversationId, GroupId, MessageId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::task::{Context, Poll, Waker};

/// What a frame holds.
#[derive(Serialize, Deserialize)]
enum Content {
    Event(Box<Event>),
    /// Of a conversation, or of the user's groups.
    Resync(Option<ConversationId>),
    Presence(UserId, bool),
    Typing,
}

/// Makes frames of the events themselves.
pub struct EventFramer;

fn frame(name: &'static str, cursor: Revision, content: &Content) -> Frame {
    let position = match content {
        Content::Event(event) => event.conversation().zip(event.update()),
        Content::Resync(_) | Content::Presence(..) | Content::Typing => None,
    };
    let transient = matches!(content, Content::Presence(..) | Content::Typing);
    Frame { name, cursor, bytes: Bytes::from(serde_json::to_vec(content).unwrap()), position, transient }
}

impl Framer for EventFramer {
    fn event(&self, event: &Event, cursor: Revision) -> Option<Frame> {
        Some(frame("event", cursor, &Content::Event(Box::new(event.clone()))))
    }

    fn signal(&self, signal: &Signal, cursor: Revision) -> Frame {
        let content = match signal {
            Signal::Typing(_) => Content::Typing,
            Signal::Presence { user, online } => Content::Presence(*user, *online),
        };
        frame("signal", cursor, &content)
    }

    fn resync(&self, resync: &Resync, cursor: Revision) -> Frame {
        frame("resync", cursor, &Content::Resync(resync.conversation))
    }
}

pub struct Client {
    pub user: UserId,
    pub node: usize,
    pub guard: AttachGuard,
    /// Its subscriptions, from when they were read to when the connection begins with them.
    pub subscriptions: Option<Subscriptions>,
    /// Whether it has read its subscriptions.
    pub has_subscriptions: bool,
    /// The users that it believes to be online (`true`) or offline.
    pub online: HashMap<UserId, bool>,
    groups: BTreeSet<GroupId>,
    shown: BTreeMap<ConversationId, BTreeMap<Seq, Shown>>,
    /// The number up to which it has loaded each conversation: it drops older events.
    loaded: HashMap<ConversationId, Update>,
    /// The number of the last event of each conversation that the connection was sent.
    last: HashMap<ConversationId, Update>,
    /// The conversations that its user could read when nothing had happened yet. Of these it is sent nothing twice. A
    /// node that had nobody for a conversation may send the first who comes to be interested something once more, which
    /// clients drop.
    settled: HashSet<ConversationId>,
    /// The messages that it has loaded or was sent.
    known: HashSet<MessageId>,
    reads: HashSet<(MessageId, UserId, UserId)>,
}

impl Client {
    pub fn new(user: UserId, node: usize, guard: AttachGuard) -> Self {
        Self {
            user,
            node,
            guard,
            subscriptions: None,
            has_subscriptions: false,
            online: HashMap::new(),
            groups: BTreeSet::new(),
            shown: BTreeMap::new(),
            loaded: HashMap::new(),
            last: HashMap::new(),
            settled: HashSet::new(),
            known: HashSet::new(),
            reads: HashSet::new(),
        }
    }

    /// Loads everything.
    pub fn load(&mut self, database: &Database) {
        self.shown.clear();
        self.load_groups(database);
        for of in database.conversations(self.user).into_keys() {
            self.load_conversation(database, of);
        }
    }

    /// Nothing has happened yet.
    pub fn settle(&mut self) {
        self.settled = self.shown.keys().copied().collect();
    }

    fn load_groups(&mut self, database: &Database) {
        let groups = database.groups_of(self.user);
        let is_group = |of: &ConversationId| ![DIRECT, ConversationId::BROADCAST].contains(of);
        self.shown.retain(|of, _| !is_group(of) || groups.contains(&GroupId(of.0)));
        self.settled.retain(|of| !is_group(of) || groups.contains(&GroupId(of.0)));
        let joined: Vec<_> = groups.difference(&self.groups).copied().collect();
        self.groups = groups;
        for group in joined {
            self.settled.remove(&group.conversation());
            self.load_conversation(database, group.conversation());
        }
    }

    fn load_conversation(&mut self, database: &Database, of: ConversationId) {
        if let Some(messages) = database.conversations(self.user).remove(&of) {
            let newest = messages.values().map(|(update, _)| *update).max().unwrap_or(Update(0));
            let loaded = self.loaded.entry(of).or_insert(Update(0));
            *loaded = newest.max(*loaded);
            self.shown.insert(of, messages);
            self.known.extend(database.messages(of));
        }
    }

    /// Takes what the connection was sent. Returns `false` where the connection has ended.
    pub fn read(&mut self, database: &Database) -> bool {
        loop {
            match self.guard.connection().outbox.poll_next(&Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(OutboxItem::Frame(frame))) => match serde_json::from_slice(&frame.bytes).unwrap() {
                    Content::Event(event) => self.take(*event, database),
                    Content::Resync(Some(of)) => self.load_conversation(database, of),
                    Content::Resync(None) => {
                        self.load_groups(database);
                        // Its user may have been away from any group in between.
                        self.settled.retain(|of| [DIRECT, ConversationId::BROADCAST].contains(of));
                        for group in self.groups.clone() {
                            self.load_conversation(database, group.conversation());
                        }
                    }
                    Content::Presence(user, online) => drop(self.online.insert(user, online)),
                    Content::Typing => {}
                },
                Poll::Ready(Some(OutboxItem::End(_)) | None) => return false,
                Poll::Ready(Some(OutboxItem::Ping | OutboxItem::Pong(_))) => {}
                Poll::Pending => return true,
            }
        }
    }

    fn take(&mut self, event: Event, database: &Database) {
        if let Some((of, update)) = event.conversation().zip(event.update()) {
            assert!(database.could_read(self.user, of, update), "{:?} was never to read {event:?}", self.user);
            if self.loaded.get(&of).is_some_and(|loaded| update <= *loaded) {
                return;
            }
            let last = self.last.get(&of).copied();
            if last < Some(update) {
                self.last.insert(of, update);
            } else {
                assert!(!self.settled.contains(&of), "{:?} was sent {event:?} after {last:?}", self.user);
                return;
            }
        }
        match event {
            Event::MessageCreated(message, _) | Event::MessageUpdated(message, _) => {
                self.known.insert(message.id);
                let text = message.body.content().to_owned();
                let shown = self.shown.entry(message.conversation).or_default();
                shown.insert(message.seq, (message.update, Some(text)));
            }
            Event::MessageDeleted { tombstone, .. } => {
                self.known.insert(tombstone.id);
                let shown = self.shown.entry(tombstone.conversation).or_default();
                shown.insert(tombstone.seq, (tombstone.update, None));
            }
            Event::ConversationRead { conversation, up_to, recipient, reader, .. } => {
                let new = self.reads.insert((up_to, recipient, reader));
                assert!(new, "{:?} was told of a read receipt twice", self.user);
                // A message that was changed since comes once, as it is now: that may be later.
                let must_know = self.settled.contains(&conversation) && !database.was_changed(conversation, up_to);
                assert!(
                    !must_know || self.known.contains(&up_to),
                    "{:?} was told that {up_to:?} is read before it was sent it",
                    self.user
                );
            }
            Event::MemberAdded(member) if member.user == self.user => {
                self.load_groups(database);
                // It may have been away in between.
                self.load_conversation(database, member.group.conversation());
            }
            Event::MemberRemoved(member) if member.user == self.user => {
                self.groups.remove(&member.group);
                self.shown.remove(&member.group.conversation());
                self.settled.remove(&member.group.conversation());
            }
            Event::MessageSeen { .. }
            | Event::GroupUpdated(_)
            | Event::GroupDeleted(_)
            | Event::MemberAdded(_)
            | Event::MemberUpdated(_)
            | Event::MemberRemoved(_)
            | Event::SessionEnded { .. }
            | Event::UserDeleted(_)
            | Event::SettingsChanged { .. }
            | Event::DraftChanged { .. }
            | Event::MarkedUnread { .. }
            | Event::Acquainted(_) => {}
        }
    }

    /// Checks that it shows exactly what the database has for its user, and that its connection knows its groups.
    pub fn must_be_whole(&self, database: &Database) {
        let (user, node) = (self.user, self.node);
        let groups = database.groups_of(user);
        assert_eq!(self.groups, groups, "the groups that {user:?} shows at node {node}");
        let known: BTreeSet<_> = self.guard.connection().groups.borrow().keys().copied().collect();
        assert_eq!(known, groups, "the groups of {user:?} that node {node} knows");
        let shown = |of: &BTreeMap<ConversationId, BTreeMap<Seq, Shown>>| {
            let all = of.iter().filter(|(_, messages)| !messages.is_empty());
            all.map(|(id, messages)| (*id, messages.clone())).collect::<BTreeMap<_, _>>()
        };
        let expected = shown(&database.conversations(user));
        assert_eq!(shown(&self.shown), expected, "what {user:?} shows at node {node}");
    }
}
