//! Who watches over an open SQLite file, from a thread and a connection of its own.
//!
//! - That the file is still where it was opened. One that was removed, renamed, replaced or covered by another disk goes on
//!   taking writes that nobody will ever find; so does one whose log (`-wal`) or index of it (`-shm`) was removed.
//! - That its log shrinks again. While somebody reads for long (a backup, or a stranger's `sqlite3`), it can only grow; SQLite
//!   uses it again afterwards, but keeps its size.
//! - After an unclean end, that the file is whole, where that takes too long to be waited for at start.
//!
//! Its connection stays open for as long as the server runs: so the log is never removed by the last one to close.

use crate::connection::AnyConnection;
use crate::health::Health;
use crate::lock::DatabaseLock;
use crate::place::{self, Identity, beside};
use crate::writer::Fatal;
use crate::{check, connection};
use diesel::connection::SimpleConnection as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// The thread, until it is stopped.
pub struct Keeper {
    stop: Mutex<Option<SyncSender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What it watches with.
pub struct Watch {
    /// A connection that has written: the log is there.
    pub conn: AnyConnection,
    /// The database as it is called.
    pub path: PathBuf,
    /// Whether all of the file is to be looked through, for it was not closed.
    pub look_through: bool,
    /// Who is told of damage.
    pub health: Arc<Health>,
    /// Ends the process.
    pub fatal: Fatal,
    /// Dropped after the connection.
    pub lock: Arc<DatabaseLock>,
}

impl Keeper {
    /// Starts watching.
    ///
    /// # Errors
    /// Where there is no thread for it.
    pub fn start(watch: Watch) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        // Whatever the working directory becomes.
        let path = std::path::absolute(&watch.path)?;
        let watch = Watch { path, ..watch };
        let thread = std::thread::Builder::new().name("db-keep".to_owned()).spawn(move || watch.run(&stopped))?;
        Ok(Self { stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) })
    }

    /// Stops watching and closes the connection. Blocks.
    pub fn close(&self) {
        drop(self.stop.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the keeper of the database had panicked");
        }
    }
}

/// What a file beside the database is.
fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().and_then(|found| Identity::of(&found))
}

impl Watch {
    fn run(mut self, stopped: &Receiver<()>) {
        if let AnyConnection::Sqlite(conn) = &mut self.conn {
            // It keeps next to nothing: what was read at the start is of no further use.
            let _ = conn.batch_execute("PRAGMA cache_size = -1024; PRAGMA shrink_memory;");
        }
        let beside = ["-wal", "-shm"].map(|suffix| beside(self.lock.place(), suffix));
        let known = beside.each_ref().map(|path| identity(path));
        if self.look_through && !self.look_through(stopped) {
            return;
        }
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
            if let Some(gone) = self.is_gone(&beside, &known) {
                (self.fatal)(&format!("{gone}: what is stored now would be lost"));
                return;
            }
            self.shrink(&beside[0]);
        }
    }

    /// What is no longer where it was, if anything.
    fn is_gone(&self, beside: &[PathBuf; 2], known: &[Option<Identity>; 2]) -> Option<String> {
        let shown = self.path.display();
        match (self.lock.identity(), std::fs::metadata(&self.path)) {
            (_, Err(error)) => return Some(format!("the database {shown} is gone ({error})")),
            (Some(opened), Ok(found)) if Identity::of(&found) != Some(opened) => {
                return Some(format!("there is another file in the place of the database {shown}"));
            }
            _ => {}
        }
        for (path, known) in beside.iter().zip(known) {
            if known.is_some() && identity(path) != *known {
                return Some(format!("{} is gone, which belongs to the database", path.display()));
            }
        }
        let folder = place::folder_of(&self.path);
        place::is_read_only(folder).then(|| format!("the disk of the database {shown} became read-only"))
    }

    /// Shrinks a log that is far larger than usual, if nobody needs it and without that anybody waits.
    fn shrink(&mut self, log: &Path) {
        let AnyConnection::Sqlite(conn) = &mut self.conn else { return };
        let size = std::fs::metadata(log).map_or(0, |found| found.len());
        if size <= connection::largest_log(place::folder_of(&self.path)) {
            return;
        }
        // What fails now is done later, and whoever holds it up is nobody's fault.
        let shrunk = conn
            .batch_execute("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(TRUNCATE);");
        tracing::debug!(size, ?shrunk, "the log of the database is far larger than usual");
    }

    /// Looks through the file table by table. Whether to go on.
    fn look_through(&mut self, stopped: &Receiver<()>) -> bool {
        let tables = match check::tables(&mut self.conn) {
            Ok(tables) => tables,
            Err(error) => {
                self.health.note(&error);
                return true;
            }
        };
        for table in tables {
            if let Err(std::sync::mpsc::TryRecvError::Disconnected) = stopped.try_recv() {
                return false;
            }
            match check::quick_check(&mut self.conn, Some(&table)) {
                Ok(None) => {}
                Ok(Some(damage)) => self.health.report(&damage),
                Err(error) => self.health.note(&error),
            }
        }
        true
    }
}
