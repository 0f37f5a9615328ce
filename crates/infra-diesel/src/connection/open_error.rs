//! Why a database could not be opened.

use crate::connection::lock::LockError;
use crate::connection::postgres::UnfitPostgres;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is neither of SQLite nor of Postgres.
    #[error("the database URL must begin with sqlite:// or postgres://")]
    Url,
    /// Another server has locked the file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database is out of reach, or refuses the connection.
    #[error("cannot open the database: {}", .0.to_string().trim_end())]
    Connect(diesel::ConnectionError),
    /// The Postgres does not meet the demands.
    #[error(transparent)]
    Unfit(#[from] UnfitPostgres),
    /// The database is an unfinished copy.
    #[error("this database is a copy that was not finished: run `parlance copy` again")]
    UnfinishedCopy,
    /// The database takes no writes.
    #[error("{0} takes no writes: its file is read-only, or this Postgres is a standby or read-only")]
    ReadOnly(String),
    /// An unfinished restore is beside the database.
    #[error(
        ".restoring is beside the database: a restore is under way or was cut off. Run `parlance restore` again, or remove it \
         if there is nothing to restore"
    )]
    HalfRestored,
    /// The tables are those of a later version.
    #[error("the database was made by a newer parlance: it has {0}, which this one does not know; use that one")]
    Newer(String),
    /// The pages of the file are damaged.
    #[error("the database is damaged: {0}; look with `parlance doctor`, and restore a backup")]
    Damaged(String),
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    /// The database cannot be read.
    #[error("cannot read the database: {0}")]
    Read(Box<dyn std::error::Error + Send + Sync>),
    /// The system starts no thread.
    #[error("cannot start the database threads")]
    Threads(#[from] std::io::Error),
}

impl From<diesel::ConnectionError> for OpenError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Connect(error)
    }
}
