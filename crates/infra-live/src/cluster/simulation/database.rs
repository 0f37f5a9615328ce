//! A database in memory that several nodes share: what `infra-diesel` promises of Postgres, as far as nodes read it.

use crate::cluster::memory::Random;
use async_trait::async_trait;
use domain::events::{Audience, Committed, ConversationVersion, Event, Revision};
use domain::groups::{Description, Group, GroupName, Member, Role, Visibility};
use domain::live::{
    Acquaintance, Changed, ChangedConversation, Known, LiveReader, Missed, NodeReader, Past, Subscriptions,
};
use domain::messages::{Body, Destination, Message, Seq, Text, Tombstone, Update};
use domain::users::Profile;
use domain::{ConversationId, Error, GroupId, MessageId, SessionId, Timestamp, Unavailable, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use uuid::Uuid;

/// How many changes one reading returns: few, so that there are gaps of several pages.
const PAGE: usize = 3;
/// The longest time that the database takes to answer, in milliseconds.
const LATENCY: u64 = 150;
/// Everything in the database is older when the nodes start.
pub const START: Revision = Revision(100);

pub fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n + 1))
}

pub fn group(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(1_000 + n))
}

/// The conversation of users 0 and 1.
pub const DIRECT: ConversationId = ConversationId(Uuid::from_u128(2_000));

fn at() -> Timestamp {
    Timestamp::from_micros(0).unwrap()
}

/// A message as a client sees it: the number of its last change, and its text unless it is deleted.
pub type Shown = (Update, Option<String>);

struct Stored {
    message: Message,
    revision: Revision,
    deleted: bool,
}

struct Conversation {
    version: ConversationVersion,
    /// None for the direct conversation and the broadcast.
    members: Option<BTreeSet<UserId>>,
    messages: Vec<Stored>,
    /// Which transaction made each change of a message.
    changes: HashMap<Update, usize>,
    /// Which users left, and in which transaction.
    departures: Vec<(UserId, usize)>,
    /// The users who have read up to a message, with that message.
    reads: HashSet<(UserId, MessageId)>,
}

/// What one transaction does.
#[derive(Debug, Clone, Copy)]
pub enum Write {
    Send(UserId),
    Edit(usize),
    Delete(usize),
    Read(UserId),
    Add(UserId),
    Remove(UserId),
    Rename,
}

struct State {
    now: u64,
    outage: bool,
    random: Random,
    next: i64,
    /// The revisions of transactions that have begun and not committed.
    open: BTreeSet<i64>,
    transactions: usize,
    conversations: BTreeMap<ConversationId, Conversation>,
    waiting: Vec<Waker>,
}

impl State {
    /// Every later commit has this revision or a greater one.
    fn horizon(&self) -> Revision {
        Revision(self.open.first().copied().unwrap_or(self.next))
    }

    fn groups(&self, user: UserId) -> Vec<(GroupId, ConversationVersion)> {
        let inside = |of: &Conversation| of.members.as_ref().is_some_and(|members| members.contains(&user));
        let groups = self.conversations.iter().filter(|(_, of)| inside(of));
        groups.map(|(id, of)| (GroupId(id.0), of.version)).collect()
    }
}

pub struct Database(Mutex<State>);

impl Conversation {
    fn new(members: Option<BTreeSet<UserId>>) -> Self {
        let version =
            ConversationVersion { update: Update(0), messages_revision: Revision(1), membership_revision: Revision(1) };
        Self {
            version,
            members,
            messages: Vec::new(),
            changes: HashMap::new(),
            departures: Vec::new(),
            reads: HashSet::new(),
        }
    }

    fn audience(&self, id: ConversationId) -> Audience {
        match &self.members {
            Some(_) => Audience::Members(GroupId(id.0)),
            None if id == DIRECT => Audience::Users([user(0), user(1)]),
            None => Audience::Everybody,
        }
    }

