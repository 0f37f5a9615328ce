//! The bounded queue to one client.

use super::frame::Frame;
use crate::telemetry::METRICS;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// How many frames may wait.
const MAX_FRAMES: usize = 256;
/// How many bytes may wait. A single frame may be longer.
const MAX_BYTES: usize = 1024 * 1024;
/// Replays and replies are enqueued only while the queue is shorter than this; the rest is reserved for live events.
const MAX_FRAMES_FOR_REPLAY: usize = 64;
/// The same limit in bytes.
const MAX_BYTES_FOR_REPLAY: usize = MAX_BYTES / 2;
/// An empty queue keeps memory for no more frames than this.
const KEPT_CAPACITY: usize = 16;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The session ended or expired, or the user was deleted.
    SignedOut,
    /// The client reads too slowly.
    Lagging,
    /// The client did not answer a ping.
    TimedOut,
    /// The server stops.
    Stopping,
    /// A reason of the transport, by its close code.
    Transport(u16),
}

impl End {
    /// Whether the connection still sends the frames that wait.
    fn keeps_queue(self) -> bool {
        matches!(self, Self::Stopping | Self::Transport(_))
    }
}

/// What a connection sends next.
#[derive(Debug)]
pub enum OutboxItem {
    /// A frame.
    Frame(Arc<Frame>),
    /// A ping, which the client has to answer.
    Ping,
    /// The answer to a ping of the client.
    Pong(Bytes),
    /// The connection closes: nothing comes after this.
    End(End),
}

/// A bounded queue on one thread. One task reads it and writes to the socket; the session may wait for room in it.
///
/// `push` never blocks. If the queue is full it drops queued signals; if that is not enough it closes the connection as
/// lagging.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: RefCell<VecDeque<Arc<Frame>>>,
    bytes: Cell<usize>,
    ping: Cell<bool>,
    pong: RefCell<Option<Bytes>>,
    end: Cell<Option<End>>,
    /// The reader has sent the end, or is gone.
    closed: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    session: RefCell<Option<Waker>>,
    /// The session waits for room, and not only for the end.
    wants_room: Cell<bool>,
}

fn wake(slot: &RefCell<Option<Waker>>) {
    if let Some(waker) = slot.borrow_mut().take() {
        waker.wake();
    }
}

