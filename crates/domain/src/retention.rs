//! The age limit of messages, if the operator sets one.
//!
//! The server deletes older messages as their sender would: it leaves a tombstone, takes a number and publishes the
//! event.

use crate::context::{Clock, Timestamp};
use crate::error::{Error, Invalid, Result};
use crate::files::BlobStore;
use crate::ids::{ConversationId, FileId};
use async_trait::async_trait;
use std::sync::Arc;

/// The age that messages may reach, in whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(u32);

impl Retention {
    /// A hundred years.
    pub const MAX_DAYS: u32 = 36_500;

    /// # Errors
    /// [`Invalid`] naming `days`, outside 1 to [`Retention::MAX_DAYS`].
    pub fn of_days(days: u32) -> Result<Self, Invalid> {
        if (1..=Self::MAX_DAYS).contains(&days) {
            return Ok(Self(days));
        }
        Err(Invalid::new("days", format!("must be from 1 to {}", Self::MAX_DAYS)))
    }

    /// Messages that were sent before this moment are too old.
    ///
    /// # Errors
    /// [`Error::Internal`] if the clock is out of range.
    pub fn cutoff(self, now: Timestamp) -> Result<Timestamp> {
        let age = i64::from(self.0) * 86_400 * 1_000_000;
        let cutoff = now.as_micros().checked_sub(age).and_then(Timestamp::from_micros);
        cutoff.ok_or_else(|| Error::internal("the clock is out of range"))
    }
}

/// Conversations with messages that are too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// A bounded number, possibly none.
    pub conversations: Vec<ConversationId>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ConversationId>,
}

/// Deletes what is too old, a small number at a time. Several nodes may do so at once; each skips what another has
/// deleted.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait RetentionRepository: Send + Sync {
    /// Conversations, by id, with messages that were sent before `cutoff` and are not deleted; deleted groups too. The
    /// work for an answer MUST be bounded. If many messages carry dates in the future because a clock was wrong, they
    /// MAY hide later messages until they are too old themselves.
    async fn due(&self, cutoff: Timestamp, after: Option<ConversationId>) -> Result<Due>;

    /// Deletes the oldest messages of the conversation that were sent before `cutoff`, a small number in one
    /// transaction, each as by [`MessageLog::delete`](crate::messages::MessageLog::delete). Returns how many; 0 once
    /// there are no more.
    async fn expire(&self, of: ConversationId, cutoff: Timestamp, at: Timestamp) -> Result<usize>;

    /// Withdraws files that were uploaded before `cutoff` and that no message carries, a small number at a time, and
    /// returns them. Nobody can read a withdrawn file. Also returns files that an earlier call withdrew and that are
    /// not forgotten. MUST NOT withdraw a file that a message is about to carry.
    async fn withdraw_files(&self, cutoff: Timestamp, at: Timestamp) -> Result<Vec<FileId>>;

    /// Forgets withdrawn files. Their blobs are gone.
    async fn forget_files(&self, files: Vec<FileId>) -> Result<()>;
}

/// What retention deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Messages.
    pub messages: usize,
    /// Files.
    pub files: usize,
}

/// Deletes all that is too old at the moment.
pub struct EnforceRetention {
    /// Where messages and files are known.
    pub repository: Arc<dyn RetentionRepository>,
    /// Stores the bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// How old is too old.
    pub retention: Retention,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
}

