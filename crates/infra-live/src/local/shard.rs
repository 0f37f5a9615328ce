//! One worker's part of the hub: its connections, who of them gets what, and the time.

use crate::local::connection::{Connection, Transport};
use crate::local::frame::{Dispatch, Frame, Item, Notice, Reload};
use crate::local::hub::{Hub, Refused};
use crate::local::line::ShardState;
use crate::local::members::{Absence, Members, remove};
use crate::local::outbox::End;
use crate::local::presence::Circle;
use bytes::Bytes;
use domain::events::{Event, Head, MembershipChange, Revision};
use domain::live::Roster;
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

/// How often signs of life, expiry and absences are looked at: one timer for all connections of a worker.
const TICK: Duration = Duration::from_secs(1);
/// After how many events the sockets get their turn, of one commit or of many: what happens must not fill the outboxes of those
/// who read. What is left of an outbox beside who can wait holds several turns.
const EVENTS_A_TURN: usize = 64;
/// And after how many bytes of frames.
const BYTES_A_TURN: usize = 256 * 1024;
/// After how many groups, or contacts, of one that begins all others get their turn.
const GROUPS_A_TURN: usize = 256;
/// One worker's connections. Not to be sent to another thread.
pub struct Shard {
    hub: Arc<Hub>,
    state: Arc<ShardState>,
    queue: RefCell<Option<mpsc::Receiver<Arc<Dispatch>>>>,
    members: RefCell<Members>,
    /// All up to here was given out.
    given: Cell<Revision>,
    announcements: Cell<u64>,
    /// How many events, and bytes of frames, were given out since the sockets had their turn.
    turn: Cell<(usize, usize)>,
}