fn register(slot: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut slot = slot.borrow_mut();
    match &*slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

impl Outbox {
    /// Adds a frame. If there is no room, drops a signal, and closes the connection for anything else.
    pub fn push(&self, frame: Arc<Frame>) {
        if self.end.get().is_some() {
            return;
        }
        if !self.has_room_for(&frame) {
            if frame.transient {
                METRICS.drops.increment(1);
                return;
            }
            self.drop_signals();
            if !self.has_room_for(&frame) {
                self.end(End::Lagging);
                return;
            }
        }
        METRICS.deliveries.increment(1);
        if frame.name == "resync" {
            METRICS.resyncs.increment(1);
        }
        self.bytes.set(self.bytes.get() + frame.bytes.len());
        self.queue.borrow_mut().push_back(frame);
        wake(&self.reader);
    }

    fn has_room_for(&self, frame: &Frame) -> bool {
        let waiting = self.queue.borrow().len();
        waiting == 0 || waiting < MAX_FRAMES && self.bytes.get() + frame.bytes.len() <= MAX_BYTES
    }

    fn drop_signals(&self) {
        let mut queue = self.queue.borrow_mut();
        let waited = queue.len();
        queue.retain(|frame| !frame.transient);
        METRICS.drops.increment((waited - queue.len()) as u64);
        self.bytes.set(queue.iter().map(|frame| frame.bytes.len()).sum());
        drop(queue);
        self.room_may_have_grown();
    }

    /// Whether there is room for replays and replies.
    fn has_room(&self) -> bool {
        let waiting = self.queue.borrow().len();
        waiting == 0 || waiting < MAX_FRAMES_FOR_REPLAY && self.bytes.get() < MAX_BYTES_FOR_REPLAY
    }

    fn room_may_have_grown(&self) {
        if self.wants_room.get() && self.has_room() {
            self.wants_room.set(false);
            wake(&self.session);
        }
    }

    /// Sends the client a ping.
    pub fn ping(&self) {
        self.ping.set(true);
        wake(&self.reader);
    }

    /// Answers a ping of the client. Answers only the last of several, so that many pings cost no memory.
    pub fn pong(&self, payload: Bytes) {
        *self.pong.borrow_mut() = Some(payload);
        wake(&self.reader);
    }

    /// Ends the connection. The first reason counts.
    pub fn end(&self, reason: End) {
        if self.end.get().is_some() {
            return;
        }
        if reason == End::Lagging {
            METRICS.laggards.increment(1);
        }
        self.end.set(Some(reason));
        if !reason.keeps_queue() {
            *self.queue.borrow_mut() = VecDeque::new();
        }
        wake(&self.reader);
        wake(&self.session);
    }

    /// Why the connection ends, if it does.
    pub fn ended(&self) -> Option<End> {
        self.end.get()
    }

    /// The reader is gone: the connection can send nothing any more.
    pub fn close(&self) {
        self.closed.set(true);
        self.end(End::Transport(1006));
        wake(&self.session);
    }

    /// Ready when there is room for replays and replies, or when the connection ends.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let ready = self.end.get().is_some() || self.has_room();
        self.wants_room.set(!ready);
        if ready {
            return Poll::Ready(());
        }
        register(&self.session, cx);
        Poll::Pending
    }

    /// Ready when the connection ends.
    pub fn poll_ended(&self, cx: &Context<'_>) -> Poll<End> {
        if let Some(end) = self.end.get() {
            return Poll::Ready(end);
        }
        self.wants_room.set(false);
        register(&self.session, cx);
        Poll::Pending
    }

    /// What to send next; `None` after the end.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<OutboxItem>> {
        if self.closed.get() {
            return Poll::Ready(None);
        }
        if let Some(payload) = self.pong.borrow_mut().take() {
            return Poll::Ready(Some(OutboxItem::Pong(payload)));
        }
        // Before the frames: the client's time to answer runs already.
        if self.ping.take() {
            return Poll::Ready(Some(OutboxItem::Ping));
        }
        if let Some(frame) = self.pop() {
            return Poll::Ready(Some(OutboxItem::Frame(frame)));
        }
        if let Some(end) = self.end.get() {
            self.closed.set(true);
            return Poll::Ready(Some(OutboxItem::End(end)));
        }
        register(&self.reader, cx);
        Poll::Pending
    }

    fn pop(&self) -> Option<Arc<Frame>> {
        let mut queue = self.queue.borrow_mut();
        let frame = queue.pop_front()?;
        self.bytes.set(self.bytes.get().saturating_sub(frame.bytes.len()));
        if queue.is_empty() && queue.capacity() > KEPT_CAPACITY {
            *queue = VecDeque::new();
        }
        drop(queue);
        self.room_may_have_grown();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::events::Revision;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    fn frame(size: usize, transient: bool) -> Arc<Frame> {
        let bytes = Bytes::from(vec![0; size]);
        Arc::new(Frame { name: "x", cursor: Revision(0), bytes, position: None, transient })
    }

    fn next(outbox: &Outbox) -> Option<OutboxItem> {
        match outbox.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next,
            Poll::Pending => panic!("nothing to send"),
        }
    }

    fn room(outbox: &Outbox) -> bool {
        outbox.poll_room(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_full_outbox_drops_signals_first_and_then_closes_the_connection() {
        let outbox = Outbox::default();
        outbox.push(frame(1, true));
        for _ in 0..255 {
            outbox.push(frame(1, false));
        }
        outbox.push(frame(1, true));
        assert_eq!(outbox.queue.borrow().len(), 256);
        outbox.push(frame(1, false));
        assert_eq!((outbox.ended(), outbox.queue.borrow().len()), (None, 256));
        assert!(outbox.queue.borrow().iter().all(|frame| !frame.transient));
        outbox.push(frame(1, false));
        assert!(matches!(next(&outbox), Some(OutboxItem::End(End::Lagging))));
        assert!(next(&outbox).is_none());
    }

    #[test]
    fn bytes_count_too_but_one_frame_always_fits() {
        let outbox = Outbox::default();
        outbox.push(frame(2 * MAX_BYTES, false));
        assert_eq!(outbox.ended(), None);
        outbox.push(frame(1, false));
        assert_eq!(outbox.ended(), Some(End::Lagging));
    }

    #[test]
    fn frames_that_wait_are_sent_before_a_stop_but_not_after_signing_out() {
        let outbox = Outbox::default();
        outbox.push(frame(1, false));
        outbox.end(End::Stopping);
        outbox.end(End::SignedOut);
        outbox.push(frame(1, false));
        assert!(matches!(next(&outbox), Some(OutboxItem::Frame(_))));
        assert!(matches!(next(&outbox), Some(OutboxItem::End(End::Stopping))));

        let outbox = Outbox::default();
        outbox.push(frame(1, false));
        outbox.end(End::SignedOut);
        assert!(matches!(next(&outbox), Some(OutboxItem::End(End::SignedOut))));
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn replays_never_fill_it_however_large_the_frames() {
        let outbox = Outbox::default();
        let (mut sent, mut read) = (0, 0);
        while read < 64 {
            while sent < 64 && room(&outbox) {
                outbox.push(frame(25_000, false));
                sent += 1;
            }
            // A live event finds room, too.
            assert!(outbox.has_room_for(&frame(MAX_BYTES / 4, false)));
            assert!(matches!(next(&outbox), Some(OutboxItem::Frame(_))));
            read += 1;
        }
        assert_eq!(outbox.ended(), None);
        // A frame that is longer than everything that may wait.
        outbox.push(frame(2 * MAX_BYTES, false));
        assert!(!room(&outbox));
        next(&outbox);
        assert!(room(&outbox));
    }

    #[test]
    fn a_session_that_waits_for_room_is_woken_however_the_room_comes_about() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let waits = |outbox: &Outbox| outbox.poll_room(&Context::from_waker(&waker)).is_pending();
        let woken = || wakes.0.swap(0, Ordering::SeqCst);
        // By bytes: the frames are read one by one.
        let outbox = Outbox::default();
        (0..3).for_each(|_| outbox.push(frame(MAX_BYTES / 4, false)));
        assert!(waits(&outbox));
        next(&outbox);
        assert_eq!(woken(), 0, "half of it is not room yet");
        next(&outbox);
        assert_eq!(woken(), 1);
        assert!(!waits(&outbox));
        next(&outbox);
        assert_eq!(woken(), 0, "no session waits any more");
        // By frames: many go at once.
        let outbox = Outbox::default();
        (0..MAX_FRAMES).for_each(|n| outbox.push(frame(1, n > 10)));
        assert!(waits(&outbox));
        outbox.push(frame(1, false));
        assert_eq!((woken(), outbox.queue.borrow().len()), (1, 12));
        // A session that waits for the end is not woken by room.
        assert!(outbox.poll_ended(&Context::from_waker(&waker)).is_pending());
        (0..MAX_FRAMES_FOR_REPLAY).for_each(|_| outbox.push(frame(1, false)));
        while matches!(outbox.poll_next(&Context::from_waker(Waker::noop())), Poll::Ready(Some(_))) {}
        assert_eq!(woken(), 0);
        outbox.end(End::TimedOut);
        assert_eq!(woken(), 1);
    }

    #[test]
    fn replays_leave_room_for_live_events() {
        let outbox = Outbox::default();
        for _ in 0..MAX_FRAMES_FOR_REPLAY {
            assert!(room(&outbox));
            outbox.push(frame(1, false));
        }
        assert!(!room(&outbox));
        next(&outbox);
        assert!(room(&outbox));
    }
}
