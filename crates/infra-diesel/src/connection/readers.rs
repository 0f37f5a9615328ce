//! Reads, on separate threads: Diesel blocks, and the ports are async.
//!
//! A read waits in the queue ([`ReadQueue`]) for a thread, and the thread takes a connection out of the pool
//! ([`ReadPool`]). There are as many threads as connections. They are not the blocking threads of the runtime: at its
//! end a runtime waits for every blocking thread, and a Postgres that never answers would keep the process from ending.

use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::pool::{Closed, ReadPool};
use crate::connection::read_queue::{OnBehalfOf, ReadQueue};
use crate::connection::{AnyConnection, DatabaseUrl, deadline};
use crate::error::{DbError, DbResult, is_lost};
use crate::telemetry::METRICS;
use domain::{Error, Unavailable};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&DbWorker) + Send>;

/// What callers and threads share.
struct Shared {
    queue: Mutex<ReadQueue<Job>>,
    /// Notified when a job is added, and when the queue is closed.
    changed: Condvar,
    /// Steps that SQLite has taken for reads, in thousands.
    steps: AtomicU64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, ReadQueue<Job>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next job. `None` once the queue is closed and holds nothing for this thread.
    fn next(&self) -> Option<(OnBehalfOf, Job)> {
        let mut queue = self.queue();
        loop {
            if let Some(next) = queue.pop() {
                return Some(next);
            }
            // The threads that run the user's other reads also take the user's parked ones.
            if !queue.is_open() {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn record_end(&self, user: OnBehalfOf) {
        self.queue().record_end(user);
        self.changed.notify_one();
    }

    fn close(&self) {
        self.queue().close();
        self.changed.notify_all();
    }
}

/// A bounded number of threads that read over a pool of connections.
pub struct Readers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// `None` once closed.
    pool: Mutex<Option<(ReadPool, Closed)>>,
    /// How long a caller waits for an answer.
    timeout: Duration,
    /// The error of a caller that has waited for `timeout`.
    too_late: Unavailable,
}

impl Readers {
    /// Starts `size` threads over a pool of as many connections. The pool opens each when a thread first needs it. The
    /// connections report damage to `health`, and hold `lock` until they are closed.
    ///
    /// # Errors
    /// If a thread does not start.
    pub fn start(
        url: &DatabaseUrl,
        size: u32,
        health: &Arc<Health>,
        lock: Option<&Arc<DatabaseLock>>,
    ) -> std::io::Result<Self> {
        Self::start_with(url, size, url.read_timeout(), health, lock)
    }

    fn start_with(
        url: &DatabaseUrl,
        size: u32,
        timeout: Duration,
        health: &Arc<Health>,
        lock: Option<&Arc<DatabaseLock>>,
    ) -> std::io::Result<Self> {
        let queue = Mutex::new(ReadQueue::new(size as usize));
        let shared = Arc::new(Shared { queue, changed: Condvar::new(), steps: AtomicU64::new(0) });
        let (pool, closed) = ReadPool::new(url.clone(), size, Arc::clone(health), lock.cloned());
        let mut threads = Vec::new();
        for n in 0..size {
            let worker = DbWorker { pool: pool.clone(), health: Arc::clone(health) };
            let shared = Arc::clone(&shared);
            let thread =
                std::thread::Builder::new().name(format!("db-read-{n}")).spawn(move || worker.serve(&shared))?;
            threads.push(thread);
        }
        let too_late = match url {
            DatabaseUrl::Sqlite(_) => Unavailable::Overloaded,
            DatabaseUrl::Postgres(_) => Unavailable::StorageOutOfReach,
        };
        let pool = Mutex::new(Some((pool, closed)));
        Ok(Self { shared, threads: Mutex::new(threads), pool, timeout, too_late })
    }

    /// Runs `work` on one of the threads. If the connection turns out to be lost, it runs `work` again over another
    /// one. One user has at most half of the threads. After [`DatabaseUrl::read_timeout`] the caller gets an error. The
    /// thread stops then, too (SQLite), or goes on until the database or the network gives up (Postgres): at most all
    /// threads can be stuck this way.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] if too many reads wait, or a file takes too long; [`Unavailable::StorageOutOfReach`]
    /// if no connection can be opened; [`Unavailable::Stopping`] once closed; and the errors of `work`.
    pub async fn run<T: Send + 'static>(
        &self,
        user: OnBehalfOf,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let (answer, answered) = oneshot::channel();
        let queued_at = Instant::now();
        let until = queued_at + self.timeout;
        let shared = Arc::clone(&self.shared);
        let job: Job = Box::new(move |worker| {
            METRICS.read_queue.decrement(1.0);
            METRICS.read_wait.record(queued_at.elapsed());
            // Nobody needs the answer once the caller is gone.
            if !answer.is_closed() {
                let (outcome, steps) = deadline::within(until, || worker.run(until, work));
                shared.steps.fetch_add(steps, Ordering::Relaxed);
                let _ = answer.send(outcome);
            }
        });
        self.submit(user, job)?;
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(outcome)) => outcome.map_err(Error::from),
            // The work panicked: the thread goes on, and the caller gets an error.
            Ok(Err(_)) => Err(Error::internal("a database thread panicked")),
            Err(_) => self.too_late.err(),
        }
    }

    /// Waits for something as long as a caller of [`Readers::run`] waits.
    ///
    /// # Errors
    /// [`Unavailable`] once that time is over.
    pub async fn in_time<T>(&self, answer: impl Future<Output = T>) -> domain::Result<T> {
        tokio::time::timeout(self.timeout, answer).await.or_else(|_| self.too_late.err())
    }

    /// Adds the job to the queue, or fails at once.
    fn submit(&self, user: OnBehalfOf, job: Job) -> domain::Result<()> {
        METRICS.read_queue.increment(1.0);
        let pushed = self.shared.queue().push(user, job);
        self.shared.changed.notify_one();
        pushed.map_err(|refused| {
            METRICS.read_queue.decrement(1.0);
            Error::from(refused)
        })
    }

    /// Steps that SQLite has taken for reads so far, in thousands: their cost, independent of the speed of the machine.
    pub fn steps(&self) -> u64 {
        self.shared.steps.load(Ordering::Relaxed)
    }

    /// Refuses further reads, and waits until every read in the queue is answered and every connection closed. Blocks.
    pub fn close(&self) {
        self.shared.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader had panicked");
            }
        }
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((pool, closed)) = pool {
            pool.close(&closed);
        }
    }
}

