//! Runs waiting jobs in one transaction.

use super::append::AppendBatch;
use super::job::{BatchFailed, Context, Job, Queued, Verdict, Work};
use super::memory::Memory;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, deadline, is_replan_due};
use crate::error::{DbError, DbResult, damage, is_full, is_out_of_reach, is_undone, violates_unique};
use crate::mailbox::send_all;
use crate::telemetry::METRICS;
use crate::transaction::quotas::Counts;
use crate::transaction::revisions::TransactionStamp;
use crate::transaction::room::Room;
use crate::transaction::tx::{ConversationVersions, Tx};
use domain::events::{Committed, Event, Revision};
use domain::messages::{Appended, NewMessage};
use domain::users::ServerPolicy;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::mpsc;

/// Most jobs of one transaction.
pub const MAX_BATCH: usize = 512;
/// How often the writer retries a job: twice if another node was first with an idempotency key (the second time the key
/// is there), and as often if other transactions were in the way. A deadlock costs the writer a second each time.
const MAX_RETRIES: usize = 2;

/// Owns a writing connection and runs on a thread of its own.
pub(super) struct Writer {
    conn: Option<AnyConnection>,
    uses: u64,
    room: Room,
    /// Of a SQLite file.
    memory: Memory,
    /// Dropped after the connection: it holds the file's lock.
    context: Context,
}

/// The jobs of a transaction and their results.
#[derive(Default)]
struct BatchResult {
    appends: Vec<(Answer, domain::Result<Appended>)>,
    /// Appends that were under way when the transaction failed.
    undecided: Vec<Answer>,
    finishes: Vec<Box<dyn Work>>,
    events: Vec<Event>,
    versions: ConversationVersions,
    /// Whether the transaction is rolled back already, so that there is nothing to commit.
    rolled_back: bool,
    /// Jobs to retry, each in a transaction of its own.
    retries: Vec<Job>,
}

impl BatchResult {
    /// Takes the results of drafts. Returns the drafts if one of them made all of them fail.
    fn take(&mut self, outcome: DbResult<Outcomes>, drafts: Drafts) -> DbResult<Option<(DbError, Drafts)>> {
        match outcome {
            Ok((outcomes, mut events, versions)) => {
                self.events.append(&mut events);
                for (of, version) in versions {
                    self.versions.entry(of).or_insert(version);
                }
                self.appends.extend(drafts.into_iter().map(|(_, answer)| answer).zip(outcomes));
                Ok(None)
            }
            Err(failed) if is_fault_of_a_draft(&failed) => Ok(Some((failed, drafts))),
            Err(failed) => {
                self.undecided.extend(drafts.into_iter().map(|(_, answer)| answer));
                Err(failed)
            }
        }
    }

    /// Answers the callers. The transaction has ended.
    fn answer(self) {
        send_all(self.appends);
        self.finishes.into_iter().for_each(|work| work.finish(Ok(())));
    }
}

