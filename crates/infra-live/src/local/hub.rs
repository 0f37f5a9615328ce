//! The hub, which all workers share.

use super::broadcaster::{MAX_QUEUED, ShardBroadcaster, ShardState};
use super::frame::{Dispatch, Framer, Item, MembershipReload, Notice};
use super::interest::{Interest, Subject};
use super::limits::{AttachError, HubOptions};
use super::peers::{PeerNotice, Peers};
use super::presence::{Announcement, PresenceAudience, PresenceQuery, Registry};
use crate::telemetry::METRICS;
use domain::events::{Audience, Committed, ConversationVersion, Event, EventPublisher, Revision};
use domain::live::{Resync, Typing, TypingThrottle};
use domain::messages::Recipient;
use domain::{GroupId, SessionId, UserId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;

/// A group with members connected here.
struct WatchedGroup {
    /// How many shards have connections of members.
    shards: usize,
    /// The oldest version of the group that one of its members has read. `None` if the member learned of the group by
    /// an event.
    known: Option<ConversationVersion>,
}

/// Takes committed events and hands them to every shard.
pub struct Hub {
    pub(crate) framer: Arc<dyn Framer>,
    pub(crate) options: HubOptions,
    /// Locked while the hub hands a dispatch to the shards, so that all receive dispatches in the same order.
    broadcaster: Mutex<ShardBroadcaster>,
    connections: AtomicUsize,
    registry: Mutex<Registry>,
    typing: Mutex<TypingThrottle>,
    groups: Mutex<HashMap<GroupId, WatchedGroup>>,
    /// The cursors of joining connections, and how many joined at each.
    joining: Mutex<BTreeMap<Revision, usize>>,
    /// The other nodes. `None` on a single node.
    peers: OnceLock<Arc<dyn Peers>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// A hub without shards.
    pub fn new(framer: Arc<dyn Framer>, options: HubOptions) -> Self {
        LazyLock::force(&METRICS);
        Self {
            framer,
            options,
            broadcaster: Mutex::new(ShardBroadcaster::new()),
            connections: AtomicUsize::new(0),
            registry: Mutex::default(),
            typing: Mutex::default(),
            groups: Mutex::default(),
            joining: Mutex::default(),
            peers: OnceLock::new(),
        }
    }

    /// The limits of the hub.
    pub fn options(&self) -> HubOptions {
        self.options
    }

    /// Sets the cursor of signals until the first commit: the newest revision of the database when serving begins.
    pub fn begin_at(&self, cursor: Revision) {
        let mut broadcaster = lock(&self.broadcaster);
        broadcaster.cursor = broadcaster.cursor.max(cursor);
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Tells the audience that a user of this node is typing; other nodes tell theirs.
    pub fn signal_typing(&self, typing: Typing) {
        self.notify_peers(|| PeerNotice::Typing(typing.clone()));
        self.deliver_typing(typing);
    }

    /// Whether the throttle lets the user's typing through now.
    pub fn admits_typing(&self, user: UserId, to: Recipient, now: Instant) -> bool {
        lock(&self.typing).admits(user, to, now)
    }

    /// Takes back what the throttle let through, because nobody learned of it.
    pub fn withdraw_typing(&self, user: UserId, to: Recipient) {
        lock(&self.typing).withdraw(user, to);
    }

    /// Closes all connections, and accepts no more.
    pub fn stop(&self) {
        lock(&self.broadcaster).stopping = true;
        self.signal(Notice::Stop);
    }

    pub(crate) fn add_shard(&self, queue: mpsc::Sender<Arc<Dispatch>>, state: Arc<ShardState>) -> Revision {
        let mut broadcaster = lock(&self.broadcaster);
        broadcaster.shards.push((queue, state));
        broadcaster.cursor
    }

    /// A queue for a shard.
    pub(crate) fn queue() -> (mpsc::Sender<Arc<Dispatch>>, mpsc::Receiver<Arc<Dispatch>>) {
        mpsc::channel(MAX_QUEUED)
    }

    fn signal(&self, notice: Notice) {
        let mut broadcaster = lock(&self.broadcaster);
        let cursor = broadcaster.cursor;
        broadcaster.broadcast(Dispatch { items: vec![Item::new(notice, cursor)], cursor });
    }

    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.broadcaster).stopping
    }

    /// Counts a new connection.
    ///
    /// # Errors
    /// [`AttachError`].
    pub(crate) fn admit(&self, user: UserId, session: SessionId) -> Result<(), AttachError> {
        if self.is_stopping() {
            return Err(AttachError::Stopping);
        }
        let taken = |count| (count < self.options.max).then_some(count + 1);
        if self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_err() {
            return Err(AttachError::Full);
        }
        let mut registry = lock(&self.registry);
        let first = !registry.is_connected(user);
        if !registry.admit(user, session, self.options.max_per_user) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(AttachError::TooManyOfUser);
        }
        // Holds the lock, so that peers learn of connections in the order in which they come and go.
        if first && let Some(peers) = self.peers.get() {
            peers.subscribe(Subject::User(user));
        }
        drop(registry);
        METRICS.connections.increment(1.0);
        Ok(())
    }

    /// A connection of the user has read its subscriptions. Announces the user as online, if that is new.
    pub(crate) fn mark_online(&self, user: UserId, audience: PresenceAudience) {
        // Holds the lock until all know it, so that going offline cannot overtake this.
        let mut registry = lock(&self.registry);
        if registry.mark_online(user) {
            self.announce_everywhere(Announcement { user, online: true, audience });
        }
    }

    /// Announces a user who is online to an audience that does not know it yet.
    pub(crate) fn introduce(&self, user: UserId, audience: PresenceAudience) {
        // Holds the lock until all know it, so that going offline cannot overtake this.
        let registry = lock(&self.registry);
        // A user who was not announced yet will be, to the whole audience.
        if registry.is_announced(user) {
            self.announce_everywhere(Announcement { user, online: true, audience });
        }
    }

    fn announce_everywhere(&self, announcement: Announcement) {
        self.notify_peers(|| PeerNotice::CameOnline(announcement.clone()));
        self.announce(announcement);
    }

    /// A user who is online has become a member of a group: tells the members, and tells the user which of them are
    /// online.
    pub(crate) async fn introduce_to_group(&self, user: UserId, group: GroupId) {
        let audience = PresenceAudience { groups: vec![group], contacts: Vec::new() };
        self.introduce(user, audience.clone());
        let online = self.who_is_online(user, audience).await;
        self.announce_online_to(user, online.into_iter());
    }

    /// Which users of the audience are connected here. Also asks other nodes, and tells the user their answers when
    /// they arrive.
    pub(crate) async fn who_is_online(&self, user: UserId, audience: PresenceAudience) -> HashSet<UserId> {
        self.notify_peers(|| PeerNotice::WhoIsOnline(user, audience.clone()));
        self.who_is_online_here(user, audience).await
    }

    /// Which users of the audience are connected here.
    pub(crate) async fn who_is_online_here(&self, user: UserId, audience: PresenceAudience) -> HashSet<UserId> {
        let (answers, mut answered) = mpsc::unbounded_channel();
        // Each shard answers once. The channel closes when all have answered, or dropped the question.
        self.signal(Notice::WhoIsOnline(PresenceQuery { user, audience, answers }));
        let mut online = HashSet::new();
        while let Some(users) = answered.recv().await {
            online.extend(users);
        }
        online
    }

    /// Removes a connection. If it was the user's last and the user was announced online, returns a token for
    /// [`confirm_offline`](Self::confirm_offline) and the audience to notify.
    pub(crate) fn disconnect(
        &self,
        user: UserId,
        session: SessionId,
        audience: PresenceAudience,
    ) -> Option<(u64, PresenceAudience)> {
        METRICS.connections.decrement(1.0);
        self.connections.fetch_sub(1, Ordering::Relaxed);
        let mut registry = lock(&self.registry);
        let departure = registry.disconnect(user, session, audience);
        if !registry.is_connected(user)
            && let Some(peers) = self.peers.get()
        {
            peers.unsubscribe(Subject::User(user));
        }
        departure
    }

    /// Announces a user as offline who has not connected again since that departure.
    pub(crate) fn confirm_offline(&self, departure: u64, user: UserId, audience: PresenceAudience) {
        let mut registry = lock(&self.registry);
        if registry.confirm_offline(user, departure) {
            let announcement = Announcement { user, online: false, audience };
            // With several nodes the node announces it, because the user may be connected to another one. If the node
            // cannot take the notice, the hub tells clients here at once.
            let refused = match self.peers.get() {
                Some(peers) => peers.notify(PeerNotice::LastConnectionGone(announcement)).err(),
                None => Some(PeerNotice::LastConnectionGone(announcement)),
            };
            if let Some(PeerNotice::LastConnectionGone(announcement)) = refused {
                self.announce(announcement);
            }
        }
    }

    /// A shard has its first connection of a member of the group. The member knows the group at version `known`.
    pub(crate) fn watch_group(&self, group: GroupId, known: Option<ConversationVersion>) {
        let mut groups = lock(&self.groups);
        let watched = groups.entry(group).or_insert_with(|| {
            if let Some(peers) = self.peers.get() {
                peers.subscribe(Subject::Group(group));
            }
            WatchedGroup { shards: 0, known }
        });
        watched.shards += 1;
    }

    /// Another connection of a member knows the group at version `known`. Connections that read their subscriptions at
    /// the same time may begin in another order: the node has to know the oldest version.
    pub(crate) fn lower_known(&self, group: GroupId, known: ConversationVersion) {
        // On a single node nobody asks for it.
        if self.peers.get().is_none() {
            return;
        }
        if let Some(WatchedGroup { known: Some(first), .. }) = lock(&self.groups).get_mut(&group)
            && !known.is_at_least(first)
        {
            *first = known;
        }
    }

    /// A shard has no connection of a member of the group any more.
    pub(crate) fn unwatch_group(&self, group: GroupId) {
        let mut groups = lock(&self.groups);
        let Some(watched) = groups.get_mut(&group) else { return };
        watched.shards -= 1;
        if watched.shards == 0 {
            groups.remove(&group);
            if let Some(peers) = self.peers.get() {
                peers.unsubscribe(Subject::Group(group));
            }
        }
    }

    /// Registers a connection that is about to read its subscriptions and returns the current cursor. Until
    /// [`finish_joining`](Self::finish_joining) is called with it, the watermark does not pass this cursor.
    pub(crate) fn start_joining(&self) -> Revision {
        // Holds the lock, so that the cursor cannot move before it is noted.
        let broadcaster = lock(&self.broadcaster);
        *lock(&self.joining).entry(broadcaster.cursor).or_default() += 1;
        broadcaster.cursor
    }

    /// The connection has read its subscriptions, or is gone.
    pub(crate) fn finish_joining(&self, since: Revision) {
        let mut joining = lock(&self.joining);
        if let Entry::Occupied(mut count) = joining.entry(since) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// The oldest cursor of a joining connection. `None` if no connection is joining.
    pub(crate) fn oldest_joining(&self) -> Option<Revision> {
        lock(&self.joining).keys().next().copied()
    }

    /// A connection of the user has read its subscriptions at that revision.
    pub(crate) fn note_known_since(&self, user: UserId, at: Revision) {
        lock(&self.registry).note_known_since(user, at);
    }

    /// Presence and typing may be lost; the nodes make up for lost presence themselves.
    fn notify_peers(&self, notice: impl FnOnce() -> PeerNotice) {
        if let Some(peers) = self.peers.get() {
            let _ = peers.notify(notice());
        }
    }

    /// From now on there are other nodes. A process calls this once, before the first client connects.
    pub(crate) fn set_peers(&self, peers: Arc<dyn Peers>) {
        // An error means that they are set already.
        let _ = self.peers.set(peers);
    }

    /// What the connections here know of a conversation with that audience.
    pub(crate) fn interest(&self, audience: Audience) -> Interest {
        let since = |since: Option<Revision>| since.map_or(Interest::Nobody, Interest::Since);
        match audience {
            Audience::Users(users) | Audience::MembersAmong(_, users) => {
                let registry = lock(&self.registry);
                since(users.iter().filter_map(|user| registry.known_since(*user)).min())
            }
            Audience::Members(group) => match lock(&self.groups).get(&group) {
                Some(WatchedGroup { known: Some(version), .. }) => Interest::Knows(*version),
                Some(WatchedGroup { known: None, .. }) => Interest::Since(Revision(0)),
                // A joining connection may turn out to be of a member.
                None if self.oldest_joining().is_some() => Interest::Since(Revision(0)),
                None => Interest::Nobody,
            },
            Audience::Everybody if self.connections() > 0 => Interest::Since(Revision(0)),
            Audience::Everybody | Audience::Nobody => Interest::Nobody,
        }
    }

    pub(crate) fn is_connected(&self, user: UserId) -> bool {
        lock(&self.registry).is_connected(user)
    }

    pub(crate) fn connected_users(&self) -> Vec<UserId> {
        lock(&self.registry).connected_users()
    }

    /// Whether the user is connected here, or was a moment ago.
    pub(crate) fn is_present(&self, user: UserId) -> bool {
        lock(&self.registry).is_present(user)
    }

    /// The users whom this node announced as online and not as offline since. Some may have disconnected a moment ago.
    pub(crate) fn announced_users(&self) -> Vec<UserId> {
        lock(&self.registry).announced_users()
    }

    /// The sessions of all connections, with their users.
    pub(crate) fn sessions(&self) -> Vec<(SessionId, UserId)> {
        lock(&self.registry).sessions()
    }

    /// Delivers events of this node or of others, in the order into which the node has put them.
    pub(crate) fn deliver(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut broadcaster = lock(&self.broadcaster);
        let cursor = broadcaster.cursor;
        let items = events.into_iter().map(|event| Item::new(Notice::Event(event), cursor)).collect();
        broadcaster.broadcast(Dispatch { items, cursor });
    }

    /// Everything that any node committed before this revision is delivered.
    pub(crate) fn advance_cursor(&self, cursor: Revision) {
        let mut broadcaster = lock(&self.broadcaster);
        if cursor > broadcaster.cursor {
            broadcaster.cursor = cursor;
            broadcaster.broadcast(Dispatch { items: Vec::new(), cursor });
        }
    }

    /// Sets which of the connected users are members of a group, and tells those concerned to reload their groups.
    pub(crate) fn reload_membership(&self, reload: MembershipReload) {
        self.signal(Notice::Membership(reload));
    }

    /// Tells an audience to reload something.
    pub(crate) fn resync(&self, audience: Audience, resync: Resync) {
        self.signal(Notice::Resync(audience, resync));
    }

    /// Tells clients of this node that a user is online or offline.
    pub(crate) fn announce(&self, announcement: Announcement) {
        self.signal(Notice::Presence(announcement));
    }

    /// Tells clients of this node that a user is typing.
    pub(crate) fn deliver_typing(&self, typing: Typing) {
        self.signal(Notice::Typing(typing));
    }

    /// Tells a user that these users are online.
    pub(crate) fn announce_online_to(&self, user: UserId, online: impl Iterator<Item = UserId>) {
        let mut broadcaster = lock(&self.broadcaster);
        let cursor = broadcaster.cursor;
        let items: Vec<_> = online.map(|other| Item::new(Notice::Online { user, other }, cursor)).collect();
        if !items.is_empty() {
            broadcaster.broadcast(Dispatch { items, cursor });
        }
    }
}

impl EventPublisher for Hub {
    /// Closes all connections. Their clients resume after the events that they have, and get what the database has.
    fn lost(&self) {
        for (_, state) in &lock(&self.broadcaster).shards {
            state.overrun.store(true, Ordering::SeqCst);
        }
    }

    fn publish(&self, committed: Committed) {
        let mut broadcaster = lock(&self.broadcaster);
        let before = std::mem::replace(&mut broadcaster.cursor, committed.cursor);
        // A client may resume behind a commit only if it has all of it.
        let last = committed.events.len().saturating_sub(1);
        let cursor = |index| if index == last { committed.cursor } else { before };
        let items = committed.events.into_iter().enumerate();
        let items = items.map(|(index, event)| Item::new(Notice::Event(event), cursor(index))).collect();
        broadcaster.broadcast(Dispatch { items, cursor: committed.cursor });
    }
}