impl Drop for Readers {
    /// The threads end when the queue is empty; nobody waits for them.
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Waits for an answer for at most `timeout`.
pub async fn within<T>(timeout: Option<Duration>, answer: impl Future<Output = T>) -> domain::Result<T> {
    let Some(timeout) = timeout else { return Ok(answer.await) };
    tokio::time::timeout(timeout, answer).await.or_else(|_| Unavailable::StorageOutOfReach.err())
}

/// What a thread needs for reading.
struct DbWorker {
    pool: ReadPool,
    health: Arc<Health>,
}

impl DbWorker {
    /// Does jobs until the queue is closed and empty.
    fn serve(self, shared: &Shared) {
        while let Some((user, job)) = shared.next() {
            // A panic in one query must not end the thread. The pool closes the connection that the query had.
            let run = std::panic::AssertUnwindSafe(|| job(&self));
            if std::panic::catch_unwind(run).is_err() {
                tracing::error!("a query panicked");
            }
            shared.record_end(user);
        }
    }

    /// Runs the work. A connection that was lost while it lay in the pool is no error of the caller: the work runs
    /// again over another one, until it has run over one that was opened for it.
    fn run<T>(&self, deadline: Instant, work: impl Fn(&mut AnyConnection) -> DbResult<T>) -> DbResult<T> {
        let begun = Instant::now();
        loop {
            let mut conn = self.pool.check_out(begun, deadline)?;
            let outcome = conn.run(&work);
            if let Err(error) = &outcome {
                self.health.record_error(error);
            }
            match outcome {
                Err(DbError::Database(error)) if conn.since() < begun && is_lost(&error) => {
                    tracing::debug!(%error, "a connection was lost; reading over another");
                }
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Purpose;
    use crate::connection::read_queue::MAX_WAITING_OF_USER;
    use diesel::connection::SimpleConnection;
    use domain::UserId;
    use std::sync::mpsc;
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const BOB: UserId = UserId(Uuid::from_u128(2));

    fn readers(directory: &std::path::Path, size: u32, timeout: Duration) -> Arc<Readers> {
        let url = DatabaseUrl::Sqlite(directory.join("x.db"));
        AnyConnection::open(&url, Purpose::Write).unwrap();
        Arc::new(Readers::start_with(&url, size, timeout, &Arc::new(Health::of(&url)), None).unwrap())
    }

    /// A read that signals its begin, and ends when it receives a signal.
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
        // A thread records the end of a read after its answer. The closed readers have recorded all.
        let shared = Arc::clone(&readers.shared);
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
        assert!(shared.queue().is_idle());
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
        for _ in 0..MAX_WAITING_OF_USER {
            let readers = Arc::clone(&readers);
            flood.push(tokio::spawn(async move { readers.run(Some(ADA), |_| Ok(())).await }));
        }
        while readers.shared.queue().parked(ADA).is_none_or(|parked| parked < MAX_WAITING_OF_USER) {
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
        assert!(readers.shared.queue().is_open());
        // The one thread comes back with the same connection: a later read is answered.
        while readers.run(None, |conn| conn.snapshot(|conn| Ok(conn.batch_execute("SELECT 1")?))).await.is_err() {}
        assert!(readers.steps() > 0);
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
    }

    #[tokio::test]
    async fn a_query_that_panics_costs_its_connection_and_no_thread() {
        let directory = tempfile::tempdir().unwrap();
        let readers = readers(directory.path(), 1, Duration::from_secs(60));
        let temporary = "CREATE TEMP TABLE mine (x); INSERT INTO mine VALUES (1)";
        readers
            .run(None, move |conn| Ok(conn.batch_execute(&format!("PRAGMA query_only = OFF; {temporary}"))?))
            .await
            .unwrap();
        let is_there = |conn: &mut AnyConnection| Ok(conn.batch_execute("SELECT x FROM mine").is_ok());
        assert!(readers.run(None, is_there).await.unwrap(), "the connection is still the same");
        let panicked = readers.run::<()>(None, |_| panic!("of this test")).await;
        assert!(matches!(panicked, Err(Error::Internal(_))), "{panicked:?}");
        assert!(!readers.run(None, is_there).await.unwrap(), "there is a new connection");
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_that_is_left_open_ends_with_its_connection() {
        let directory = tempfile::tempdir().unwrap();
        let readers = readers(directory.path(), 1, Duration::from_secs(60));
        readers.run(None, |conn| Ok(conn.begin_snapshot()?)).await.unwrap();
        readers.run(None, |conn| conn.snapshot(|_| Ok(()))).await.unwrap();
        tokio::task::spawn_blocking(move || readers.close()).await.unwrap();
    }
}
