//! One worker's part of the hub: its connections, which of them gets which event, and the time.

use super::broadcaster::ShardState;
use super::connection::{Connection, Transport};
use super::frame::{Dispatch, Frame, Item, MembershipReload, Notice};
use super::hub::Hub;
use super::limits::AttachError;
use super::outbox::End;
use super::presence::PresenceAudience;
use super::subscribers::{PendingOffline, Subscribers, remove};
use bytes::Bytes;
use domain::events::{ConversationVersion, Event, MembershipChange, Revision};
use domain::live::Subscriptions;
use domain::{Caller, GroupId, SessionId, UserId};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;

/// How often the shard looks at pings, expiry and users who went offline: one timer for all connections of a worker.
const TICK: Duration = Duration::from_secs(1);
/// How many events, of one commit or of many, the shard delivers before the sockets get their turn: a burst must not
/// fill the outboxes of clients that read. The part of an outbox that is reserved for live events holds several
/// budgets.
const EVENTS_BUDGET: usize = 64;
/// The same in bytes of frames.
const BYTES_BUDGET: usize = 256 * 1024;
/// After how many groups or contacts of a joining connection the other connections get their turn.
const GROUPS_PER_TURN: usize = 256;

/// One worker's connections. A shard stays on its thread.
pub struct Shard {
    hub: Arc<Hub>,
    state: Arc<ShardState>,
    queue: RefCell<Option<mpsc::Receiver<Arc<Dispatch>>>>,
    subscribers: RefCell<Subscribers>,
    /// The shard has delivered everything before this.
    delivered: Cell<Revision>,
    /// How many announcements the shard has delivered.
    announcements: Cell<u64>,
    /// The events, and the bytes of their frames, that the shard has delivered since the sockets had their turn.
    spent: Cell<(usize, usize)>,
}

