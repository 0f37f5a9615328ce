//! Translates what the databases report into errors of the domain.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use domain::{Error, Unavailable};
use std::sync::Arc;

/// Why a piece of database work ended early: a rule of the domain, or the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A rule of the domain refused. The database is well.
    #[error(transparent)]
    Rule(#[from] Error),
    /// The database reported an error.
    #[error(transparent)]
    Database(#[from] DieselError),
    /// No connection was free, or none could be opened.
    #[error("no database connection: {0}")]
    NoConnection(String),
}

/// A stored value that this program never stores.
#[derive(Debug, thiserror::Error)]
#[error("the database holds a {what} that is none: {value}")]
pub struct Corrupt {
    /// What the value should be.
    pub what: &'static str,
    /// The stored value.
    pub value: String,
}

impl From<Corrupt> for DbError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Rule(Error::internal(corrupt))
    }
}

/// Called when the outcome of a commit is unknown. It must end the process, so that the next start reads the truth from
/// the disk.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// The result of database work.
pub type DbResult<T> = Result<T, DbError>;

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Rule(rule) => rule,
            DbError::NoConnection(why) => {
                tracing::warn!(why, "the database is out of reach");
                Unavailable::StorageOutOfReach.into()
            }
            DbError::Database(error) if is_full(&error) => Self::StorageFull,
            DbError::Database(error) if is_out_of_reach(&error) => {
                tracing::warn!(%error, "the database is out of reach");
                Unavailable::StorageOutOfReach.into()
            }
            DbError::Database(error) if is_short_of_files(&error) => {
                tracing::warn!(%error, "too many files are open");
                Unavailable::Overloaded.into()
            }
            DbError::Database(error) if is_past_deadline(&error) => {
                tracing::warn!("a read took too long and was ended");
                Unavailable::Overloaded.into()
            }
            DbError::Database(error) if damage(&error).is_some() => {
                // Whoever found the damage has logged it as an error.
                tracing::warn!(%error, "the database is damaged");
                Unavailable::StorageOutOfReach.into()
            }
            DbError::Database(error) if is_contended(&error) => {
                tracing::warn!(%error, "others were in the way");
                Unavailable::Overloaded.into()
            }
            DbError::Database(error) => Self::internal(error),
        }
    }
}

/// Whether SQLite ended a statement because its deadline had passed, or because the thread had to give way.
pub fn is_past_deadline(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(_, info) if info.message() == "interrupted")
}

/// SQLite's `SQLITE_FULL`, Postgres' `disk_full` (53100). The transaction has stored nothing.
pub fn is_full(error: &DieselError) -> bool {
    let DieselError::DatabaseError(_, info) = error else { return false };
    let message = info.message();
    message.contains("database or disk is full") || message.contains("No space left on device")
}

/// The database could not open a file that it needs for a while (SQLite's `SQLITE_CANTOPEN`), or a socket. Usually the
/// process has too many open files, and the connection is well. If the database file is gone, the keeper reports it.
fn is_short_of_files(error: &DieselError) -> bool {
    let DieselError::DatabaseError(_, info) = error else { return false };
    ["unable to open database file", "Too many open files"].iter().any(|sign| info.message().contains(sign))
}

/// The message of a database that is damaged or whose disk fails: SQLite's `SQLITE_CORRUPT`, `SQLITE_NOTADB` and
/// `SQLITE_IOERR`, Postgres' `data_corrupted` (XX001), `index_corrupted` (XX002) and `io_error` (58030). Diesel passes
/// on the message only.
pub fn damage(error: &DieselError) -> Option<&str> {
    let DieselError::DatabaseError(kind, info) = error else { return None };
    let message = info.message();
    // Messages of other kinds contain what a client wrote.
    let unknown = matches!(kind, DatabaseErrorKind::Unknown);
    (unknown && !is_full(error) && !is_short_of_files(error) && tells_of_damage(message)).then_some(message)
}

