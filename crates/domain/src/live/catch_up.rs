//! Where a connection begins: what its user is in, and what is to be replayed first.

use super::ports::{LiveReader, MissedIn, Subscriptions};
use crate::context::Caller;
use crate::error::{Error, Result, Unavailable};
use crate::events::Revision;
use crate::ids::ConversationId;
use std::sync::Arc;

/// How many numbers of one conversation are replayed at the most; whoever missed more reloads it.
pub const MAX_MISSED_IN_ONE: i64 = 5_000;
/// How many numbers are replayed at the most over all conversations.
pub const MAX_MISSED_IN_ALL: i64 = 20_000;

/// From where a client asks to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// From now: it brings nothing along.
    Now,
    /// From a cursor of ours.
    Revision(Revision),
    /// From something that is no cursor of ours.
    Unreadable,
}

/// Why a client has to load something again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResyncReason {
    /// It came with a cursor that is none of this server's.
    UnknownCursor,
    /// Groups or memberships changed while it was away.
    RosterChanged,
    /// It missed more than is replayed.
    TooFarBehind,
}

impl ResyncReason {
    /// As clients read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCursor => "unknown cursor",
            Self::RosterChanged => "groups or memberships changed",
            Self::TooFarBehind => "too far behind",
        }
    }
}

/// Something a client has to load again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resync {
    /// Which conversation; `None`: the list of them.
    pub conversation: Option<ConversationId>,
    /// Why.
    pub reason: ResyncReason,
}

/// How a connection begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUpPlan {
    /// What its user is in, and from when on it gets everything as it happens.
    pub subscriptions: Subscriptions,
    /// What it is told to load again.
    pub resyncs: Vec<Resync>,
    /// What it is given first, by [`ListChanges`](crate::messages::ListChanges).
    pub replay: Vec<MissedIn>,
}

/// Finds out how a connection begins.
pub struct CatchUp {
    /// What happened.
    pub live: Arc<dyn LiveReader>,
}

impl CatchUp {
    /// MUST be called when the connection is being told of events already: what happens between this and that would be
    /// lost to it.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn execute(&self, caller: &Caller, since: Since) -> Result<CatchUpPlan> {
        let subscriptions = self.live.subscriptions(caller.user).await?;
        let missed = match since {
            Since::Now => return Ok(CatchUpPlan { subscriptions, resyncs: Vec::new(), replay: Vec::new() }),
            Since::Revision(revision) => match self.live.missed(caller.user, revision).await {
                // The subscriptions were read a moment ago, so this read takes too long in itself: the next try would
                // fail as well.
                Err(Error::Unavailable(Unavailable::Overloaded)) => {
                    let resyncs = vec![Resync { conversation: None, reason: ResyncReason::TooFarBehind }];
                    return Ok(CatchUpPlan { subscriptions, resyncs, replay: Vec::new() });
                }
                missed => missed?,
            },
            Since::Unreadable => None,
        };
        let Some(missed) = missed else {
            let resyncs = vec![Resync { conversation: None, reason: ResyncReason::UnknownCursor }];
            return Ok(CatchUpPlan { subscriptions, resyncs, replay: Vec::new() });
        };
        let mut resyncs = Vec::new();
        if missed.roster_changed {
            resyncs.push(Resync { conversation: None, reason: ResyncReason::RosterChanged });
        }
        let (mut replay, mut total) = (Vec::new(), 0);
        for part in missed.conversations {
            let numbers = part.update.since(part.after);
            if numbers > MAX_MISSED_IN_ONE || total + numbers > MAX_MISSED_IN_ALL {
                let conversation = Some(part.conversation);
                resyncs.push(Resync { conversation, reason: ResyncReason::TooFarBehind });
            } else if numbers > 0 {
                total += numbers;
                replay.push(part);
            }
        }
        Ok(CatchUpPlan { subscriptions, resyncs, replay })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Missed, MockLiveReader};
    use crate::messages::Update;
    use crate::testing::{caller, conversation, outcome, user};
    use mockall::predicate::eq;

    fn subscriptions() -> Subscriptions {
        Subscriptions { groups: Vec::new(), contacts: vec![user(2)], at: Revision(9) }
    }

    fn part(n: u128, numbers: i64) -> MissedIn {
        MissedIn { conversation: conversation(n), after: Update(3), update: Update(3 + numbers) }
    }

    fn plan(since: Since, missed: Option<Missed>) -> CatchUpPlan {
        plan_of(since, Ok(missed))
    }

    fn plan_of(since: Since, missed: Result<Option<Missed>>) -> CatchUpPlan {
        let mut live = MockLiveReader::new();
        live.expect_subscriptions().once().with(eq(user(1))).return_once(|_| Ok(subscriptions()));
        live.expect_missed().with(eq(user(1)), eq(Revision(5))).return_once(|_, _| missed);
        outcome(CatchUp { live: Arc::new(live) }.execute(&caller(1), since)).unwrap()
    }

    #[test]
    fn who_brings_no_cursor_begins_now() {
        assert_eq!(
            plan(Since::Now, None),
            CatchUpPlan { subscriptions: subscriptions(), resyncs: vec![], replay: vec![] }
        );
    }

    #[test]
    fn who_brings_an_unknown_cursor_loads_everything_again() {
        for since in [Since::Unreadable, Since::Revision(Revision(5))] {
            let plan = plan(since, None);
            assert_eq!(plan.resyncs, [Resync { conversation: None, reason: ResyncReason::UnknownCursor }]);
            assert!(plan.replay.is_empty());
        }
    }

    #[test]
    fn who_missed_so_much_that_looking_for_it_takes_too_long_loads_everything_again() {
        let plan = plan_of(Since::Revision(Revision(5)), Unavailable::Overloaded.err());
        assert_eq!(plan.resyncs, [Resync { conversation: None, reason: ResyncReason::TooFarBehind }]);
        assert!(plan.replay.is_empty());
    }

    #[test]
    fn what_was_missed_is_replayed_as_far_as_it_is_worth_it() {
        let conversations = vec![
            part(1, 5_000),
            part(2, 5_001),
            part(3, 5_000),
            part(4, 5_000),
            part(5, 4_999),
            part(6, 2),
            part(7, 0),
        ];
        let plan = plan(Since::Revision(Revision(5)), Some(Missed { roster_changed: true, conversations }));
        let replayed: Vec<_> = plan.replay.iter().map(|part| part.conversation).collect();
        assert_eq!(replayed, [1, 3, 4, 5].map(conversation));
        let resyncs: Vec<_> = plan.resyncs.iter().map(|resync| (resync.conversation, resync.reason)).collect();
        assert_eq!(
            resyncs,
            [
                (None, ResyncReason::RosterChanged),
                (Some(conversation(2)), ResyncReason::TooFarBehind),
                (Some(conversation(6)), ResyncReason::TooFarBehind),
            ]
        );
    }
}
