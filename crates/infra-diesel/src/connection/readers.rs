//! Threads that do the waiting: diesel is synchronous, the ports are not.
//!
//! They are few, and everybody's. So one user has no more than a part of them at once, however much the user asks for; the rest of
//! that user's reads wait behind each other, and others pass them.

use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, deadline, is_to_plan_anew};
use crate::error::{DbError, DbResult, is_lost, is_out_of_reach};
use crate::telemetry::METRICS;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use domain::{Error, Unavailable, UserId};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many reads may wait for a thread before more are refused.
const QUEUE: usize = 4096;
/// How many of one user: more than the connections that a user may have.
const QUEUE_OF_USER: usize = 512;

/// Says whether anybody still waits for the outcome.
type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// Whose a read is, if it is somebody's.
type Of = Option<UserId>;

/// What one user has asked for.
#[derive(Default)]
struct Turns {
    /// Reads under way or next in the common queue: never more than a user's share.
    admitted: usize,
    /// Reads that wait for one of those to end.
    parked: VecDeque<Job>,
}

/// What waits for a thread.
struct Queue {
    open: bool,
    next: VecDeque<(Of, Job)>,
    users: HashMap<UserId, Turns>,
    waiting: usize,
    /// How many threads one user may have at once.
    share: usize,
}

impl Queue {
    /// Takes a job in, or says why not.
    fn add(&mut self, of: Of, job: Job) -> Result<(), Unavailable> {
        if !self.open {
            return Err(Unavailable::Stopping);
        }
        if self.waiting >= QUEUE {
            return Err(Unavailable::Overloaded);
        }
        match of {
            Some(user) => {
                let turns = self.users.entry(user).or_default();
                if turns.admitted < self.share {
                    turns.admitted += 1;
                    self.next.push_back((of, job));
                } else if turns.parked.len() < QUEUE_OF_USER {
                    turns.parked.push_back(job);
                } else {
                    return Err(Unavailable::Overloaded);
                }
            }
            None => self.next.push_back((of, job)),
        }
        self.waiting += 1;
        Ok(())
    }

    /// Takes note that a read has ended, and lets the user's next one in, behind everybody else's.
    fn ended(&mut self, of: Of) {
        let Some(user) = of else { return };
        let Some(turns) = self.users.get_mut(&user) else { return };
        match turns.parked.pop_front() {
            Some(job) => self.next.push_back((of, job)),
            None if turns.admitted > 1 => turns.admitted -= 1,
            None => drop(self.users.remove(&user)),
        }
    }
}

/// What callers and threads share.
struct Shared {
    queue: Mutex<Queue>,
    /// Something was put in the queue, or it was closed.
    changed: Condvar,
    /// How many thousands of SQLite's steps the reads have taken.
    steps: AtomicU64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; waits for one. `None` once the queue is closed and nothing is left for this thread.
    fn next(&self) -> Option<(Of, Job)> {
        let mut queue = self.queue();
        loop {
            if let Some(next) = queue.next.pop_front() {
                queue.waiting -= 1;
                return Some(next);
            }
            // What is parked is taken up by the thread that the user's other reads have.
            if !queue.open {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn ended(&self, of: Of) {
        self.queue().ended(of);
        self.changed.notify_one();
    }
}

/// A bounded pool of threads with a connection each.
pub struct Readers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// How long callers wait.
    patience: Duration,
    /// What is said to who has waited so long.
    too_late: Unavailable,
}

impl Readers {
    /// Starts `size` threads over as many connections, opened when first needed. They tell `health` of damage, and hold `lock`
    /// until they end.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(
        url: &DatabaseUrl,
        size: u32,
        health: &Arc<Health>,
        lock: Option<&Arc<DatabaseLock>>,
    ) -> std::io::Result<Self> {
        Self::start_with(url, size, url.read_patience(), health, lock)
    }

    fn start_with(
        url: &DatabaseUrl,
        size: u32,
        patience: Duration,
        health: &Arc<Health>,
        lock: Option<&Arc<DatabaseLock>>,
    ) -> std::io::Result<Self> {
        let share = (size as usize / 2).max(1);
        let queue = Queue { open: true, next: VecDeque::new(), users: HashMap::new(), waiting: 0, share };
        let shared = Shared { queue: Mutex::new(queue), changed: Condvar::new(), steps: AtomicU64::new(0) };
        let shared = Arc::new(shared);
        let mut threads = Vec::new();
        for n in 0..size {
            let (health, lock) = (Arc::clone(health), lock.cloned());
            let reader = Reader { conn: None, url: url.clone(), uses: 0, health, _lock: lock };
            let shared = Arc::clone(&shared);
            let thread =
                std::thread::Builder::new().name(format!("db-read-{n}")).spawn(move || serve(reader, &shared))?;
            threads.push(thread);
        }
        let too_late = match url {
            DatabaseUrl::Sqlite(_) => Unavailable::Overloaded,
            DatabaseUrl::Postgres(_) => Unavailable::StorageOutOfReach,
        };
        Ok(Self { shared, threads: Mutex::new(threads), patience, too_late })
    }

    /// Runs `work` on one of the threads, a second time where the connection turned out to be gone. `of`: for whom; one user has
    /// half of the threads at the most. After [`DatabaseUrl::read_patience`] the caller is told to come again. The thread gives up
    /// then (SQLite), or when the database or the network does (Postgres), and so few are ever stuck as there are.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] where too many wait, or a file has taken too long, [`Unavailable::StorageOutOfReach`] where
    /// there is no connection to be had, [`Unavailable::Stopping`] once closed, and whatever the work says.
    pub async fn run<T: Send + 'static>(
        &self,
        of: Of,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        let until = since + self.patience;
        let shared = Arc::clone(&self.shared);
        let job: Job = Box::new(move |reader| {
            METRICS.read_queue.decrement(1.0);
            METRICS.read_wait.record(since.elapsed());
            // Who asked may be gone by now, and then nobody needs the answer.
            if !answer.is_closed() {
                let (outcome, steps) = deadline::within(until, || reader.run(work));
                shared.steps.fetch_add(steps, Ordering::Relaxed);
                let _ = answer.send(outcome);
            }
        });
        self.submit(of, job)?;
        match tokio::time::timeout(self.patience, answered).await {
            Ok(Ok(outcome)) => outcome.map_err(Error::from),
            // The work panicked: the thread goes on with a fresh connection, the caller gets an error.
            Ok(Err(_)) => Err(Error::internal("a database thread panicked")),
            Err(_) => self.too_late.err(),
        }
    }

