//! One connection type over both databases.

pub mod batches;
pub mod deadline;
pub mod health;
pub mod lock;
pub mod open_error;
pub mod pool;
pub mod pooler;
pub mod postgres;
pub mod read_queue;
pub mod readers;
pub mod sqlite_file;
mod url;
pub mod writable;

pub use url::DatabaseUrl;

use crate::error::DbResult;
use diesel::connection::{AnsiTransactionManager, Connection, SimpleConnection, TransactionManager};
use diesel::{MultiConnection, PgConnection, SqliteConnection};

/// A connection to either database.
#[derive(MultiConnection)]
pub enum AnyConnection {
    /// A connection to a server.
    Postgres(PgConnection),
    /// An open file.
    Sqlite(SqliteConnection),
}

/// Compiles the same expression once for each database: for expressions that do not compile on [`AnyConnection`] (batch
/// inserts, `on_conflict`), and for those that are too hot for it.
macro_rules! per_backend {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::connection::AnyConnection::Postgres($c) => $body,
            $crate::connection::AnyConnection::Sqlite($c) => $body,
        }
    };
}
pub(crate) use per_backend;

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Queries only.
    Read,
    /// Writing, and queries in the same transaction.
    Write,
}

/// Every commit is on disk before the caller gets its answer (`synchronous=FULL`); readers never wait for the writer
/// (WAL). Cache: 64 MB for the writer, 16 MB for a reader.
const SQLITE_PRAGMAS: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
";

/// Statements are short and find a few rows by an index. A planner without statistics, or with those of small tables,
/// prefers scans of whole tables, which cost more and more as the tables grow. These settings forbid them.
const POSTGRES_PLANS: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; \
     SET plan_cache_mode = force_generic_plan;";
/// For maintenance, which reads whole tables.
const POSTGRES_OWN_PLANS: &str = "RESET enable_seqscan; RESET enable_hashjoin; RESET enable_mergejoin; RESET jit; \
     RESET plan_cache_mode;";

/// Whether a connection should plan its statements again after this many uses. Soon and often, because a new database
/// grows quickly. Later now and then, because nobody may ever collect statistics.
pub const fn is_replan_due(uses: u64) -> bool {
    uses >= 64 && (uses.is_power_of_two() || uses.is_multiple_of(4096))
}

/// SQLite checkpoints the log when it has this many pages of 4 KiB: few, large checkpoints.
const LOG_PAGES: u64 = 4000;
/// Bytes of a page in the log.
const LOG_PAGE_BYTES: u64 = 4096 + 24;

/// How many pages the log may take on this disk. On a small one a share that leaves room for the database itself.
fn log_pages(folder: &std::path::Path) -> u64 {
    let share = sqlite_file::whole_space(folder).map_or(LOG_PAGES, |bytes| bytes / 32 / LOG_PAGE_BYTES);
    share.clamp(32, LOG_PAGES)
}

/// The largest size in bytes that the log keeps: twice its usual size.
pub fn largest_log(folder: &std::path::Path) -> u64 {
    2 * log_pages(folder) * LOG_PAGE_BYTES
}

/// Makes the file of a new database, readable by its owner alone. SQLite gives the files beside it the same rights. If
/// it cannot be made, opening it reports why.
pub fn make_private(path: &std::path::Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    drop(options.open(path));
}

impl AnyConnection {
    /// Opens a connection and sets it up.
    ///
    /// # Errors
    /// If it cannot reach or open the database.
    pub fn open(url: &DatabaseUrl, purpose: Purpose) -> Result<Self, diesel::ConnectionError> {
        let set_up = |conn: &mut dyn SimpleConnection, sql: &str| {
            conn.batch_execute(sql).map_err(diesel::ConnectionError::CouldntSetupConfiguration)
        };
        match url {
            DatabaseUrl::Sqlite(path) => {
                if purpose == Purpose::Write {
                    make_private(path);
                }
                if !deadline::watch_connections() {
                    return Err(diesel::ConnectionError::BadConnection(
                        "SQLite takes no time limit for reads".to_owned(),
                    ));
                }
                // A path that is not absolute may be one of SQLite's URLs (`file:...`), with another file behind it.
                let unmeant = |error: std::io::Error| diesel::ConnectionError::BadConnection(error.to_string());
                let path = std::path::absolute(path).map_err(unmeant)?;
                let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
                set_up(&mut conn, SQLITE_PRAGMAS)?;
                let folder = sqlite_file::folder_of(&path);
                let (pages, most) = (log_pages(folder), largest_log(folder));
                set_up(
                    &mut conn,
                    &format!("PRAGMA wal_autocheckpoint = {pages}; PRAGMA journal_size_limit = {most};"),
                )?;
                set_up(
                    &mut conn,
                    match purpose {
                        Purpose::Read => "PRAGMA cache_size = -16384; PRAGMA query_only = ON;",
                        Purpose::Write => "PRAGMA cache_size = -65536;",
                    },
                )?;
                Ok(Self::Sqlite(conn))
            }
            DatabaseUrl::Postgres(address) => {
                let mut conn = PgConnection::establish(address)?;
                let timeout = url.answer_timeout().unwrap_or_default().as_millis();
                // Transactions hold locks for milliseconds: one that waits longer waits for something broken. A read
                // that times out has no caller any more. A large write may be worth waiting for.
                let limits = match purpose {
                    Purpose::Read => format!("SET statement_timeout = {};", timeout + 500),
                    Purpose::Write => {
                        format!("SET lock_timeout = {}; SET statement_timeout = {};", timeout - 500, timeout * 4)
                    }
                };
                set_up(&mut conn, &format!("SET TIME ZONE 'UTC'; {POSTGRES_PLANS} {limits}"))?;
                // The error module recognizes some errors by their messages. Not every role may choose the language;
                // the server warns at its start if it is another one.
                let _ = conn.batch_execute("SET lc_messages = 'C'");
                Ok(Self::Postgres(conn))
            }
        }
    }

