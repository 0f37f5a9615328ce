//! What all workers share.

use crate::local::frame::{Dispatch, Framer, Item, Notice, Reload};
use crate::local::line::{Line, MOST_WAITING, ShardState};
use crate::local::presence::{Announcement, Circle, Question, Registry};
use crate::cluster::{Command, Interest, Relay, Subject};
use crate::telemetry::METRICS;
use domain::events::{Audience, Committed, Event, EventPublisher, Head, Revision};
use domain::live::{Resync, Typing, TypingThrottle};
use domain::messages::Recipient;
use domain::{GroupId, SessionId, UserId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What an operator may want otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubOptions {
    /// After how much silence a client is asked for a sign of life, and how long it may take to answer.
    pub heartbeat: Duration,
    /// How long somebody is away before others are told.
    pub absence: Duration,
    /// How many connections a user may have.
    pub most_per_user: usize,
    /// How many connections there may be.
    pub most: usize,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(25), absence: Duration::from_secs(3), most_per_user: 50, most: 20_000 }
    }
}

/// Why no further connection is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The user has as many as are allowed.
    TooManyOfUser,
    /// The server has as many as it takes.
    Full,
    /// The server stops.
    Stopping,
}

/// A group with members connected here.
struct Watched {
    /// How many shards have any.
    shards: usize,
    /// Where the group stood for the first of them, if it was not told of it by what happened.
    known: Option<Head>,
}

/// Where committed events come in and go to every shard.
pub struct Hub {
    pub(crate) framer: Arc<dyn Framer>,
    pub(crate) options: HubOptions,
    /// Held while something is given to the shards: it comes to all of them in the same order.
    line: Mutex<Line>,
    connections: AtomicUsize,
    registry: Mutex<Registry>,
    typing: Mutex<TypingThrottle>,
    /// Groups with members connected here.
    groups: Mutex<HashMap<GroupId, Watched>>,
    /// From where those who are about to come may begin, and how many do.
    joining: Mutex<BTreeMap<Revision, usize>>,
    /// The way to other nodes, where there are any.
    relay: OnceLock<Arc<Relay>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Without shards yet.
    pub fn new(framer: Arc<dyn Framer>, options: HubOptions) -> Self {
        LazyLock::force(&METRICS);
        Self {
            framer,
            options,
            line: Mutex::new(Line { shards: Vec::new(), cursor: Revision(0), stopping: false }),
            connections: AtomicUsize::new(0),
            registry: Mutex::default(),
            typing: Mutex::default(),
            groups: Mutex::default(),
            joining: Mutex::default(),
            relay: OnceLock::new(),
        }
    }

    /// What it runs with.
    pub fn options(&self) -> HubOptions {
        self.options
    }

    /// Where the database is when serving begins: the cursor of signals until something is committed.
    pub fn begin_at(&self, cursor: Revision) {
        let mut line = lock(&self.line);
        line.cursor = line.cursor.max(cursor);
    }

    /// How many are connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Tells who may see it that somebody is typing.
    pub fn signal_typing(&self, typing: Typing) {
        self.tell_nodes(|| Command::Typing(typing.clone()));
        self.signal(Notice::Typing(typing));
    }

    /// Whether somebody's typing may be passed on now.
    pub fn admits_typing(&self, user: UserId, to: Recipient, now: Instant) -> bool {
        lock(&self.typing).admits(user, to, now)
    }

    /// What was admitted turned out to be nobody's to know.
    pub fn withdraw_typing(&self, user: UserId, to: Recipient) {
        lock(&self.typing).withdraw(user, to);
    }

    /// Ends all connections, and takes no more.
    pub fn stop(&self) {
        lock(&self.line).stopping = true;
        self.signal(Notice::Stop);
    }

    pub(crate) fn enlist(&self, queue: mpsc::Sender<Arc<Dispatch>>, state: Arc<ShardState>) -> Revision {
        let mut line = lock(&self.line);
        line.shards.push((queue, state));
        line.cursor
    }

    /// The queue of a shard.
    pub(crate) fn queue() -> (mpsc::Sender<Arc<Dispatch>>, mpsc::Receiver<Arc<Dispatch>>) {
        mpsc::channel(MOST_WAITING)
    }

