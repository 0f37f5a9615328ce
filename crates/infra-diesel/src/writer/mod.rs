//! The write path: one writer for all changes, and one `fsync` for all jobs that wait.
//!
//! Callers queue jobs in a bounded channel. A writer takes all waiting jobs (up to [`MAX_BATCH`](batch::MAX_BATCH)),
//! runs them in **one** transaction, commits, and only then publishes the events and answers the callers. So callers
//! share the cost of a durable commit, no answer comes before the data is on disk, and events leave in commit order.
//!
//! On SQLite one writer owns the one writing connection. On Postgres there are several writers, and each batch is a
//! separate transaction; one of them handles everything of a conversation.

mod append;
mod batch;
mod checks;
mod job;
mod memory;
mod replay;
mod statements;

pub use job::Context;
pub use replay::content_digest;

use crate::connection::health::Health;
use crate::connection::readers::within;
use crate::error::DbResult;
use crate::mailbox::Answer;
use crate::telemetry::METRICS;
use crate::transaction::tx::Tx;
use crate::writer::job::{Awaited, Deferred, Job, Queued};
use domain::messages::{Appended, NewMessage};
use domain::{Error, Unavailable};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How many jobs may wait before the queue refuses more.
const MAX_QUEUED: usize = 8192;

/// Runs a writer until the queue is closed. A panic ends the process: without one of its writers the server would look
/// healthy and store nothing.
fn run_or_end_process(context: Context, jobs: mpsc::Receiver<Queued>) {
    let fatal = Arc::clone(&context.fatal);
    let run = std::panic::AssertUnwindSafe(|| batch::Writer::new(context).run(jobs));
    if std::panic::catch_unwind(run).is_err() {
        fatal("a writer panicked, what it stored last is unknown");
    }
}

/// The queues to the writers.
pub struct Writers {
    count: usize,
    /// How long callers wait. `None`: until the answer comes.
    timeout: Option<Duration>,
    /// Empty once closed.
    queues: RwLock<Vec<mpsc::Sender<Queued>>>,
    health: Arc<Health>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Writers {
    /// Starts `count` writers.
    ///
    /// # Errors
    /// If a thread does not start.
    pub fn start(count: usize, context: Context) -> std::io::Result<Self> {
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for n in 0..count {
            let (queue, jobs) = mpsc::channel(MAX_QUEUED);
            let context = context.clone();
            let thread = std::thread::Builder::new()
                .name(format!("db-write-{n}"))
                .spawn(move || run_or_end_process(context, jobs))?;
            queues.push(queue);
            threads.push(thread);
        }
        let (timeout, health) = (context.url.answer_timeout(), context.health);
        Ok(Self { count, timeout, queues: RwLock::new(queues), health, threads: Mutex::new(threads) })
    }

    /// Whether there are several writers, so that the shard matters.
    pub fn sharded(&self) -> bool {
        self.count > 1
    }

    /// Adds the job to the queue of its shard, or fails at once.
    fn submit(&self, shard: Uuid, job: Job) -> domain::Result<()> {
        if self.health.refuses_writes() {
            return Unavailable::StorageOutOfReach.err();
        }
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        // The tail of a UUIDv7 is random; its head is the time.
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

    /// Waits for the outcome of a job. A caller who gets "out of reach" does not know what the database has stored.
    async fn answer<T>(&self, answered: oneshot::Receiver<domain::Result<T>>) -> domain::Result<T> {
        within(self.timeout, answered).await?.unwrap_or_else(|_| Unavailable::StorageOutOfReach.err())
    }

    /// Appends a message. Answers when it is on disk.
    ///
    /// # Errors
    /// Those of [`domain::messages::MessageLog::append`].
    pub async fn append(&self, shard: Uuid, draft: NewMessage) -> domain::Result<Appended> {
        let (answer, answered) = Answer::channel();
        self.submit(shard, Job::Append(Box::new(draft), answer))?;
        self.answer(answered).await
    }

    /// Runs `work` in a transaction (its own part of one). Answers when the commit is on disk. Failed work leaves
    /// nothing behind. If other transactions were in the way, the writer retries.
    ///
    /// # Errors
    /// Those of `work`, [`Unavailable`] and [`Error::StorageFull`].
    pub async fn run<T: Send + 'static>(
        &self,
        shard: Uuid,
        work: impl FnMut(&mut Tx<'_>) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let (answer, answered) = oneshot::channel();
        self.submit(shard, Job::Work(Box::new(Awaited { work, outcome: None, answer })))?;
        self.answer(answered).await
    }

    /// Like [`Writers::run`], for work that may be lost and has no caller that waits.
    pub fn run_later(&self, shard: Uuid, work: impl FnMut(&mut Tx<'_>) -> DbResult<()> + Send + 'static) {
        // A full queue has more important jobs in it.
        let _ = self.submit(shard, Job::Work(Box::new(Deferred(work, String::new()))));
    }

    /// Refuses further jobs, and waits until all jobs in the queue are done. Blocks.
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
