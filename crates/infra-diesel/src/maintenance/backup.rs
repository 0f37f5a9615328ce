//! Backups: saving a database beside its running servers, and restoring one.
//!
//! A backup is one moment of the database, always as a SQLite file. `VACUUM INTO` saves SQLite: it reads in one
//! transaction and keeps no writer waiting. A copy ([`crate::maintenance::copy`]) out of one snapshot saves Postgres.
//!
//! Everything here blocks.

use crate::connection::lock::DatabaseLock;
use crate::connection::open_error::OpenError;
use crate::connection::sqlite_file::is_half_restored;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use crate::maintenance::copy::{CopyError, Progress, TargetState};
use crate::maintenance::{copy, migrations};
use crate::tables::rows::FileRow;
use crate::tables::schema::files;
use crate::transaction::revisions;
use diesel::prelude::*;
use diesel::sql_types::Text;
use domain::files::File;
use std::io;
use std::path::Path;

pub use crate::connection::sqlite_file::RESTORING;

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Neither of the two.
    #[error("the database URL must begin with sqlite:// or postgres://")]
    Url,
    /// No file is there.
    #[error("there is no database at {0}")]
    None(String),
    /// Its tables are those of another version.
    #[error("the database is not one of this version: back it up with the parlance that serves it")]
    OtherVersion,
    /// Half a restore is beside it.
    #[error(".restoring is beside the database: a restore is under way or was cut off; run `parlance restore` again")]
    HalfRestored,
    /// Something is there already.
    #[error("there is a database at {0} already")]
    Exists(String),
    /// Saved by a later version.
    #[error("the database was made by a newer parlance: it has {0}, which this one does not know")]
    Newer(String),
    /// A copy out of Postgres or into it did not come about.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The copy differs from the database.
    #[error("the copy of the database differs from it")]
    Differs,
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It said no.
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

/// Saves one moment of the database as a SQLite file at `file`, where nothing may be yet. Servers go on meanwhile.
///
/// # Errors
/// [`BackupError`]; something unfinished may be at `file` then.
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
            Ok(())
        }
        DatabaseUrl::Postgres(_) => {
            let report = copy::save(url, &sqlite(file), progress)?;
            if report.is_same() { Ok(()) } else { Err(BackupError::Differs) }
        }
    }
}

/// What the database knows of files, by id.
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

/// Tables and how many rows each has.
///
/// # Errors
/// [`BackupError`].
pub fn counts(url: &str) -> Result<Vec<(&'static str, u64)>, BackupError> {
    let mut conn = open(&parse(url)?, Purpose::Read)?;
    conn.disable_timeouts().map_err(DbError::from)?;
    Ok(copy::count(&mut conn)?)
}

/// Fails if something is where the database is to be. In a Postgres there may be a copy that was begun from the file
/// `begun_from`.
///
/// # Errors
/// [`BackupError::Exists`] where something is.
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

/// Prepares a saved file for its new place: migrates it, and moves its revisions behind those that the servers of the
/// lost database may have handed out after the backup.
///
/// # Errors
/// [`BackupError::Newer`], and every reason why it cannot be opened.
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
/// [`BackupError`]. A SQLite database is there whole or not at all; no server takes half a Postgres.
pub fn put_in_place(file: &Path, url: &str, progress: impl FnMut(Progress)) -> Result<(), BackupError> {
    match parse(url)? {
        DatabaseUrl::Postgres(_) => {
            let report = copy::copy(&sqlite(file), url, progress)?;
            if report.is_same() { Ok(()) } else { Err(BackupError::Differs) }
        }
        DatabaseUrl::Sqlite(path) => {
            // A server that starts just now has it, or waits outside.
            let lock = DatabaseLock::take_place(&path).map_err(OpenError::from)?;
            must_be_empty(url, None)?;
            std::fs::File::open(file)?.sync_all()?;
            // If the path is a link, this is where it leads.
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