impl Shard {
    /// A new shard, which delivers nothing until [`Shard::run`].
    pub fn new(hub: Arc<Hub>) -> Rc<Self> {
        let (sender, queue) = Hub::queue();
        let state = Arc::new(ShardState::default());
        let delivered = Cell::new(hub.add_shard(sender, Arc::clone(&state)));
        let subscribers = RefCell::new(Subscribers::new(Arc::clone(&hub)));
        let (queue, announcements, spent) = (RefCell::new(Some(queue)), Cell::new(0), Cell::new((0, 0)));
        Rc::new(Self { hub, state, queue, subscribers, delivered, announcements, spent })
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Delivers dispatches, and keeps time, for as long as the caller awaits it. A second call returns at once.
    pub async fn run(self: Rc<Self>) {
        let Some(mut queue) = self.queue.borrow_mut().take() else { return };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                dispatch = queue.recv() => match dispatch {
                    Some(dispatch) => {
                        // The shard must not deliver anything that came after a lost dispatch.
                        self.end_overrun();
                        self.dispatch(&dispatch).await;
                    }
                    None => return,
                },
                _ = ticks.tick() => self.tick(Instant::now()),
            }
            self.end_overrun();
        }
    }

    /// Delivers what waits, without a timer.
    #[cfg(test)]
    pub(crate) async fn drain(&self) {
        loop {
            let next = self.queue.borrow_mut().as_mut().and_then(|queue| queue.try_recv().ok());
            let Some(dispatch) = next else { return };
            self.end_overrun();
            self.dispatch(&dispatch).await;
        }
    }

    fn end_overrun(&self) {
        if self.state.overrun.swap(false, Ordering::SeqCst) {
            self.end_all(End::Lagging);
        }
    }

    /// Takes a connection that is valid until `expires`. From now on it misses no event, and it gets none until
    /// [`Shard::begin`].
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn attach(
        self: &Rc<Self>,
        caller: &Caller,
        transport: Transport,
        expires: Instant,
    ) -> Result<AttachGuard, AttachError> {
        self.hub.admit(caller.user, caller.session)?;
        self.state.connections.fetch_add(1, Ordering::SeqCst);
        let connection = Rc::new(Connection::new(caller, transport, expires, Instant::now()));
        connection.joining_since.set(Some(self.hub.start_joining()));
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.all.add(&connection);
        subscribers.joining.add(&connection);
        subscribers.by_user.entry(caller.user).or_default().push(Rc::clone(&connection));
        if self.hub.is_stopping() {
            // The hub may have told all connections to stop before this one was in the list.
            connection.outbox.end(End::Stopping);
        }
        Ok(AttachGuard { shard: Rc::clone(self), connection })
    }

    /// A frame for one connection only. `bytes` makes its bytes from the cursor that it carries.
    pub fn own_frame(&self, to: &Connection, name: &'static str, bytes: impl FnOnce(Revision) -> Bytes) -> Frame {
        let cursor = to.cursor(self.delivered.get());
        Frame { name, cursor, bytes: bytes(cursor), position: None, transient: false }
    }

    /// Makes the connection catch up: from now on it gets every event that concerns its user by the subscriptions, and
    /// every such event since it was attached. Its client receives them from [`Connection::go_live`] on. Costs in
    /// proportion to the subscriptions, and gives the worker's other connections their turn in between.
    pub async fn begin(&self, connection: &Rc<Connection>, subscriptions: Subscriptions) {
        if connection.outbox.ended().is_some() {
            return;
        }
        self.hub.note_known_since(connection.user, subscriptions.at);
        // The connection still holds dispatches: their changes come after the subscriptions.
        for groups in subscriptions.groups.chunks(GROUPS_PER_TURN) {
            self.join_all(connection, groups);
            if groups.len() == GROUPS_PER_TURN && !yield_to_others(connection).await {
                return;
            }
        }
        // Events may have added other contacts since the subscriptions were read, so these are added to them.
        for contacts in subscriptions.contacts.chunks(GROUPS_PER_TURN) {
            connection.contacts.borrow_mut().extend(contacts);
            if contacts.len() == GROUPS_PER_TURN && !yield_to_others(connection).await {
                return;
            }
        }
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.joining.remove(connection);
        for (dispatch, index) in connection.catch_up(subscriptions.at) {
            if let Some(item) = dispatch.items.get(index) {
                self.deliver_held(&mut subscribers, connection, item);
            }
        }
        drop(subscribers);
        self.finish_joining(connection);
        self.hub.mark_online(connection.user, connection.presence_audience());
    }

    /// Delivers to one connection what it held while it was joining.
    fn deliver_held(&self, subscribers: &mut Subscribers, connection: &Rc<Connection>, item: &Item) {
        let is_in = |group| connection.is_in(group);
        match &item.notice {
            Notice::Event(event) => {
                let change = event.membership_change();
                if let Some(MembershipChange::Joins(group, user)) = change
                    && user == connection.user
                {
                    subscribers.join(group, connection, None);
                }
                if event.audience().includes(connection.user, is_in) {
                    self.deliver_to(connection, item);
                }
                match change {
                    Some(MembershipChange::Leaves(group, user)) if user == connection.user => {
                        subscribers.leave(group, connection);
                    }
                    Some(MembershipChange::Ends(group)) => {
                        subscribers.leave(group, connection);
                    }
                    Some(MembershipChange::Joins(..) | MembershipChange::Leaves(..)) | None => {}
                }
            }
            Notice::Membership(reload) => {
                let changes = match reload.has(connection.user) {
                    Some(true) => subscribers.join(reload.group, connection, None),
                    Some(false) => subscribers.leave(reload.group, connection),
                    None => false,
                };
                if changes {
                    self.deliver_to(connection, item);
                }
            }
            Notice::Resync(audience, _) => {
                if audience.includes(connection.user, is_in) {
                    self.deliver_to(connection, item);
                }
            }
            // A joining connection holds none of these.
            Notice::Typing(_) | Notice::Presence(_) | Notice::WhoIsOnline(_) | Notice::Online { .. } | Notice::Stop => {
            }
        }
    }

    fn join_all(&self, connection: &Rc<Connection>, groups: &[(GroupId, ConversationVersion)]) {
        let mut subscribers = self.subscribers.borrow_mut();
        for (group, version) in groups {
            subscribers.join(*group, connection, Some(*version));
        }
    }

    /// Which contacts and fellow members of the connection's user are online.
    pub async fn who_is_online(&self, connection: &Connection) -> HashSet<UserId> {
        self.hub.who_is_online(connection.user, connection.presence_audience()).await
    }

    /// The connection has read its subscriptions, or is gone.
    fn finish_joining(&self, connection: &Connection) {
        if let Some(since) = connection.joining_since.take() {
            self.hub.finish_joining(since);
        }
    }

    fn detach(&self, connection: &Rc<Connection>) {
        self.finish_joining(connection);
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.all.remove(connection);
        subscribers.joining.remove(connection);
        if let Some(own) = subscribers.by_user.get_mut(&connection.user) {
            remove(own, connection);
            if own.is_empty() {
                subscribers.by_user.remove(&connection.user);
            }
        }
        let joining = connection.is_joining();
        let audience = if joining { PresenceAudience::default() } else { connection.presence_audience() };
        let groups: Vec<_> = connection.groups.borrow().keys().copied().collect();
        for group in groups {
            subscribers.leave(group, connection);
        }
        self.state.connections.fetch_sub(1, Ordering::SeqCst);
        let user = connection.user;
        if let Some((departure, audience)) = self.hub.disconnect(user, connection.session, audience) {
            let until = Instant::now() + self.hub.options.absence;
            subscribers.pending_offline.push(PendingOffline { until, departure, user, audience });
        }
    }

    async fn dispatch(&self, dispatch: &Arc<Dispatch>) {
        for (index, item) in dispatch.items.iter().enumerate() {
            match &item.notice {
                Notice::Event(event) => self.deliver_event(dispatch, index, item, event),
                Notice::Typing(typing) => self.subscribers.borrow().each(typing.audience, |connection| {
                    if connection.user != typing.user {
                        self.deliver_to(connection, item);
                    }
                }),
                Notice::Presence(announcement) => self.announce(item, announcement).await,
                Notice::WhoIsOnline(query) => self.answer(query).await,
                Notice::Online { user, .. } => {
                    let subscribers = self.subscribers.borrow();
                    subscribers.of_user(*user).iter().for_each(|connection| self.deliver_to(connection, item));
                }
                Notice::Membership(reload) => self.reload_membership(dispatch, index, item, reload),
                Notice::Resync(audience, _) => {
                    let subscribers = self.subscribers.borrow();
                    subscribers.joining.iter().for_each(|connection| connection.hold(dispatch, index));
                    subscribers.each(*audience, |connection| self.deliver_to(connection, item));
                }
                Notice::Stop => self.end_all(End::Stopping),
            }
            if self.exhausts_budget(item) {
                tokio::task::yield_now().await;
            }
        }
        self.delivered.set(self.delivered.get().max(dispatch.cursor));
    }

    /// Whether the sockets get their turn after this item.
    fn exhausts_budget(&self, item: &Item) -> bool {
        let (events, bytes) = self.spent.get();
        let (events, bytes) = (events + 1, bytes + item.framed_bytes());
        let exhausted = events >= EVENTS_BUDGET || bytes >= BYTES_BUDGET;
        self.spent.set(if exhausted { (0, 0) } else { (events, bytes) });
        exhausted
    }

    fn deliver_to(&self, connection: &Connection, item: &Item) {
        if let Some(frame) = item.frame(&*self.hub.framer) {
            connection.deliver(frame);
        }
    }

    fn deliver_event(&self, dispatch: &Arc<Dispatch>, index: usize, item: &Item, event: &Event) {
        let mut subscribers = self.subscribers.borrow_mut();
        for connection in subscribers.joining.iter() {
            connection.hold(dispatch, index);
        }
        match event {
            Event::SessionEnded { user, session } => Self::sign_out(subscribers.of_user(*user), Some(*session)),
            Event::UserDeleted(user) => Self::sign_out(subscribers.of_user(*user), None),
            Event::Acquainted([one, other]) => self.add_contacts(&subscribers, *one, *other),
            Event::MessageCreated(..)
            | Event::MessageUpdated(..)
            | Event::MessageDeleted { .. }
            | Event::MessageSeen { .. }
            | Event::ConversationRead { .. }
            | Event::SettingsChanged { .. }
            | Event::DraftChanged { .. }
            | Event::MarkedUnread { .. }
            | Event::GroupUpdated(_)
            | Event::GroupDeleted(_)
            | Event::MemberAdded(_)
            | Event::MemberUpdated(_)
            | Event::MemberRemoved(_) => {}
        }
        let change = event.membership_change();
        if let Some(joins @ MembershipChange::Joins(..)) = change {
            subscribers.change(joins);
        }
        subscribers.each(event.audience(), |connection| self.deliver_to(connection, item));
        if let Some(MembershipChange::Joins(group, user)) = change
            && subscribers.of_user(user).iter().any(|connection| !connection.is_joining())
        {
            let hub = Arc::clone(&self.hub);
            spawn_local(async move { hub.introduce_to_group(user, group).await });
        }
        if let Some(leaves @ (MembershipChange::Leaves(..) | MembershipChange::Ends(_))) = change {
            subscribers.change(leaves);
        }
    }

    /// Applies the memberships that the database has. The events that led to them are lost.
    fn reload_membership(&self, dispatch: &Arc<Dispatch>, index: usize, item: &Item, reload: &MembershipReload) {
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.joining.iter().for_each(|connection| connection.hold(dispatch, index));
        for connection in subscribers.of_group(reload.group).to_vec() {
            if !connection.is_joining() && reload.has(connection.user) == Some(false) {
                subscribers.leave(reload.group, &connection);
                self.deliver_to(&connection, item);
            }
        }
        for user in &reload.members {
            for connection in subscribers.of_user(*user).to_vec() {
                if !connection.is_joining() && (subscribers.join(reload.group, &connection, None) || reload.tell_all) {
                    self.deliver_to(&connection, item);
                }
            }
        }
    }

    fn sign_out(connections: &[Rc<Connection>], session: Option<SessionId>) {
        for connection in connections {
            if session.is_none_or(|session| connection.session == session) {
                connection.outbox.end(End::SignedOut);
            }
        }
    }

    /// Two users have each written to the other. The shards of each announce that user to the other.
    fn add_contacts(&self, subscribers: &Subscribers, one: UserId, other: UserId) {
        for (user, contact) in [(one, other), (other, one)] {
            for connection in subscribers.of_user(user) {
                if user != contact {
                    connection.contacts.borrow_mut().insert(contact);
                }
            }
            if user != contact && !subscribers.of_user(user).is_empty() {
                self.hub.introduce(user, PresenceAudience { groups: Vec::new(), contacts: vec![contact] });
            }
        }
    }

    fn end_all(&self, reason: End) {
        for connection in self.subscribers.borrow().all.iter() {
            connection.outbox.end(reason);
        }
    }

    fn tick(&self, now: Instant) {
        let mut subscribers = self.subscribers.borrow_mut();
        for connection in subscribers.all.iter() {
            connection.tick(now, self.hub.options.heartbeat);
        }
        let gone: Vec<_> = subscribers.pending_offline.extract_if(.., |pending| pending.until <= now).collect();
        drop(subscribers);
        for PendingOffline { departure, user, audience, .. } in gone {
            self.hub.confirm_offline(departure, user, audience);
        }
    }
}

/// Gives the other connections their turn. Returns `false` if the client has gone in the meantime.
async fn yield_to_others(connection: &Connection) -> bool {
    tokio::task::yield_now().await;
    connection.outbox.ended().is_none()
}

/// Keeps a connection attached to its shard until it is dropped.
pub struct AttachGuard {
    shard: Rc<Shard>,
    connection: Rc<Connection>,
}

impl AttachGuard {
    /// The connection.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for AttachGuard {
    fn drop(&mut self) {
        self.connection.outbox.close();
        self.shard.detach(&self.connection);
    }
}

#[cfg(test)]
mod tests;
mod watchers;
