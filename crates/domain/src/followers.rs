//! Followers: what is derived from the log of all conversations, in the order of commits.
//!
//! A follower (the search index is one) handles every change of a message after its commit, never in the path of a
//! send. The database keeps its position, a [`Revision`]: the follower has handled every change below it. A crash
//! loses nothing and may repeat changes, so that a follower MUST be able to handle a change twice. A change carries the
//! message as it is when the follower reads it: two quick edits may be one change.
//!
//! Several nodes may run the same follower. One of them leads; the others look on and take over when its lease lapses.

use crate::context::{Clock, Timestamp};
use crate::error::Result;
use crate::events::Revision;
use crate::messages::ChangeEntry;
use async_trait::async_trait;
use std::sync::Arc;
use uuid::Uuid;

/// How long a leader leads without a sign of life, in microseconds.
const LEASE: i64 = 30_000_000;
/// Most batches of one run: the caller has other work, too.
const BATCHES_AT_ONCE: usize = 20;

/// Every follower. Its name is its key in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FollowerName {
    /// The index of the search.
    Search,
}

impl FollowerName {
    /// The word in the database and in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
        }
    }
}

/// The claim of one process to lead a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The follower.
    pub follower: FollowerName,
    /// The process.
    pub leader: Uuid,
    /// When the claim lapses, by the clock of the leader.
    pub lapses_at: Timestamp,
}

/// Changes in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The changed messages, each once, as they are now.
    pub changes: Vec<ChangeEntry>,
    /// Every change below it that is not in the batch was below the position of the reader.
    pub to: Revision,
    /// Whether more changes wait.
    pub more: bool,
}

/// The log as followers read it, and the positions of followers.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait FollowerLog: Send + Sync {
    /// The position of a follower. A new follower MUST get the present one: it follows from now on.
    async fn position(&self, follower: FollowerName) -> Result<Revision>;

    /// A bounded number of changes from the position on. MUST omit what a transaction that still runs may precede, so
    /// that no later batch contains a change below [`Batch::to`].
    async fn changes(&self, from: Revision) -> Result<Batch>;

    /// Takes the lead, or keeps it, and returns whether the process leads: nobody else's lease is in force at `now`.
    async fn lead(&self, lease: Lease, now: Timestamp) -> Result<bool>;

    /// Moves the position forward and renews the lease. MUST change nothing and return `false` if the process does not
    /// lead any more.
    async fn advance(&self, lease: Lease, to: Revision) -> Result<bool>;
}

/// Handles changes.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Follower: Send + Sync {
    /// The name under which the database keeps the position.
    fn name(&self) -> FollowerName;

    /// Handles the changes. What it does MUST be durable before it returns. A follower whose work another leader's work
    /// must not overtake checks in its transaction that the lease is still in force, and returns `false` if not.
    async fn follow(&self, lease: Lease, changes: Vec<ChangeEntry>) -> Result<bool>;
}

/// How far a follower is behind after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// It has handled everything.
    UpToDate,
    /// Changes wait, the oldest for so many microseconds.
    Behind(i64),
}

/// Runs a follower.
pub struct Following {
    /// What it follows.
    pub log: Arc<dyn FollowerLog>,
    /// What follows.
    pub follower: Arc<dyn Follower>,
    /// Dates the leases.
    pub clock: Arc<dyn Clock>,
    /// This process, among those on the same database.
    pub leader: Uuid,
}

impl Following {
    /// Handles what waits, in batches. Reads only if nothing does. The caller runs it again soon. After a fault the
    /// next run goes on where this one stopped.
    ///
    /// # Errors
    /// Faults of storage and of the follower.
    pub async fn run(&self) -> Result<Followed> {
        let follower = self.follower.name();
        let mut position = self.log.position(follower).await?;
        let mut leads = false;
        for _ in 0..BATCHES_AT_ONCE {
            let Batch { changes, to, more } = self.log.changes(position).await?;
            let Some(oldest) = changes.first().map(changed_at) else { return Ok(Followed::UpToDate) };
            let now = self.clock.now();
            let behind = Followed::Behind(now.as_micros().saturating_sub(oldest.as_micros()).max(0));
            let lapses_at = Timestamp::from_micros(now.as_micros().saturating_add(LEASE)).unwrap_or(now);
            let lease = Lease { follower, leader: self.leader, lapses_at };
            leads = leads || self.log.lead(lease, now).await?;
            if !leads || !self.follower.follow(lease, changes).await? || !self.log.advance(lease, to).await? {
                return Ok(behind);
            }
            if !more {
                return Ok(Followed::UpToDate);
            }
            position = to;
        }
        let waiting = self.log.changes(position).await?;
        let now = self.clock.now().as_micros();
        let oldest = waiting.changes.first().map(changed_at);
        Ok(oldest.map_or(Followed::UpToDate, |oldest| Followed::Behind((now - oldest.as_micros()).max(0))))
    }
}

