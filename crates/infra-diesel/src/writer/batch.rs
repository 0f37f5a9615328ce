//! Batches: what waits, in one transaction.

use super::append::AppendBatch;
use super::{BATCH, BatchFailed, Context, Heads, Job, Queued, Tx, Verdict, Work};
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, deadline, is_to_plan_anew};
use crate::error::{DbError, DbResult, damage, is_full, is_out_of_reach, is_undone, violates_unique};
use crate::telemetry::METRICS;
use crate::transaction::quotas::Counts;
use crate::transaction::revisions::Place;
use crate::transaction::room::Room;
use domain::events::{Committed, Event, Revision};
use domain::messages::{Appended, Draft};
use domain::users::ServerPolicy;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// How often a job is done again at the most: twice where another node was first with an idempotency key (the second time it is
/// there), and as often where other transactions were in the way. A deadlock costs the writer a second each time.
const AGAIN: usize = 2;

type Answer = oneshot::Sender<domain::Result<Appended>>;

/// Owns a writing connection; lives on a thread of its own.
pub(super) struct Writer {
    conn: Option<AnyConnection>,
    uses: u64,
    room: Room,
    /// Dropped after the connection: it holds the file's lock.
    context: Context,
}

/// Jobs that share a transaction, and what they came to.
#[derive(Default)]
struct Done {
    appends: Vec<(Answer, domain::Result<Appended>)>,
    /// Appends that were being done when the transaction failed.
    undecided: Vec<Answer>,
    finishes: Vec<Box<dyn Work>>,
    events: Vec<Event>,
    heads: Heads,
    /// Whether the transaction was rolled back already: nothing is to be committed.
    rolled_back: bool,
    /// What has to be done again, each in a transaction of its own.
    again: Vec<Job>,
}

impl Done {
    /// Takes in what drafts came to, or gives them back where the reason that they failed lies in one of them.
    fn take(&mut self, outcome: DbResult<Outcomes>, drafts: Drafts) -> DbResult<Option<(DbError, Drafts)>> {
        match outcome {
            Ok((outcomes, mut events, heads)) => {
                self.events.append(&mut events);
                for (of, head) in heads {
                    self.heads.entry(of).or_insert(head);
                }
                self.appends.extend(drafts.into_iter().map(|(_, answer)| answer).zip(outcomes));
                Ok(None)
            }
            Err(failed) if lies_in_a_draft(&failed) => Ok(Some((failed, drafts))),
            Err(failed) => {
                self.undecided.extend(drafts.into_iter().map(|(_, answer)| answer));
                Err(failed)
            }
        }
    }

    /// Tells the callers how it ended: the transaction has.
    fn answer(self) {
        for (answer, outcome) in self.appends {
            // Who asked may be gone by now.
            let _ = answer.send(outcome);
        }
        self.finishes.into_iter().for_each(|work| work.finish(Ok(())));
    }
}