    /// Puts the job in the queue, or says at once that it cannot be taken.
    fn submit(&self, of: Of, job: Job) -> domain::Result<()> {
        METRICS.read_queue.increment(1.0);
        let taken = self.shared.queue().add(of, job);
        self.shared.changed.notify_one();
        taken.map_err(|refused| {
            METRICS.read_queue.decrement(1.0);
            Error::from(refused)
        })
    }

    /// How many thousands of SQLite's steps the reads have taken so far: what they cost, whatever the machine's speed.
    pub fn steps(&self) -> u64 {
        self.shared.steps.load(Ordering::Relaxed)
    }

    /// Takes no more, and waits until all that was taken is answered and every connection closed. Blocks.
    pub fn close(&self) {
        self.shared.queue().open = false;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader had panicked");
            }
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // The threads end when nothing is left; nobody waits for them.
        self.shared.queue().open = false;
        self.shared.changed.notify_all();
    }
}

/// Waits for an answer, but not longer than `patience`.
pub async fn within<T>(patience: Option<Duration>, answer: impl Future<Output = T>) -> domain::Result<T> {
    let Some(patience) = patience else { return Ok(answer.await) };
    tokio::time::timeout(patience, answer).await.or_else(|_| Unavailable::StorageOutOfReach.err())
}

fn serve(mut reader: Reader, shared: &Shared) {
    while let Some((of, job)) = shared.next() {
        // A panic in one query must not take the thread, and with it a part of the server, away for good.
        let run = std::panic::AssertUnwindSafe(|| job(&mut reader));
        if std::panic::catch_unwind(run).is_err() {
            tracing::error!("a query panicked");
            reader.conn = None;
        }
        shared.ended(of);
    }
}

/// What a thread reads with.
struct Reader {
    conn: Option<AnyConnection>,
    url: DatabaseUrl,
    uses: u64,
    health: Arc<Health>,
    /// Dropped after the connection.
    _lock: Option<Arc<DatabaseLock>>,
}

impl Reader {
    /// A connection that went while nobody used it is nobody's error: the work is done again over a new one.
    fn run<T>(&mut self, work: impl Fn(&mut AnyConnection) -> DbResult<T>) -> DbResult<T> {
        let was_open = self.conn.is_some();
        match self.try_once(&work) {
            Err(DbError::Database(error)) if was_open && is_lost(&error) => {
                tracing::debug!(%error, "a connection went; reading over another");
                self.try_once(&work)
            }
            outcome => outcome,
        }
    }

    fn try_once<T>(&mut self, work: impl Fn(&mut AnyConnection) -> DbResult<T>) -> DbResult<T> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => {
                let opened = AnyConnection::open(&self.url, Purpose::Read);
                let opened = opened.map_err(|error| DbError::NoConnection(error.to_string()));
                none.insert(opened.inspect_err(|error| self.health.note(error))?)
            }
        };
        self.uses += 1;
        let planned = if is_to_plan_anew(self.uses) { conn.plan_anew() } else { Ok(()) };
        let outcome = planned.map_err(DbError::from).and_then(|()| work(conn));
        if let Err(error) = &outcome {
            self.health.note(error);
        }
        let lost = matches!(&outcome, Err(DbError::Database(error)) if is_out_of_reach(error));
        if lost || !is_idle(conn) {
            self.conn = None;
        }
        outcome
    }
}

