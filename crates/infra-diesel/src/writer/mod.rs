//! The write path: one door for everything that changes, and one `fsync` for everything that waits.
//!
//! Callers queue in a bounded channel; a writer takes all that waits (up to [`BATCH`]), does it in **one** transaction,
//! commits, and only then publishes the events and answers each caller. So the cost of a durable commit is shared by
//! all who wait for it, answers never run ahead of the disk, and events leave in commit order.
//!
//! On SQLite one writer owns the one writing connection. On Postgres there are several, each batch its own
//! transaction; everything of one conversation goes through the same of them.

mod append;
mod batch;
mod replay;
mod statements;

pub use replay::content_digest;

use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::readers::within;
use crate::connection::{AnyConnection, DatabaseUrl};
use crate::error::{DbError, DbResult, damage, is_out_of_reach, is_undone};
use crate::tables::rows::ConversationRow;
use crate::telemetry::METRICS;
use crate::transaction::quotas::Counts;
use crate::transaction::revisions::Revisions;
use crate::transaction::room::Room;
use domain::ConversationId;
use domain::events::{Event, EventPublisher, Head, Revision};
use domain::files::Growth;
use domain::messages::{Appended, Draft};
use domain::users::ServerPolicy;
use domain::{Error, Unavailable};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How many jobs may wait before more are refused (`DESIGN.md`, section 3).
const QUEUE: usize = 8192;
/// How many jobs one transaction takes at the most.
const BATCH: usize = 512;

/// Called when it is unknown what a commit did: the process must end, so that the truth is read from the disk.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Why a whole transaction came to nothing.
#[derive(Debug, Clone, Copy)]
enum BatchFailed {
    /// The disk is full: nothing was kept.
    StorageFull,
    /// The database is out of reach: what was kept is unknown.
    OutOfReach,
}

impl From<BatchFailed> for Error {
    fn from(failed: BatchFailed) -> Self {
        match failed {
            BatchFailed::StorageFull => Self::StorageFull,
            BatchFailed::OutOfReach => Unavailable::StorageOutOfReach.into(),
        }
    }
}

/// What a job may use: the connection inside the batch's transaction, and where to put what it made happen.
pub struct Tx<'a> {
    /// Inside a transaction that holds the write lock (SQLite), or its own (Postgres).
    pub conn: &'a mut AnyConnection,
    /// Published after the commit, in this order.
    pub events: &'a mut Vec<Event>,
    /// Where the conversations stood that it touches.
    pub heads: &'a mut Heads,
    /// What may still be written to the disk.
    room: &'a mut Room,
    /// What becomes more or less of what counts against quotas.
    pub counts: &'a mut Counts,
    /// The transaction's place in the order of all: goes into every row that live connections resume by.
    pub revision: i64,
}

/// Where conversations stood before a transaction.
pub type Heads = HashMap<ConversationId, Head>;

impl Tx<'_> {
    /// Takes note of where a locked conversation stands; to be called before anything of it is changed. An event of a
    /// conversation that was not held goes out, but other nodes have to ask the database what came before it.
    pub fn hold(&mut self, row: &ConversationRow) {
        self.heads.entry(row.id.into()).or_insert_with(|| row.head());
    }

    /// Takes note of a conversation that this transaction makes.
    pub fn hold_new(&mut self, conversation: ConversationId) {
        self.heads.entry(conversation).or_insert(Head::NEW);
    }

    /// To be called before anything is written that lets the database grow.
    ///
    /// # Errors
    /// [`Error::StorageFull`] where the disk has no room left for it.
    pub fn grow(&mut self, what: Growth) -> DbResult<()> {
        Ok(self.room.take(what)?)
    }

    /// What a change of the group or its members, which is held, is marked with.
    pub fn roster_mark(&self, of: ConversationId) -> i64 {
        roster_mark(self.conn, self.heads.get(&of), self.revision)
    }
}

/// What is to become of what a job wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is kept.
    Keep,
    /// A rule or a fault said no.
    Undo,
    /// Another transaction was in the way, and the database undid this one: done again, it may fare better.
    Again,
    /// The connection is of no use: it broke, or its session takes no writes.
    Lost,
    /// The database is damaged: nothing of the whole transaction is kept.
    Damaged,
}

