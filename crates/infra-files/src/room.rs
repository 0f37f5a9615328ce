//! The room on the disk of the uploads.

use domain::files::{Reserve, Space};
use domain::{Error, FileId, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The size and free room of a disk, if the system tells it.
#[cfg(unix)]
pub fn space_of(directory: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Space { whole: bytes(found.f_blocks), free: bytes(found.f_bavail) })
}

/// The size and free room of a disk, if the system tells it.
#[cfg(not(unix))]
pub fn space_of(_directory: &Path) -> Option<Space> {
    None
}

/// The reserve that uploads leave free, and the bytes that they are writing now.
#[derive(Debug)]
pub(crate) struct Room {
    /// The directory of the uploads, if it is on a disk of this machine.
    uploads: Option<PathBuf>,
    /// Other directories that need room: the database's.
    others: Vec<PathBuf>,
    reserve: Reserve,
    /// Bytes on their way to the disk that the system may not count yet.
    promised: Mutex<u64>,
}

impl Room {
    pub(crate) fn new(uploads: Option<PathBuf>, others: Vec<PathBuf>, reserve: Reserve) -> Self {
        Self { uploads, others, reserve, promised: Mutex::new(0) }
    }

    /// Whether an upload of so many bytes would fit now. Blocks while it asks the system for the free room.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub(crate) fn has(&self, bytes: u64) -> Result<()> {
        for other in &self.others {
            space_of(other).map_or(Ok(()), |space| self.reserve.admits(space, 0, 0))?;
        }
        self.admits(*self.promised(), bytes)
    }

    /// Promises room for bytes that are about to be written. Blocks like [`Room::has`].
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    fn promise(self: &Arc<Self>, bytes: u64) -> Result<Promise> {
        // Held during the look at the disk: of two threads, the second has to see what the first was promised.
        let mut promised = self.promised();
        self.admits(*promised, bytes)?;
        *promised = promised.saturating_add(bytes);
        Ok(Promise { room: Arc::clone(self), bytes })
    }

    fn admits(&self, promised: u64, bytes: u64) -> Result<()> {
        let space = self.uploads.as_deref().and_then(space_of);
        space.map_or(Ok(()), |space| self.reserve.admits(space, promised, bytes))
    }

    fn promised(&self) -> MutexGuard<'_, u64> {
        // A thread that panics while it holds the lock leaves a consistent number.
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for bytes that an upload is writing. Dropping it frees the room: from then on the system counts the bytes. Only
/// for bytes that have arrived: a slow client that only announces bytes must not take the room of all others.
#[derive(Debug)]
pub(crate) struct Promise {
    room: Arc<Room>,
    bytes: u64,
}

impl Promise {
    /// Promises room, on a blocking thread.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub(crate) async fn of(room: &Arc<Room>, bytes: usize) -> Result<Self> {
        let (room, bytes) = (Arc::clone(room), bytes as u64);
        tokio::task::spawn_blocking(move || room.promise(bytes)).await.map_err(Error::internal)?
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut promised = self.room.promised();
        *promised = promised.saturating_sub(self.bytes);
    }
}

/// The blobs that this process is writing.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashSet<FileId>>);

/// A blob that this process is writing. Dropping it removes the blob from the set.
pub(crate) struct Writing {
    under_way: Arc<UnderWay>,
    id: FileId,
}

impl UnderWay {
    pub(crate) fn begin(self: &Arc<Self>, id: FileId) -> Writing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Writing { under_way: Arc::clone(self), id }
    }

    pub(crate) fn has(&self, id: FileId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_was_promised_is_promised_to_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let Space { whole, .. } = space_of(directory.path()).unwrap();
        let room =
            |reserve| Arc::new(Room::new(Some(directory.path().to_owned()), Vec::new(), Reserve::Bytes(reserve)));
        let plenty = room(0);
        let one = plenty.promise(1000).unwrap();
        assert!(matches!(plenty.promise(whole), Err(Error::StorageFull)));
        assert!(matches!(plenty.has(whole), Err(Error::StorageFull)));
        // Whether there is room was asked, and took none.
        plenty.has(1000).unwrap();
        assert_eq!(*plenty.promised(), 1000);
        drop(one);
        assert_eq!(*plenty.promised(), 0);
        assert!(room(whole + 1).promise(0).is_err() && room(whole + 1).has(0).is_err());
        // What is stored elsewhere needs a database all the same.
        let elsewhere = Arc::new(Room::new(None, vec![directory.path().to_owned()], Reserve::Bytes(whole + 1)));
        assert!(elsewhere.has(0).is_err());
    }
}