    fn destination(&self, id: ConversationId, author: UserId) -> Destination {
        match self.audience(id) {
            Audience::Members(group) => Destination::Group(group),
            Audience::Users([one, other]) => Destination::Direct { receiver: if author == one { other } else { one } },
            Audience::Everybody | Audience::MembersAmong(..) | Audience::Nobody => Destination::Broadcast,
        }
    }

    fn may(&self, id: ConversationId, user: UserId) -> bool {
        self.audience(id).includes(user, |_| self.members.as_ref().is_some_and(|members| members.contains(&user)))
    }

    fn deleted(&self, id: ConversationId, stored: &Stored) -> Event {
        let Message { id: message, sender, seq, update, .. } = &stored.message;
        let (seq, update) = (*seq, *update);
        let tombstone = Tombstone { id: *message, conversation: id, seq, update, deleted_at: at() };
        Event::MessageDeleted {
            tombstone,
            sender: sender.id,
            destination: self.destination(id, sender.id),
            digest: None,
        }
    }

    /// The events of a write; none where the rules forbid it.
    fn write(&mut self, id: ConversationId, write: Write, (revision, transaction): (Revision, usize)) -> Vec<Event> {
        let update = Update(self.version.update.0 + 1);
        let group_id = GroupId(id.0);
        let member = |user| {
            let (created_at, updated_at) = (at(), at());
            Member { group: group_id, user, username: String::new(), role: Role::Member, created_at, updated_at }
        };
        let events = match write {
            Write::Send(sender) if self.may(id, sender) => {
                let message = Message {
                    id: MessageId(Uuid::from_u128(u128::from(transaction as u64))),
                    conversation: id,
                    destination: self.destination(id, sender),
                    sender: Profile { id: sender, username: String::new(), display_name: String::new() },
                    body: Body::Text(Text::from_stored(format!("sent {transaction}"))),
                    seq: Seq(update.0),
                    update,
                    ..Message::sample()
                };
                self.messages.push(Stored { message: message.clone(), revision, deleted: false });
                vec![Event::MessageCreated(message, None)]
            }
            Write::Edit(which) | Write::Delete(which) => {
                let living =
                    self.messages.iter().position(|stored| !stored.deleted && stored.message.seq.0 > which as i64);
                let Some(index) = living else { return Vec::new() };
                let stored = &mut self.messages[index];
                (stored.message.update, stored.revision) = (update, revision);
                if matches!(write, Write::Edit(_)) {
                    stored.message.body = Body::Text(Text::from_stored(format!("edited {transaction}")));
                    vec![Event::MessageUpdated(stored.message.clone(), None)]
                } else {
                    stored.deleted = true;
                    vec![self.deleted(id, &self.messages[index])]
                }
            }
            Write::Read(reader) if self.may(id, reader) => {
                let Some(last) = self.messages.last() else { return Vec::new() };
                let up_to = last.message.id;
                if !self.reads.insert((reader, up_to)) {
                    return Vec::new();
                }
                let destination = self.destination(id, reader);
                let read =
                    |recipient| Event::ConversationRead { conversation: id, destination, recipient, reader, up_to };
                let mut events = vec![read(reader)];
                events.extend((last.message.sender.id != reader).then(|| read(last.message.sender.id)));
                events
            }
            Write::Add(user) if self.members.as_mut().is_some_and(|members| members.insert(user)) => {
                vec![Event::MemberAdded(member(user))]
            }
            Write::Remove(user) if self.members.as_mut().is_some_and(|members| members.remove(&user)) => {
                self.departures.push((user, transaction));
                vec![Event::MemberRemoved(member(user))]
            }
            Write::Rename => match &self.members {
                Some(members) => vec![Event::GroupUpdated(Group {
                    id: group_id,
                    name: GroupName::from_stored("tea".to_owned()),
                    description: Description::none(),
                    visibility: Visibility::Private,
                    member_count: members.len() as u64,
                    created_at: at(),
                    updated_at: at(),
                })],
                None => Vec::new(),
            },
            Write::Send(_) | Write::Read(_) | Write::Add(_) | Write::Remove(_) => Vec::new(),
        };
        self.changes.extend(events.iter().filter_map(Event::update).map(|update| (update, transaction)));
        self.version = self.version.after(&events, revision);
        events
    }