    /// Runs `work` in a transaction that sees one moment of the database and writes nothing.
    pub fn snapshot<T>(&mut self, work: impl FnOnce(&mut Self) -> DbResult<T>) -> DbResult<T> {
        self.begin_snapshot()?;
        match work(self) {
            Ok(value) => {
                self.commit()?;
                Ok(value)
            }
            Err(error) => {
                // The first error is the one to report. If the connection cannot roll back, the pool finds it broken.
                let _ = self.rollback();
                Err(error)
            }
        }
    }

    /// Begins a transaction that sees one moment of the database and writes nothing.
    pub fn begin_snapshot(&mut self) -> diesel::QueryResult<()> {
        self.begin("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    /// Removes the timeouts, and allows plans that walk over whole tables: for maintenance, which has no caller that
    /// waits.
    pub fn disable_timeouts(&mut self) -> diesel::QueryResult<()> {
        match self {
            Self::Postgres(conn) => {
                conn.batch_execute(&format!("SET lock_timeout = 0; SET statement_timeout = 0; {POSTGRES_OWN_PLANS}"))
            }
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Makes Postgres plan its statements again. It keeps plans from when the tables were small.
    pub fn replan(&mut self) -> diesel::QueryResult<()> {
        match self {
            Self::Postgres(conn) => conn.batch_execute("DISCARD PLANS"),
            Self::Sqlite(_) => Ok(()),
        }
    }

    fn begin(&mut self, sqlite: &str, postgres: &str) -> diesel::QueryResult<()> {
        match self {
            Self::Postgres(conn) => AnsiTransactionManager::begin_transaction_sql(conn, postgres),
            Self::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, sqlite),
        }
    }

    /// Begins a transaction that may write. The writer commits explicitly, because it distinguishes a failed commit
    /// from failed work. On SQLite the transaction takes the write lock at once: a deferred one that reads first fails
    /// with "database is locked" if another has written since, whatever the busy timeout.
    pub fn begin_write(&mut self) -> diesel::QueryResult<()> {
        self.begin("BEGIN IMMEDIATE", "BEGIN")
    }

    /// Commits the transaction, or releases the savepoint.
    pub fn commit(&mut self) -> diesel::QueryResult<()> {
        per_backend!(self, |conn| AnsiTransactionManager::commit_transaction(conn))
    }

    /// Rolls the transaction, or the savepoint, back.
    pub fn rollback(&mut self) -> diesel::QueryResult<()> {
        per_backend!(self, |conn| AnsiTransactionManager::rollback_transaction(conn))
    }

    /// Begins a savepoint in the open transaction; [`AnyConnection::commit`] or [`AnyConnection::rollback`] ends it.
    pub fn begin_savepoint(&mut self) -> diesel::QueryResult<()> {
        per_backend!(self, |conn| AnsiTransactionManager::begin_transaction(conn))
    }

    /// Runs `work` in a savepoint: failed work leaves nothing behind in the surrounding transaction.
    pub fn savepoint<T>(&mut self, work: impl FnOnce(&mut Self) -> DbResult<T>) -> DbResult<T> {
        self.begin_savepoint()?;
        match work(self) {
            Ok(value) => {
                self.commit()?;
                Ok(value)
            }
            Err(error) => {
                self.rollback()?;
                Err(error)
            }
        }
    }
}