impl Writer {
    pub(super) fn new(context: Context) -> Self {
        let room = Room::of(&context.url, context.policy.reserve);
        Self { conn: None, uses: 0, room, memory: Memory::default(), context }
    }

    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Queued>) {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        let timeout = self.context.url.answer_timeout();
        while jobs.blocking_recv_many(&mut waiting, MAX_BATCH) > 0 {
            let taken = waiting.len() as f64;
            METRICS.write_queue.decrement(taken);
            METRICS.write_batch.record(taken);
            // The writer skips jobs whose caller has already been told that they failed, so that the report stays true.
            let awaited = |queued: &Queued| timeout.is_none_or(|timeout| queued.since.elapsed() < timeout);
            let awaited = waiting.drain(..).filter(awaited).map(|queued| queued.job);
            match self.context.url {
                DatabaseUrl::Sqlite(_) => drop(self.transaction(awaited.collect())),
                DatabaseUrl::Postgres(_) => {
                    for run in split_by_kind(awaited) {
                        let begun = Instant::now();
                        let mut again = self.transaction(run);
                        for _ in 0..MAX_RETRIES {
                            // No caller waits for these jobs any more, and other jobs have waited long enough.
                            if timeout.is_some_and(|timeout| begun.elapsed() >= timeout) {
                                break;
                            }
                            again = again.into_iter().flat_map(|job| self.transaction(vec![job])).collect();
                        }
                        again.into_iter().for_each(Job::give_up);
                    }
                }
            }
        }
    }

    /// Runs all `jobs` in one transaction, in their order. Returns the jobs to retry one by one: on Postgres a
    /// transaction has jobs of one kind ([`split_by_kind`]) and keeps all or nothing, which saves the round trips of
    /// savepoints.
    fn transaction(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let shared = matches!(self.context.url, DatabaseUrl::Sqlite(_));
        let mut done = BatchResult::default();
        let mut jobs = jobs.into_iter();
        let policy = std::sync::Arc::clone(&self.context.policy);
        let health = std::sync::Arc::clone(&self.context.health);
        let mut stamp = None;
        let mut lost = false;
        let mut room = std::mem::take(&mut self.room);
        // A transaction that fails leaves nothing to remember.
        let mut memory = std::mem::take(&mut self.memory);
        let outcome = self.begin().and_then(|(conn, begun)| {
            stamp = Some(begun);
            room.look(conn);
            while let Some(job) = jobs.next() {
                match job {
                    Job::Append(draft, answer) => {
                        let mut drafts = vec![(draft, answer)];
                        while let [Job::Append(..), ..] = jobs.as_slice() {
                            if let Some(Job::Append(draft, answer)) = jobs.next() {
                                drafts.push((draft, answer));
                            }
                        }
                        let append = if shared { append_all } else { append_alone };
                        append(conn, (&policy, &mut room, &mut memory), begun.revision, drafts, &mut done)?;
                    }
                    Job::Work(mut work) => {
                        let mut events = Vec::new();
                        if work.changes_what_appends_read() {
                            memory.clear();
                        }
                        if shared {
                            conn.begin_savepoint()?;
                        }
                        let verdict = work.run(&mut Tx {
                            conn,
                            events: &mut events,
                            versions: &mut done.versions,
                            room: &mut room,
                            counts: &mut Counts::default(),
                            revision: begun.revision,
                        });
                        if verdict == Verdict::Damaged {
                            health.record_damage(work.damage());
                            done.finishes.push(work);
                            return Err(domain::Error::from(domain::Unavailable::StorageOutOfReach).into());
                        }
                        match verdict {
                            Verdict::Retry if !shared => done.retries.push(Job::Work(work)),
                            _ => done.finishes.push(work),
                        }
                        if verdict != Verdict::Keep {
                            // The session was read-only from its start, and would refuse every later job.
                            lost |= verdict == Verdict::Lost;
                            conn.rollback()?;
                            done.rolled_back = !shared;
                        } else if shared {
                            conn.commit()?;
                        }
                        if verdict == Verdict::Keep {
                            done.events.append(&mut events);
                        }
                    }
                }
            }
            Ok(())
        });
        self.room = room;
        self.context.steps.store(deadline::steps(), Ordering::Relaxed);

        let again = std::mem::take(&mut done.retries);
        match outcome {
            Ok(()) if done.rolled_back => done.answer(),
            Ok(()) => {
                if self.commit(done, stamp) && shared {
                    memory.bound();
                    self.memory = memory;
                }
            }
            Err(error) => self.fail(done, jobs, &error),
        }
        if lost {
            self.conn = None;
        }
        if let Some(stamp) = stamp {
            self.context.revisions.done(stamp);
        }
        again
    }

    /// Begins a transaction. A connection that was lost while idle is replaced: no job has used it yet.
    fn begin(&mut self) -> DbResult<(&mut AnyConnection, TransactionStamp)> {
        self.uses += 1;
        let plan = |mut conn: AnyConnection| {
            if is_replan_due(self.uses) {
                conn.replan()?;
            }
            begin_on(conn, &self.context)
        };
        let begun = self.conn.take().map(plan);
        let (conn, stamp) = match begun {
            Some(Err(DbError::Database(error))) if is_out_of_reach(&error) => begin_on(self.open()?, &self.context),
            None => begin_on(self.open()?, &self.context),
            Some(begun) => begun,
        }?;
        Ok((self.conn.insert(conn), stamp))
    }

    fn open(&self) -> DbResult<AnyConnection> {
        let opened = AnyConnection::open(&self.context.url, Purpose::Write);
        opened.map_err(|error| DbError::NoConnection(error.to_string()))
    }

    /// Returns whether the transaction was committed.
    fn commit(&mut self, mut done: BatchResult, stamp: Option<TransactionStamp>) -> bool {
        let (Some(conn), Some(stamp)) = (&mut self.conn, stamp) else { return false };
        let begun = Instant::now();
        let outcome = conn.commit();
        METRICS.commit.record(begun.elapsed());
        match outcome {
            Ok(()) => {
                let stored = |(_, outcome): &&_| matches!(outcome, Ok(Appended::Stored(_)));
                METRICS.messages.increment(done.appends.iter().filter(stored).count() as u64);
                if let DatabaseUrl::Sqlite(_) = self.context.url {
                    self.context.revisions.committed(stamp.cursor);
                }
                if !done.events.is_empty() {
                    let cursor = self.context.revisions.cursor(stamp);
                    let events = std::mem::take(&mut done.events);
                    let versions = std::mem::take(&mut done.versions);
                    let revision = Revision(stamp.revision);
                    self.context.events.publish(Committed { events, versions, revision, cursor });
                }
                done.answer();
                return true;
            }
            Err(error) if is_full(&error) => self.fail(done, Vec::new().into_iter(), &error.into()),
            Err(error) => {
                if let DatabaseUrl::Sqlite(_) = self.context.url {
                    // After a failed fsync only the disk knows what is on the disk.
                    (self.context.fatal)(&format!("a commit failed, what it stored is unknown: {error}"));
                }
                // Postgres may have committed without being able to report it.
                if !done.events.is_empty() {
                    self.context.events.lost();
                }
                self.fail(done, Vec::new().into_iter(), &error.into());
            }
        }
        false
    }

    /// Fails every job: the transaction has stored nothing, or its outcome is unknown. The jobs of `rest` did not
    /// begin.
    fn fail(&mut self, done: BatchResult, rest: std::vec::IntoIter<Job>, error: &DbError) {
        match error {
            // Each caller gets an error and logs it: one line here is enough.
            DbError::Database(error) if is_full(error) => tracing::debug!(%error, "a batch of writes found no room"),
            _ => tracing::error!(%error, "a batch of writes failed"),
        }
        self.context.health.record_error(error);
        METRICS.write_failures.increment(1);
        // The connection is in an unknown state: rolled back by the database, or broken.
        self.conn = None;
        let failed = match error {
            DbError::Database(error) if is_full(error) => BatchFailed::StorageFull,
            _ => BatchFailed::OutOfReach,
        };
        send_all(done.appends.into_iter().map(|(answer, outcome)| (answer, outcome.and(Err(failed.into())))));
        send_all(done.undecided.into_iter().map(|answer| (answer, Err(failed.into()))));
        done.finishes.into_iter().for_each(|work| work.finish(Err(failed)));
        for job in rest {
            match job {
                Job::Append(_, answer) => answer.send(Err(failed.into())),
                // Dropped without a run: the closed channel tells the caller.
                Job::Work(work) => drop(work),
            }
        }
    }
}

