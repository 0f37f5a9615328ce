//! The connections of the readers: an r2d2 pool.
//!
//! - Taking a connection out of the pool sends no ping to the database. If a connection turns out to be lost, the
//!   reader repeats the read over another one ([`Readers`](super::readers::Readers)). That costs nothing as long as no
//!   connection is lost.
//! - If r2d2 cannot open a connection, it tries again in the background with growing pauses, and its callers wait. The
//!   server must answer "out of reach" at once. So [`Manager`] puts the failure into the pool in place of the
//!   connection: the reader that waits takes it out, and r2d2 drops it.
//! - A connection stays open as long as the pool: its cache and its prepared statements stay warm.

use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, is_replan_due};
use crate::error::{DbError, DbResult, is_out_of_reach};
use crate::telemetry::METRICS;
use diesel::r2d2::event::{AcquireEvent, HandleEvent, ReleaseEvent, TimeoutEvent};
use diesel::r2d2::{self, ManageConnection, NopErrorHandler, PooledConnection, R2D2Connection};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// What every connection holds.
#[derive(Clone)]
struct Lease {
    /// The lock of the file.
    _lock: Option<Arc<DatabaseLock>>,
    /// Tells [`Closed`] that a connection is still open. Declared last, so that the lock is released before.
    _open: Sender<Infallible>,
}

/// Opens connections for the pool.
pub struct Manager {
    url: DatabaseUrl,
    health: Arc<Health>,
    lease: Lease,
}

/// A connection in the pool, or why it could not be opened.
pub struct ReadConnection {
    conn: Result<AnyConnection, String>,
    /// When the attempt to open it began.
    since: Instant,
    uses: u64,
    /// The pool closes it instead of taking it back.
    is_lost: bool,
    /// Declared last, so that the lock is released after the connection is closed.
    _lease: Lease,
}

impl ReadConnection {
    /// When the attempt to open it began.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Runs `work`. The pool closes a connection over which the database was out of reach.
    pub fn run<T>(&mut self, work: impl Fn(&mut AnyConnection) -> DbResult<T>) -> DbResult<T> {
        let conn = self.conn.as_mut().map_err(|why| DbError::NoConnection(why.clone()))?;
        self.uses += 1;
        let planned = if is_replan_due(self.uses) { conn.replan() } else { Ok(()) };
        let outcome = planned.map_err(DbError::from).and_then(|()| work(conn));
        self.is_lost = matches!(&outcome, Err(DbError::Database(error)) if is_out_of_reach(error));
        outcome
    }
}

impl ManageConnection for Manager {
    type Connection = ReadConnection;
    type Error = r2d2::Error;

    /// Never fails. It puts a failure into the pool for the reader that waits.
    fn connect(&self) -> Result<ReadConnection, r2d2::Error> {
        let since = Instant::now();
        let conn = AnyConnection::open(&self.url, Purpose::Read).map_err(|error| error.to_string());
        match &conn {
            Ok(_) => METRICS.read_connections_opened.increment(1),
            Err(why) => {
                METRICS.read_connections_failed.increment(1);
                self.health.record_error(&DbError::NoConnection(why.clone()));
            }
        }
        Ok(ReadConnection { conn, since, uses: 0, is_lost: false, _lease: self.lease.clone() })
    }

    fn is_valid(&self, found: &mut ReadConnection) -> Result<(), r2d2::Error> {
        match &mut found.conn {
            Ok(conn) => Ok(conn.ping()?),
            Err(why) => Err(diesel::ConnectionError::BadConnection(why.clone()).into()),
        }
    }

    /// True also if a failed rollback has left a transaction open, and if a query panicked.
    fn has_broken(&self, found: &mut ReadConnection) -> bool {
        let is_broken = |conn: &mut AnyConnection| conn.is_broken();
        std::thread::panicking() || found.is_lost || found.conn.as_mut().map_or(true, is_broken)
    }
}

/// Counts what the pool does.
#[derive(Debug)]
struct Counted;

impl HandleEvent for Counted {
    fn handle_acquire(&self, _: AcquireEvent) {
        METRICS.read_connections.increment(1.0);
    }

