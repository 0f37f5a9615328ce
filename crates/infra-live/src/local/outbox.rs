//! What waits to be sent to one client.

use crate::local::frame::Frame;
use crate::telemetry::METRICS;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// How many frames may wait (`DESIGN.md`, section 4).
const MOST_FRAMES: usize = 256;
/// How many bytes may wait; one frame may always.
const MOST_BYTES: usize = 1024 * 1024;
/// Who can wait (replays, answers) adds only while fewer frames than this wait,
const ROOM: usize = 64;
/// and fewer bytes than this, so that there is room left for who cannot.
const ROOM_BYTES: usize = MOST_BYTES / 2;
/// A queue that was once long is not kept that long.
const KEPT_CAPACITY: usize = 16;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its session ended or expired, or its user was deleted.
    SignedOut,
    /// It reads too slowly.
    Lagging,
    /// It gives no sign of life.
    Silent,
    /// The server stops.
    Stopping,
    /// For a reason of the transport's, by its code.
    Transport(u16),
}

impl End {
    /// Whether what waits is still worth sending.
    fn keeps_queue(self) -> bool {
        matches!(self, Self::Stopping | Self::Transport(_))
    }
}

/// The next thing to send.
#[derive(Debug)]
pub enum Outgoing {
    /// A frame.
    Frame(Arc<Frame>),
    /// A question for a sign of life.
    Ping,
    /// The answer to such a question.
    Pong(Bytes),
    /// The last thing.
    End(End),
}

