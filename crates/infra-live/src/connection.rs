//! One client's connection.

use crate::frame::{Dispatch, Frame};
use crate::outbox::{End, Outbox};
use domain::events::Revision;
use domain::{Caller, ConversationId, GroupId, SessionId, UserId};
use std::cell::{Cell, Ref, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much may happen while a connection joins or catches up before it is told to try again.
const MOST_HELD: usize = 4096;
/// Whom something was sent to is asked for a sign of life this soon.
const BUSY_PING: Duration = Duration::from_secs(4);
/// Who was asked, and was sent something, is waited for this long: with [`BUSY_PING`] and a tick below the 15 seconds within
/// which a stalled reader is cut.
const BUSY_PATIENCE: Duration = Duration::from_secs(9);

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
    pub(crate) groups: RefCell<Vec<GroupId>>,
    pub(crate) contacts: RefCell<Vec<UserId>>,
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
            groups: RefCell::default(),
            contacts: RefCell::default(),
            heard: Cell::new(now),
            pinged: Cell::new(None),
            sent: Cell::new(false),
            told: Cell::new(0),
        }
    }

    /// The groups its user is in.
    pub fn groups(&self) -> Ref<'_, Vec<GroupId>> {
        self.groups.borrow()
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
            Stage::Live => {
                self.sent.set(true);
                self.outbox.push(Arc::clone(frame));
            }
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

    /// Ends catching up: gives what happened meanwhile, leaving out what was replayed (by conversation, the last number),
    /// and from then on everything as it happens.
    pub async fn go_live(&self, replayed: &HashMap<ConversationId, i64>) {
        loop {
            poll_fn(|cx| self.outbox.poll_room(cx)).await;
            let mut stage = self.stage.borrow_mut();
            let Stage::CatchingUp(held) = &mut *stage else { return };
            let Some(frame) = held.pop_front() else {
                *stage = Stage::Live;
                return;
            };
            let known = frame.place.is_some_and(|(of, update)| replayed.get(&of).is_some_and(|last| update <= *last));
            if !known {
                self.sent.set(true);
                self.outbox.push(frame);
            }
        }
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
