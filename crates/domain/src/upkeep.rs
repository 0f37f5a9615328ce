//! The work that a server does regularly: it deletes what is too old and what nothing needs any more.
//!
//! All of it depends on the clock, and nothing brings back what it deletes. So the server doubts a clock that is far
//! ahead of its last run: the clock may have jumped, and everything would seem too old.

use crate::context::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::files::BlobStore;
use crate::ids::FileId;
use crate::retention::{EnforceRetention, Expired, RetentionRepository};
use crate::sessions::ForgetSessions;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A day, in microseconds.
const DAY: i64 = 86_400 * 1_000_000;

/// How far the clock may be ahead of the evidence without doubt, in microseconds.
pub const MAX_CLOCK_LEAD: i64 = DAY;
/// After how many pauses between two runs the server believes a clock that it doubts: after a day, if upkeep runs every
/// hour. Only time in which servers run counts, so that an operator can see a jump before the server deletes anything.
/// Stopping a server does not reset the count.
pub const DOUBTS_UNTIL_BELIEVED: u64 = 24;
/// How long a file may exist without a message that carries it, in microseconds. A client may be about to send one.
pub const LOOSE_FOR: i64 = DAY;
/// Most lost blobs that one run removes.
pub const LOST_AT_ONCE: usize = 1_000;
/// A store may have this many lost blobs even if it has fewer known ones. Crashes leave some.
pub const TOLERATED_LOST_BLOBS: u64 = 10;

/// What the database knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The clock when a server last believed its clock.
    pub believed: Option<Timestamp>,
    /// When the newest message was sent.
    pub newest: Option<Timestamp>,
    /// How many calls of [`UpkeepRepository::doubt`] there were since then.
    pub doubts: u64,
}

impl Evidence {
    /// How far the clock is ahead, in microseconds, if that is too far. Messages count only if no server has believed a
    /// clock yet: after a jump, the first new message would support the wrong time.
    pub fn contradicts(self, now: Timestamp) -> Option<i64> {
        let known = self.believed.or(self.newest)?;
        let ahead = now.as_micros().saturating_sub(known.as_micros());
        (ahead > MAX_CLOCK_LEAD).then_some(ahead)
    }
}

/// Whether the store seems to belong to another database, given `lost` blobs that no file knows and `known` ones.
/// Crashes and lost commits leave a few lost blobs. A new database beside the uploads of an old one knows none of them,
/// and an operator who brings the old one back wants its files.
pub fn are_strange(lost: u64, known: u64) -> bool {
    lost > TOLERATED_LOST_BLOBS && lost > known
}

/// A page of files that no message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loose {
    /// A bounded number, possibly none.
    pub files: Vec<FileId>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<FileId>,
}

/// Reads and writes what upkeep needs to know.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UpkeepRepository: Send + Sync {
    /// What the database knows of the time.
    async fn evidence(&self) -> Result<Evidence>;

    /// Notes that a server believes its clock. In three quarters of `every`, in microseconds, only one of several
    /// servers over one database MUST get `true`: that one does the work.
    async fn believe(&self, now: Timestamp, every: i64) -> Result<bool>;

    /// Notes that a server has run from one upkeep to the next with a clock that it doubts. Returns how many such notes
    /// there are since a server last believed its clock; [`UpkeepRepository::believe`] resets the count.
    async fn doubt(&self) -> Result<u64>;

    /// Files, by id, that were uploaded before `cutoff` and that no message carries, those of deleted users included,
    /// and files that were withdrawn and not forgotten. The work for an answer MUST be bounded.
    async fn loose(&self, cutoff: Timestamp, after: Option<FileId>) -> Result<Loose>;

    /// Withdraws those of the files that still no message carries, and returns them. Nobody can read a withdrawn file.
    /// MUST NOT withdraw a file that a message is about to carry.
    async fn withdraw(&self, files: Vec<FileId>, at: Timestamp) -> Result<Vec<FileId>>;

    /// Those of the ids that are the id of no file, withdrawn files included.
    async fn unknown(&self, ids: Vec<FileId>) -> Result<Vec<FileId>>;
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Another server does the work.
    ByAnother,
    /// The clock is ahead by so many microseconds. The server deleted nothing.
    Doubted(i64),
    /// The server did the work.
    Done {
        /// Sessions that it forgot because they had expired.
        sessions: usize,
        /// Messages and files that it deleted because of their age.
        expired: Expired,
        /// Files that it deleted because no message carried them.
        loose: usize,
        /// Uploads that had broken off and whose bytes it removed.
        unfinished: usize,
        /// Blobs that it removed because no file knew them.
        lost: usize,
        /// Blobs that no file knows and that it left in place ([`are_strange`]).
        strange: u64,
    },
}

