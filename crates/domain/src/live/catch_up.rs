//! How a connection begins: the groups of its user, and what the server replays first.

use super::ports::{MissedIn, Subscriptions};
use super::service::LiveService;
use crate::context::Caller;
use crate::error::{Error, Result, Unavailable};
use crate::events::Revision;
use crate::ids::ConversationId;

/// Most numbers of one conversation that the server replays. A client that missed more loads it again.
pub const MAX_MISSED_IN_ONE: i64 = 5_000;
/// Most numbers that the server replays over all conversations.
pub const MAX_MISSED_IN_ALL: i64 = 20_000;

/// Where a client wants to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Now. The client sent no cursor.
    Now,
    /// At a cursor of this server.
    Revision(Revision),
    /// The client sent something that is no cursor.
    Unreadable,
}

/// Why a client has to load something again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResyncReason {
    /// The cursor is none of this server's.
    UnknownCursor,
    /// Groups or memberships changed while the client was away.
    MembershipsChanged,
    /// The user's own settings, drafts or marks of a conversation changed while the client was away.
    ViewsChanged,
    /// The client missed more than the server replays.
    TooFarBehind,
}

impl ResyncReason {
    /// The word that clients read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCursor => "unknown cursor",
            Self::MembershipsChanged => "groups or memberships changed",
            Self::ViewsChanged => "settings, drafts or marks changed",
            Self::TooFarBehind => "too far behind",
        }
    }
}

/// Something a client has to load again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resync {
    /// The conversation. `None` for the list of conversations.
    pub conversation: Option<ConversationId>,
    /// Why.
    pub reason: ResyncReason,
}

/// How a connection begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUpPlan {
    /// The groups of the user, and from when on the connection gets every event.
    pub subscriptions: Subscriptions,
    /// What the client has to load again.
    pub resyncs: Vec<Resync>,
    /// What the server replays first. [`MessageService::list_changes`](crate::messages::MessageService::list_changes)
    /// reads it.
    pub replay: Vec<MissedIn>,
}

impl LiveService {
    /// Finds out how a connection begins.
    ///
    /// The connection MUST be getting events when the caller calls this. It would lose what happens in between.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn catch_up(&self, caller: &Caller, since: Since) -> Result<CatchUpPlan> {
        let subscriptions = self.live.subscriptions(caller.user).await?;
        let missed = match since {
            Since::Now => return Ok(CatchUpPlan { subscriptions, resyncs: Vec::new(), replay: Vec::new() }),
            Since::Revision(revision) => match self.live.missed(caller.user, revision).await {
                // The read of the subscriptions succeeded a moment ago. So this read itself takes too long, and a retry
                // would fail too.
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
        if missed.memberships_changed {
            resyncs.push(Resync { conversation: None, reason: ResyncReason::MembershipsChanged });
        } else if missed.views_changed {
            resyncs.push(Resync { conversation: None, reason: ResyncReason::ViewsChanged });
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
    use crate::testing::{caller, conversation, live_service, outcome, user};
    use mockall::predicate::eq;
    use std::sync::Arc;

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
        let live = LiveService { live: Arc::new(live), ..live_service() };
        outcome(live.catch_up(&caller(1), since)).unwrap()
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
    fn who_changed_their_view_elsewhere_loads_the_list_again() {
        let missed = Missed { memberships_changed: false, views_changed: true, conversations: Vec::new() };
        let plan = plan(Since::Revision(Revision(5)), Some(missed));
        assert_eq!(plan.resyncs, [Resync { conversation: None, reason: ResyncReason::ViewsChanged }]);
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
        let plan = plan(
            Since::Revision(Revision(5)),
            Some(Missed { memberships_changed: true, views_changed: true, conversations }),
        );
        let replayed: Vec<_> = plan.replay.iter().map(|part| part.conversation).collect();
        assert_eq!(replayed, [1, 3, 4, 5].map(conversation));
        let resyncs: Vec<_> = plan.resyncs.iter().map(|resync| (resync.conversation, resync.reason)).collect();
        assert_eq!(
            resyncs,
            [
                (None, ResyncReason::MembershipsChanged),
                (Some(conversation(2)), ResyncReason::TooFarBehind),
                (Some(conversation(6)), ResyncReason::TooFarBehind),
            ]
        );
    }
}
