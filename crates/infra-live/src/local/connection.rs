//! One client's connection.

use crate::local::frame::{Dispatch, Frame};
use crate::local::outbox::{End, Outbox};
use crate::local::presence::Circle;
use domain::events::Revision;
use domain::{Caller, ConversationId, GroupId, SessionId, UserId};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much may happen while a connection joins or catches up before it is told to try again.
const MOST_HELD: usize = 4096;
/// Whom something was sent to is asked for a sign of life this soon.
const BUSY_PING: Duration = Duration::from_secs(4);
/// Who was asked, and was sent something, is waited for this long: with [`BUSY_PING`] and a tick below the 15 seconds within
/// which a stalled reader is cut.
const BUSY_PATIENCE: Duration = Duration::from_secs(8);

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Answers pings.
    WebSocket,
    /// Is only written to.
    EventStream,
}

#[derive(Debug)]
pub(crate) enum Stage {
    /// It is not known yet what its user is in: everything is held.
    Joining(VecDeque<(Arc<Dispatch>, usize)>),
    /// What it missed is being replayed: what concerns it is held.
    CatchingUp(VecDeque<Arc<Frame>>),
    /// It gets everything as it happens.
    Live,
}

/// One client's connection: whose it is, and what waits to be sent to it.
#[derive(Debug)]
pub struct Connection {
    /// Whose.
    pub user: UserId,
    /// By which login.
    pub session: SessionId,
    /// What waits to be sent.
    pub outbox: Outbox,
    transport: Transport,
    expires: Instant,
    /// From when on it gets everything.
    began: Cell<Revision>,
    pub(crate) stage: RefCell<Stage>,
    /// While it is not known where it begins: before what it does not.
    pub(crate) floor: Cell<Option<Revision>>,
    /// By conversation, the last number that was replayed. The shard may be behind the database from which it was: what it
    /// gives out later can be older.
    replayed: RefCell<HashMap<ConversationId, i64>>,
    /// The groups its user is in, and where it stands among the connections of each.
    pub(crate) groups: RefCell<HashMap<GroupId, usize>>,
    pub(crate) contacts: RefCell<HashSet<UserId>>,
    /// Where it stands among all connections of its worker,
    pub(crate) place: Cell<Option<usize>>,
    /// and among those that join.
    pub(crate) place_joining: Cell<Option<usize>>,
    heard: Cell<Instant>,
    pinged: Cell<Option<Instant>>,
    /// Something was sent since it was last heard of.
    sent: Cell<bool>,
    /// Which announcement it was told last, so that nobody is told twice who is reached in two ways.
    pub(crate) told: Cell<u64>,
}

impl Connection {
    pub(crate) fn new(caller: &Caller, transport: Transport, expires: Instant, now: Instant) -> Self {
        Self {
            user: caller.user,
            session: caller.session,
            outbox: Outbox::default(),
            transport,
            expires,
            began: Cell::new(Revision(0)),
            stage: RefCell::new(Stage::Joining(VecDeque::new())),
            floor: Cell::new(None),
            replayed: RefCell::default(),
            groups: RefCell::default(),
            contacts: RefCell::default(),
            place: Cell::new(None),
            place_joining: Cell::new(None),
            heard: Cell::new(now),
            pinged: Cell::new(None),
            sent: Cell::new(false),
            told: Cell::new(0),
        }
    }

    /// Whether its user is in the group, as far as it knows.
    pub(crate) fn is_in(&self, group: GroupId) -> bool {
        self.groups.borrow().contains_key(&group)
    }

    /// Whom the coming and going of its user concerns.
    pub(crate) fn circle(&self) -> Circle {
        Circle {
            groups: self.groups.borrow().keys().copied().collect(),
            contacts: self.contacts.borrow().iter().copied().collect(),
        }
    }

    /// The client gave a sign of life.
    pub fn heard(&self, now: Instant) {
        self.heard.set(now);
        self.pinged.set(None);
        self.sent.set(false);
    }