impl Writer {
    pub(super) fn new(context: Context) -> Self {
        let room = Room::of(&context.url, context.policy.reserve);
        Self { conn: None, uses: 0, room, context }
    }

    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Queued>) {
        let mut waiting = Vec::with_capacity(BATCH);
        let patience = self.context.url.patience();
        while jobs.blocking_recv_many(&mut waiting, BATCH) > 0 {
            let taken = waiting.len() as f64;
            METRICS.write_queue.decrement(taken);
            METRICS.write_batch.record(taken);
            // Who waited longer has been told that it failed: then it had better.
            let awaited = |queued: &Queued| patience.is_none_or(|patience| queued.since.elapsed() < patience);
            let awaited = waiting.drain(..).filter(awaited).map(|queued| queued.job);
            match self.context.url {
                DatabaseUrl::Sqlite(_) => drop(self.transaction(awaited.collect())),
                DatabaseUrl::Postgres(_) => {
                    for run in runs(awaited) {
                        let begun = Instant::now();
                        let mut again = self.transaction(run);
                        for _ in 0..AGAIN {
                            // Once nobody waits any more, others have waited long enough for this.
                            if patience.is_some_and(|patience| begun.elapsed() >= patience) {
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

    /// All of `jobs` in one transaction, in their order. Gives what has to be done again one by one: on Postgres a
    /// transaction is of one kind ([`runs`]) and keeps all or nothing, which saves the round trips of savepoints.
    fn transaction(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let shared = matches!(self.context.url, DatabaseUrl::Sqlite(_));
        let mut done = Done::default();
        let mut jobs = jobs.into_iter();
        let policy = std::sync::Arc::clone(&self.context.policy);
        let health = std::sync::Arc::clone(&self.context.health);
        let mut place = None;
        let mut lost = false;
        let mut room = std::mem::take(&mut self.room);
        let outcome = self.begin().and_then(|(conn, begun)| {
            place = Some(begun);
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
                        append(conn, (&policy, &mut room), begun.revision, drafts, &mut done)?;
                    }
                    Job::Work(mut work) => {
                        let mut events = Vec::new();
                        if shared {
                            conn.begin_savepoint()?;
                        }
                        let verdict = work.run(&mut Tx {
                            conn,
                            events: &mut events,
                            heads: &mut done.heads,
                            room: &mut room,
                            counts: &mut Counts::default(),
                            revision: begun.revision,
                        });
                        if verdict == Verdict::Damaged {
                            health.report(work.damage());
                            done.finishes.push(work);
                            return Err(domain::Error::from(domain::Unavailable::StorageOutOfReach).into());
                        }
                        match verdict {
                            Verdict::Again if !shared => done.again.push(Job::Work(work)),
                            _ => done.finishes.push(work),
                        }
                        if verdict != Verdict::Keep {
                            // A session that was told to read only when it began would refuse whatever comes after this.
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
        let again = std::mem::take(&mut done.again);
        match outcome {
            Ok(()) if done.rolled_back => done.answer(),
            Ok(()) => self.commit(done, place),
            Err(error) => self.fail(done, jobs, &error),
        }
        if lost {
            self.conn = None;
        }
        if let Some(place) = place {
            self.context.revisions.done(place);
        }
        again
    }

    /// Begins a transaction. A connection that went while nobody used it is opened again: nothing was asked of it yet.
    fn begin(&mut self) -> DbResult<(&mut AnyConnection, Place)> {
        self.uses += 1;
        let plan = |mut conn: AnyConnection| {
            if is_to_plan_anew(self.uses) {
                conn.plan_anew()?;
            }
            begin_on(conn, &self.context)
        };
        let begun = self.conn.take().map(plan);
        let (conn, place) = match begun {
            Some(Err(DbError::Database(error))) if is_out_of_reach(&error) => begin_on(self.open()?, &self.context),
            None => begin_on(self.open()?, &self.context),
            Some(begun) => begun,
        }?;
        Ok((self.conn.insert(conn), place))
    }

    fn open(&self) -> DbResult<AnyConnection> {
        let opened = AnyConnection::open(&self.context.url, Purpose::Write);
        opened.map_err(|error| DbError::NoConnection(error.to_string()))
    }

    fn commit(&mut self, mut done: Done, place: Option<Place>) {
        let (Some(conn), Some(place)) = (&mut self.conn, place) else { return };
        let begun = Instant::now();
        let outcome = conn.commit();
        METRICS.commit.record(begun.elapsed());
        match outcome {
            Ok(()) => {
                let stored = |(_, outcome): &&_| matches!(outcome, Ok(Appended::Stored(_)));
                METRICS.messages.increment(done.appends.iter().filter(stored).count() as u64);
                if let DatabaseUrl::Sqlite(_) = self.context.url {
                    self.context.revisions.committed(place.cursor);
                }
                if !done.events.is_empty() {
                    let cursor = self.context.revisions.cursor(place);
                    let events = std::mem::take(&mut done.events);
                    let heads = std::mem::take(&mut done.heads);
                    let revision = Revision(place.revision);
                    self.context.events.publish(Committed { events, heads, revision, cursor });
                }
                done.answer();
            }
            Err(error) if is_full(&error) => self.fail(done, Vec::new().into_iter(), &error.into()),
            Err(error) => {
                if let DatabaseUrl::Sqlite(_) = self.context.url {
                    // After a failed fsync nobody knows what is on the disk but the disk.
                    (self.context.fatal)(&format!("a commit failed, what it stored is unknown: {error}"));
                }
                // Postgres may have committed and not come to say so.
                if !done.events.is_empty() {
                    self.context.events.lost();
                }
                self.fail(done, Vec::new().into_iter(), &error.into());
            }
        }
    }

    /// Nothing of the transaction was kept, or it is unknown what. `rest` was not begun.
    fn fail(&mut self, done: Done, rest: std::vec::IntoIter<Job>, error: &DbError) {
        match error {
            // Each caller is told, and says so in the log: one line is enough.
            DbError::Database(error) if is_full(error) => tracing::debug!(%error, "a batch of writes found no room"),
            _ => tracing::error!(%error, "a batch of writes failed"),
        }
        self.context.health.note(error);
        METRICS.write_failures.increment(1);
        // The connection is in an unknown state: rolled back by the database, or broken.
        self.conn = None;
        let failed = match error {
            DbError::Database(error) if is_full(error) => BatchFailed::StorageFull,
            _ => BatchFailed::OutOfReach,
        };
        for (answer, outcome) in done.appends {
            let _ = answer.send(outcome.and(Err(failed.into())));
        }
        for answer in done.undecided {
            let _ = answer.send(Err(failed.into()));
        }
        done.finishes.into_iter().for_each(|work| work.finish(Err(failed)));
        for job in rest {
            match job {
                Job::Append(_, answer) => drop(answer.send(Err(failed.into()))),
                // Dropped unrun: the caller is told by the closed channel.
                Job::Work(work) => drop(work),
            }
        }
    }
}

fn begin_on(mut conn: AnyConnection, context: &Context) -> DbResult<(AnyConnection, Place)> {
    conn.begin_write()?;
    let place = context.revisions.of_transaction(&mut conn)?;
    Ok((conn, place))
}

/// Appends `drafts` together; where that fails for a reason that lies in one of them, one by one.
fn append_all(
    conn: &mut AnyConnection,
    (policy, room): (&ServerPolicy, &mut Room),
    revision: i64,
    drafts: Drafts,
    done: &mut Done,
) -> DbResult<()> {
    let mark = (revision, done.appends.len() as i64);
    let together = conn.savepoint(|conn| append_together(conn, (policy, &mut *room), mark, &drafts));
    let Some((failed, drafts)) = done.take(together, drafts)? else { return Ok(()) };
    tracing::warn!(error = %failed, messages = drafts.len(), "a batch of messages failed, redoing it one by one");
    for draft in drafts {
        let mark = (revision, done.appends.len() as i64);
        let alone =
            conn.savepoint(|conn| append_together(conn, (policy, &mut *room), mark, std::slice::from_ref(&draft)));
        let Some((failed, drafts)) = done.take(alone, vec![draft])? else { continue };
        done.appends.extend(drafts.into_iter().map(|(_, answer)| answer).zip([Err(failed.into())]));
    }
    Ok(())
}

/// Appends `drafts` in a transaction that has nothing else in it; where that fails for a reason that lies in one of them,
/// they are to be done again, each in its own.
fn append_alone(
    conn: &mut AnyConnection,
    (policy, room): (&ServerPolicy, &mut Room),
    revision: i64,
    drafts: Drafts,
    done: &mut Done,
) -> DbResult<()> {
    let together = append_together(conn, (policy, room), (revision, 0), &drafts);
    let Some((failed, drafts)) = done.take(together, drafts)? else { return Ok(()) };
    conn.rollback()?;
    done.rolled_back = true;
    // Another node has stored a message under the same key since this one looked for it: to another conversation, or to one that
    // neither had yet to lock.
    let was_first = matches!(&failed, DbError::Database(error) if violates_unique(error, "client_id"));
    let was_undone = matches!(&failed, DbError::Database(error) if is_undone(error));
    if drafts.len() == 1 && !was_first && !was_undone {
        done.appends.extend(drafts.into_iter().map(|(_, answer)| answer).zip([Err(failed.into())]));
    } else {
        if !was_first {
            tracing::warn!(error = %failed, messages = drafts.len(), "a batch of messages failed, redoing it one by one");
        }
        done.again.extend(drafts.into_iter().map(|(draft, answer)| Job::Append(draft, answer)));
    }
    Ok(())
}

type Drafts = Vec<(Box<Draft>, Answer)>;
type Outcomes = (Vec<domain::Result<Appended>>, Vec<Event>, Heads);

/// `mark`: the transaction's revision, and how many messages were appended in it before.
fn append_together(
    conn: &mut AnyConnection,
    (policy, room): (&ServerPolicy, &mut Room),
    mark: (i64, i64),
    drafts: &[(Box<Draft>, Answer)],
) -> DbResult<Outcomes> {
    let mut batch = AppendBatch::begin(conn, (policy, room), mark, drafts.iter().map(|(draft, _)| &**draft))?;
    let outcomes = drafts.iter().map(|(draft, _)| batch.append(draft)).collect::<DbResult<_>>()?;
    let (events, heads) = batch.finish()?;
    Ok((outcomes, events, heads))
}

/// Whether another batch may fare better: not where the disk is full, or the database gone or damaged.
fn lies_in_a_draft(error: &DbError) -> bool {
    matches!(error, DbError::Database(error) if !is_full(error) && !is_out_of_reach(error) && damage(error).is_none())
}

/// On Postgres, appends that follow each other share a transaction and everything else has its own: it holds row locks
/// only for itself.
fn runs(jobs: impl Iterator<Item = Job>) -> Vec<Vec<Job>> {
    let mut runs: Vec<Vec<Job>> = Vec::new();
    for job in jobs {
        match (&job, runs.last_mut()) {
            (Job::Append(..), Some(run)) if matches!(run[..], [Job::Append(..), ..]) => run.push(job),
            _ => runs.push(vec![job]),
        }
    }
    runs
}