/// A job that is no append. What it wrote may be undone, and the job done again.
trait Work: Send {
    /// Does it inside a transaction.
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict;

    /// What the database said of its damage the last time.
    fn damage(&self) -> &str;

    /// Tells its caller how it ended, once the transaction has.
    fn finish(self: Box<Self>, ended: Result<(), BatchFailed>);
}

/// Work that somebody waits for.
struct Awaited<T, F> {
    work: F,
    /// What came of it the last time.
    outcome: Option<DbResult<T>>,
    answer: oneshot::Sender<domain::Result<T>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> DbResult<T> + Send> Work for Awaited<T, F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        let outcome = (self.work)(tx).and_then(|done| {
            std::mem::take(tx.counts).write(tx.conn)?;
            Ok(done)
        });
        let verdict = verdict(&outcome);
        self.outcome = Some(outcome);
        verdict
    }

    fn damage(&self) -> &str {
        match &self.outcome {
            Some(Err(DbError::Database(error))) => damage(error).unwrap_or_default(),
            _ => "",
        }
    }

    fn finish(self: Box<Self>, ended: Result<(), BatchFailed>) {
        let outcome = match (self.outcome, ended) {
            (Some(outcome), Ok(())) => outcome,
            // A refusal was one before the transaction failed, too.
            (Some(outcome), Err(failed)) => outcome.and(Err(DbError::Rule(failed.into()))),
            (None, failed) => Err(DbError::Rule(failed.err().unwrap_or(BatchFailed::OutOfReach).into())),
        };
        // Who asked may be gone by now.
        let _ = self.answer.send(outcome.map_err(Error::from));
    }
}

/// Work that may be lost and that nobody waits for.
struct Deferred<F>(F, String);

impl<F: FnMut(&mut Tx<'_>) -> DbResult<()> + Send> Work for Deferred<F> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        let outcome = (self.0)(tx).and_then(|()| std::mem::take(tx.counts).write(tx.conn));
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a deferred write failed");
            self.1 = error.to_string();
        }
        verdict(&outcome)
    }

    fn damage(&self) -> &str {
        &self.1
    }

    fn finish(self: Box<Self>, _: Result<(), BatchFailed>) {}
}

fn verdict<T>(outcome: &DbResult<T>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Keep,
        Err(DbError::Database(error)) if is_undone(error) => Verdict::Again,
        Err(DbError::Database(error)) if is_out_of_reach(error) => Verdict::Lost,
        Err(DbError::Database(error)) if damage(error).is_some() => Verdict::Damaged,
        Err(_) => Verdict::Undo,
    }
}

enum Job {
    /// The hot one: many of them share their look-ups and their statements.
    Append(Box<Draft>, oneshot::Sender<domain::Result<Appended>>),
    /// Anything else.
    Work(Box<dyn Work>),
}

impl Job {
    /// It came to nothing as often as it was tried.
    fn give_up(self) {
        match self {
            // Who asked may be gone by now.
            Self::Append(_, answer) => drop(answer.send(Unavailable::Overloaded.err())),
            Self::Work(work) => work.finish(Ok(())),
        }
    }
}

/// A job in the queue.
struct Queued {
    job: Job,
    since: Instant,
}

/// What every writer works with.
#[derive(Clone)]
pub struct Context {
    /// Where the data is.
    pub url: DatabaseUrl,
    /// The operator's rules.
    pub policy: Arc<ServerPolicy>,
    /// Where committed events go.
    pub events: Arc<dyn EventPublisher>,
    /// Ends the process.
    pub fatal: Fatal,
    /// Kept up to date.
    pub revisions: Arc<Revisions>,
    /// Who is told of damage.
    pub health: Arc<Health>,
    /// How many thousands of SQLite's steps the writer has taken so far.
    pub steps: Arc<AtomicU64>,
    /// Held until the last connection is closed.
    pub _lock: Option<Arc<DatabaseLock>>,
}

/// Writes until the queue is closed. A server that goes on without one of its writers would be well by all signs, and store
/// nothing.
fn watched(context: Context, jobs: mpsc::Receiver<Queued>) {
    let fatal = Arc::clone(&context.fatal);
    let run = std::panic::AssertUnwindSafe(|| batch::Writer::new(context).run(jobs));
    if std::panic::catch_unwind(run).is_err() {
        fatal("a writer panicked, what it stored last is unknown");
    }
}

