//! A directory for unfinished files, and the removal of what a killed process left there.

use anyhow::{Context as _, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file that a process locks while it works in the directory.
const LOCK: &str = "lock";

/// A private directory that is removed with its contents on drop. A killed process leaves it behind, but without the
/// lock.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Creates the directory and replaces what a killed process left there. The parent directory must exist.
    ///
    /// # Errors
    /// An I/O error, or an error if another process is using it.
    pub fn make(path: PathBuf) -> anyhow::Result<Self> {
        if let Some(left) = Self::left_at(&path)? {
            drop(left);
        }
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Self::left_at(&path)?.with_context(|| format!("another process removed {}", path.display()))
    }

    /// Locks the directory that a killed process left there; `None` if there is none.
    ///
    /// # Errors
    /// An error if a process is using it, or if it is no directory.
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
        // Its owner may just have removed it, and another process may have created it anew.
        if !is_same(&lock, &path.join(LOCK)) {
            bail!("another parlance is working in {shown}: wait until it is done");
        }
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// A path in the directory.
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
        // Remains do no harm: the next use removes them.
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
        // As after a kill: the lock is released and the files remain.
        scratch._lock.unlock().unwrap();
        let again = Scratch::make(path.clone()).unwrap();
        assert!(!again.at("half").exists());
        std::mem::forget(scratch);
        drop(again);
        assert!(!path.exists());
        // A directory of an earlier version has no lock file.
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("parlance.db"), "x").unwrap();
        drop(Scratch::make(path.clone()).unwrap());
        std::fs::write(&path, "a file of somebody's").unwrap();
        assert!(refusal(path.clone()).contains("no directory"));
        assert!(path.exists());
    }
}
