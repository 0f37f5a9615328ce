//! Why a copy failed.

use crate::connection::lock::LockError;
use crate::connection::postgres::UnfitPostgres;
use crate::error::DbError;

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The source.
    From,
    /// The target.
    To,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::From => "source",
            Self::To => "target",
        })
    }
}

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The URL is neither of SQLite nor of Postgres.
    #[error("the URL of the {0} must begin with sqlite:// or postgres://")]
    Url(Side),
    /// Source and target are the same database.
    #[error("source and target are the same database")]
    Same,
    /// There is no file at the source.
    #[error("the source does not exist")]
    NoSource,
    /// A server has locked the file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A server or another copy is connected to it.
    #[error("a parlance server or another copy is connected to the {0}: stop it first")]
    InUse(Side),
    /// The database is out of reach, or refuses the connection.
    #[error("cannot open the {0}: {1}")]
    Connect(Side, diesel::ConnectionError),
    /// The Postgres does not meet the demands.
    #[error(transparent)]
    Unfit(#[from] UnfitPostgres),
    /// A later version made it.
    #[error("the {0} was made by a newer parlance: it has {1}, which this one does not know; use that one")]
    Newer(Side, String),
    /// An unfinished restore is beside it.
    #[error(".restoring is beside the {0}: a restore is under way or was cut off; run `parlance restore` again")]
    HalfRestored(Side),
    /// The migrations of the database cannot be read.
    #[error("cannot tell which version the {0} has: {1}")]
    Version(Side, Box<dyn std::error::Error + Send + Sync>),
    /// The tables of the source are not those of this version.
    #[error("the source is not a database of this version: run `parlance migrate` on it first")]
    NotMigrated,
    /// The source is itself an unfinished copy.
    #[error("the source is a copy that was not finished")]
    UnfinishedSource,
    /// The target holds data already.
    #[error("the target is not empty")]
    NotEmpty,
    /// The target is an unfinished copy of another source.
    #[error("the target holds an unfinished copy of {0}")]
    OtherCopy(String),
    /// A migration failed.
    #[error("cannot migrate the target: {0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    /// One of the databases reported an error.
    #[error("a database failed")]
    Database(#[from] DbError),
}