/// Whether the message reports damage.
pub fn tells_of_damage(message: &str) -> bool {
    [
        "database disk image is malformed",
        "file is not a database",
        "disk I/O error",
        "invalid page in block",
        "could not read block",
        "could not write block",
        "could not extend file",
        "could not fsync file",
        "could not open file \"base/",
        "could not access status of transaction",
        "missing chunk number",
        "unexpected chunk number",
        "compressed pglz data is corrupt",
        "compressed lz4 data is corrupt",
        "contains unexpected zero page",
        "contains corrupted page",
        "failed to re-find parent key in index",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}

/// Another transaction was in the way. This one is well, and it has changed nothing.
fn is_contended(error: &DieselError) -> bool {
    let DieselError::DatabaseError(_, info) = error else { return false };
    is_undone(error) || info.message().contains("due to lock timeout")
}

/// The database rolled this transaction back so that others could go on (`deadlock_detected`, 40P01;
/// `serialization_failure`, 40001). A retry may succeed at once. That is not so for a transaction that waited for a
/// lock until its timeout: it would only wait again.
pub fn is_undone(error: &DieselError) -> bool {
    let DieselError::DatabaseError(kind, info) = error else { return false };
    matches!(kind, DatabaseErrorKind::SerializationFailure) || info.message().contains("deadlock detected")
}

/// The connection is lost. Another one may work.
pub fn is_lost(error: &DieselError) -> bool {
    // The caller of a statement that timed out is gone: nobody would read a second answer.
    is_out_of_reach(error)
        && !matches!(error, DieselError::DatabaseError(_, info) if info.message().contains("statement timeout"))
}

/// The connection broke, or the server is starting, stopping, silent, or a read-only standby.
pub fn is_out_of_reach(error: &DieselError) -> bool {
    use DatabaseErrorKind::{ClosedConnection, ReadOnlyTransaction, UnableToSendCommand};
    match error {
        DieselError::DatabaseError(ClosedConnection | UnableToSendCommand | ReadOnlyTransaction, _)
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => {
            let message = info.message();
            [
                "server closed the connection",
                "no connection to the server",
                "terminating connection",
                "connection to server",
                "the database system is",
                "could not connect",
                "SSL connection has been closed",
                "could not receive data from server",
                "could not send data to server",
                "due to statement timeout",
                "timeout expired",
                // SQLite.
                "attempt to write a readonly database",
                // The messages of PgBouncer.
                "server conn crashed",
                "query_wait_timeout",
                "server login has been failing",
                "no more connections allowed",
                "pgbouncer cannot connect to server",
            ]
            .iter()
            .any(|sign| message.contains(sign))
        }
        _ => false,
    }
}

/// Whether the error is a violation of the unique index over `column`. Every unique index has its column in its name:
/// SQLite reports the columns, Postgres the index.
pub fn violates_unique(error: &DieselError, column: &str) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
            info.constraint_name().is_some_and(|name| name.ends_with(column)) || info.message().contains(column)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: DatabaseErrorKind, words: &str) -> DieselError {
        DieselError::DatabaseError(kind, Box::new(words.to_owned()))
    }

    #[test]
    fn damage_is_told_from_other_faults() {
        for words in [
            "database disk image is malformed",
            "file is not a database",
            "disk I/O error",
            "invalid page in block 3 of relation base/16384/16385",
            "missing chunk number 0 for toast value 16390 in pg_toast_16385",
            "could not read block 0 in file \"base/5/1259\": Input/output error",
            "index \"messages_id\" contains unexpected zero page at block 1",
        ] {
            assert_eq!(damage(&said(DatabaseErrorKind::Unknown, words)), Some(words));
            let answered = Error::from(DbError::from(said(DatabaseErrorKind::Unknown, words)));
            assert!(matches!(answered, Error::Unavailable(Unavailable::StorageOutOfReach)), "{words}");
        }
        for (kind, words) in [
            (DatabaseErrorKind::Unknown, "database is locked"),
            (DatabaseErrorKind::Unknown, "database or disk is full"),
            (DatabaseErrorKind::Unknown, "could not extend file \"base/5/1\": No space left on device"),
            (DatabaseErrorKind::UniqueViolation, "disk I/O error"),
        ] {
            assert_eq!(damage(&said(kind, words)), None, "{words}");
        }
    }
}