    fn handle_release(&self, _: ReleaseEvent) {
        METRICS.read_connections.decrement(1.0);
    }

    fn handle_timeout(&self, _: TimeoutEvent) {
        METRICS.read_connection_timeouts.increment(1);
    }
}

/// The pool.
#[derive(Clone)]
pub struct ReadPool(r2d2::Pool<Manager>);

/// Learns when the last connection of a pool is closed.
pub struct Closed(Receiver<Infallible>);

impl ReadPool {
    /// A pool of at most `size` connections. The pool opens each when a reader first needs it. The connections report
    /// damage to `health`, and hold `lock` until they are closed.
    pub fn new(url: DatabaseUrl, size: u32, health: Arc<Health>, lock: Option<Arc<DatabaseLock>>) -> (Self, Closed) {
        let (open, closed) = channel();
        let manager = Manager { url, health, lease: Lease { _lock: lock, _open: open } };
        let pool = r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .error_handler(Box::new(NopErrorHandler))
            .event_handler(Box::new(Counted))
            .build_unchecked(manager);
        (Self(pool), Closed(closed))
    }

    /// Takes a connection out of the pool, and lets the pool open one if none is idle. Dropping the connection puts it
    /// back. Only an attempt to connect that began after `since` counts as failed.
    ///
    /// # Errors
    /// [`DbError::NoConnection`] at once if the connection cannot be opened, and at `deadline`.
    pub fn check_out(&self, since: Instant, deadline: Instant) -> DbResult<PooledConnection<Manager>> {
        loop {
            let found = match self.0.try_get() {
                Some(idle) => idle,
                None => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.0.get_timeout(left).map_err(|error| DbError::NoConnection(error.to_string()))?
                }
            };
            match &found.conn {
                Ok(_) => return Ok(found),
                Err(why) if found.since >= since => return Err(DbError::NoConnection(why.clone())),
                // An outdated attempt: its reader took another connection instead. The database may be back since.
                Err(_) => {}
            }
        }
    }

    /// Drops the pool, and waits until every connection is closed. The caller has the last clone. A connection may be
    /// opening at this moment. Blocks.
    pub fn close(self, closed: &Closed) {
        METRICS.read_connections.decrement(self.0.state().connections);
        drop(self);
        // Nothing is ever sent: the channel ends with the last lease.
        let _ = closed.0.recv();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn pool(path: &Path, lock: Option<Arc<DatabaseLock>>) -> (ReadPool, Closed) {
        let url = DatabaseUrl::Sqlite(path.to_owned());
        let health = Arc::new(Health::of(&url));
        ReadPool::new(url, 2, health, lock)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_failure_is_told_to_the_reader_that_waits_and_to_no_later_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        std::fs::create_dir(&path).unwrap();
        let (pool, _closed) = pool(&path, None);
        let refused = pool.check_out(Instant::now(), soon()).map(drop);
        assert!(matches!(&refused, Err(DbError::NoConnection(why)) if !why.contains("timed out")), "{refused:?}");
        // No reader waits for this attempt.
        assert!(pool.0.get_timeout(Duration::ZERO).is_err());
        while pool.0.state().idle_connections == 0 {
            std::thread::yield_now();
        }
        std::fs::remove_dir(&path).unwrap();
        pool.check_out(Instant::now(), soon()).unwrap().run(|_| Ok(())).unwrap();
    }

    #[test]
    fn a_closed_pool_has_closed_its_connections_and_released_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let lock = Arc::new(DatabaseLock::take(&path).unwrap());
        let (pool, closed) = pool(&path, Some(lock));
        drop((pool.check_out(Instant::now(), soon()).unwrap(), pool.check_out(Instant::now(), soon()).unwrap()));
        assert!(DatabaseLock::take(&path).is_err());
        // One more is being opened at this moment, maybe.
        let _ = (pool.check_out(Instant::now(), soon()).unwrap(), pool.0.get_timeout(Duration::ZERO));
        pool.close(&closed);
        DatabaseLock::take(&path).unwrap();
    }
}
