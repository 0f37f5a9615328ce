//! What the database says of itself that no other try will mend: that it is damaged, or that its disk fails.

use crate::connection::DatabaseUrl;
use crate::error::{DbError, damage, tells_of_damage};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a Postgres counts as damaged after it said so: it may have been mended, and other tables of it may be whole.
const POSTGRES_REMEMBERED: Duration = Duration::from_secs(60);
/// With less room than this, SQLite tells of a disk that fails where one is only full.
const FULL_BELOW: u64 = 1 << 20;

/// Whether the database was found to be damaged. A SQLite file stays so until the server is started again, and takes no writes:
/// each would make it worse, and none could be trusted to be there.
#[derive(Debug)]
pub struct Health {
    /// A SQLite file's folder.
    folder: Option<PathBuf>,
    found: Mutex<Option<Instant>>,
}

impl Health {
    /// Nothing is known to be wrong.
    pub fn of(url: &DatabaseUrl) -> Self {
        let folder = match url {
            DatabaseUrl::Sqlite(path) => Some(crate::connection::sqlite_file::folder_of(path).to_owned()),
            DatabaseUrl::Postgres(_) => None,
        };
        Self { folder, found: Mutex::new(None) }
    }

    /// Takes note of an error, if it tells of damage.
    pub fn note(&self, error: &DbError) {
        match error {
            DbError::Database(error) => {
                if let Some(damage) = damage(error) {
                    self.report(damage);
                }
            }
            // Of a file that is damaged at its beginning.
            DbError::NoConnection(why) if tells_of_damage(why) => self.report(why),
            _ => {}
        }
    }

    /// Takes note of damage, and says so as loud as can be: once.
    pub fn report(&self, damage: &str) {
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

    /// Whether it is.
    pub fn is_damaged(&self) -> bool {
        let found = *self.found();
        found.is_some_and(|found| self.folder.is_some() || found.elapsed() < POSTGRES_REMEMBERED)
    }

    /// Whether nothing may be written.
    pub fn refuses_writes(&self) -> bool {
        self.folder.is_some() && self.found().is_some()
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
