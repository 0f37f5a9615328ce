//! What accounts and groups leave behind when they end: memberships, which are removed a few at a time.
//!
//! An account or a group ends in one small transaction, however many groups or members it has, and counts as gone from
//! then on. What is left is tidied up in steps, so that no other write waits long; a server that starts goes on where
//! one was stopped.

use crate::context::{Clock, Timestamp};
use crate::error::Result;
use crate::ids::{GroupId, UserId};
use async_trait::async_trait;
use std::sync::Arc;

/// What has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The account is still in groups, which nobody sees any more. One that it owned passes to its next owner.
    Account(UserId),
    /// The group still has members, who don't see it any more.
    Group(GroupId),
}

/// Tidies up after what has ended. Several nodes may do so at once: what one has done another finds done.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait EndingRepository: Send + Sync {
    /// What has ended and may have left something, a bounded number of them; none once all is tidied up.
    async fn unfinished(&self) -> Result<Vec<Ended>>;

    /// Tidies up a bounded part, and says whether there may be more. An account's group MUST pass to the oldest admin,
    /// else to the oldest member, by [`crate::groups::next_owner`]; without others it MUST end. Whoever loses a group
    /// MUST be told so on resuming a live connection.
    async fn tidy(&self, ended: Ended, at: Timestamp) -> Result<bool>;
}

/// Finishes what has ended.
#[derive(Clone)]
pub struct FinishEndings {
    /// Where it is known.
    pub endings: Arc<dyn EndingRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl FinishEndings {
    /// How many steps are taken while somebody waits for the answer.
    pub const STEPS_AT_ONCE: usize = 10;

    /// All of it. What was done before a fault stays done; the next time goes on from there.
    ///
    /// # Errors
    /// Faults of storage, and [`Unavailable`](crate::Unavailable) where it is busy.
    pub async fn execute(&self) -> Result<()> {
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

    /// As far as an answer may wait for it, so that who asks finds it done where there was little to do. The rest, and
    /// what a fault kept from being done, is left to [`FinishEndings::execute`].
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

    fn finish(endings: MockEndingRepository) -> FinishEndings {
        FinishEndings { endings: Arc::new(endings), clock: Arc::new(StoppedClock(7)) }
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
        outcome(finish(endings).execute()).unwrap();
    }

    #[test]
    fn an_answer_waits_for_so_many_steps_and_for_no_fault() {
        let mut endings = MockEndingRepository::new();
        endings.expect_tidy().times(FinishEndings::STEPS_AT_ONCE).returning(|_, _| Ok(true));
        outcome(finish(endings).begin(ENDED));
        let mut endings = MockEndingRepository::new();
        endings.expect_tidy().once().returning(|_, _| Unavailable::Overloaded.err());
        outcome(finish(endings).begin(ENDED));
    }
}