    pub(crate) fn is_joining(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Joining(_))
    }

    /// Keeps what may concern it until it is known whether it does.
    pub(crate) fn hold(&self, dispatch: &Arc<Dispatch>, index: usize) {
        if let Stage::Joining(held) = &mut *self.stage.borrow_mut() {
            if held.len() < MOST_HELD {
                held.push_back((Arc::clone(dispatch), index));
            } else {
                self.outbox.end(End::Lagging);
            }
        }
    }

    /// Goes on from joining to catching up, and gives what was held.
    pub(crate) fn catch_up(&self, began: Revision) -> VecDeque<(Arc<Dispatch>, usize)> {
        self.began.set(began);
        match self.stage.replace(Stage::CatchingUp(VecDeque::new())) {
            Stage::Joining(held) => held,
            other => {
                self.stage.replace(other);
                VecDeque::new()
            }
        }
    }

    /// Gives it what concerns it.
    pub(crate) fn give(&self, frame: &Arc<Frame>) {
        match &mut *self.stage.borrow_mut() {
            Stage::Live => self.push(Arc::clone(frame)),
            Stage::CatchingUp(held) if held.len() < MOST_HELD => held.push_back(Arc::clone(frame)),
            Stage::CatchingUp(_) => self.outbox.end(End::Lagging),
            Stage::Joining(_) => {}
        }
    }

    /// Adds a frame of the session's own (an answer, a replay), once there is room.
    pub async fn send(&self, frame: Frame) {
        poll_fn(|cx| self.outbox.poll_room(cx)).await;
        self.sent.set(true);
        self.outbox.push(Arc::new(frame));
    }

    /// Ends catching up: gives what happened meanwhile and from then on everything as it happens, but nothing of what was
    /// replayed (by conversation, the last number).
    pub async fn go_live(&self, replayed: HashMap<ConversationId, i64>) {
        *self.replayed.borrow_mut() = replayed;
        loop {
            poll_fn(|cx| self.outbox.poll_room(cx)).await;
            let mut stage = self.stage.borrow_mut();
            let Stage::CatchingUp(held) = &mut *stage else { return };
            let Some(frame) = held.pop_front() else {
                *stage = Stage::Live;
                return;
            };
            self.push(frame);
        }
    }

    fn push(&self, frame: Arc<Frame>) {
        if !self.was_replayed(&frame) {
            self.sent.set(true);
            self.outbox.push(frame);
        }
    }

    fn was_replayed(&self, frame: &Frame) -> bool {
        let mut replayed = self.replayed.borrow_mut();
        if replayed.is_empty() {
            return false;
        }
        let Some((conversation, update)) = frame.place else { return false };
        let known = replayed.get(&conversation).is_some_and(|last| update <= *last);
        if !known {
            // Numbers only grow: it has done its work.
            replayed.remove(&conversation);
        }
        known
    }

    /// The cursor of an answer, where the shard has given out all up to `given`.
    pub(crate) fn cursor(&self, given: Revision) -> Revision {
        self.began.get().max(given)
    }

    /// Ends what has expired or gone silent, and asks for signs of life.
    pub(crate) fn tick(&self, now: Instant, heartbeat: Duration) {
        if self.outbox.ended().is_some() {
            return;
        }
        if now >= self.expires {
            return self.outbox.end(End::SignedOut);
        }
        let quiet = now.saturating_duration_since(self.heard.get());
        match (self.transport, self.pinged.get()) {
            (Transport::EventStream, _) if quiet >= heartbeat => {
                self.heard.set(now);
                self.outbox.ping();
            }
            (Transport::EventStream, _) => {}
            (Transport::WebSocket, Some(at)) => {
                let patience = if self.sent.get() { BUSY_PATIENCE.min(heartbeat) } else { heartbeat };
                if now.saturating_duration_since(at) >= patience {
                    self.outbox.end(End::Silent);
                }
            }
            (Transport::WebSocket, None) => {
                if quiet >= heartbeat || self.sent.get() && quiet >= BUSY_PING {
                    self.pinged.set(Some(now));
                    self.outbox.ping();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::outbox::Outgoing;
    use bytes::Bytes;
    use std::task::{Context, Poll, Waker};
    use uuid::Uuid;

    const HERE: ConversationId = ConversationId(Uuid::from_u128(1));
    const THERE: ConversationId = ConversationId(Uuid::from_u128(2));

    fn connection(transport: Transport, begun: Instant) -> Connection {
        let (user, session) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(1)));
        let caller = Caller { user, session, admin: false };
        Connection::new(&caller, transport, begun + Duration::from_secs(3600), begun)
    }

    fn frame(conversation: ConversationId, update: i64) -> Arc<Frame> {
        let place = Some((conversation, update));
        Arc::new(Frame { name: "x", cursor: Revision(0), bytes: Bytes::new(), place, transient: false })
    }

    fn sent(connection: &Connection) -> Vec<(ConversationId, i64)> {
        let mut sent = Vec::new();
        while let Poll::Ready(Some(Outgoing::Frame(frame))) =
            connection.outbox.poll_next(&Context::from_waker(Waker::noop()))
        {
            sent.extend(frame.place);
        }
        sent
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn what_was_replayed_does_not_come_again_held_or_late() {
        let connection = connection(Transport::WebSocket, Instant::now());
        connection.give(&frame(HERE, 1));
        connection.catch_up(Revision(5));
        for held in [frame(HERE, 6), frame(THERE, 1), frame(HERE, 8)] {
            connection.give(&held);
        }
        assert!(sent(&connection).is_empty());
        now(connection.go_live(HashMap::from([(HERE, 8)])));
        // The shard was behind the database.
        for late in [frame(HERE, 7), frame(HERE, 8), frame(HERE, 9), frame(THERE, 2)] {
            connection.give(&late);
        }
        assert_eq!(sent(&connection), [(THERE, 1), (HERE, 9), (THERE, 2)]);
        assert!(connection.replayed.borrow().is_empty());
    }

    #[test]
    fn who_is_silent_is_asked_and_then_cut() {
        let begun = Instant::now();
        let heartbeat = Duration::from_secs(25);
        let after = |seconds| begun + Duration::from_secs(seconds);
        let asked = |connection: &Connection, seconds| {
            connection.tick(after(seconds), heartbeat);
            matches!(
                connection.outbox.poll_next(&Context::from_waker(Waker::noop())),
                Poll::Ready(Some(Outgoing::Ping))
            )
        };
        // Idle: a heartbeat to the question, one more to the end.
        let idle = connection(Transport::WebSocket, begun);
        assert!(!asked(&idle, 24) && asked(&idle, 25) && !asked(&idle, 49));
        idle.heard(after(49));
        assert!(!asked(&idle, 73) && asked(&idle, 74));
        idle.tick(after(99), heartbeat);
        assert_eq!(idle.outbox.ended(), Some(End::Silent));
        // Sent something: within 15 seconds.
        let busy = connection(Transport::WebSocket, begun);
        busy.catch_up(Revision(0));
        now(busy.go_live(HashMap::new()));
        busy.give(&frame(HERE, 1));
        sent(&busy);
        assert!(!asked(&busy, 3) && asked(&busy, 4));
        busy.tick(after(12), heartbeat);
        assert_eq!(busy.outbox.ended(), Some(End::Silent));
        // A stream is only shown that it lives.
        let stream = connection(Transport::EventStream, begun);
        assert!(asked(&stream, 25) && !asked(&stream, 49) && asked(&stream, 50));
        assert_eq!(stream.outbox.ended(), None);
        stream.tick(after(3600), heartbeat);
        assert_eq!(stream.outbox.ended(), Some(End::SignedOut));
    }
}
