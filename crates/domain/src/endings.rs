//! The memberships that accounts and groups leave behind when they end. The server removes them a few at a time.
//!
//! An account or a group ends in one small transaction, however many groups or members it has. From then on clients do
//! not see it. The server removes the memberships in small steps, so that no other write waits long. A server that
//! starts goes on where one stopped.

use crate::context::{Clock, Timestamp};
use crate::error::Result;
use crate::ids::{GroupId, UserId};
use async_trait::async_trait;
use std::sync::Arc;

/// An account or a group that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The account is still a member of groups, though no client sees it there. A group that it owned passes to the
    /// next owner.
    Account(UserId),
    /// The group still has members, though they do not see it.
    Group(GroupId),
}

/// Removes what ended accounts and groups left. Several nodes may do so at once; each skips what another has removed.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait EndingRepository: Send + Sync {
    /// Accounts and groups that have ended and may have left memberships, a bounded number. Empty once none is left.
    async fn unfinished(&self) -> Result<Vec<Ended>>;

    /// Removes a bounded part, and returns whether there may be more. The account's group MUST pass to the oldest
    /// admin, else to the oldest member, by [`crate::groups::next_owner`]; without other members it MUST end. A client
    /// whose user loses a group this way MUST learn of it when it resumes.
    async fn tidy(&self, ended: Ended, at: Timestamp) -> Result<bool>;
}

/// Cleans up after accounts and groups that have ended.
#[derive(Clone)]
pub struct EndingService {
    /// Stores what has ended.
    pub endings: Arc<dyn EndingRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl EndingService {
    /// How many steps a request waits for.
    pub const STEPS_AT_ONCE: usize = 10;

    /// Cleans up after everything that has ended. After a fault, the next call goes on where this one stopped.
    ///
    /// # Errors
    /// Faults of storage, and [`Unavailable`](crate::Unavailable) where it is busy.
    pub async fn finish_all(&self) -> Result<()> {
        loop {
            let unfinished = self.endings.unfinished().await?;
            if unfinished.is_empty() {
                return Ok(());
            }
            for ended in unfinished {
                while self.endings.tidy(ended, self.clock.now()).await? {}
            }
        }
    }

    /// Cleans up as far as an answer may wait for it, so that a small account or group is gone when the answer arrives.
    /// It leaves the rest, and whatever a fault prevented, to [`EndingService::finish_all`].
    pub async fn begin(&self, ended: Ended) {
        for _ in 0..Self::STEPS_AT_ONCE {
            if !matches!(self.endings.tidy(ended, self.clock.now()).await, Ok(true)) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Unavailable;
    use crate::testing::{StoppedClock, at, outcome, user};
    use std::collections::HashMap;

    const ENDED: Ended = Ended::Account(UserId(uuid::Uuid::from_u128(1)));

    fn over(endings: MockEndingRepository) -> EndingService {
        EndingService { endings: Arc::new(endings), clock: Arc::new(StoppedClock(7)) }
    }

    #[test]
    fn everything_is_gone_through_until_nothing_is_left() {
        let mut endings = MockEndingRepository::new();
        let (group, mut asked) = (Ended::Group(GroupId(uuid::Uuid::from_u128(2))), 0);
        endings.expect_unfinished().times(3).returning(move || {
            asked += 1;
            Ok([vec![ENDED, group], vec![Ended::Account(user(3))], vec![]][asked - 1].clone())
        });
        let mut left = HashMap::new();
        endings.expect_tidy().times(9).returning(move |ended, when| {
            assert_eq!(when, at(7));
            let left = left.entry(format!("{ended:?}")).or_insert(3);
            *left -= 1;
            Ok(*left > 0)
        });
        outcome(over(endings).finish_all()).unwrap();
    }

    #[test]
    fn an_answer_waits_for_so_many_steps_and_for_no_fault() {
        let mut endings = MockEndingRepository::new();
        endings.expect_tidy().times(EndingService::STEPS_AT_ONCE).returning(|_, _| Ok(true));
        outcome(over(endings).begin(ENDED));
        let mut endings = MockEndingRepository::new();
        endings.expect_tidy().once().returning(|_, _| Unavailable::Overloaded.err());
        outcome(over(endings).begin(ENDED));
    }
}