/// A bounded queue with one reader (what writes to the socket) and one that may wait for room (the session), all on one
/// thread. Never makes anybody wait who does not ask to: what finds no room drops signals, and else ends the connection.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: RefCell<VecDeque<Arc<Frame>>>,
    bytes: Cell<usize>,
    ping: Cell<bool>,
    pong: RefCell<Option<Bytes>>,
    end: Cell<Option<End>>,
    /// The end was sent, or there is nobody to send it to.
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
    /// Adds a frame, or drops it because it is only a signal, or ends the connection because it reads too slowly.
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
        waiting == 0 || waiting < MOST_FRAMES && self.bytes.get() + frame.bytes.len() <= MOST_BYTES
    }

    fn drop_signals(&self) {
        let mut queue = self.queue.borrow_mut();
        let waited = queue.len();
        queue.retain(|frame| !frame.transient);
        METRICS.drops.increment((waited - queue.len()) as u64);
        self.bytes.set(queue.iter().map(|frame| frame.bytes.len()).sum());
        drop(queue);
        self.less_waits();
    }

    /// Whether there is room for somebody who can wait.
    fn has_room(&self) -> bool {
        let waiting = self.queue.borrow().len();
        waiting == 0 || waiting < ROOM && self.bytes.get() < ROOM_BYTES
    }

    fn less_waits(&self) {
        if self.wants_room.get() && self.has_room() {
            self.wants_room.set(false);
            wake(&self.session);
        }
    }

    /// Asks the client for a sign of life.
    pub fn ping(&self) {
        self.ping.set(true);
        wake(&self.reader);
    }

    /// Answers the client's question. Of several unanswered ones only the last is: so many cost no memory.
    pub fn pong(&self, payload: Bytes) {
        *self.pong.borrow_mut() = Some(payload);
        wake(&self.reader);
    }

    /// Ends the connection; the first reason counts.
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

    /// Why it ends, if it does.
    pub fn ended(&self) -> Option<End> {
        self.end.get()
    }

    /// The reader is gone: nothing can be sent any more.
    pub fn close(&self) {
        self.closed.set(true);
        self.end(End::Transport(1006));
        wake(&self.session);
    }

    /// Ready when there is room for somebody who can wait, or when it ends.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let ready = self.end.get().is_some() || self.has_room();
        self.wants_room.set(!ready);
        if ready {
            return Poll::Ready(());
        }
        register(&self.session, cx);
        Poll::Pending
    }

    /// Ready when it ends.
    pub fn poll_ended(&self, cx: &Context<'_>) -> Poll<End> {
        if let Some(end) = self.end.get() {
            return Poll::Ready(end);
        }
        self.wants_room.set(false);
        register(&self.session, cx);
        Poll::Pending
    }

    /// The next thing to send; `None` after the end.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Outgoing>> {
        if self.closed.get() {
            return Poll::Ready(None);
        }
        if let Some(payload) = self.pong.borrow_mut().take() {
            return Poll::Ready(Some(Outgoing::Pong(payload)));
        }
        // Before the frames: the time to answer it runs already.
        if self.ping.take() {
            return Poll::Ready(Some(Outgoing::Ping));
        }
        if let Some(frame) = self.pop() {
            return Poll::Ready(Some(Outgoing::Frame(frame)));
        }
        if let Some(end) = self.end.get() {
            self.closed.set(true);
            return Poll::Ready(Some(Outgoing::End(end)));
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
        self.less_waits();
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
        Arc::new(Frame { name: "x", cursor: Revision(0), bytes, place: None, transient })
    }

    fn next(outbox: &Outbox) -> Option<Outgoing> {
        match outbox.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(next) => next,
            Poll::Pending => panic!("nothing to send"),
        }
    }

    fn room(outbox: &Outbox) -> bool {
        outbox.poll_room(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_full_one_drops_signals_first_and_then_ends() {
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
        assert!(matches!(next(&outbox), Some(Outgoing::End(End::Lagging))));
        assert!(next(&outbox).is_none());
    }

    #[test]
    fn bytes_count_too_but_one_frame_always_fits() {
        let outbox = Outbox::default();
        outbox.push(frame(2 * MOST_BYTES, false));
        assert_eq!(outbox.ended(), None);
        outbox.push(frame(1, false));
        assert_eq!(outbox.ended(), Some(End::Lagging));
    }

    #[test]
    fn what_waits_is_sent_before_a_stop_but_not_to_who_signed_out() {
        let outbox = Outbox::default();
        outbox.push(frame(1, false));
        outbox.end(End::Stopping);
        outbox.end(End::SignedOut);
        outbox.push(frame(1, false));
        assert!(matches!(next(&outbox), Some(Outgoing::Frame(_))));
        assert!(matches!(next(&outbox), Some(Outgoing::End(End::Stopping))));

        let outbox = Outbox::default();
        outbox.push(frame(1, false));
        outbox.end(End::SignedOut);
        assert!(matches!(next(&outbox), Some(Outgoing::End(End::SignedOut))));
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
    fn who_can_wait_never_fills_it_however_large_the_frames() {
        let outbox = Outbox::default();
        let (mut sent, mut read) = (0, 0);
        while read < 64 {
            while sent < 64 && room(&outbox) {
                outbox.push(frame(25_000, false));
                sent += 1;
            }
            // Who cannot wait finds room, too.
            assert!(outbox.has_room_for(&frame(MOST_BYTES / 4, false)));
            assert!(matches!(next(&outbox), Some(Outgoing::Frame(_))));
            read += 1;
        }
        assert_eq!(outbox.ended(), None);
        // One that is larger than all that may wait.
        outbox.push(frame(2 * MOST_BYTES, false));
        assert!(!room(&outbox));
        next(&outbox);
        assert!(room(&outbox));
    }

    #[test]
    fn who_waits_for_room_is_woken_however_it_comes_about() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let waits = |outbox: &Outbox| outbox.poll_room(&Context::from_waker(&waker)).is_pending();
        let woken = || wakes.0.swap(0, Ordering::SeqCst);
        // By bytes, read one by one.
        let outbox = Outbox::default();
        (0..3).for_each(|_| outbox.push(frame(MOST_BYTES / 4, false)));
        assert!(waits(&outbox));
        next(&outbox);
        assert_eq!(woken(), 0, "half of it is not room yet");
        next(&outbox);
        assert_eq!(woken(), 1);
        assert!(!waits(&outbox));
        next(&outbox);
        assert_eq!(woken(), 0, "nobody waits any more");
        // By frames, of which many go at once.
        let outbox = Outbox::default();
        (0..MOST_FRAMES).for_each(|n| outbox.push(frame(1, n > 10)));
        assert!(waits(&outbox));
        outbox.push(frame(1, false));
        assert_eq!((woken(), outbox.queue.borrow().len()), (1, 12));
        // Who waits for the end is not disturbed by room.
        assert!(outbox.poll_ended(&Context::from_waker(&waker)).is_pending());
        (0..ROOM).for_each(|_| outbox.push(frame(1, false)));
        while matches!(outbox.poll_next(&Context::from_waker(Waker::noop())), Poll::Ready(Some(_))) {}
        assert_eq!(woken(), 0);
        outbox.end(End::Silent);
        assert_eq!(woken(), 1);
    }

    #[test]
    fn who_can_wait_leaves_room_for_who_cannot() {
        let outbox = Outbox::default();
        for _ in 0..ROOM {
            assert!(room(&outbox));
            outbox.push(frame(1, false));
        }
        assert!(!room(&outbox));
        next(&outbox);
        assert!(room(&outbox));
    }
}
