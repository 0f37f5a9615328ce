//! Copying a whole database into another: from SQLite to Postgres, back, or between two of a kind.
//!
//! A copy reads tables in the order of their keys and writes them in batches, each in a transaction. The rows in the
//! target show how far it has come, so a copy that broke off goes on. Then it reads both sides again and compares them.
//! It copies revisions as they are, and the target goes on behind them ([`crate::transaction::revisions`]), so that
//! live clients resume.
//!
//! Everything here blocks.

mod canonical;
mod endpoints;
mod error;
mod passes;
mod report;
mod tables;

pub use error::{CopyError, Side};
pub(crate) use passes::count;
pub use report::{Plan, Progress, Report, TableReport, TargetState};
pub use tables::{COLUMNS, TABLES};

use crate::connection::{DatabaseUrl, sqlite_file};
use crate::maintenance::digests;
use crate::transaction::revisions;
use endpoints::{Opened, OtherConnections};

/// Says what [`copy`] would do, and changes nothing.
///
/// # Errors
/// [`CopyError`].
pub fn plan(from: &str, to: &str) -> Result<Plan, CopyError> {
    let (from, to) = urls(from, to)?;
    let mut source = endpoints::open_source(&from, OtherConnections::Refused)?;
    let target = match endpoints::look_at_target(&to)? {
        Some(mut target) => endpoints::state_of_target(&mut target.conn, &source.redacted)?,
        None => TargetState::Empty,
    };
    Ok(Plan { tables: count(&mut source.conn)?, target })
}

/// Copies everything that no earlier call has copied, and compares both sides. If they differ, the target stays marked
/// as unfinished, and no server accepts it. Calls `progress` after every batch.
///
/// # Errors
/// [`CopyError`]. What it has copied stays, and another call goes on from there.
pub fn copy(from: &str, to: &str, progress: impl FnMut(Progress)) -> Result<Report, CopyError> {
    transfer(from, to, OtherConnections::Refused, progress)
}

/// Like [`copy`], for a Postgres whose servers go on running: it copies one moment of the database.
pub(crate) fn save(from: &str, to: &str, progress: impl FnMut(Progress)) -> Result<Report, CopyError> {
    transfer(from, to, OtherConnections::Allowed, progress)
}

/// The state of a database as the target of a copy from `source`, a URL without secrets. Changes nothing.
pub(crate) fn look_at(url: &str, source: &str) -> Result<TargetState, CopyError> {
    let url = endpoints::parse(Side::To, url)?;
    match endpoints::look_at_target(&url)? {
        Some(mut target) => endpoints::state_of_target(&mut target.conn, source),
        None => Ok(TargetState::Empty),
    }
}

fn transfer(
    from: &str,
    to: &str,
    others: OtherConnections,
    mut progress: impl FnMut(Progress),
) -> Result<Report, CopyError> {
    let (from, to) = urls(from, to)?;
    // Binds the locks first, so that they are dropped last.
    let Opened { _lock: _source_lock, conn: mut source, redacted } = endpoints::open_source(&from, others)?;
    let Opened { _lock: _target_lock, conn: mut target, .. } = endpoints::open_target(&to)?;
    if endpoints::state_of_target(&mut target, &redacted)? == TargetState::Empty {
        endpoints::mark_unfinished(&mut target, &redacted)?;
    }
    passes::fill(&mut source, &mut target, &mut progress)?;
    revisions::continue_in_copy(&mut source, &mut target)?;
    let mut report = passes::compare(&mut source, &mut target, &mut progress)?;
    // Both sides may have the same digest, and not that of the messages.
    let wrong = digests::differing(&mut target)?;
    report.differing.extend(wrong.into_iter().filter(|id| !report.differing.contains(id)).collect::<Vec<_>>());
    if report.is_same() {
        endpoints::mark_finished(&mut target)?;
    }
    Ok(report)
}

fn urls(from: &str, to: &str) -> Result<(DatabaseUrl, DatabaseUrl), CopyError> {
    let (from, to) = (endpoints::parse(Side::From, from)?, endpoints::parse(Side::To, to)?);
    let is_same = match (&from, &to) {
        (DatabaseUrl::Sqlite(from), DatabaseUrl::Sqlite(to)) => {
            matches!((sqlite_file::real_path(from), sqlite_file::real_path(to)), (Ok(from), Ok(to)) if from == to)
        }
        _ => from.redacted() == to.redacted(),
    };
    if is_same { Err(CopyError::Same) } else { Ok((from, to)) }
}