fn changed_at(change: &ChangeEntry) -> Timestamp {
    match change {
        ChangeEntry::Message(message) => message.updated_at,
        ChangeEntry::Deleted(tombstone) => tombstone.deleted_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{StoppedClock, message, outcome};
    use mockall::Sequence;

    const ME: Uuid = Uuid::from_u128(7);

    fn batch(n: u128, to: i64, more: bool) -> Batch {
        Batch { changes: vec![ChangeEntry::Message(Box::new(message(n)))], to: Revision(to), more }
    }

    fn none(to: i64) -> Batch {
        Batch { changes: Vec::new(), to: Revision(to), more: false }
    }

    fn following(log: MockFollowerLog, mut follower: MockFollower) -> Following {
        follower.expect_name().return_const(FollowerName::Search);
        let clock = Arc::new(StoppedClock(message(1).updated_at.as_micros() + 5));
        Following { log: Arc::new(log), follower: Arc::new(follower), clock, leader: ME }
    }

    #[test]
    fn nothing_to_follow_writes_nothing() {
        let (mut log, mut follower) = (MockFollowerLog::new(), MockFollower::new());
        log.expect_position().returning(|_| Ok(Revision(3)));
        log.expect_changes().once().returning(|_| Ok(none(9)));
        log.expect_lead().never();
        log.expect_advance().never();
        follower.expect_follow().never();
        assert_eq!(outcome(following(log, follower).run()).unwrap(), Followed::UpToDate);
    }

    #[test]
    fn the_position_moves_behind_what_was_handled() {
        let (mut log, mut follower, mut order) = (MockFollowerLog::new(), MockFollower::new(), Sequence::new());
        log.expect_position().returning(|_| Ok(Revision(3)));
        for (n, from, to, more) in [(1, 3, 5, true), (2, 5, 9, false)] {
            let read = log.expect_changes().once().in_sequence(&mut order);
            read.withf(move |asked| asked.0 == from).returning(move |_| Ok(batch(n, to, more)));
            if n == 1 {
                let lead = log.expect_lead().once().in_sequence(&mut order);
                lead.withf(|lease, now| lease.leader == ME && lease.lapses_at > *now).returning(|_, _| Ok(true));
            }
            follower.expect_follow().once().in_sequence(&mut order).returning(|_, _| Ok(true));
            let moved = log.expect_advance().once().in_sequence(&mut order);
            moved.withf(move |_, asked| asked.0 == to).returning(|_, _| Ok(true));
        }
        assert_eq!(outcome(following(log, follower).run()).unwrap(), Followed::UpToDate);
    }

    #[test]
    fn who_does_not_lead_handles_nothing_and_says_what_waits() {
        let (mut log, mut follower) = (MockFollowerLog::new(), MockFollower::new());
        log.expect_position().returning(|_| Ok(Revision(3)));
        log.expect_changes().returning(|_| Ok(batch(1, 5, false)));
        log.expect_lead().returning(|_, _| Ok(false));
        log.expect_advance().never();
        follower.expect_follow().never();
        assert_eq!(outcome(following(log, follower).run()).unwrap(), Followed::Behind(5));
    }

    #[test]
    fn what_failed_is_not_behind_the_position() {
        for failed in [true, false] {
            let (mut log, mut follower) = (MockFollowerLog::new(), MockFollower::new());
            log.expect_position().returning(|_| Ok(Revision(3)));
            log.expect_changes().returning(|_| Ok(batch(1, 5, false)));
            log.expect_lead().returning(|_, _| Ok(true));
            log.expect_advance().never();
            follower.expect_follow().returning(move |_, _| {
                if failed { Err(crate::Unavailable::StorageOutOfReach.into()) } else { Ok(false) }
            });
            assert_eq!(outcome(following(log, follower).run()).is_err(), failed);
        }
    }
}