    fn past(&self, id: ConversationId, known: Known, among: &[UserId]) -> Past {
        let stands = self.version;
        let older = |revision| self.messages.iter().filter(move |stored| stored.revision < revision);
        let (after, changed) = match known {
            Known::Version(version) => (version.update, version.membership_revision < stands.membership_revision),
            Known::Before(revision) => {
                let last = older(revision).map(|stored| stored.message.update).max();
                (last.unwrap_or(Update(0)), stands.membership_revision >= revision)
            }
        };
        let inside = |members: &BTreeSet<UserId>| among.iter().copied().filter(|user| members.contains(user)).collect();
        let members = self.members.as_ref().filter(|_| changed).map(inside);
        let mut found: Vec<_> = self.messages.iter().filter(|stored| stored.message.update > after).collect();
        found.sort_by_key(|stored| stored.message.update);
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let event = |stored: &&Stored| match &stored.message {
            _ if stored.deleted => self.deleted(id, stored),
            message if message.seq.is_after(after) => Event::MessageCreated(message.clone(), None),
            message => Event::MessageUpdated(message.clone(), None),
        };
        let reached = found.last().filter(|_| more).map_or(stands.update, |last| last.message.update);
        Past {
            audience: self.audience(id),
            events: found.iter().map(event).collect(),
            version: ConversationVersion { update: reached, ..stands },
            stands,
            more,
            missed: stands.update.since(after),
            members,
        }
    }
}