impl EnforceRetention {
    /// One step after the other, so that whoever sends meanwhile waits for one small step at the most. What was done
    /// before a fault stays done; the next time goes on from there.
    ///
    /// # Errors
    /// Faults of storage, and [`Unavailable`](crate::Unavailable) where it is busy.
    pub async fn run(&self) -> Result<Expired> {
        let cutoff = self.retention.cutoff(self.clock.now())?;
        let mut expired = Expired::default();
        let mut after = None;
        loop {
            let due = self.repository.due(cutoff, after).await?;
            for conversation in due.conversations {
                loop {
                    let count = self.repository.expire(conversation, cutoff, self.clock.now()).await?;
                    if count == 0 {
                        break;
                    }
                    expired.messages += count;
                }
            }
            after = due.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let files = self.repository.withdraw_files(cutoff, self.clock.now()).await?;
            if files.is_empty() {
                return Ok(expired);
            }
            // Forgets a file only after its bytes are gone: after a crash in between, the next run finds it again.
            for file in &files {
                self.blobs.remove(*file).await?;
            }
            expired.files += files.len();
            self.repository.forget_files(files).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MockBlobStore;
    use crate::testing::{StoppedClock, at, conversation, file_id, outcome};
    use mockall::Sequence;

    const DAY: i64 = 86_400_000_000;

    fn enforce(repository: MockRetentionRepository, blobs: MockBlobStore) -> EnforceRetention {
        EnforceRetention {
            repository: Arc::new(repository),
            blobs: Arc::new(blobs),
            retention: Retention::of_days(30).unwrap(),
            clock: Arc::new(StoppedClock(100 * DAY + 7)),
        }
    }

    #[test]
    fn an_age_is_a_day_or_more() {
        assert!(Retention::of_days(0).is_err() && Retention::of_days(Retention::MAX_DAYS + 1).is_err());
        for (days, cutoff) in [(1, 99 * DAY), (Retention::MAX_DAYS, -36_400 * DAY)] {
            assert_eq!(Retention::of_days(days).unwrap().cutoff(at(100 * DAY)).unwrap(), at(cutoff));
        }
    }

    #[test]
    fn every_conversation_is_gone_through_until_nothing_is_left() {
        let mut repository = MockRetentionRepository::new();
        repository.expect_due().times(2).returning(|cutoff, after| {
            assert_eq!(cutoff, at(70 * DAY + 7));
            Ok(match after {
                None => Due { conversations: vec![conversation(1)], next: Some(conversation(5)) },
                Some(_) => Due { conversations: vec![conversation(7)], next: None },
            })
        });
        let mut left = std::collections::HashMap::from([(conversation(1), 5_usize), (conversation(7), 2)]);
        repository.expect_expire().returning(move |of, cutoff, now| {
            assert_eq!((cutoff, now), (at(70 * DAY + 7), at(100 * DAY + 7)));
            let left = left.get_mut(&of).unwrap();
            let now = (*left).min(2);
            *left -= now;
            Ok(now)
        });
        repository.expect_withdraw_files().once().returning(|_, _| Ok(Vec::new()));
        let expired = outcome(enforce(repository, MockBlobStore::new()).run()).unwrap();
        assert_eq!(expired, Expired { messages: 7, files: 0 });
    }

    #[test]
    fn a_file_is_forgotten_after_its_bytes_and_not_without() {
        for removed in [true, false] {
            let (mut repository, mut blobs, mut order) =
                (MockRetentionRepository::new(), MockBlobStore::new(), Sequence::new());
            repository.expect_due().returning(|_, _| Ok(Due { conversations: Vec::new(), next: None }));
            let withdraw = repository.expect_withdraw_files().once().in_sequence(&mut order);
            withdraw.returning(|_, _| Ok(vec![file_id(1)]));
            let remove = blobs.expect_remove().once().in_sequence(&mut order);
            remove.returning(move |_| if removed { Ok(()) } else { Err(Error::internal("no disk")) });
            if removed {
                let forget = repository.expect_forget_files().once().in_sequence(&mut order);
                forget.withf(|files| *files == [file_id(1)]).returning(|_| Ok(()));
                repository.expect_withdraw_files().once().in_sequence(&mut order).returning(|_, _| Ok(Vec::new()));
            } else {
                repository.expect_forget_files().never();
            }
            let outcome = outcome(enforce(repository, blobs).run());
            assert_eq!(outcome.ok(), removed.then_some(Expired { messages: 0, files: 1 }));
        }
    }
}
