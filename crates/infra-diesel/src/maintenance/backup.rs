//! Backups: saving a database while its servers run, and restoring one.
//!
//! A backup is one moment of the database, always as a SQLite file. `VACUUM INTO` saves SQLite: it reads in one
//! transaction and keeps no writer waiting. For Postgres, a copy ([`crate::maintenance::copy`]) reads one snapshot.
//!
//! Everything here blocks.

use crate::connection::lock::DatabaseLock;
use crate::connection::open_error::OpenError;
use crate::connection::sqlite_file::is_half_restored;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use crate::maintenance::copy::{CopyError, Progress, Report, TargetState};
use crate::maintenance::{copy, digests, migrations};
use crate::tables::rows::FileRow;
use crate::tables::schema::files;
use crate::transaction::revisions;
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::ConversationId;
use domain::files::File;
use std::io;
use std::path::Path;

pub use crate::connection::sqlite_file::RESTORING;

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The URL is neither of SQLite nor of Postgres.
    #[error("the database URL must begin with sqlite:// or postgres://")]
    Url,
    /// There is no file at this path.
    #[error("there is no database at {0}")]
    None(String),
    /// The tables are those of another version.
    #[error("the database is not one of this version: back it up with the parlance that serves it")]
    OtherVersion,
    /// An unfinished restore is beside the database.
    #[error(".restoring is beside the database: a restore is under way or was cut off; run `parlance restore` again")]
    HalfRestored,
    /// There is a database already.
    #[error("there is a database at {0} already")]
    Exists(String),
    /// A later version saved it.
    #[error("the database was made by a newer parlance: it has {0}, which this one does not know")]
    Newer(String),
    /// The copy from or to Postgres failed.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The copy of a conversation differs, or its digest is not that of its messages.
    #[error("conversation {0} differs in the copy of the database, or its digest is not that of its messages")]
    Differs(ConversationId),
    /// Something else in the copy differs.
    #[error("the copy of the database differs from it")]
    TablesDiffer,
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database reported an error.
    #[error("the database failed")]
    Database(#[from] DbError),
    /// The migrations of the database cannot be read.
    #[error("cannot tell which version the database has: {0}")]
    Version(Box<dyn std::error::Error + Send + Sync>),
    /// The file could not be moved.
    #[error("the database could not be put in place")]
    Io(#[from] io::Error),
}

fn parse(url: &str) -> Result<DatabaseUrl, BackupError> {
    DatabaseUrl::parse_as("parlance-backup", url).ok_or(BackupError::Url)
}

/// The URL of a SQLite file.
fn sqlite(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn refuse_newer(conn: &mut AnyConnection) -> Result<(), BackupError> {
    match migrations::unknown(conn).map_err(BackupError::Version)?.into_iter().next() {
        Some(unknown) => Err(BackupError::Newer(unknown)),
        None => Ok(()),
    }
}

fn open(url: &DatabaseUrl, purpose: Purpose) -> Result<AnyConnection, BackupError> {
    Ok(AnyConnection::open(url, purpose).map_err(OpenError::from)?)
}

/// Saves one moment of the database as a SQLite file at `file`, where nothing may be yet. Servers go on running.
///
/// # Errors
/// [`BackupError`]. An unfinished file may be left at `file`.
pub fn save(url: &str, file: &Path, progress: impl FnMut(Progress)) -> Result<(), BackupError> {
    match parse(url)? {
        DatabaseUrl::Sqlite(path) if is_half_restored(&path) => Err(BackupError::HalfRestored),
        DatabaseUrl::Sqlite(path) if !path.exists() => Err(BackupError::None(path.display().to_string())),
        from @ DatabaseUrl::Sqlite(_) => {
            // A connection for writing: one for queries only may not even write another file.
            let mut conn = open(&from, Purpose::Write)?;
            refuse_newer(&mut conn)?;
            if migrations::pending(&mut conn).map_err(BackupError::Version)? {
                return Err(BackupError::OtherVersion);
            }
            let into = file.display().to_string();
            diesel::sql_query("VACUUM INTO $1").bind::<Text, _>(into).execute(&mut conn).map_err(DbError::from)?;
            let mut saved = open(&DatabaseUrl::Sqlite(file.to_owned()), Purpose::Read)?;
            match digests::differing(&mut saved)?.first() {
                Some(differs) => Err(BackupError::Differs(*differs)),
                None => Ok(()),
            }
        }
        DatabaseUrl::Postgres(_) => {
            let report = copy::save(url, &sqlite(file), progress)?;
            told(&report)
        }
    }
}

/// Fails if the copy differs.
fn told(report: &Report) -> Result<(), BackupError> {
    match report.differing.first() {
        _ if report.is_same() => Ok(()),
        Some(differs) => Err(BackupError::Differs(*differs)),
        None => Err(BackupError::TablesDiffer),
    }
}

/// The files that the database knows, by id.
///
/// # Errors
/// [`BackupError`].
pub fn files(url: &str) -> Result<Vec<File>, BackupError> {
    let mut conn = open(&parse(url)?, Purpose::Read)?;
    let load = |conn: &mut AnyConnection| -> DbResult<Vec<File>> {
        conn.disable_timeouts()?;
        let rows: Vec<FileRow> = files::table
            .filter(files::deleted_at.is_null())
            .order(files::id)
            .select(FileRow::as_select())
            .load(conn)?;
        rows.into_iter().map(|row| Ok(row.into_file()?)).collect()
    };
    Ok(load(&mut conn)?)
}

/// The tables, each with its number of rows.
///
/// # Errors
/// [`BackupError`].
pub fn counts(url: &str) -> Result<Vec<(&'static str, u64)>, BackupError> {
    let mut conn = open(&parse(url)?, Purpose::Read)?;
    conn.disable_timeouts().map_err(DbError::from)?;
    Ok(copy::count(&mut conn)?)
}

/// Fails if there is a database at the URL. A Postgres may hold a copy that was begun from the file `begun_from`.
///
/// # Errors
/// [`BackupError::Exists`] if there is one.
pub fn must_be_empty(url: &str, begun_from: Option<&Path>) -> Result<(), BackupError> {
    let place = parse(url)?;
    let exists = match &place {
        DatabaseUrl::Sqlite(path) => {
            let beside = |suffix: &str| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                Path::new(&name).exists()
            };
            ["", "-wal", "-shm"].into_iter().any(beside)
        }
        DatabaseUrl::Postgres(_) => match copy::look_at(url, &begun_from.map(sqlite).unwrap_or_default()) {
            Ok(TargetState::Empty) => false,
            Ok(TargetState::Begun) => begun_from.is_none(),
            Err(CopyError::NotEmpty | CopyError::OtherCopy(_)) => true,
            Err(error) => return Err(error.into()),
        },
    };
    if exists { Err(BackupError::Exists(place.redacted())) } else { Ok(()) }
}

/// Prepares a saved file for its new place: migrates it, and raises its revisions above those that the servers of the
/// lost database may have handed out after the backup.
///
/// # Errors
/// [`BackupError::Newer`], and every reason why the file cannot be opened.
pub fn prepare(file: &Path) -> Result<(), BackupError> {
    let url = DatabaseUrl::Sqlite(file.to_owned());
    let mut conn = open(&url, Purpose::Write)?;
    refuse_newer(&mut conn)?;
    migrations::run(&mut conn).map_err(BackupError::Version)?;
    Ok(revisions::skip_eras_after_restore(&mut conn)?)
}

/// Restores a prepared file: moves it to its place, or copies it into an empty Postgres. This is the last step: from
/// here on a server may start on it.
///
/// # Errors
/// [`BackupError`]. A SQLite database is complete or absent then. A Postgres may be incomplete, and no server accepts
/// it.
pub fn put_in_place(file: &Path, url: &str, progress: impl FnMut(Progress)) -> Result<(), BackupError> {
    match parse(url)? {
        DatabaseUrl::Postgres(_) => {
            let report = copy::copy(&sqlite(file), url, progress)?;
            told(&report)
        }
        DatabaseUrl::Sqlite(path) => {
            // A server that starts right now has the lock, or waits for it.
            let lock = DatabaseLock::take_place(&path).map_err(OpenError::from)?;
            must_be_empty(url, None)?;
            std::fs::File::open(file)?.sync_all()?;
            // If the path is a link, the file goes to where the link leads.
            std::fs::rename(file, lock.place())?;
            let folder = lock.place().parent().unwrap_or(Path::new("/"));
            if cfg!(unix) {
                std::fs::File::open(folder)?.sync_all()?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    /// An error that is printed with its sources says each of them once.
    #[test]
    fn an_error_does_not_repeat_its_source() {
        let lost = || DbError::NoConnection("the words of the source".to_owned());
        let errors: [Box<dyn Error>; 4] = [
            Box::new(BackupError::Database(lost())),
            Box::new(BackupError::Io(io::Error::other("the words of the source"))),
            Box::new(CopyError::Database(lost())),
            Box::new(OpenError::Threads(io::Error::other("the words of the source"))),
        ];
        for error in errors {
            let mut said = error.to_string();
            let mut source = error.source();
            while let Some(error) = source {
                said.push_str(&format!(": {error}"));
                source = error.source();
            }
            assert_eq!(said.matches("the words of the source").count(), 1, "{said}");
        }
    }
}
