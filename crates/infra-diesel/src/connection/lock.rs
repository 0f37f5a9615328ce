//! One server a SQLite file, whatever the file is called.
//!
//! Two servers would each believe their own memory of sessions and counters, and by two names of one file (hard links) they
//! would even write two logs. So the first takes two advisory locks, which the system gives back however the process ends:
//!
//! - on a file beside the database, in the real folder and under the real name: links to the database lead there, and a
//!   restore that is about to put a database into its place holds it, too;
//! - on the database file itself (Linux): a bind mount is another place with another file beside it, and the same inode.
//!
//! The second one is a `flock`, which SQLite's own locks (`fcntl`) don't meet. But closing **any** descriptor of a file gives
//! back all of the process' `fcntl` locks on it, SQLite's among them. So the lock is taken before SQLite opens the file, is
//! shared by all that have a connection and closed after the last of these, and is never tried for a file of which this
//! process has it already.

use crate::connection::sqlite_file::{Identity, beside};
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Held as long as it lives. To be dropped after every connection to the file.
#[derive(Debug)]
pub struct DatabaseLock {
    beside: File,
    own: Option<File>,
    /// The real path of the file that is locked, and what it is.
    place: PathBuf,
    identity: Option<Identity>,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("another parlance is running on {0}: one SQLite file takes one server at a time")]
    Held(String),
    /// The file has another name, and SQLite would keep a log for each of the two.
    #[error("{0} has {1} names (hard links), and two names of one database destroy it: remove all but one")]
    Linked(String, u64),
    /// The folder of the file cannot be made.
    #[error("cannot make the folder of {0}: {1}")]
    Folder(String, std::io::Error),
    /// The lock file cannot be made or locked.
    #[error("cannot lock {0}: {1}")]
    Failed(String, std::io::Error),
}

/// The files of which this process has the lock.
static HELD: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

impl DatabaseLock {
    /// Takes the lock of the database at `path`, whose file and folder are made if need be, or says that somebody has it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let mut lock = Self::take_place(path)?;
        // One at a time in this process: whoever looks whether it has the lock must not be overtaken.
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.get_or_insert_default();
        let failed = |error| LockError::Failed(path.display().to_string(), error);
        crate::connection::make_private(&lock.place);
        let found = std::fs::metadata(&lock.place).map_err(failed)?;
        let identity = Identity::of(&found);
        if identity.is_some_and(|identity| held.contains(&identity)) {
            return Err(LockError::Held(path.display().to_string()));
        }
        let names = crate::connection::sqlite_file::names(&found);
        if names > 1 {
            return Err(LockError::Linked(path.display().to_string(), names));
        }
        if cfg!(target_os = "linux") {
            let own = OpenOptions::new().read(true).open(&lock.place).map_err(failed)?;
            try_lock(&own, path)?;
            lock.own = Some(own);
        }
        lock.identity = identity;
        held.extend(identity);
        Ok(lock)
    }

    /// Takes only the place, where a database is about to be put.
    pub fn take_place(path: &Path) -> Result<Self, LockError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let unmade = |error| LockError::Folder(path.display().to_string(), error);
            std::fs::create_dir_all(folder).map_err(unmade)?;
        }
        let failed = |error| LockError::Failed(path.display().to_string(), error);
        let place = crate::connection::sqlite_file::real(path).map_err(failed)?;
        let beside = beside(&place, ".lock");
        let beside = OpenOptions::new().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
        try_lock(&beside, path)?;
        Ok(Self { beside, own: None, place, identity: None })
    }

    /// The real path of what is locked.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// What file it is, where the system tells.
    pub fn identity(&self) -> Option<Identity> {
        self.identity
    }
}

fn try_lock(file: &File, path: &Path) -> Result<(), LockError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(LockError::Held(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(LockError::Failed(path.display().to_string(), error)),
    }
}

impl Drop for DatabaseLock {
    /// By word and not by closing the files alone: a child process that is being started at this moment has a copy of them until
    /// it runs its program.
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(held), Some(identity)) = (&mut *held, self.identity) {
            held.remove(&identity);
        }
        // Closing follows.
        let _ = self.own.as_ref().map(File::unlock);
        let _ = self.beside.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &Path) -> bool {
        matches!(DatabaseLock::take(path), Err(LockError::Held(_)))
    }

    #[test]
    fn it_is_given_back_though_a_copy_of_the_file_is_open_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        let lock = DatabaseLock::take(&path).unwrap();
        let copies = [lock.beside.try_clone().unwrap(), lock.own.as_ref().unwrap_or(&lock.beside).try_clone().unwrap()];
        assert!(held(&path));
        drop(lock);
        DatabaseLock::take(&path).unwrap();
        drop(copies);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_locked_by_every_name_it_has() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("a")).unwrap();
        symlink(at("a"), at("folder")).unwrap();
        symlink(at("a/x.db"), at("link.db")).unwrap();
        // A link that leads nowhere yet leads to where SQLite will make the file.
        let lock = DatabaseLock::take(&at("link.db")).unwrap();
        for name in ["a/x.db", "link.db", "folder/x.db", "a/../a/x.db"] {
            assert!(held(&at(name)), "{name}");
        }
        drop(lock);
        std::fs::hard_link(at("a/x.db"), at("other.db")).unwrap();
        for name in ["a/x.db", "other.db"] {
            assert!(matches!(DatabaseLock::take(&at(name)), Err(LockError::Linked(_, 2))), "{name}");
        }
        std::fs::remove_file(at("other.db")).unwrap();
        DatabaseLock::take(&at("folder/x.db")).unwrap();
    }
}