/// Whether no transaction is open: a failed rollback may have left one.
fn is_idle(conn: &mut AnyConnection) -> bool {
    crate::connection::per_backend!(conn, |conn| !AnsiTransactionManager::is_broken_transaction_manager(conn)
        && matches!(AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth(), Ok(None)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::connection::SimpleConnection;
    use std::sync::mpsc;
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));

    fn readers(directory: &std::path::Path, size: u32, patience: Duration) -> Arc<Readers> {
        let url = DatabaseUrl::Sqlite(directory.join("x.db"));
        AnyConnection::open(&url, Purpose::Write).unwrap();
        Arc::new(Readers::start_with(&url, size, patience, &Arc::new(Health::of(&url)), None).unwrap())
    }

    /// A read that says that it has begun, and ends when it is told to.
    fn held(
        begun: &mpsc::Sender<()>,
    ) -> (mpsc::Sender<()>, impl Fn(&mut AnyConnection) -> DbResult<()> + Send + use<>) {
        let (end, wait) = mpsc::channel::<()>();
        let (begun, wait) = (begun.clone(), Mutex::new(wait));
        (end, move |_: &mut AnyConnection| {
            begun.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            Ok(())
        })
    }

    #[tokio::test]
    async fn one_users_flood_leaves_threads_for_others() {
        let directory = tempfile::tempdir().unwrap();
        let readers = readers(directory.path(), 4, Duration::from_secs(60));
        let (begun, has_begun) = mpsc::channel();
        let (mut ends, mut flood) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let (end, work) = held(&begun);
            ends.push(end);
            let readers = Arc::clone(&readers);
            flood.push(tokio::spawn(async move { readers.run(Some(ADA), work).await }));
            tokio::task::yield_now().await;
        }
        // Half of the threads are hers, and no more.
        let has_begun = tokio::task::spawn_blocking(move || {
            has_begun.recv().unwrap();
            has_begun.recv().unwrap();
            has_begun
        });
        let has_begun = has_begun.await.unwrap();
        for of in [Some(BOB), None, Some(BOB)] {
            readers.run(of, |_| Ok(())).await.unwrap();
        }
        assert!(has_begun.try_recv().is_err(), "a third of her reads has begun");
        // They come one after the other, in the order in which she asked, and all of them are answered.
        for end in ends {
            end.send(()).unwrap();
        }
        for read in flood {
            read.await.unwrap().unwrap();
        }
        // A thread takes note of a read's end after its answer; where it has ended, it has.
        let shared = Arc::clone(&readers.shared);
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
        assert!(shared.queue().users.is_empty());
    }

    #[tokio::test]
    async fn one_user_waits_in_a_queue_of_an_end() {
        let directory = tempfile::tempdir().unwrap();
        let readers = readers(directory.path(), 1, Duration::from_secs(60));
        let (begun, _has_begun) = mpsc::channel();
        let (end, work) = held(&begun);
        let mut flood = vec![tokio::spawn({
            let readers = Arc::clone(&readers);
            async move { readers.run(Some(ADA), work).await }
        })];
        for _ in 0..QUEUE_OF_USER {
            let readers = Arc::clone(&readers);
            flood.push(tokio::spawn(async move { readers.run(Some(ADA), |_| Ok(())).await }));
        }
        while readers.shared.queue().users.get(&ADA).is_none_or(|turns| turns.parked.len() < QUEUE_OF_USER) {
            tokio::task::yield_now().await;
        }
        let refused = readers.run(Some(ADA), |_| Ok(())).await;
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))), "{refused:?}");
        end.send(()).unwrap();
        for read in flood {
            read.await.unwrap().unwrap();
        }
        // What was taken is answered when it closes, too.
        let last = tokio::spawn({
            let readers = Arc::clone(&readers);
            async move { readers.run(Some(ADA), |_| Ok(())).await }
        });
        last.await.unwrap().unwrap();
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
    }

    #[tokio::test]
    async fn a_read_of_a_file_that_takes_too_long_is_ended_and_its_thread_is_free_again() {
        let directory = tempfile::tempdir().unwrap();
        let readers = readers(directory.path(), 1, Duration::from_millis(20));
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let outcome = readers.run(None, move |conn| conn.snapshot(|conn| Ok(conn.batch_execute(endless)?))).await;
        assert!(matches!(outcome, Err(Error::Unavailable(Unavailable::Overloaded))), "{outcome:?}");
        assert!(readers.shared.queue().open);
        // The one thread comes back, with its connection as it was: who asks until it is there gets an answer.
        while readers.run(None, |conn| conn.snapshot(|conn| Ok(conn.batch_execute("SELECT 1")?))).await.is_err() {}
        assert!(readers.steps() > 0);
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
    }
}
