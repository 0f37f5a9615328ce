//! What a server does with a database before it serves from it.

use crate::connection::lock::DatabaseLock;
use crate::connection::open_error::OpenError;
use crate::connection::writable::takes_writes;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, pooler, postgres, sqlite_file};
use crate::error::{DbError, damage};
use crate::maintenance::{catalog, check, migrations};
use std::sync::Arc;

/// A database that is locked and up to date.
pub struct Prepared {
    pub conn: AnyConnection,
    pub applied: Vec<String>,
    /// Whether somebody has to check the file because it was not closed and is too large for a check at the start.
    pub look_through: bool,
    /// Dropped after the connection.
    pub lock: Option<Arc<DatabaseLock>>,
}

/// Every start checks a file of up to this many bytes, which takes a fraction of a second.
const MAX_CHECKED_AT_START: u64 = 64 << 20;

/// A start after a crash checks a file of up to this many bytes, which takes seconds.
const MAX_CHECKED_AFTER_A_CRASH: u64 = 512 << 20;

/// Locks and migrates the database.
pub fn prepare(url: &DatabaseUrl) -> Result<Prepared, OpenError> {
    let (mut lock, mut unclosed, mut size) = (None, false, 0);
    if let DatabaseUrl::Sqlite(path) = url {
        if sqlite_file::is_half_restored(path) {
            return Err(OpenError::HalfRestored);
        }
        let taken = Arc::new(DatabaseLock::take(path)?);
        let bytes = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
        // The last connection that closes removes the log. A backup that reads now has a connection, too.
        unclosed = bytes(&sqlite_file::sibling(taken.place(), "-wal")) > 0;
        size = bytes(taken.place());
        lock = Some(taken);
    }
    pooler::check(url)?;
    let mut conn = AnyConnection::open(url, Purpose::Write).map_err(|error| match error.to_string() {
        words if words.contains("malformed") => OpenError::Damaged(words),
        _ => OpenError::Connect(error),
    })?;
    postgres::check_fit(&mut conn)?;
    if !takes_writes(&mut conn, url).map_err(|error| OpenError::Read(error.into()))? {
        return Err(OpenError::ReadOnly(url.redacted()));
    }
    let unread = |error: DbError| match &error {
        DbError::Database(error) if damage(error).is_some() => OpenError::Damaged(error.to_string()),
        _ => OpenError::Read(error.into()),
    };
    let now = size <= if unclosed { MAX_CHECKED_AFTER_A_CRASH } else { MAX_CHECKED_AT_START };
    if lock.is_some()
        && now
        && let Some(damage) = check::quick_check(&mut conn, None).map_err(unread)?
    {
        return Err(OpenError::Damaged(damage));
    }
    if catalog::is_unfinished(&mut conn).map_err(unread)? {
        return Err(OpenError::UnfinishedCopy);
    }
    refuse_newer(&mut conn)?;
    let applied = migrations::run(&mut conn).map_err(OpenError::Migrate)?;
    Ok(Prepared { conn, applied, look_through: unclosed && !now, lock })
}

/// Refuses a database that a later version made: this program does not know its rules.
fn refuse_newer(conn: &mut AnyConnection) -> Result<(), OpenError> {
    match migrations::unknown(conn).map_err(OpenError::Read)?.into_iter().next() {
        Some(unknown) => Err(OpenError::Newer(unknown)),
        None => Ok(()),
    }
}

/// Runs blocking work on a separate thread.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(OpenError::Threads(std::io::Error::other(error))),
    }
}
