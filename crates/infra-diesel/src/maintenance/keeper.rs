//! The keeper watches over an open SQLite file, from a separate thread and over a separate connection.
//!
//! - It checks that the file is still where the server opened it. A file that somebody has removed, renamed, replaced
//!   or covered by another disk still takes writes, and nobody will ever find them. The same holds for a file whose log
//!   (`-wal`) or index (`-shm`) is gone.
//! - It shrinks the log. While a long read runs (a backup, or somebody's `sqlite3`), the log can only grow; SQLite
//!   reuses it afterwards, but keeps its size.
//! - After an unclean end it checks the file, if that takes too long for the start. This runs on another thread and
//!   over another connection ([`BackgroundCheck`]), so that the keeper goes on.
//!
//! The connection stays open for as long as the server runs, so that no closing connection removes the log.

use crate::connection;
use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::sqlite_file::{Identity, sibling};
use crate::connection::{AnyConnection, sqlite_file};
use crate::error::Fatal;
use crate::maintenance::background_check::BackgroundCheck;
use diesel::connection::SimpleConnection as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the keeper looks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The background check gives way to a log of this many times the size that it may keep.
const GIVES_WAY_TO: u64 = 4;

/// The keeper's thread. It runs until somebody stops it.
pub struct Keeper {
    stop: Mutex<Option<SyncSender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the keeper needs.
pub struct Watch {
    /// A connection that has written, so that the log exists.
    pub conn: AnyConnection,
    /// The path of the database as configured.
    pub path: PathBuf,
    /// Whether the keeper has to check the whole file, because nobody closed it.
    pub look_through: bool,
    /// Learns of damage.
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
    /// If there is no thread for it.
    pub fn start(watch: Watch) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        // The working directory may change.
        let path = std::path::absolute(&watch.path)?;
        let watch = Watch { path, ..watch };
        let check = if watch.look_through {
            Some(BackgroundCheck::start(&watch.path, Arc::clone(&watch.health), Arc::clone(&watch.lock))?)
        } else {
            None
        };
        let run = move || watch.run(check, &stopped);
        let thread = std::thread::Builder::new().name("db-keep".to_owned()).spawn(run)?;
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

/// The identity of a file.
fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().and_then(|found| Identity::of(&found))
}

impl Watch {
    fn run(mut self, mut check: Option<BackgroundCheck>, stopped: &Receiver<()>) {
        if let AnyConnection::Sqlite(conn) = &mut self.conn {
            // The keeper needs almost no cache, and nobody needs the pages that the start has read.
            let _ = conn.batch_execute("PRAGMA cache_size = -1024; PRAGMA shrink_memory;");
        }
        let beside = ["-wal", "-shm"].map(|suffix| sibling(self.lock.place(), suffix));
        let known = beside.each_ref().map(|path| identity(path));
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(CHECK_INTERVAL) {
            if let Some(gone) = self.is_gone(&beside, &known) {
                (self.fatal)(&format!("{gone}: what is stored now would be lost"));
                return;
            }
            self.shrink(&beside[0], check.as_mut());
        }
    }

    /// What happened to a file that is gone or replaced, or to a disk that became read-only. `None` if all is well.
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
        let folder = sqlite_file::folder_of(&self.path);
        sqlite_file::is_read_only(folder).then(|| format!("the disk of the database {shown} became read-only"))
    }

    /// Shrinks a log that is far larger than usual, unless a connection needs it. Nobody waits for it. The background
    /// check needs the log, and gives way when it becomes too large.
    fn shrink(&mut self, log: &Path, check: Option<&mut BackgroundCheck>) {
        let AnyConnection::Sqlite(conn) = &mut self.conn else { return };
        let size = std::fs::metadata(log).map_or(0, |found| found.len());
        let largest = connection::largest_log(sqlite_file::folder_of(&self.path));
        if size <= largest {
            return;
        }
        let given_way = check.filter(|_| size > largest * GIVES_WAY_TO).and_then(BackgroundCheck::gives_way);
        // If it fails now, the next round tries again.
        let shrunk = conn
            .batch_execute("PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(TRUNCATE);");
        tracing::debug!(size, ?shrunk, "the log of the database is far larger than usual");
        drop(given_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{DatabaseUrl, Purpose};
    use std::sync::mpsc;

    /// A test that waits longer waits for something broken.
    const LONG: Duration = Duration::from_secs(60);

    /// Watches a file that takes many minutes to be looked through, each row a millisecond.
    fn watch(path: &Path) -> (Keeper, Receiver<String>) {
        let lock = Arc::new(DatabaseLock::take(path).unwrap());
        let url = DatabaseUrl::Sqlite(path.to_owned());
        let mut conn = AnyConnection::open(&url, Purpose::Write).unwrap();
        conn.batch_execute(
            "PRAGMA ignore_check_constraints = ON; \
             CREATE TABLE slow (x INTEGER CHECK (length(hex(zeroblob(x))) > 0)); \
             CREATE TABLE words (word BLOB); \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) \
             INSERT INTO slow SELECT 1000000 FROM n; \
             PRAGMA ignore_check_constraints = OFF;",
        )
        .unwrap();
        let (tell, told) = mpsc::channel();
        let fatal = Arc::new(move |why: &str| drop(tell.send(why.to_owned())));
        let health = Arc::new(Health::of(&url));
        let path = path.to_owned();
        (Keeper::start(Watch { conn, path, look_through: true, health, fatal, lock }).unwrap(), told)
    }

    #[test]
    fn a_file_that_goes_away_while_it_is_looked_through_is_missed_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let (keeper, told) = watch(&data.join("x.db"));
        std::fs::remove_dir_all(&data).unwrap();
        let why = told.recv_timeout(LONG).unwrap();
        assert!(why.contains("is gone"), "{why}");
        keeper.close();
    }

    #[test]
    fn who_looks_through_a_file_stops_when_told_to_and_gives_way_to_a_log_that_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let (keeper, told) = watch(&path);
        let log = sibling(&path, "-wal");
        let size = || std::fs::metadata(&log).map_or(0, |found| found.len());
        let too_large = connection::largest_log(directory.path()) * GIVES_WAY_TO;
        let mut writer = AnyConnection::open(&DatabaseUrl::Sqlite(path), Purpose::Write).unwrap();
        while size() <= too_large {
            writer.batch_execute("INSERT INTO words VALUES (zeroblob(10000000))").unwrap();
        }
        let (tell, smaller) = mpsc::channel();
        std::thread::spawn(move || {
            while std::fs::metadata(&log).map_or(0, |found| found.len()) > too_large {
                std::thread::yield_now();
            }
            tell.send(()).unwrap();
            keeper.close();
            tell.send(()).unwrap();
        });
        smaller.recv_timeout(LONG).expect("the log shrinks");
        smaller.recv_timeout(LONG).expect("the keeper stops");
        assert!(told.try_recv().is_err());
    }
}
