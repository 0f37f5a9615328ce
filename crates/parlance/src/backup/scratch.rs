//! A directory for unfinished files, and the removal of what a killed process left there.

use anyhow::{Context as _, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file in it that is locked for as long as somebody works there.
const LOCK: &str = "lock";

/// A directory of its own, for this user only, gone with all that is in it when dropped. A killed process leaves it;
/// that nobody holds it any more tells it from one in use.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes it, in the place of what a killed process left there. Its folder must be there.
    ///
    /// # Errors
    /// Where it cannot be made, also since another one is at it.
    pub fn make(path: PathBuf) -> anyhow::Result<Self> {
        if let Some(left) = Self::left_at(&path)? {
            drop(left);
        }
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Self::left_at(&path)?.with_context(|| format!("{} was removed by another", path.display()))
    }

    /// What lies there and nobody works on any more; held from now on. `None` where nothing is.
    ///
    /// # Errors
    /// Where somebody works there, or it is no directory.
    pub fn left_at(path: &Path) -> anyhow::Result<Option<Self>> {
        let shown = path.display();
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
            Ok(found) if !found.is_dir() => bail!("{shown} is in the way: it is no directory"),
            Ok(_) => {}
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK));
        let lock = lock.with_context(|| format!("cannot lock {shown}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another parlance is working in {shown}: wait until it is done"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {shown}")),
        }
        // Who had it may have removed it just now, and another have made it again.
        if !is_same(&lock, &path.join(LOCK)) {
            bail!("another parlance is working in {shown}: wait until it is done");
        }
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// A place in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[cfg(unix)]
fn is_same(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |found: &std::fs::Metadata| (found.dev(), found.ino());
    matches!((open.metadata(), std::fs::metadata(path)), (Ok(open), Ok(found)) if identity(&open) == identity(&found))
}

#[cfg(not(unix))]
fn is_same(_open: &File, path: &Path) -> bool {
    path.exists()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in nobody's way: the next one removes it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_was_left_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |path| format!("{:#}", Scratch::make(path).unwrap_err());
        let path = folder.path().join("scratch");
        assert!(refusal(folder.path().join("missing/scratch")).contains("cannot make"));
        let scratch = Scratch::make(path.clone()).unwrap();
        std::fs::write(scratch.at("half"), "x").unwrap();
        assert!(refusal(path.clone()).contains("another parlance"));
        // As a killed process leaves it: the lock is given back and nothing is removed.
        scratch._lock.unlock().unwrap();
        let again = Scratch::make(path.clone()).unwrap();
        assert!(!again.at("half").exists());
        std::mem::forget(scratch);
        drop(again);
        assert!(!path.exists());
        // One of an earlier version has no lock in it.
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("parlance.db"), "x").unwrap();
        drop(Scratch::make(path.clone()).unwrap());
        std::fs::write(&path, "a file of somebody's").unwrap();
        assert!(refusal(path.clone()).contains("no directory"));
        assert!(path.exists());
    }
}
