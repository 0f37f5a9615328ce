//! Threads that do the waiting: diesel is synchronous, the ports are not.

use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult, is_lost, is_out_of_reach};
use crate::telemetry::METRICS;
use diesel::connection::{AnsiTransactionManager, TransactionManager};
use domain::{Error, Unavailable};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many reads may wait for a thread before more are refused.
const QUEUE: usize = 4096;

/// Says whether anybody still waits for the outcome.
type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// A bounded pool of threads with a connection each.
pub struct Readers {
    /// `None` once closed.
    queue: RwLock<Option<SyncSender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// How long callers wait; `None`: as long as it takes.
    patience: Option<Duration>,
}

impl Readers {
    /// Starts `size` threads over as many connections, opened when first needed.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(url: &DatabaseUrl, size: u32) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::new();
        for n in 0..size {
            let jobs = Arc::clone(&jobs);
            let reader = Reader { url: url.clone(), conn: None };
            let thread =
                std::thread::Builder::new().name(format!("db-read-{n}")).spawn(move || serve(reader, &jobs))?;
            threads.push(thread);
        }
        let queue = RwLock::new(Some(queue));
        Ok(Self { queue, threads: Mutex::new(threads), patience: url.patience() })
    }

    /// Runs `work` on one of the threads, a second time where the connection turned out to be gone. On Postgres the caller is told after [`DatabaseUrl::patience`] that the database
    /// is out of reach; the thread gives up when the database or the network does, and so few are ever stuck as there are.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] where too many wait, [`Unavailable::StorageOutOfReach`] where there is no connection to
    /// be had, [`Unavailable::Stopping`] once closed, and whatever the work says.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let (answer, answered) = oneshot::channel();
        let since = Instant::now();
        let job: Job = Box::new(move |reader| {
            METRICS.read_queue.decrement(1.0);
            METRICS.read_wait.record(since.elapsed());
            // Who asked may be gone by now, and then nobody needs the answer.
            if !answer.is_closed() {
                let _ = answer.send(reader.run(work));
            }
        });
        self.submit(job)?;
        match within(self.patience, answered).await? {
            Ok(outcome) => outcome.map_err(Error::from),
            // The work panicked: the thread goes on with a fresh connection, the caller gets an error.
            Err(_) => Err(Error::internal("a database thread panicked")),
        }
    }

    /// Puts the job in the queue, or says at once that it cannot be taken.
    fn submit(&self, job: Job) -> domain::Result<()> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = &*queue else { return Unavailable::Stopping.err() };
        METRICS.read_queue.increment(1.0);
        queue.try_send(job).map_err(|refused| {
            METRICS.read_queue.decrement(1.0);
            match refused {
                TrySendError::Full(_) => Error::from(Unavailable::Overloaded),
                TrySendError::Disconnected(_) => Error::from(Unavailable::Stopping),
            }
        })
    }

    /// Takes no more, and waits until all that was taken is answered and every connection closed. Blocks.
    pub fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader had panicked");
            }
        }
    }
}

/// Waits for an answer, but not longer than `patience`.
pub async fn within<T>(patience: Option<Duration>, answer: impl Future<Output = T>) -> domain::Result<T> {
    let Some(patience) = patience else { return Ok(answer.await) };
    tokio::time::timeout(patience, answer).await.or_else(|_| Unavailable::StorageOutOfReach.err())
}

fn serve(mut reader: Reader, jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic in one query must not take the thread, and with it a part of the server, away for good.
        let run = std::panic::AssertUnwindSafe(|| job(&mut reader));
        if std::panic::catch_unwind(run).is_err() {
            tracing::error!("a query panicked");
            reader.conn = None;
        }
    }
}

/// What a thread reads with.
struct Reader {
    url: DatabaseUrl,
    conn: Option<AnyConnection>,
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
                none.insert(opened.map_err(|error| DbError::NoConnection(error.to_string()))?)
            }
        };
        let outcome = work(conn);
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
