//! One server for a SQLite file, whatever the file is called.
//!
//! Two servers would each trust their own memory of sessions and counters. Under two names of one file (hard links)
//! they would even write two logs. So the first server takes two advisory locks, which the system releases however the
//! process ends:
//!
//! - on a file beside the database, in the real folder and under the real name. Links to the database lead there. A
//!   restore holds this lock while it moves a database to its place;
//! - on the database file itself (Linux). A bind mount shows the file at another path, with another lock file beside
//!   it, but it is the same inode.
//!
//! The second lock is a `flock`, which does not conflict with SQLite's own locks (`fcntl`). But closing **any**
//! descriptor of a file releases all `fcntl` locks of the process on it, those of SQLite too. So the process takes the
//! lock before SQLite opens the file, shares it among all connections and closes it after the last of them. It never
//! tries to lock a file that it has locked already.

use crate::connection::sqlite_file::{Identity, sibling};
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The locks of a database, held until this is dropped. Drop it after every connection to the file.
#[derive(Debug)]
pub struct DatabaseLock {
    beside: File,
    own: Option<File>,
    /// The real path of the locked file, and its identity.
    place: PathBuf,
    identity: Option<Identity>,
}

/// Why the process could not get the lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has the lock, or another store of this one.
    #[error("another parlance is running on {0}: one SQLite file takes one server at a time")]
    Held(String),
    /// The file has another name. SQLite would keep a log for each of the two.
    #[error("{0} has {1} names (hard links), and two names of one database destroy it: remove all but one")]
    Linked(String, u64),
    /// The process cannot make the folder of the file.
    #[error("cannot make the folder of {0}: {1}")]
    Folder(String, std::io::Error),
    /// The process cannot make or lock the lock file.
    #[error("cannot lock {0}: {1}")]
    Failed(String, std::io::Error),
}

/// The files that this process has locked.
static HELD: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

impl DatabaseLock {
    /// Locks the database at `path`. Creates its file and folder if they do not exist.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let mut lock = Self::take_place(path)?;
        // One thread at a time: no other may take the lock between the look into `HELD` and the entry.
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.get_or_insert_default();
        let failed = |error| LockError::Failed(path.display().to_string(), error);
        crate::connection::make_private(&lock.place);
        let found = std::fs::metadata(&lock.place).map_err(failed)?;
        let identity = Identity::of(&found);
        if identity.is_some_and(|identity| held.contains(&identity)) {
            return Err(LockError::Held(path.display().to_string()));
        }
        let names = crate::connection::sqlite_file::link_count(&found);
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

    /// Locks only the place to which a restore is about to move a database.
    pub fn take_place(path: &Path) -> Result<Self, LockError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let unmade = |error| LockError::Folder(path.display().to_string(), error);
            std::fs::create_dir_all(folder).map_err(unmade)?;
        }
        let failed = |error| LockError::Failed(path.display().to_string(), error);
        let place = crate::connection::sqlite_file::real_path(path).map_err(failed)?;
        let beside = sibling(&place, ".lock");
        let beside = OpenOptions::new().create(true).truncate(false).write(true).open(&beside).map_err(failed)?;
        try_lock(&beside, path)?;
        Ok(Self { beside, own: None, place, identity: None })
    }

    /// The real path of the database.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The identity of the locked file, if the system tells it.
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
    /// Unlocks explicitly. Closing the files would not suffice: a child process that is starting has copies of them
    /// until it runs its program.
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
