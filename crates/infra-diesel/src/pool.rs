//! Threads that do the waiting: diesel is synchronous, the ports are not.

use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use diesel::connection::SimpleConnection;
use diesel::r2d2::{HandleError, ManageConnection, Pool};
use domain::{Error, Unavailable};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many reads may wait for a thread before more are refused.
const QUEUE: usize = 4096;

/// How long a thread waits for a connection (`DESIGN.md`, section 8): a database that is gone is told within seconds.
const CHECKOUT: Duration = Duration::from_secs(1);

/// Opens connections for r2d2.
#[derive(Debug)]
struct Manager(DatabaseUrl);

impl ManageConnection for Manager {
    type Connection = AnyConnection;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<AnyConnection, Self::Error> {
        AnyConnection::open(&self.0, Purpose::Read).map_err(diesel::r2d2::Error::ConnectionError)
    }

    fn is_valid(&self, conn: &mut AnyConnection) -> Result<(), Self::Error> {
        match conn {
            // A file does not go away.
            AnyConnection::Sqlite(_) => Ok(()),
            AnyConnection::Postgres(conn) => conn.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError),
        }
    }

    fn has_broken(&self, conn: &mut AnyConnection) -> bool {
        use diesel::connection::{AnsiTransactionManager, TransactionManager};
        // A panic or a failed rollback may have left a transaction open.
        crate::connection::per_backend!(conn, |conn| AnsiTransactionManager::is_broken_transaction_manager(conn)
            || !matches!(AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth(), Ok(None)))
    }
}

type Work = Box<dyn FnOnce(DbResult<&mut AnyConnection>) + Send>;

/// A bounded pool of threads with a connection each.
pub struct Readers {
    queue: SyncSender<Work>,
}

impl Readers {
    /// Starts `size` threads over as many connections, opened when first needed.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start(url: &DatabaseUrl, size: u32) -> std::io::Result<Self> {
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .connection_timeout(CHECKOUT)
            .test_on_check_out(true)
            .error_handler(Box::new(Quiet))
            .build_unchecked(Manager(url.clone()));
        let (queue, work) = sync_channel::<Work>(QUEUE);
        let work = Arc::new(Mutex::new(work));
        for n in 0..size {
            let (pool, work) = (pool.clone(), Arc::clone(&work));
            std::thread::Builder::new().name(format!("db-read-{n}")).spawn(move || serve(&pool, &work))?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` on one of the threads.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`] where too many wait, [`Unavailable::StorageOutOfReach`] where there is no connection to
    /// be had, and whatever the work says.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let (answer, answered) = oneshot::channel();
        let job: Work = Box::new(move |conn| {
            // Who asked may be gone by now: then nobody misses the answer.
            let _ = answer.send(conn.and_then(work));
        });
        self.queue.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::from(Unavailable::Overloaded),
            TrySendError::Disconnected(_) => Error::from(Unavailable::Stopping),
        })?;
        match answered.await {
            Ok(outcome) => outcome.map_err(Error::from),
            // The work panicked: the thread goes on with a fresh connection, the caller gets an error.
            Err(_) => Err(Error::internal("a database thread panicked")),
        }
    }
}

fn serve(pool: &Pool<Manager>, work: &Mutex<Receiver<Work>>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic in one query must not take the thread, and with it a part of the server, away for good.
        let run = std::panic::AssertUnwindSafe(|| match pool.get() {
            Ok(mut conn) => job(Ok(&mut conn)),
            Err(error) => job(Err(DbError::NoConnection(error.to_string()))),
        });
        if std::panic::catch_unwind(run).is_err() {
            tracing::error!("a query panicked");
        }
    }
}

/// r2d2 reports every failed attempt to connect; the callers that wait report it once, as what it means to them.
#[derive(Debug)]
struct Quiet;

impl HandleError<diesel::r2d2::Error> for Quiet {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        tracing::debug!(%error, "no connection yet");
    }
}