/// The job that does the regular work of a server.
pub struct KeepUp {
    /// Knows the time of the last run, and which files no message carries.
    pub repository: Arc<dyn UpkeepRepository>,
    /// Forgets files once their bytes are gone.
    pub files: Arc<dyn RetentionRepository>,
    /// Stores the bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// Forgets expired sessions.
    pub sessions: ForgetSessions,
    /// Deletes messages and files that are too old. `None` if the operator sets no age limit.
    pub retention: Option<EnforceRetention>,
    /// The wall clock, which a run doubts if it is far ahead.
    pub clock: Arc<dyn Clock>,
    /// Microseconds between two runs.
    pub every: i64,
    /// Whether this job has run since the server started.
    pub goes_on: AtomicBool,
}

impl KeepUp {
    /// Runs once, in small steps like [`EnforceRetention::run`]. Deletes nothing while it doubts the clock, or if
    /// another server does the work.
    ///
    /// # Errors
    /// Faults of storage, and [`Unavailable`](crate::Unavailable) where it is busy.
    pub async fn run(&self) -> Result<Kept> {
        let now = self.clock.now();
        let evidence = self.repository.evidence().await?;
        let goes_on = self.goes_on.swap(true, Ordering::Relaxed);
        if let Some(ahead) = evidence.contradicts(now) {
            // A start proves no running time: a server that restarts all the time has not run for a day.
            let doubts = if goes_on { self.repository.doubt().await? } else { evidence.doubts };
            if doubts < DOUBTS_UNTIL_BELIEVED {
                return Ok(Kept::Doubted(ahead));
            }
        }
        if !self.repository.believe(now, self.every).await? {
            return Ok(Kept::ByAnother);
        }
        let cutoff = Timestamp::from_micros(now.as_micros().saturating_sub(LOOSE_FOR));
        let cutoff = cutoff.ok_or_else(|| Error::internal("the clock is out of range"))?;
        let sessions = self.sessions.run().await?;
        let expired = match &self.retention {
            Some(retention) => retention.run().await?,
            None => Expired::default(),
        };
        let loose = self.sweep(cutoff).await?;
        let unfinished = self.blobs.clear_unfinished(cutoff).await?;
        let (lost, strange) = match evidence.believed {
            Some(_) => self.remove_lost(cutoff).await?,
            // The blobs are older than the database.
            None => (0, 0),
        };
        Ok(Kept::Done { sessions, expired, loose, unfinished, lost, strange })
    }

