//! One client's connection.

use super::frame::{Dispatch, Frame};
use super::outbox::{End, Outbox};
use super::presence::PresenceAudience;
use domain::events::Revision;
use domain::messages::Update;
use domain::{Caller, ConversationId, GroupId, SessionId, UserId};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many events a connection holds while it joins or catches up. With more it closes as lagging.
const MAX_HELD: usize = 4096;
/// How long after a frame the server pings a client that shows no sign of life.
const BUSY_PING: Duration = Duration::from_secs(4);
/// How long a client that got a frame may take to answer a ping. Together with [`BUSY_PING`] and a tick this stays
/// below the 15 seconds within which the server closes a stalled client.
const BUSY_TIMEOUT: Duration = Duration::from_secs(8);

/// The transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The client answers pings.
    WebSocket,
    /// The client only reads.
    EventStream,
}

#[derive(Debug)]
pub(crate) enum ConnectionState {
    /// The server is reading the user's subscriptions. The connection holds every dispatch.
    Joining(VecDeque<(Arc<Dispatch>, usize)>),
    /// The server is replaying what the client missed. The connection holds the frames for it.
    CatchingUp(VecDeque<Arc<Frame>>),
    /// The connection gets every frame at once.
    Live,
}

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    /// The user who is connected.
    pub user: UserId,
    /// The session of the user's token.
    pub session: SessionId,
    /// The queue to the client.
    pub outbox: Outbox,
    transport: Transport,
    expires: Instant,
    /// The revision of its subscriptions: the connection gets every event from there on.
    began: Cell<Revision>,
    pub(crate) state: RefCell<ConnectionState>,
    /// The cursor that [`Hub::start_joining`](super::hub::Hub::start_joining) returned, until the connection has read
    /// its subscriptions.
    pub(crate) joining_since: Cell<Option<Revision>>,
    /// The last number that the server has replayed in each conversation. The shard may be behind the database, and may
    /// deliver older events later.
    replayed: RefCell<HashMap<ConversationId, Update>>,
    /// The groups of its user, and its index among the connections of each.
    pub(crate) groups: RefCell<HashMap<GroupId, usize>>,
    pub(crate) contacts: RefCell<HashSet<UserId>>,
    /// Its index among all connections of its worker.
    pub(crate) index: Cell<Option<usize>>,
    /// Its index among those that are joining.
    pub(crate) joining_index: Cell<Option<usize>>,
    heard: Cell<Instant>,
    pinged: Cell<Option<Instant>>,
    /// Whether the connection has sent a frame since the client last gave a sign of life.
    sent: Cell<bool>,
    /// The last announcement that the client got, so that it gets each once even if it belongs to the audience in two
    /// ways.
    pub(crate) last_announcement: Cell<u64>,
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
            state: RefCell::new(ConnectionState::Joining(VecDeque::new())),
            joining_since: Cell::new(None),
            replayed: RefCell::default(),
            groups: RefCell::default(),
            contacts: RefCell::default(),
            index: Cell::new(None),
            joining_index: Cell::new(None),
            heard: Cell::new(now),
            pinged: Cell::new(None),
            sent: Cell::new(false),
            last_announcement: Cell::new(0),
        }
    }

    /// Whether its user is a member of the group, as far as the connection knows.
    pub(crate) fn is_in(&self, group: GroupId) -> bool {
        self.groups.borrow().contains_key(&group)
    }

    /// The users who learn when its user is online or offline.
    pub(crate) fn presence_audience(&self) -> PresenceAudience {
        PresenceAudience {
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
        matches!(*self.state.borrow(), ConnectionState::Joining(_))
    }

    /// Holds a dispatch while the connection is joining. Until it has read the subscriptions, it cannot tell whether
    /// its user is concerned.
    pub(crate) fn hold(&self, dispatch: &Arc<Dispatch>, index: usize) {
        if let ConnectionState::Joining(held) = &mut *self.state.borrow_mut() {
            if held.len() < MAX_HELD {
                held.push_back((Arc::clone(dispatch), index));
            } else {
                self.outbox.end(End::Lagging);
            }
        }
    }

    /// Changes from joining to catching up. Returns what it held.
    pub(crate) fn catch_up(&self, began: Revision) -> VecDeque<(Arc<Dispatch>, usize)> {
        self.began.set(began);
        match self.state.replace(ConnectionState::CatchingUp(VecDeque::new())) {
            ConnectionState::Joining(held) => held,
            other => {
                self.state.replace(other);
                VecDeque::new()
            }
        }
    }

    /// Delivers a frame to it. A joining connection drops the frame.
    pub(crate) fn deliver(&self, frame: &Arc<Frame>) {
        match &mut *self.state.borrow_mut() {
            ConnectionState::Live => self.push(Arc::clone(frame)),
            ConnectionState::CatchingUp(held) if held.len() < MAX_HELD => held.push_back(Arc::clone(frame)),
            ConnectionState::CatchingUp(_) => self.outbox.end(End::Lagging),
            ConnectionState::Joining(_) => {}
        }
    }

    /// Enqueues a replay or a reply. Waits for room.
    pub async fn send(&self, frame: Frame) {
        poll_fn(|cx| self.outbox.poll_room(cx)).await;
        self.sent.set(true);
        self.outbox.push(Arc::new(frame));
    }

    /// Ends catching up. Delivers the held frames, and from then on every frame at once, except those that were
    /// replayed: `replayed` has the last number of each conversation.
    pub async fn go_live(&self, replayed: HashMap<ConversationId, Update>) {
        *self.replayed.borrow_mut() = replayed;
        loop {
            poll_fn(|cx| self.outbox.poll_room(cx)).await;
            let mut state = self.state.borrow_mut();
            let ConnectionState::CatchingUp(held) = &mut *state else { return };
            let Some(frame) = held.pop_front() else {
                *state = ConnectionState::Live;
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
        let Some((conversation, update)) = frame.position else { return false };
        let known = replayed.get(&conversation).is_some_and(|last| update <= *last);
        if !known {
            // Numbers only grow: no older one can follow.
            replayed.remove(&conversation);
        }
        known
    }

    /// The cursor of a reply, given that the shard has delivered everything before `delivered`.
    pub(crate) fn cursor(&self, delivered: Revision) -> Revision {
        self.began.get().max(delivered)
    }

    /// Closes the connection if the session has expired or the client is silent. Sends a ping if one is due.
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
                let timeout = if self.sent.get() { BUSY_TIMEOUT.min(heartbeat) } else { heartbeat };
                if now.saturating_duration_since(at) >= timeout {
                    self.outbox.end(End::TimedOut);
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
    use crate::local::outbox::OutboxItem;
    use bytes::Bytes;
    use std::task::{Context, Poll, Waker};
    use uuid::Uuid;

    const HERE: ConversationId = ConversationId(Uuid::from_u128(1));
    const THERE: ConversationId = ConversationId(Uuid::from_u128(2));

    fn connection(transport: Transport, begun: Instant) -> Connection {
        let (user, session) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(1)));
        let caller = Caller { user, session, admin: false, access: domain::Access::Login };
        Connection::new(&caller, transport, begun + Duration::from_secs(3600), begun)
    }

    fn frame(conversation: ConversationId, update: i64) -> Arc<Frame> {
        let position = Some((conversation, Update(update)));
        Arc::new(Frame { name: "x", cursor: Revision(0), bytes: Bytes::new(), position, transient: false })
    }

    fn sent(connection: &Connection) -> Vec<(ConversationId, i64)> {
        let mut sent = Vec::new();
        while let Poll::Ready(Some(OutboxItem::Frame(frame))) =
            connection.outbox.poll_next(&Context::from_waker(Waker::noop()))
        {
            sent.extend(frame.position.map(|(conversation, update)| (conversation, update.0)));
        }
        sent
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the connection waits"),
        }
    }

    #[test]
    fn replayed_frames_do_not_come_again_whether_held_or_late() {
        let connection = connection(Transport::WebSocket, Instant::now());
        connection.deliver(&frame(HERE, 1));
        connection.catch_up(Revision(5));
        for held in [frame(HERE, 6), frame(THERE, 1), frame(HERE, 8)] {
            connection.deliver(&held);
        }
        assert!(sent(&connection).is_empty());
        now(connection.go_live(HashMap::from([(HERE, Update(8))])));
        // The shard was behind the database.
        for late in [frame(HERE, 7), frame(HERE, 8), frame(HERE, 9), frame(THERE, 2)] {
            connection.deliver(&late);
        }
        assert_eq!(sent(&connection), [(THERE, 1), (HERE, 9), (THERE, 2)]);
        assert!(connection.replayed.borrow().is_empty());
    }

    #[test]
    fn a_silent_client_is_pinged_and_then_closed() {
        let begun = Instant::now();
        let heartbeat = Duration::from_secs(25);
        let after = |seconds| begun + Duration::from_secs(seconds);
        let asked = |connection: &Connection, seconds| {
            connection.tick(after(seconds), heartbeat);
            matches!(
                connection.outbox.poll_next(&Context::from_waker(Waker::noop())),
                Poll::Ready(Some(OutboxItem::Ping))
            )
        };
        // Idle: a ping after one heartbeat, the end after another.
        let idle = connection(Transport::WebSocket, begun);
        assert!(!asked(&idle, 24) && asked(&idle, 25) && !asked(&idle, 49));
        idle.heard(after(49));
        assert!(!asked(&idle, 73) && asked(&idle, 74));
        idle.tick(after(99), heartbeat);
        assert_eq!(idle.outbox.ended(), Some(End::TimedOut));
        // A client that was sent a frame: within 15 seconds.
        let busy = connection(Transport::WebSocket, begun);
        busy.catch_up(Revision(0));
        now(busy.go_live(HashMap::new()));
        busy.deliver(&frame(HERE, 1));
        sent(&busy);
        assert!(!asked(&busy, 3) && asked(&busy, 4));
        busy.tick(after(12), heartbeat);
        assert_eq!(busy.outbox.ended(), Some(End::TimedOut));
        // A client that only reads is only pinged.
        let stream = connection(Transport::EventStream, begun);
        assert!(asked(&stream, 25) && !asked(&stream, 49) && asked(&stream, 50));
        assert_eq!(stream.outbox.ended(), None);
        stream.tick(after(3600), heartbeat);
        assert_eq!(stream.outbox.ended(), Some(End::SignedOut));
    }
}