    fn signal(&self, notice: Notice) {
        let mut line = lock(&self.line);
        let cursor = line.cursor;
        line.give(Dispatch { items: vec![Item::new(notice, cursor)], cursor });
    }

    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.line).stopping
    }

    pub(crate) fn admit(&self, user: UserId, session: SessionId) -> Result<(), Refused> {
        if self.is_stopping() {
            return Err(Refused::Stopping);
        }
        let taken = |count| (count < self.options.most).then_some(count + 1);
        if self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_err() {
            return Err(Refused::Full);
        }
        let mut registry = lock(&self.registry);
        let first = !registry.is_connected(user);
        if !registry.admit(user, session, self.options.most_per_user) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::TooManyOfUser);
        }
        if first {
            // Told while the registry is held: in the order in which users come and go.
            self.tell_nodes(|| Command::Watch(Subject::User(user), true));
        }
        drop(registry);
        METRICS.connections.increment(1.0);
        Ok(())
    }

    pub(crate) fn appears(&self, user: UserId, groups: Vec<GroupId>, contacts: Vec<UserId>) {
        // Held until all are told: somebody's going must not overtake their coming.
        let mut registry = lock(&self.registry);
        if registry.appears(user) {
            let announcement = Announcement { user, online: true, groups, contacts };
            self.tell_nodes(|| Command::Appeared(announcement.clone()));
            self.announce(announcement);
        }
    }

    /// Somebody who is connected begins to talk with a user, who is told that one is there.
    pub(crate) fn meets(&self, user: UserId, circle: Circle) {
        // Held until all are told: somebody's going must not overtake this.
        let registry = lock(&self.registry);
        // Who was not announced yet is going to be, to all.
        if registry.is_announced(user) {
            let Circle { groups, contacts } = circle;
            let announcement = Announcement { user, online: true, groups, contacts };
            self.tell_nodes(|| Command::Appeared(announcement.clone()));
            self.announce(announcement);
        }
    }

    /// Somebody who is connected has come to be in a group: its members are told that one is there, and one is told who of them
    /// is.
    pub(crate) async fn meets_group(&self, user: UserId, group: GroupId) {
        self.meets(user, Circle { groups: vec![group], contacts: Vec::new() });
        let there = self.who_is_there(user, vec![group], Vec::new()).await;
        self.tell_of(user, there.into_iter());
    }

    /// Who of those in these groups and of these contacts is connected here. Other nodes are asked, too; what they answer is
    /// told as it comes.
    pub(crate) async fn who_is_there(
        &self,
        user: UserId,
        groups: Vec<GroupId>,
        contacts: Vec<UserId>,
    ) -> HashSet<UserId> {
        self.tell_nodes(|| Command::WhoIsThere(user, groups.clone(), contacts.clone()));
        self.who_is_here(user, groups, contacts).await
    }

    /// Who of those in these groups and of these contacts is connected here.
    pub(crate) async fn who_is_here(
        &self,
        user: UserId,
        groups: Vec<GroupId>,
        contacts: Vec<UserId>,
    ) -> HashSet<UserId> {
        let (answers, mut answered) = mpsc::unbounded_channel();
        // The channel closes once every shard has answered, or will not.
        self.signal(Notice::WhoIsThere(Question { user, groups, contacts, answers }));
        let mut there = HashSet::new();
        while let Some(users) = answered.recv().await {
            there.extend(users);
        }
        there
    }

    pub(crate) fn depart(&self, user: UserId, session: SessionId, circle: Circle) -> Option<(u64, Circle)> {
        METRICS.connections.decrement(1.0);
        self.connections.fetch_sub(1, Ordering::Relaxed);
        let mut registry = lock(&self.registry);
        let departure = registry.depart(user, session, circle);
        if !registry.is_connected(user) {
            self.tell_nodes(|| Command::Watch(Subject::User(user), false));
        }
        departure
    }

    pub(crate) fn is_gone(&self, departure: u64, user: UserId, circle: Circle) {
        let Circle { groups, contacts } = circle;
        let mut registry = lock(&self.registry);
        if registry.is_gone(user, departure) {
            let announcement = Announcement { user, online: false, groups, contacts };
            match self.relay.get() {
                // May be connected to another node.
                Some(relay) => relay.tell(Command::Left(announcement)),
                None => self.announce(announcement),
            }
        }
    }

    /// A shard has its first connection of a member of the group, who knows it as it stands at `known`.
    pub(crate) fn watch_group(&self, group: GroupId, known: Option<Head>) {
        let mut groups = lock(&self.groups);
        let watched = groups.entry(group).or_insert_with(|| {
            self.tell_nodes(|| Command::Watch(Subject::Group(group), true));
            Watched { shards: 0, known }
        });
        watched.shards += 1;
    }

    /// A shard has no connection of a member of the group any more.
    pub(crate) fn unwatch_group(&self, group: GroupId) {
        let mut groups = lock(&self.groups);
        let Some(watched) = groups.get_mut(&group) else { return };
        watched.shards -= 1;
        if watched.shards == 0 {
            groups.remove(&group);
            self.tell_nodes(|| Command::Watch(Subject::Group(group), false));
        }
    }

    /// A connection is about to find out where it begins: not before what is given back, which [`Hub::begun`] is to be told.
    pub(crate) fn begins(&self) -> Revision {
        // Noted before the cursor can move on.
        let line = lock(&self.line);
        *lock(&self.joining).entry(line.cursor).or_default() += 1;
        line.cursor
    }

    /// It has found out, or is gone.
    pub(crate) fn begun(&self, floor: Revision) {
        let mut joining = lock(&self.joining);
        if let Entry::Occupied(mut many) = joining.entry(floor) {
            *many.get_mut() -= 1;
            if *many.get() == 0 {
                many.remove();
            }
        }
    }

    /// Before this, nobody who is about to come begins; `None` where nobody is.
    pub(crate) fn floor(&self) -> Option<Revision> {
        lock(&self.joining).keys().next().copied()
    }

    /// A connection of the user knows all that was committed before.
    pub(crate) fn knows(&self, user: UserId, at: Revision) {
        lock(&self.registry).begins(user, at);
    }

    fn tell_nodes(&self, command: impl FnOnce() -> Command) {
        if let Some(relay) = self.relay.get() {
            relay.tell(command());
        }
    }

    /// From now on there are other nodes.
    pub(crate) fn relay_by(&self, relay: Arc<Relay>) {
        // There is one relay a process, made before anybody connects.
        let _ = self.relay.set(relay);
    }

    /// Who here belongs to the audience, as far as the hub knows.
    pub(crate) fn interest(&self, audience: Audience) -> Interest {
        let since = |since: Option<Revision>| since.map_or(Interest::Nobody, Interest::Since);
        match audience {
            Audience::Users(users) | Audience::MembersAmong(_, users) => {
                let registry = lock(&self.registry);
                since(users.iter().filter_map(|user| registry.known_since(*user)).min())
            }
            Audience::Members(group) => match lock(&self.groups).get(&group) {
                Some(Watched { known: Some(head), .. }) => Interest::Knows(*head),
                Some(Watched { known: None, .. }) => Interest::Since(Revision(0)),
                // Who is about to come may be in it.
                None if self.floor().is_some() => Interest::Since(Revision(0)),
                None => Interest::Nobody,
            },
            Audience::Everybody if self.connections() > 0 => Interest::Since(Revision(0)),
            Audience::Everybody | Audience::Nobody => Interest::Nobody,
        }
    }

    pub(crate) fn is_connected(&self, user: UserId) -> bool {
        lock(&self.registry).is_connected(user)
    }

    /// Who is connected here.
    pub(crate) fn users(&self) -> Vec<UserId> {
        lock(&self.registry).users()
    }

    pub(crate) fn is_shown(&self, user: UserId) -> bool {
        lock(&self.registry).is_shown(user)
    }

    /// Who is shown as online for a connection to this node, though it may have gone a moment ago.
    pub(crate) fn shown(&self) -> Vec<UserId> {
        lock(&self.registry).shown()
    }

    /// By which sessions they are, and whose each is.
    pub(crate) fn sessions(&self) -> Vec<(SessionId, UserId)> {
        lock(&self.registry).sessions()
    }

    /// Gives out what other nodes, or this one in the order of all, committed.
    pub(crate) fn deliver(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut line = lock(&self.line);
        let cursor = line.cursor;
        let items = events.into_iter().map(|event| Item::new(Notice::Event(event), cursor)).collect();
        line.give(Dispatch { items, cursor });
    }

    /// All that was committed before this, on whatever node, was given out.
    pub(crate) fn advance(&self, cursor: Revision) {
        let mut line = lock(&self.line);
        if cursor > line.cursor {
            line.cursor = cursor;
            line.give(Dispatch { items: Vec::new(), cursor });
        }
    }

    /// Who has come to be or not to be in a group by that is told to load it again.
    pub(crate) fn reload_roster(&self, reload: Reload) {
        self.signal(Notice::Roster(reload));
    }

    /// Tells an audience to load something again.
    pub(crate) fn resync(&self, audience: Audience, resync: Resync) {
        self.signal(Notice::Resync(audience, resync));
    }

    /// Tells who is concerned that somebody came or went.
    pub(crate) fn announce(&self, announcement: Announcement) {
        self.signal(Notice::Presence(announcement));
    }

    /// Somebody who is connected to another node is typing.
    pub(crate) fn typing_elsewhere(&self, typing: Typing) {
        self.signal(Notice::Typing(typing));
    }

    /// Tells somebody that these are there.
    pub(crate) fn tell_of(&self, user: UserId, there: impl Iterator<Item = UserId>) {
        let mut line = lock(&self.line);
        let cursor = line.cursor;
        let items: Vec<_> = there.map(|other| Item::new(Notice::There { user, other }, cursor)).collect();
        if !items.is_empty() {
            line.give(Dispatch { items, cursor });
        }
    }
}

impl EventPublisher for Hub {
    /// Cuts all connections off: they resume by what they were given, and are given what is in the database.
    fn lost(&self) {
        for (_, state) in &lock(&self.line).shards {
            state.overrun.store(true, Ordering::SeqCst);
        }
    }

    fn publish(&self, committed: Committed) {
        let mut line = lock(&self.line);
        let before = std::mem::replace(&mut line.cursor, committed.cursor);
        // Only who has been given the whole commit may go on after it.
        let last = committed.events.len().saturating_sub(1);
        let cursor = |index| if index == last { committed.cursor } else { before };
        let items = committed.events.into_iter().enumerate();
        let items = items.map(|(index, event)| Item::new(Notice::Event(event), cursor(index))).collect();
        line.give(Dispatch { items, cursor: committed.cursor });
    }
}