fn begin_on(mut conn: AnyConnection, context: &Context) -> DbResult<(AnyConnection, TransactionStamp)> {
    conn.begin_write()?;
    let stamp = context.revisions.stamp(&mut conn)?;
    Ok((conn, stamp))
}

/// Appends `drafts` together. If one of them makes all fail, appends them one by one.
fn append_all(
    conn: &mut AnyConnection,
    (policy, room, memory): Means<'_>,
    revision: i64,
    drafts: Drafts,
    done: &mut BatchResult,
) -> DbResult<()> {
    let mark = (revision, done.appends.len() as i64);
    let together = conn.savepoint(|conn| append_together(conn, (policy, &mut *room, &mut *memory), mark, &drafts));
    if together.is_err() {
        memory.clear();
    }
    let Some((failed, drafts)) = done.take(together, drafts)? else { return Ok(()) };
    tracing::warn!(error = %failed, messages = drafts.len(), "a batch of messages failed, redoing it one by one");
    for draft in drafts {
        let mark = (revision, done.appends.len() as i64);
        let one = std::slice::from_ref(&draft);
        let alone = conn.savepoint(|conn| append_together(conn, (policy, &mut *room, &mut *memory), mark, one));
        if alone.is_err() {
            memory.clear();
        }
        let Some((failed, drafts)) = done.take(alone, vec![draft])? else { continue };
        done.appends.extend(drafts.into_iter().map(|(_, answer)| answer).zip([Err(failed.into())]));
    }
    Ok(())
}