/// The door.
pub struct Writers {
    count: usize,
    /// How long callers wait; `None`: as long as it takes.
    patience: Option<Duration>,
    /// Empty once closed.
    queues: RwLock<Vec<mpsc::Sender<Queued>>>,
    health: Arc<Health>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Writers {
    /// Starts `count` writers.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(count: usize, context: Context) -> std::io::Result<Self> {
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for n in 0..count {
            let (queue, jobs) = mpsc::channel(QUEUE);
            let context = context.clone();
            let thread =
                std::thread::Builder::new().name(format!("db-write-{n}")).spawn(move || watched(context, jobs))?;
            queues.push(queue);
            threads.push(thread);
        }
        let (patience, health) = (context.url.patience(), context.health);
        Ok(Self { count, patience, queues: RwLock::new(queues), health, threads: Mutex::new(threads) })
    }

    /// Whether writes need to be sharded at all.
    pub fn sharded(&self) -> bool {
        self.count > 1
    }

    /// Puts the job in the queue of its shard, or says at once that it cannot be taken.
    fn submit(&self, shard: Uuid, job: Job) -> domain::Result<()> {
        if self.health.refuses_writes() {
            return Unavailable::StorageOutOfReach.err();
        }
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        // The tail of a UUIDv7 is random; its head is the clock.
        let Some(queue) = queues.get(usize::from(shard.as_bytes()[15]) % self.count) else {
            return Unavailable::Stopping.err();
        };
        METRICS.write_queue.increment(1.0);
        queue.try_send(Queued { job, since: Instant::now() }).map_err(|refused| {
            METRICS.write_queue.decrement(1.0);
            match refused {
                mpsc::error::TrySendError::Full(_) => Error::from(Unavailable::Overloaded),
                mpsc::error::TrySendError::Closed(_) => Error::from(Unavailable::Stopping),
            }
        })
    }

    /// Waits for the outcome of a job. Who is told that the database is out of reach does not know what was stored.
    async fn answer<T>(&self, answered: oneshot::Receiver<domain::Result<T>>) -> domain::Result<T> {
        within(self.patience, answered).await?.unwrap_or_else(|_| Unavailable::StorageOutOfReach.err())
    }

    /// Appends a message; answers when it is on disk.
    ///
    /// # Errors
    /// Those of [`domain::messages::MessageLog::append`].
    pub async fn append(&self, shard: Uuid, draft: Draft) -> domain::Result<Appended> {
        let (answer, answered) = oneshot::channel();
        self.submit(shard, Job::Append(Box::new(draft), answer))?;
        self.answer(answered).await
    }

    /// Does `work` in a transaction (its own part of one); answers when it is on disk. What fails leaves nothing behind. Where
    /// other transactions were in the way, it is done once more.
    ///
    /// # Errors
    /// The work's, [`Unavailable`] and [`Error::StorageFull`].
    pub async fn run<T: Send + 'static>(
        &self,
        shard: Uuid,
        work: impl FnMut(&mut Tx<'_>) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let (answer, answered) = oneshot::channel();
        self.submit(shard, Job::Work(Box::new(Awaited { work, outcome: None, answer })))?;
        self.answer(answered).await
    }

    /// Like [`Writers::run`], for what may be lost and nobody waits for.
    pub fn run_later(&self, shard: Uuid, work: impl FnMut(&mut Tx<'_>) -> DbResult<()> + Send + 'static) {
        // A full queue has more important things in it.
        let _ = self.submit(shard, Job::Work(Box::new(Deferred(work, String::new()))));
    }

    /// Takes no more, and waits until all that was taken is done. Blocks.
    pub fn close(&self) {
        self.queues.write().unwrap_or_else(PoisonError::into_inner).clear();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a writer had panicked");
            }
        }
    }
}

/// What a change of a group or its members is marked with, in a transaction of that revision that found the conversation at this
/// head.
fn roster_mark(conn: &AnyConnection, before: Option<&Head>, revision: i64) -> i64 {
    match conn {
        // The one writer's revisions only grow.
        AnyConnection::Sqlite(_) => revision,
        AnyConnection::Postgres(_) => before.map_or(revision, |head| head.roster_after(Revision(revision)).0),
    }
}
