//! Copying a whole database into another: from SQLite to Postgres, back, or between two of a kind.
//!
//! Tables are read in the order of their keys and written in batches, each in a transaction. How far a copy has come is
//! told by what is in the target, so that one which was cut off goes on. Then both sides are read again and compared.
//! Revisions are copied as they are and go on behind them ([`crate::transaction::revisions`]): live clients resume.
//!
//! Everything here blocks.

mod canonical;
mod endpoints;
mod passes;
mod report;
mod tables;

pub use endpoints::TargetState;
pub(crate) use endpoints::{has_table, is_unfinished};
pub(crate) use passes::count;
pub use report::{Plan, Progress, Report, TableReport};

use crate::connection::DatabaseUrl;
use crate::connection::lock::LockError;
use crate::connection::postgres::UnfitPostgres;
use crate::connection::sqlite_file;
use crate::error::DbError;
use crate::transaction::revisions;
use endpoints::{Opened, Others};

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is read.
    From,
    /// What is written.
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

/// Why nothing, or not all, was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Neither of the two.
    #[error("the URL of the {0} must begin with sqlite:// or postgres://")]
    Url(Side),
    /// Nothing would be gained.
    #[error("source and target are the same database")]
    Same,
    /// The file is not there.
    #[error("the source does not exist")]
    NoSource,
    /// A server has the file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A server, or another copy, works on it.
    #[error("a parlance server or another copy is connected to the {0}: stop it first")]
    InUse(Side),
    /// It is not there, or not ours.
    #[error("cannot open the {0}: {1}")]
    Connect(Side, diesel::ConnectionError),
    /// A Postgres that is too old.
    #[error(transparent)]
    Unfit(#[from] UnfitPostgres),
    /// A later version made it.
    #[error("the {0} was made by a newer parlance: it has {1}, which this one does not know; use that one")]
    Newer(Side, String),
    /// A restore is under way there, or was cut off.
    #[error(".restoring is beside the {0}: a restore is under way or was cut off; run `parlance restore` again")]
    HalfRestored(Side),
    /// It could not be asked which version made it.
    #[error("cannot tell which version the {0} has: {1}")]
    Version(Side, Box<dyn std::error::Error + Send + Sync>),
    /// Its tables are not this version's.
    #[error("the source is not a database of this version: run `parlance migrate` on it first")]
    NotMigrated,
    /// The source is itself half a copy.
    #[error("the source is a copy that was not finished")]
    UnfinishedSource,
    /// Something is there already.
    #[error("the target is not empty")]
    NotEmpty,
    /// The target is half a copy of something else.
    #[error("the target holds an unfinished copy of {0}")]
    OtherCopy(String),
    /// A migration failed.
    #[error("cannot migrate the target: {0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    /// One of the databases said no.
    #[error("a database failed: {0}")]
    Database(#[from] DbError),
}

/// Says what [`copy`] would do, and changes nothing.
///
/// # Errors
/// [`CopyError`].
pub fn plan(from: &str, to: &str) -> Result<Plan, CopyError> {
    let (from, to) = urls(from, to)?;
    let mut source = endpoints::open_source(&from, Others::MustBeGone)?;
    let target = match endpoints::look_at_target(&to)? {
        Some(mut target) => endpoints::state_of_target(&mut target.conn, &source.shown)?,
        None => TargetState::Empty,
    };
    Ok(Plan { tables: count(&mut source.conn)?, target })
}

/// Copies everything, unless an earlier call has, and compares both sides. Where they differ the target stays marked as
/// unfinished, and no server takes it. `progress` is told how far it is after every batch.
///
/// # Errors
/// [`CopyError`]. What was copied until then stays, and another call goes on from there.
pub fn copy(from: &str, to: &str, progress: impl FnMut(Progress)) -> Result<Report, CopyError> {
    transfer(from, to, Others::MustBeGone, progress)
}

/// Like [`copy`], out of a Postgres whose servers go on: what is copied is one moment of it.
pub(crate) fn save(from: &str, to: &str, progress: impl FnMut(Progress)) -> Result<Report, CopyError> {
    transfer(from, to, Others::MayGoOn, progress)
}

/// What a database is as a target of a copy from `source`, as that is shown. Changes nothing.
pub(crate) fn look_at(url: &str, source: &str) -> Result<TargetState, CopyError> {
    let url = endpoints::parse(Side::To, url)?;
    match endpoints::look_at_target(&url)? {
        Some(mut target) => endpoints::state_of_target(&mut target.conn, source),
        None => Ok(TargetState::Empty),
    }
}

fn transfer(from: &str, to: &str, others: Others, mut progress: impl FnMut(Progress)) -> Result<Report, CopyError> {
    let (from, to) = urls(from, to)?;
    // What is bound first is dropped last: the locks.
    let Opened { _lock: _source_lock, conn: mut source, shown } = endpoints::open_source(&from, others)?;
    let Opened { _lock: _target_lock, conn: mut target, .. } = endpoints::open_target(&to)?;
    if endpoints::state_of_target(&mut target, &shown)? == TargetState::Empty {
        endpoints::mark(&mut target, &shown)?;
    }
    passes::fill(&mut source, &mut target, &mut progress)?;
    revisions::continue_in_copy(&mut source, &mut target)?;
    let report = passes::compare(&mut source, &mut target, &mut progress)?;
    if report.is_same() {
        endpoints::unmark(&mut target)?;
    }
    Ok(report)
}

fn urls(from: &str, to: &str) -> Result<(DatabaseUrl, DatabaseUrl), CopyError> {
    let (from, to) = (endpoints::parse(Side::From, from)?, endpoints::parse(Side::To, to)?);
    let is_same = match (&from, &to) {
        (DatabaseUrl::Sqlite(from), DatabaseUrl::Sqlite(to)) => {
            matches!((sqlite_file::real(from), sqlite_file::real(to)), (Ok(from), Ok(to)) if from == to)
        }
        _ => from.shown() == to.shown(),
    };
    if is_same { Err(CopyError::Same) } else { Ok((from, to)) }
}
