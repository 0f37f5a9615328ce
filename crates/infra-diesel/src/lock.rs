//! One server a SQLite file.
//!
//! Two servers would each believe their own memory of sessions and counters. So the first takes an advisory lock on a file
//! beside the database, which the system gives back however the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// Held as long as it lives.
#[derive(Debug)]
pub struct DatabaseLock {
    file: File,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("another parlance is running on {0}: one SQLite file takes one server at a time")]
    Held(String),
    /// The folder of the file cannot be made.
    #[error("cannot make the folder of {0}: {1}")]
    Folder(String, std::io::Error),
    /// The lock file cannot be made or locked.
    #[error("cannot lock {0}: {1}")]
    Failed(String, std::io::Error),
}

impl DatabaseLock {
    /// Takes the lock of the database at `path`, whose folder is made if need be, or says that somebody has it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let unmade = |error| LockError::Folder(path.display().to_string(), error);
            std::fs::create_dir_all(folder).map_err(unmade)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let failed = |error| LockError::Failed(path.display().to_string(), error);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(path.display().to_string())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for DatabaseLock {
    /// By word and not by closing the file alone: a child process that is being started at this moment has a copy of it until it
    /// runs its program.
    fn drop(&mut self) {
        // Closing follows.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_back_though_a_copy_of_the_file_is_open_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let lock = DatabaseLock::take(&path).unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(matches!(DatabaseLock::take(&path), Err(LockError::Held(_))));
        drop(lock);
        DatabaseLock::take(&path).unwrap();
        drop(copy);
    }
}