impl Database {
    /// Two groups: of users 0 and 1, and of 1 and 2. A direct conversation, and the broadcast.
    pub fn new(seed: u64) -> Self {
        let members = |users: [u128; 2]| Some(users.map(user).into());
        let conversations = BTreeMap::from([
            (group(0).conversation(), Conversation::new(members([0, 1]))),
            (group(1).conversation(), Conversation::new(members([1, 2]))),
            (DIRECT, Conversation::new(None)),
            (ConversationId::BROADCAST, Conversation::new(None)),
        ]);
        Self(Mutex::new(State {
            now: 0,
            outage: false,
            random: Random(seed),
            next: START.0,
            open: BTreeSet::new(),
            transactions: 0,
            conversations,
            waiting: Vec::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the time on to `now`, in milliseconds.
    pub fn advance(&self, now: u64) {
        let mut state = self.state();
        state.now = now;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub fn set_outage(&self, outage: bool) {
        self.state().outage = outage;
    }

    /// A transaction takes its revision now and commits later.
    pub fn begin(&self) {
        let mut state = self.state();
        let revision = state.next;
        state.next += 1;
        state.open.insert(revision);
    }

    /// Ends all transactions that have begun, without a change.
    pub fn roll_back(&self) {
        self.state().open.clear();
    }

    /// Commits a transaction: one that has begun before, or a new one. `None` where the rules forbid the write.
    pub fn commit(&self, id: ConversationId, write: Write, begun_before: bool) -> Option<Committed> {
        let state = &mut *self.state();
        let begun = state.open.last().copied().filter(|_| begun_before);
        let revision = Revision(begun.unwrap_or(state.next));
        state.transactions += 1;
        let of = state.conversations.get_mut(&id)?;
        let before = of.version;
        let events = of.write(id, write, (revision, state.transactions));
        if events.is_empty() {
            return None;
        }
        if begun.is_none() {
            state.next += 1;
        }
        state.open.remove(&revision.0);
        Some(Committed { events, versions: HashMap::from([(id, before)]), revision, cursor: state.horizon() })
    }

    /// What a client of the user shows after loading everything.
    pub fn conversations(&self, user: UserId) -> BTreeMap<ConversationId, BTreeMap<Seq, Shown>> {
        let state = self.state();
        let visible = state.conversations.iter().filter(|(id, of)| of.may(**id, user));
        let shown = |stored: &Stored| {
            let text = (!stored.deleted).then(|| stored.message.body.content().to_owned());
            (stored.message.seq, (stored.message.update, text))
        };
        visible.map(|(id, of)| (*id, of.messages.iter().map(shown).collect())).collect()
    }

    /// The messages of a conversation.
    pub fn messages(&self, of: ConversationId) -> Vec<MessageId> {
        self.state().conversations[&of].messages.iter().map(|stored| stored.message.id).collect()
    }

    /// Whether the message was edited or deleted.
    pub fn was_changed(&self, of: ConversationId, id: MessageId) -> bool {
        let changed = |stored: &Stored| stored.message.id == id && stored.message.update.0 != stored.message.seq.0;
        self.state().conversations[&of].messages.iter().any(changed)
    }

    pub fn groups_of(&self, user: UserId) -> BTreeSet<GroupId> {
        self.state().groups(user).into_iter().map(|(group, _)| group).collect()
    }

    /// Whether the user was allowed to read that change at any moment since it was committed.
    pub fn could_read(&self, user: UserId, id: ConversationId, update: Update) -> bool {
        let state = self.state();
        let of = &state.conversations[&id];
        let committed = of.changes[&update];
        of.may(id, user) || of.departures.iter().any(|(left, when)| *left == user && *when > committed)
    }

    /// Answers after a while with what `read` saw at the beginning.
    async fn answer<T>(&self, read: impl FnOnce(&State) -> T) -> domain::Result<T> {
        let (answer, due) = {
            let state = &mut *self.state();
            let answer = if state.outage { None } else { Some(read(state)) };
            (answer, state.now + state.random.below(LATENCY))
        };
        poll_fn(|context| {
            let mut state = self.state();
            if state.now >= due {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
        answer.ok_or(Error::Unavailable(Unavailable::Overloaded))
    }

    /// What [`LiveReader::subscriptions`] answers, at once.
    pub fn subscriptions_now(&self, user: UserId) -> Subscriptions {
        let state = self.state();
        Subscriptions { groups: state.groups(user), contacts: Vec::new(), at: state.horizon() }
    }
}

#[async_trait]
impl NodeReader for Database {
    async fn changed(&self, since: Revision) -> domain::Result<Changed> {
        let changed = |of: &Conversation| {
            of.version.membership_revision >= since || of.messages.iter().any(|stored| stored.revision >= since)
        };
        self.answer(|state| {
            let conversations = state.conversations.iter().filter(|(_, of)| changed(of)).map(|(id, of)| {
                let (conversation, audience) = (*id, of.audience(*id));
                ChangedConversation { conversation, audience, version: of.version }
            });
            Changed { conversations: conversations.collect(), at: state.horizon() }
        })
        .await
    }

    async fn past(&self, of: ConversationId, known: Known, among: Vec<UserId>) -> domain::Result<Option<Past>> {
        self.answer(|state| state.conversations.get(&of).map(|found| found.past(of, known, &among))).await
    }

    fn heard(&self, _: &[Event]) {}

    async fn ended(&self, _: Vec<SessionId>) -> domain::Result<Vec<SessionId>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl LiveReader for Database {
    async fn subscriptions(&self, user: UserId) -> domain::Result<Subscriptions> {
        self.answer(|state| Subscriptions { groups: state.groups(user), contacts: Vec::new(), at: state.horizon() })
            .await
    }

    async fn acquaintance(&self, _: UserId, _: UserId) -> domain::Result<Acquaintance> {
        Err(Error::Unavailable(Unavailable::Overloaded))
    }

    async fn missed(&self, _: UserId, _: Revision) -> domain::Result<Option<Missed>> {
        Ok(None)
    }
}