    /// Removes blobs that no file knows. The server stores a blob before its file, so a crash or a commit with unknown
    /// outcome in between leaves a blob without a file. Removes only blobs whose file cannot come any more: no request
    /// lasts longer than [`LOOSE_FOR`] once its blob is stored. Returns how many it removed, and how many it left
    /// because they are strange.
    async fn remove_lost(&self, cutoff: Timestamp) -> Result<(usize, u64)> {
        let (mut unknown, mut found, mut known, mut after) = (Vec::new(), 0_u64, 0_u64, None);
        loop {
            let page = self.blobs.list(after).await?;
            let listed = page.blobs.len();
            let of_page = self.repository.unknown(page.blobs).await?;
            known += listed.saturating_sub(of_page.len()) as u64;
            found += of_page.len() as u64;
            let room = LOST_AT_ONCE.saturating_sub(unknown.len());
            unknown.extend(of_page.into_iter().take(room));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let lost = if unknown.is_empty() { unknown } else { self.blobs.stored_before(unknown, cutoff).await? };
        if !lost.is_empty() && are_strange(found, known) {
            return Ok((0, found));
        }
        for blob in &lost {
            self.blobs.remove(*blob).await?;
        }
        Ok((lost.len(), 0))
    }

    async fn sweep(&self, cutoff: Timestamp) -> Result<usize> {
        let (mut count, mut after) = (0, None);
        loop {
            let loose = self.repository.loose(cutoff, after).await?;
            if !loose.files.is_empty() {
                let files = self.repository.withdraw(loose.files, self.clock.now()).await?;
                // Forgets a file only after its bytes are gone: after a crash in between, the next run finds it again.
                for file in &files {
                    self.blobs.remove(*file).await?;
                }
                count += files.len();
                self.files.forget_files(files).await?;
            }
            after = loose.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{BlobPage, MockBlobStore};
    use crate::retention::MockRetentionRepository;
    use crate::sessions::{MockSessionRepository, SessionLifetime};
    use crate::testing::{StoppedClock, at, file_id, outcome};
    use mockall::Sequence;

    const NOW: i64 = 100 * DAY;

    fn keep_up(repository: MockUpkeepRepository, files: MockRetentionRepository, blobs: MockBlobStore) -> KeepUp {
        let mut sessions = MockSessionRepository::new();
        sessions.expect_forget().returning(|_, _| Ok(0));
        KeepUp {
            sessions: ForgetSessions {
                sessions: Arc::new(sessions),
                lifetime: SessionLifetime::default(),
                clock: Arc::new(StoppedClock(NOW)),
            },
            repository: Arc::new(repository),
            files: Arc::new(files),
            blobs: Arc::new(blobs),
            retention: None,
            clock: Arc::new(StoppedClock(NOW)),
            every: 4,
            goes_on: AtomicBool::new(false),
        }
    }

    #[test]
    fn a_clock_is_held_against_the_last_one_that_was_believed() {
        let day = |day: i64| Some(at(day * DAY));
        for (believed, newest, now, ahead) in [
            (None, None, NOW, None),
            (day(99), None, NOW, None),
            (day(99), None, NOW + 1, Some(DAY + 1)),
            (day(60), day(100), NOW, Some(40 * DAY)),
            (day(100), day(60), NOW, None),
            (None, day(60), NOW, Some(40 * DAY)),
            // One that was set back deletes nothing that it should not.
            (day(140), None, NOW, None),
        ] {
            assert_eq!(Evidence { believed, newest, doubts: 0 }.contradicts(at(now)), ahead, "{believed:?} {newest:?}");
        }
    }

    #[test]
    fn a_start_is_no_time_that_a_server_ran() {
        for (doubts, believed) in [(0, false), (DOUBTS_UNTIL_BELIEVED - 1, false), (DOUBTS_UNTIL_BELIEVED, true)] {
            let mut repository = MockUpkeepRepository::new();
            let evidence = Evidence { believed: Some(at(60 * DAY)), newest: None, doubts };
            repository.expect_evidence().once().returning(move || Ok(evidence));
            repository.expect_believe().times(usize::from(believed)).returning(|_, _| Ok(false));
            let keep_up = keep_up(repository, MockRetentionRepository::new(), MockBlobStore::new());
            let kept = if believed { Kept::ByAnother } else { Kept::Doubted(40 * DAY) };
            assert_eq!(outcome(keep_up.run()).unwrap(), kept, "{doubts}");
        }
    }

    #[test]
    fn nothing_is_deleted_until_the_clock_was_doubted_long_enough() {
        let mut repository = MockUpkeepRepository::new();
        let evidence = Evidence { believed: Some(at(60 * DAY)), newest: None, doubts: 0 };
        repository.expect_evidence().returning(move || Ok(evidence));
        let mut doubts = 0;
        repository.expect_doubt().returning(move || {
            doubts += 1;
            Ok(doubts)
        });
        repository
            .expect_believe()
            .once()
            .withf(|now, every| (*now, *every) == (at(NOW), 4))
            .returning(|_, _| Ok(true));
        repository.expect_loose().once().returning(|_, _| Ok(Loose { files: Vec::new(), next: None }));
        let mut blobs = MockBlobStore::new();
        blobs.expect_clear_unfinished().once().returning(|_| Ok(3));
        blobs.expect_list().once().returning(|_| Ok(BlobPage { blobs: Vec::new(), next: None }));
        repository.expect_unknown().once().returning(|_| Ok(Vec::new()));
        let mut sessions = MockSessionRepository::new();
        let mut steps = vec![0, 5];
        sessions.expect_forget().times(2).returning(move |_, _| Ok(steps.pop().unwrap()));
        let mut keep_up = keep_up(repository, MockRetentionRepository::new(), blobs);
        keep_up.sessions.sessions = Arc::new(sessions);
        for _ in 0..DOUBTS_UNTIL_BELIEVED {
            assert_eq!(outcome(keep_up.run()).unwrap(), Kept::Doubted(40 * DAY));
        }
        let expired = Expired::default();
        let done = Kept::Done { sessions: 5, expired, loose: 0, unfinished: 3, lost: 0, strange: 0 };
        assert_eq!(outcome(keep_up.run()).unwrap(), done);
    }

    #[test]
    fn one_of_several_servers_does_the_work() {
        let mut repository = MockUpkeepRepository::new();
        repository.expect_evidence().returning(|| Ok(Evidence::default()));
        repository.expect_believe().once().returning(|_, _| Ok(false));
        let keep_up = keep_up(repository, MockRetentionRepository::new(), MockBlobStore::new());
        assert_eq!(outcome(keep_up.run()).unwrap(), Kept::ByAnother);
    }

    #[test]
    fn loose_files_go_with_their_bytes_first() {
        let (mut repository, mut files, mut blobs, mut order) =
            (MockUpkeepRepository::new(), MockRetentionRepository::new(), MockBlobStore::new(), Sequence::new());
        repository.expect_evidence().returning(|| Ok(Evidence::default()));
        repository.expect_believe().returning(|_, _| Ok(true));
        let found = repository.expect_loose().once().in_sequence(&mut order);
        found
            .withf(|cutoff, after| (*cutoff, *after) == (at(NOW - DAY), None))
            .returning(|_, _| Ok(Loose { files: vec![file_id(1), file_id(2)], next: Some(file_id(7)) }));
        // The second is being sent at this moment.
        let withdraw = repository.expect_withdraw().once().in_sequence(&mut order);
        withdraw.returning(|_, _| Ok(vec![file_id(1)]));
        let remove = blobs.expect_remove().once().in_sequence(&mut order);
        remove.withf(|id| *id == file_id(1)).returning(|_| Ok(()));
        let forget = files.expect_forget_files().once().in_sequence(&mut order);
        forget.withf(|files| *files == [file_id(1)]).returning(|_| Ok(()));
        let end = repository.expect_loose().once().in_sequence(&mut order);
        end.withf(|_, after| *after == Some(file_id(7))).returning(|_, _| Ok(Loose { files: Vec::new(), next: None }));
        blobs.expect_clear_unfinished().once().in_sequence(&mut order).returning(|_| Ok(0));
        // A database that was not looked after before has lost nothing.
        blobs.expect_list().never();
        let expired = Expired::default();
        let done = Kept::Done { sessions: 0, expired, loose: 1, unfinished: 0, lost: 0, strange: 0 };
        assert_eq!(outcome(keep_up(repository, files, blobs).run()).unwrap(), done);
    }

    #[test]
    fn more_lost_blobs_than_known_ones_are_strange() {
        for (lost, known, strange) in [(10, 0, false), (11, 10, true), (11, 11, false), (5_000, 4_999, true)] {
            assert_eq!(are_strange(lost, known), strange, "{lost} {known}");
        }
    }

    /// What becomes of blobs that come in pages of 100 and of which files know the first `known`; of the others every
    /// second one is old.
    fn lost_of(known: u128, unknown: u128) -> (usize, u64) {
        let (mut repository, mut blobs) = (MockUpkeepRepository::new(), MockBlobStore::new());
        let believed = Evidence { believed: Some(at(NOW)), ..Evidence::default() };
        repository.expect_evidence().returning(move || Ok(believed));
        repository.expect_believe().returning(|_, _| Ok(true));
        repository.expect_loose().returning(|_, _| Ok(Loose { files: Vec::new(), next: None }));
        let is_unknown = move |id: &FileId| id.0.as_u128() > known;
        repository.expect_unknown().returning(move |ids| Ok(ids.into_iter().filter(is_unknown).collect()));
        blobs.expect_clear_unfinished().returning(|_| Ok(0));
        blobs.expect_list().returning(move |after| {
            let begin = after.map_or(0, |id| id.0.as_u128());
            let end = (begin + 100).min(known + unknown);
            let next = (end < known + unknown).then(|| file_id(end));
            Ok(BlobPage { blobs: (begin + 1..=end).map(file_id).collect(), next })
        });
        blobs.expect_stored_before().returning(move |ids, before| {
            assert!(before == at(NOW - DAY) && ids.len() <= LOST_AT_ONCE && ids.iter().all(is_unknown));
            Ok(ids.into_iter().filter(|id| id.0.as_u128().is_multiple_of(2)).collect())
        });
        blobs.expect_remove().withf(move |id| is_unknown(id) && id.0.as_u128().is_multiple_of(2)).returning(|_| Ok(()));
        match outcome(keep_up(repository, MockRetentionRepository::new(), blobs).run()).unwrap() {
            Kept::Done { lost, strange, .. } => (lost, strange),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn blobs_that_no_file_knows_go_when_they_are_old_and_few() {
        for (known, unknown, outcome) in [
            (0, 0, (0, 0)),
            (0, 1, (0, 0)),
            (0, 10, (5, 0)),
            (4, 50, (0, 50)),
            (250, 60, (30, 0)),
            (4_000, 3_000, (500, 0)),
            (2_000, 3_000, (0, 3_000)),
        ] {
            assert_eq!(lost_of(known, unknown), outcome, "{known} {unknown}");
        }
    }
}