/// Appends `drafts` in a transaction that has nothing else in it. If one of them makes all fail, they are retried one
/// by one.
fn append_alone(
    conn: &mut AnyConnection,
    (policy, room, memory): Means<'_>,
    revision: i64,
    drafts: Drafts,
    done: &mut BatchResult,
) -> DbResult<()> {
    let together = append_together(conn, (policy, room, memory), (revision, 0), &drafts);
    let Some((failed, drafts)) = done.take(together, drafts)? else { return Ok(()) };
    conn.rollback()?;
    done.rolled_back = true;
    // Another node has stored a message under the same key since this node looked for it: in another conversation, or
    // in one that neither node could lock because it did not exist yet.
    let was_first = matches!(&failed, DbError::Database(error) if violates_unique(error, "client_id"));
    let was_undone = matches!(&failed, DbError::Database(error) if is_undone(error));
    if drafts.len() == 1 && !was_first && !was_undone {
        done.appends.extend(drafts.into_iter().map(|(_, answer)| answer).zip([Err(failed.into())]));
    } else {
        if !was_first {
            tracing::warn!(error = %failed, messages = drafts.len(), "a batch of messages failed, redoing it one by one");
        }
        done.retries.extend(drafts.into_iter().map(|(draft, answer)| Job::Append(draft, answer)));
    }
    Ok(())
}

/// What a batch works with: the operator's rules, the room on the disk, and what the writer remembers.
type Means<'a> = (&'a ServerPolicy, &'a mut Room, &'a mut Memory);
type Answer = crate::mailbox::Answer<domain::Result<Appended>>;
type Drafts = Vec<(Box<NewMessage>, Answer)>;
type Outcomes = (Vec<domain::Result<Appended>>, Vec<Event>, ConversationVersions);

/// `mark` is the transaction's revision, and the number of messages that it has appended before.
fn append_together(
    conn: &mut AnyConnection,
    (policy, room, memory): Means<'_>,
    mark: (i64, i64),
    drafts: &[(Box<NewMessage>, Answer)],
) -> DbResult<Outcomes> {
    let known = std::mem::take(memory);
    let mut batch = AppendBatch::begin(conn, (policy, room), mark, known, drafts.iter().map(|(draft, _)| &**draft))?;
    let outcomes = drafts.iter().map(|(draft, _)| batch.append(draft)).collect::<DbResult<_>>()?;
    let (events, versions, known) = batch.finish()?;
    *memory = known;
    Ok((outcomes, events, versions))
}

/// Whether another batch may succeed. Not if the disk is full, or the database is out of reach or damaged.
fn is_fault_of_a_draft(error: &DbError) -> bool {
    matches!(error, DbError::Database(error) if !is_full(error) && !is_out_of_reach(error) && damage(error).is_none())
}

/// On Postgres, consecutive appends share a transaction. Everything else has a separate one, and holds row locks only
/// for itself.
fn split_by_kind(jobs: impl Iterator<Item = Job>) -> Vec<Vec<Job>> {
    let mut split_by_kind: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        match (&job, split_by_kind.last_mut()) {
            (Job::Append(..), Some(run)) if matches!(run[..], [Job::Append(..), ..]) => run.push(job),
            _ => split_by_kind.push(vec![job]),
        }
    }
    split_by_kind
}