impl Shard {
    /// A new one, that gives nothing out until [`Shard::run`].
    pub fn new(hub: Arc<Hub>) -> Rc<Self> {
        let (sender, queue) = Hub::queue();
        let state = Arc::new(ShardState::default());
        let given = Cell::new(hub.enlist(sender, Arc::clone(&state)));
        let (members, announcements) = (RefCell::new(Members::new(Arc::clone(&hub))), Cell::new(0));
        let turn = Cell::new((0, 0));
        Rc::new(Self { hub, state, queue: RefCell::new(Some(queue)), members, given, announcements, turn })
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Gives out what happens, and keeps time, for as long as it is awaited; a second call returns at once.
    pub async fn run(self: Rc<Self>) {
        let Some(mut queue) = self.queue.borrow_mut().take() else { return };
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                dispatch = queue.recv() => match dispatch {
                    Some(dispatch) => {
                        // Before what came after what was lost.
                        self.end_overrun();
                        self.give_out(&dispatch).await;
                    }
                    None => return,
                },
                _ = ticks.tick() => self.tick(Instant::now()),
            }
            self.end_overrun();
        }
    }

    fn end_overrun(&self) {
        if self.state.overrun.swap(false, Ordering::SeqCst) {
            self.end_all(End::Lagging);
        }
    }

    /// Takes a connection that is good until `expires`. It is told nothing until [`Shard::begin`], and misses nothing from
    /// now on.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn attach(self: &Rc<Self>, caller: &Caller, transport: Transport, expires: Instant) -> Result<Link, Refused> {
        self.hub.admit(caller.user, caller.session)?;
        self.state.connections.fetch_add(1, Ordering::SeqCst);
        let connection = Rc::new(Connection::new(caller, transport, expires, Instant::now()));
        connection.floor.set(Some(self.hub.begins()));
        let mut members = self.members.borrow_mut();
        members.all.add(&connection);
        members.joining.add(&connection);
        members.by_user.entry(caller.user).or_default().push(Rc::clone(&connection));
        if self.hub.is_stopping() {
            // Too late for the word to all.
            connection.outbox.end(End::Stopping);
        }
        Ok(Link { shard: Rc::clone(self), connection })
    }

    /// A frame of one connection's own, made by `bytes` of the cursor it is to carry.
    pub fn own_frame(&self, to: &Connection, name: &'static str, bytes: impl FnOnce(Revision) -> Bytes) -> Frame {
        let cursor = to.cursor(self.given.get());
        Frame { name, cursor, bytes: bytes(cursor), place: None, transient: false }
    }

    /// From now on the connection, of a user who is in what `roster` says, is told what concerns it; what happened since it
    /// was attached included. It gets it from [`Connection::go_live`] on. Costs in proportion to the roster, and gives the worker's
    /// other connections their turn in between.
    pub async fn begin(&self, connection: &Rc<Connection>, roster: Roster) {
        if connection.outbox.ended().is_some() {
            return;
        }
        self.hub.knows(connection.user, roster.at);
        // It goes on holding what happens meanwhile, and is told nothing: what changed of its groups comes after what it knew.
        for groups in roster.groups.chunks(GROUPS_A_TURN) {
            self.join_all(connection, groups);
            if groups.len() == GROUPS_A_TURN && !goes_on(connection).await {
                return;
            }
        }
        // Others may have been added already: who has come to be one since that was read.
        for contacts in roster.contacts.chunks(GROUPS_A_TURN) {
            connection.contacts.borrow_mut().extend(contacts);
            if contacts.len() == GROUPS_A_TURN && !goes_on(connection).await {
                return;
            }
        }
        let mut members = self.members.borrow_mut();
        members.joining.remove(connection);
        for (dispatch, index) in connection.catch_up(roster.at) {
            let Some(item) = dispatch.items.get(index) else { continue };
            let event = match &item.notice {
                Notice::Event(event) => event,
                Notice::Roster(reload) => {
                    let changes = match reload.says(connection.user) {
                        Some(true) => members.join(reload.group, connection, None),
                        Some(false) => members.leave(reload.group, connection),
                        None => false,
                    };
                    if !changes {
                        continue;
                    }
                    item.frame(&*self.hub.framer).into_iter().for_each(|frame| connection.give(frame));
                    continue;
                }
                Notice::Resync(audience, _) => {
                    if audience.includes(connection.user, |group| connection.is_in(group)) {
                        item.frame(&*self.hub.framer).into_iter().for_each(|frame| connection.give(frame));
                    }
                    continue;
                }
                _ => continue,
            };
            let change = event.membership_change();
            if let Some(MembershipChange::Joins(group, user)) = change
                && user == connection.user
            {
                members.join(group, connection, None);
            }
            let told = event.audience().includes(connection.user, |group| connection.is_in(group));
            if let Some(frame) = told.then(|| item.frame(&*self.hub.framer)).flatten() {
                connection.give(frame);
            }
            match change {
                Some(MembershipChange::Leaves(group, user)) if user == connection.user => {
                    members.leave(group, connection);
                }
                Some(MembershipChange::Ends(group)) => {
                    members.leave(group, connection);
                }
                _ => {}
            }
        }
        drop(members);
        self.has_begun(connection);
        let Circle { groups, contacts } = connection.circle();
        self.hub.appears(connection.user, groups, contacts);
    }

    fn join_all(&self, connection: &Rc<Connection>, groups: &[(GroupId, Head)]) {
        let mut members = self.members.borrow_mut();
        for (group, head) in groups {
            members.join(*group, connection, Some(*head));
        }
    }

    /// Who is there of those whose coming and going the connection is told of.
    pub async fn who_is_there(&self, connection: &Connection) -> HashSet<UserId> {
        let Circle { groups, contacts } = connection.circle();
        self.hub.who_is_there(connection.user, groups, contacts).await
    }

    /// What it begins with is known, or it will not begin.
    fn has_begun(&self, connection: &Connection) {
        if let Some(floor) = connection.floor.take() {
            self.hub.begun(floor);
        }
    }

    fn detach(&self, connection: &Rc<Connection>) {
        self.has_begun(connection);
        let mut members = self.members.borrow_mut();
        members.all.remove(connection);
        members.joining.remove(connection);
        if let Some(own) = members.by_user.get_mut(&connection.user) {
            remove(own, connection);
            if own.is_empty() {
                members.by_user.remove(&connection.user);
            }
        }
        let circle = if connection.is_joining() { Circle::default() } else { connection.circle() };
        let groups: Vec<_> = connection.groups.borrow().keys().copied().collect();
        for group in groups {
            members.leave(group, connection);
        }
        self.state.connections.fetch_sub(1, Ordering::SeqCst);
        if let Some((departure, circle)) = self.hub.depart(connection.user, connection.session, circle) {
            let until = Instant::now() + self.hub.options.absence;
            members.absences.push(Absence { until, departure, user: connection.user, circle });
        }
    }

    async fn give_out(&self, dispatch: &Arc<Dispatch>) {
        for (index, item) in dispatch.items.iter().enumerate() {
            match &item.notice {
                Notice::Event(event) => self.give_event(dispatch, index, item, event),
                Notice::Typing(typing) => self.members.borrow().each(typing.audience, |connection| {
                    if connection.user != typing.user {
                        self.give(connection, item);
                    }
                }),
                Notice::Presence(announcement) => self.announce(item, announcement).await,
                Notice::WhoIsThere(question) => self.answer(question).await,
                Notice::There { user, .. } => {
                    self.members.borrow().of_user(*user).iter().for_each(|connection| self.give(connection, item));
                }
                Notice::Roster(reload) => self.reload_roster(dispatch, index, item, reload),
                Notice::Resync(audience, _) => {
                    let members = self.members.borrow();
                    members.joining.iter().for_each(|connection| connection.hold(dispatch, index));
                    members.each(*audience, |connection| self.give(connection, item));
                }
                Notice::Stop => self.end_all(End::Stopping),
            }
            if self.ends_turn(item) {
                tokio::task::yield_now().await;
            }
        }
        self.given.set(self.given.get().max(dispatch.cursor));
    }

    /// Whether the sockets are to have their turn, after this was given out.
    fn ends_turn(&self, item: &Item) -> bool {
        let (events, bytes) = self.turn.get();
        let (events, bytes) = (events + 1, bytes + item.framed_bytes());
        let ends = events >= EVENTS_A_TURN || bytes >= BYTES_A_TURN;
        self.turn.set(if ends { (0, 0) } else { (events, bytes) });
        ends
    }

    fn give(&self, connection: &Rc<Connection>, item: &Item) {
        if let Some(frame) = item.frame(&*self.hub.framer) {
            connection.give(frame);
        }
    }

    fn give_event(&self, dispatch: &Arc<Dispatch>, index: usize, item: &Item, event: &Event) {
        let mut members = self.members.borrow_mut();
        for connection in members.joining.iter() {
            connection.hold(dispatch, index);
        }
        match event {
            Event::SessionEnded { user, session } => Self::sign_out(members.of_user(*user), Some(*session)),
            Event::UserDeleted(user) => Self::sign_out(members.of_user(*user), None),
            Event::Acquainted([one, other]) => self.acquaint(&members, *one, *other),
            _ => {}
        }
        let change = event.membership_change();
        if let Some(joins @ MembershipChange::Joins(..)) = change {
            members.change(joins);
        }
        members.each(event.audience(), |connection| self.give(connection, item));
        if let Some(MembershipChange::Joins(group, user)) = change
            && members.of_user(user).iter().any(|connection| !connection.is_joining())
        {
            let hub = Arc::clone(&self.hub);
            spawn_local(async move { hub.meets_group(user, group).await });
        }
        if let Some(leaves @ (MembershipChange::Leaves(..) | MembershipChange::Ends(_))) = change {
            members.change(leaves);
        }
    }

    /// Members changed, and it is not known how: only who is in the group now.
    fn reload_roster(&self, dispatch: &Arc<Dispatch>, index: usize, item: &Item, reload: &Reload) {
        let mut members = self.members.borrow_mut();
        members.joining.iter().for_each(|connection| connection.hold(dispatch, index));
        for connection in members.of_group(reload.group).to_vec() {
            if !connection.is_joining() && reload.says(connection.user) == Some(false) {
                members.leave(reload.group, &connection);
                self.give(&connection, item);
            }
        }
        for user in &reload.inside {
            for connection in members.of_user(*user).to_vec() {
                if !connection.is_joining() && (members.join(reload.group, &connection, None) || reload.tell_all) {
                    self.give(&connection, item);
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

    /// Two users have each written to the other. Each is told by where the other is connected that the other is there.
    fn acquaint(&self, members: &Members, one: UserId, other: UserId) {
        for (user, contact) in [(one, other), (other, one)] {
            for connection in members.of_user(user) {
                if user != contact {
                    connection.contacts.borrow_mut().insert(contact);
                }
            }
            if user != contact && !members.of_user(user).is_empty() {
                self.hub.meets(user, Circle { groups: Vec::new(), contacts: vec![contact] });
            }
        }
    }

    fn end_all(&self, reason: End) {
        for connection in self.members.borrow().all.iter() {
            connection.outbox.end(reason);
        }
    }

    fn tick(&self, now: Instant) {
        let mut members = self.members.borrow_mut();
        for connection in members.all.iter() {
            connection.tick(now, self.hub.options.heartbeat);
        }
        let gone: Vec<_> = members.absences.extract_if(.., |absence| absence.until <= now).collect();
        drop(members);
        for Absence { departure, user, circle, .. } in gone {
            self.hub.is_gone(departure, user, circle);
        }
    }
}

/// Gives the others their turn. Says whether the connection still begins: its client may have gone meanwhile.
async fn goes_on(connection: &Connection) -> bool {
    tokio::task::yield_now().await;
    connection.outbox.ended().is_none()
}

/// A connection's place in its shard, given up when dropped.
pub struct Link {
    shard: Rc<Shard>,
    connection: Rc<Connection>,
}

impl Link {
    /// The connection.
    pub fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.outbox.close();
        self.shard.detach(&self.connection);
    }
}

mod around;
#[cfg(test)]
mod tests;
