//! Checks a SQLite file that was not closed, table by table, while the server uses it.
//!
//! It has a separate thread and connection, because it may take minutes. While it reads, SQLite cannot reuse the log.
//! So it gives way when the keeper tells it to, and checks the same table again afterwards.

use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, deadline};
use crate::error::{DbError, is_past_deadline};
use crate::maintenance::check;
use diesel::connection::SimpleConnection as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How often it tries one table. Where clients write much it has to give way each time.
const TRIES: usize = 3;

/// The thread. It stops when this is dropped.
pub struct BackgroundCheck {
    gives_way: Arc<AtomicBool>,
    /// Through these the thread reports that it has given way, and learns that it may go on. `None` once it has to
    /// stop.
    channels: Option<(Receiver<()>, SyncSender<()>)>,
    thread: Option<JoinHandle<()>>,
}

/// The thread reads nothing until this is dropped.
pub struct GivenWay<'a>(&'a SyncSender<()>);

impl Drop for GivenWay<'_> {
    fn drop(&mut self) {
        // A thread that has panicked does not wait.
        let _ = self.0.send(());
    }
}

impl BackgroundCheck {
    /// Starts the check, which reports damage to `health`.
    ///
    /// # Errors
    /// If there is no connection or no thread for it.
    pub fn start(path: &Path, health: Arc<Health>, lock: Arc<DatabaseLock>) -> std::io::Result<Self> {
        let url = DatabaseUrl::Sqlite(path.to_owned());
        let mut conn = AnyConnection::open(&url, Purpose::Read).map_err(std::io::Error::other)?;
        if let AnyConnection::Sqlite(conn) = &mut conn {
            // It reads everything once.
            let _ = conn.batch_execute("PRAGMA cache_size = -1024;");
        }
        let gives_way = Arc::new(AtomicBool::new(false));
        let ((has_given_way, given_way), (go_on, goes_on)) = (sync_channel(0), sync_channel(0));
        let told = Told { gives_way: Arc::clone(&gives_way), has_given_way, goes_on };
        let look = move || {
            let mut conn = conn;
            deadline::give_way_when(Arc::clone(&told.gives_way));
            look_through(&mut conn, &health, &told);
            drop(conn);
            // After the connection: it holds the file.
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("db-look".to_owned()).spawn(look)?;
        Ok(Self { gives_way, channels: Some((given_way, go_on)), thread: Some(thread) })
    }

    /// Makes the thread stop reading until the result is dropped. `None` once it has checked everything.
    pub fn gives_way(&mut self) -> Option<GivenWay<'_>> {
        let (given_way, go_on) = self.channels.as_ref()?;
        self.gives_way.store(true, Ordering::Relaxed);
        // The answer comes soon: SQLite asks every thousand steps.
        let given_way = given_way.recv();
        self.gives_way.store(false, Ordering::Relaxed);
        given_way.ok().map(|()| GivenWay(go_on))
    }
}

impl Drop for BackgroundCheck {
    fn drop(&mut self) {
        drop(self.channels.take());
        self.gives_way.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that looked through the database had panicked");
        }
    }
}

/// What the thread learns from the keeper.
struct Told {
    gives_way: Arc<AtomicBool>,
    has_given_way: SyncSender<()>,
    goes_on: Receiver<()>,
}

impl Told {
    /// Gives way if told to. Returns whether to go on.
    fn goes_on(&self) -> bool {
        !self.gives_way.load(Ordering::Relaxed) || (self.has_given_way.send(()).is_ok() && self.goes_on.recv().is_ok())
    }
}

fn look_through(conn: &mut AnyConnection, health: &Health, told: &Told) {
    let tables = loop {
        match check::tables(conn) {
            Ok(tables) => break tables,
            Err(error) if is_given_way(&error) => {
                if !told.goes_on() {
                    return;
                }
            }
            Err(error) => return health.record_error(&error),
        }
    };
    for table in tables {
        let mut tries = 0;
        loop {
            if !told.goes_on() {
                return;
            }
            tries += 1;
            match check::quick_check(conn, Some(&table)) {
                Err(error) if is_given_way(&error) && tries < TRIES => continue,
                Err(error) if is_given_way(&error) => tracing::warn!(
                    table,
                    "the database was not closed, and too much is written to look through it: run `parlance doctor`"
                ),
                Err(error) => health.record_error(&error),
                Ok(Some(damage)) => health.record_damage(&damage),
                Ok(None) => {}
            }
            break;
        }
    }
}

fn is_given_way(error: &DbError) -> bool {
    matches!(error, DbError::Database(error) if is_past_deadline(error))
}
