//! Damage that the database reports and that no retry mends: its pages are damaged, or its disk fails.

use crate::connection::DatabaseUrl;
use crate::error::{DbError, damage, tells_of_damage};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a Postgres counts as damaged after it reported damage. An operator may have mended it, and its other tables
/// may be well.
const POSTGRES_DAMAGE_REMEMBERED: Duration = Duration::from_secs(60);
/// With less free space than this, SQLite reports a failing disk although the disk is only full.
const FULL_BELOW: u64 = 1 << 20;

/// Whether the database has reported damage. A SQLite file counts as damaged until the server restarts, and the server
/// refuses writes: each would make the damage worse, and nobody could trust it.
#[derive(Debug)]
pub struct Health {
    /// The folder of a SQLite file.
    folder: Option<PathBuf>,
    found: Mutex<Option<Instant>>,
}

impl Health {
    /// A database without known damage.
    pub fn of(url: &DatabaseUrl) -> Self {
        let folder = match url {
            DatabaseUrl::Sqlite(path) => Some(crate::connection::sqlite_file::folder_of(path).to_owned()),
            DatabaseUrl::Postgres(_) => None,
        };
        Self { folder, found: Mutex::new(None) }
    }

    /// Records an error, if it reports damage.
    pub fn record_error(&self, error: &DbError) {
        match error {
            DbError::Database(error) => {
                if let Some(damage) = damage(error) {
                    self.record_damage(damage);
                }
            }
            // A file that is damaged at its beginning cannot be opened.
            DbError::NoConnection(why) if tells_of_damage(why) => self.record_damage(why),
            _ => {}
        }
    }

    /// Records damage, and logs the first as an error.
    pub fn record_damage(&self, damage: &str) {
        let full =
            |folder: &PathBuf| crate::connection::sqlite_file::free_space(folder).is_some_and(|free| free < FULL_BELOW);
        if damage.contains("I/O error") && self.folder.as_ref().is_some_and(full) {
            return;
        }
        let known = self.is_damaged();
        *self.found() = Some(Instant::now());
        if known {
            return;
        }
        if self.folder.is_some() {
            tracing::error!(
                damage,
                "THE DATABASE IS DAMAGED, or its disk fails: nothing is written any more and the server is not ready; stop it, \
                 look with `parlance doctor`, and restore a backup"
            );
        } else {
            tracing::error!(
                damage,
                "THE DATABASE IS DAMAGED, or its disk fails: the server is not ready for a minute; look into Postgres' log"
            );
        }
    }

    /// Whether the database counts as damaged.
    pub fn is_damaged(&self) -> bool {
        let found = *self.found();
        found.is_some_and(|found| self.folder.is_some() || found.elapsed() < POSTGRES_DAMAGE_REMEMBERED)
    }

    /// Whether the server refuses writes.
    pub fn refuses_writes(&self) -> bool {
        self.folder.is_some() && self.found().is_some()
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
