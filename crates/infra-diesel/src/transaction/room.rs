//! The room on the disk of a SQLite file for writes that let it grow. This process does not see the disk of a Postgres.

use crate::connection::sqlite_file;
use crate::connection::{AnyConnection, DatabaseUrl};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::files::{Growth, Reserve};
use domain::{Error, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a measurement stays valid if much is free.
const HOLDS: Duration = Duration::from_millis(50);
/// Much, in bytes: more than the writer writes to the log and to the file while a measurement is valid.
const MUCH: u64 = 256 << 20;
/// Bytes of a page of the file.
const PAGE: u64 = 4096;

/// How much the writer may still write.
#[derive(Default)]
pub struct Room {
    /// `None` if no reserve is to stay free.
    disk: Option<Disk>,
    /// Bytes that a transaction may take.
    left: u64,
    looked: Option<Instant>,
}

struct Disk {
    folder: PathBuf,
    log: PathBuf,
    reserve: Reserve,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Room {
    /// The room for a database.
    pub fn of(url: &DatabaseUrl, reserve: Reserve) -> Self {
        let disk = match url {
            DatabaseUrl::Sqlite(path) if reserve != Reserve::Bytes(0) => Some(Disk {
                folder: sqlite_file::folder_of(path).to_owned(),
                log: sqlite_file::sibling(path, "-wal"),
                reserve,
            }),
            _ => None,
        };
        Self { disk, left: u64::MAX, looked: None }
    }

    /// Measures the room at the begin of a transaction. That takes microseconds. If much is free, the measurement stays
    /// valid for some transactions.
    pub fn look(&mut self, conn: &mut AnyConnection) {
        let Some(disk) = &self.disk else { return };
        if self.left >= MUCH && self.looked.is_some_and(|looked| looked.elapsed() < HOLDS) {
            return;
        }
        self.looked = Some(Instant::now());
        self.left = disk.left(conn).unwrap_or(u64::MAX);
    }

    /// Takes the most that `what` needs, for the rest of the transaction.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub fn take(&mut self, what: Growth) -> Result<()> {
        if self.disk.is_none() {
            return Ok(());
        }
        self.left = self.left.checked_sub(what.bytes()).ok_or_else(|| {
            tracing::debug!(?what, left = self.left, "the disk of the database is nearly full");
            Error::StorageFull
        })?;
        Ok(())
    }
}

impl Disk {
    /// `None` where the system does not tell.
    fn left(&self, conn: &mut AnyConnection) -> Option<u64> {
        let (free, whole) = (sqlite_file::free_space(&self.folder)?, sqlite_file::whole_space(&self.folder)?);
        let reserve = self.reserve.of_growth(whole);
        // A checkpoint may make the file longer by the size of the log.
        let log = std::fs::metadata(&self.log).map_or(0, |found| found.len());
        let kept = reserve.saturating_add(log);
        if free >= kept.saturating_add(MUCH) {
            return Some(free - kept);
        }
        // Half of the reserve is for writes that need not ask.
        if free < reserve / 2 {
            return Some(0);
        }
        // Deleted rows leave room in the file itself, which never returns to the disk.
        let unused =
            diesel::sql_query("SELECT freelist_count AS n FROM pragma_freelist_count").get_result::<Count>(conn);
        let unused = unused.map_or(0, |unused| crate::tables::rows::count(unused.n).saturating_mul(PAGE));
        Some(free.saturating_add(unused).saturating_sub(kept))
    }
}
