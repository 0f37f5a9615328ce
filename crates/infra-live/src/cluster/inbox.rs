//! The queues from this process to its node's thread. Writing to them never waits, and every queue is bounded.

use crate::local::interest::Subject;
use crate::local::peers::PeerNotice;
use crate::telemetry::NODES;
use domain::events::Committed;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};

/// How many commits of this process may wait. The node finds any more when it compares itself with the database.
const MAX_COMMITS: usize = 65_536;
/// How many notices of the hub may wait.
const MAX_NOTICES: usize = 16_384;

/// State that the process and the node share.
#[derive(Default)]
struct Shared {
    /// The changed subscriptions that the node does not know of yet. It contains a subject at most once, and only while
    /// the hub wants something else than the node knows. So there are never more than the subjects that clients need,
    /// and needed when the node last looked.
    subscriptions: Mutex<HashMap<Subject, bool>>,
    changed: Notify,
    /// A notice found no room since the node last looked.
    overrun: AtomicBool,
}

/// The process' side.
pub struct Outlet {
    commits: mpsc::Sender<Committed>,
    notices: mpsc::Sender<PeerNotice>,
    close: mpsc::Sender<oneshot::Sender<()>>,
    shared: Arc<Shared>,
}

/// The node's side.
pub struct Inbox {
    commits: mpsc::Receiver<Committed>,
    notices: mpsc::Receiver<PeerNotice>,
    close: mpsc::Receiver<oneshot::Sender<()>>,
    shared: Arc<Shared>,
}

/// The next thing for the node.
pub enum Next {
    Commit(Committed),
    Notice(PeerNotice),
    /// Subscriptions changed.
    Subscriptions,
    /// The node has to stop, and to answer when it has.
    Close(oneshot::Sender<()>),
}

/// An empty inbox, and its outlet.
pub fn inbox() -> (Outlet, Inbox) {
    with_room(MAX_COMMITS, MAX_NOTICES)
}

fn with_room(commits: usize, notices: usize) -> (Outlet, Inbox) {
    let (commits, committed) = mpsc::channel(commits);
    let (notices, noticed) = mpsc::channel(notices);
    let (close, closed) = mpsc::channel(1);
    let shared = Arc::<Shared>::default();
    let outlet = Outlet { commits, notices, close, shared: Arc::clone(&shared) };
    (outlet, Inbox { commits: committed, notices: noticed, close: closed, shared })
}

impl Outlet {
    /// Adds a commit. Counts one that finds no room; the node reads it from the database.
    pub fn commit(&self, committed: Committed) {
        if self.commits.try_send(committed).is_err() {
            NODES.lost.increment(1);
        }
    }

    /// Adds a notice.
    ///
    /// # Errors
    /// The notice, if it finds no room. This counts it, and the node learns that one was lost.
    pub fn notify(&self, notice: PeerNotice) -> Result<(), PeerNotice> {
        self.notices.try_send(notice).map_err(|refused| {
            NODES.lost.increment(1);
            self.shared.overrun.store(true, Ordering::SeqCst);
            refused.into_inner()
        })
    }

    /// Clients need what others publish on the subject, or do not any more. The caller MUST alternate between the two
    /// for each subject, beginning with the former.
    pub fn set_subscribed(&self, subject: Subject, subscribed: bool) {
        let mut subscriptions = self.shared.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        // If the node does not know of the previous change, its knowledge is right again now.
        if subscriptions.remove(&subject).is_none() {
            subscriptions.insert(subject, subscribed);
        }
        drop(subscriptions);
        self.shared.changed.notify_one();
    }

    /// Stops the node, and waits until it has stopped.
    pub async fn close(&self) {
        let (done, stopped) = oneshot::channel();
        if self.close.send(done).await.is_ok() {
            // An error means that the node's thread has ended already.
            let _ = stopped.await;
        }
    }
}

impl Inbox {
    /// The next event; `None` when the process's side is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Next> {
        tokio::select! {
            commit = self.commits.recv() => commit.map(Next::Commit),
            notice = self.notices.recv() => notice.map(Next::Notice),
            close = self.close.recv() => close.map(Next::Close),
            () = self.shared.changed.notified() => Some(Next::Subscriptions),
        }
    }

    /// The next commit, if one waits.
    pub fn next_commit(&mut self) -> Option<Committed> {
        self.commits.try_recv().ok()
    }

    /// The next notice, if one waits.
    pub fn next_notice(&mut self) -> Option<PeerNotice> {
        self.notices.try_recv().ok()
    }

    /// The subscriptions that changed since the last call. A node MUST call this before it acts on anything that
    /// [`next`](Self::next) returned: it gets the answer to a question on a subject to which it has subscribed before.
    pub fn take_subscriptions(&self) -> HashMap<Subject, bool> {
        std::mem::take(&mut *self.shared.subscriptions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether notices were lost since the last call.
    pub fn take_overrun(&self) -> bool {
        self.shared.overrun.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::presence::PresenceAudience;
    use domain::{GroupId, UserId};
    use futures_util::FutureExt as _;
    use uuid::Uuid;

    fn question() -> PeerNotice {
        PeerNotice::WhoIsOnline(UserId(Uuid::nil()), PresenceAudience::default())
    }

    #[test]
    fn a_full_queue_refuses_notices_and_says_so_but_loses_no_subscription() {
        let (outlet, mut inbox) = with_room(1, 2);
        let group = |n| Subject::Group(GroupId(Uuid::from_u128(n)));
        assert!(outlet.notify(question()).is_ok() && outlet.notify(question()).is_ok());
        assert!(!inbox.take_overrun());
        assert!(matches!(outlet.notify(question()), Err(PeerNotice::WhoIsOnline(..))));
        (1..=10_000).for_each(|n| outlet.set_subscribed(group(n), true));
        assert!(inbox.take_overrun() && !inbox.take_overrun());
        let subscriptions = inbox.take_subscriptions();
        assert!(subscriptions.len() == 10_000 && subscriptions.values().all(|subscribed| *subscribed));
        assert!(inbox.take_subscriptions().is_empty());
        // There is room again, and nothing was forgotten.
        for _ in 0..2 {
            let next = std::iter::from_fn(|| inbox.next().now_or_never().flatten());
            assert_eq!(next.filter(|next| matches!(next, Next::Notice(_))).take(1).count(), 1);
        }
        assert!(outlet.notify(question()).is_ok());
    }

    #[test]
    fn clients_that_come_and_go_leave_nothing_behind() {
        let (outlet, inbox) = with_room(1, 1);
        let user = |n| Subject::User(UserId(Uuid::from_u128(n)));
        outlet.set_subscribed(user(1), true);
        inbox.take_subscriptions();
        for n in 2..1_000 {
            outlet.set_subscribed(user(n), true);
            outlet.set_subscribed(user(n), false);
        }
        outlet.set_subscribed(user(1), false);
        assert_eq!(inbox.take_subscriptions(), HashMap::from([(user(1), false)]));
    }
}
