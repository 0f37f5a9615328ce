//! Room on the disk that uploads are written to.

use domain::files::{Reserve, Space};
use domain::{Error, FileId, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A disk, if the system tells of it.
#[cfg(unix)]
pub fn space_of(directory: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Space { whole: bytes(found.f_blocks), free: bytes(found.f_bavail) })
}

/// A disk, if the system tells of it.
#[cfg(not(unix))]
pub fn space_of(_directory: &Path) -> Option<Space> {
    None
}

/// What uploads have to leave free, and what they were promised.
#[derive(Debug)]
pub(crate) struct Room {
    /// Where they are written to, where that is a disk of this machine.
    uploads: Option<PathBuf>,
    /// Others that need room: the database's.
    others: Vec<PathBuf>,
    reserve: Reserve,
    /// What uploads under way may still write.
    promised: Mutex<u64>,
}

impl Room {
    pub(crate) fn new(uploads: Option<PathBuf>, others: Vec<PathBuf>, reserve: Reserve) -> Self {
        Self { uploads, others, reserve, promised: Mutex::new(0) }
    }

    /// Promises room for so many bytes. Blocks for as long as the system takes to tell how much there is.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub(crate) fn promise(self: &Arc<Self>, bytes: u64) -> Result<Promise> {
        for other in &self.others {
            space_of(other).map_or(Ok(()), |space| self.reserve.admits(space, 0, 0))?;
        }
        // Held while the disk is looked at: of two at once, the second has to see what the first was promised.
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = self.uploads.as_deref().and_then(space_of) {
            self.reserve.admits(space, *promised, bytes)?;
        }
        *promised = promised.saturating_add(bytes);
        Ok(Promise { room: Arc::clone(self), left: bytes })
    }

    /// Whether so many promised bytes can still be written: others than uploads may have filled the disk.
    fn holds(&self, bytes: u64) -> Result<()> {
        let space = self.uploads.as_deref().and_then(space_of);
        space.map_or(Ok(()), |space| self.reserve.admits(space, 0, bytes))
    }
}

/// Room for an upload, until it is dropped.
#[derive(Debug)]
pub(crate) struct Promise {
    room: Arc<Room>,
    left: u64,
}

impl Promise {
    /// Off the async threads.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub(crate) async fn of(room: &Arc<Room>, bytes: u64) -> Result<Self> {
        let room = Arc::clone(room);
        tokio::task::spawn_blocking(move || room.promise(bytes)).await.map_err(Error::internal)?
    }

    /// To be asked before bytes are written.
    ///
    /// # Errors
    /// [`Error::StorageFull`].
    pub(crate) async fn holds(&self, bytes: u64) -> Result<()> {
        let room = Arc::clone(&self.room);
        tokio::task::spawn_blocking(move || room.holds(bytes)).await.map_err(Error::internal)?
    }

    /// Takes note that so many bytes are on the disk: the system counts them from now on.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.give_back(bytes);
    }

    fn give_back(&self, bytes: u64) {
        let mut promised = self.room.promised.lock().unwrap_or_else(PoisonError::into_inner);
        *promised = promised.saturating_sub(bytes);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.give_back(self.left);
    }
}

/// The blobs that this process is writing.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashSet<FileId>>);

/// One of them, until it is dropped.
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
        let mut one = plenty.promise(1000).unwrap();
        assert!(matches!(plenty.promise(whole), Err(Error::StorageFull)));
        assert_eq!(*plenty.promised.lock().unwrap(), 1000);
        one.wrote(400);
        assert_eq!(*plenty.promised.lock().unwrap(), 600);
        one.wrote(9_999);
        drop(one);
        assert_eq!(*plenty.promised.lock().unwrap(), 0);
        assert!(room(whole + 1).promise(0).is_err());
        // What is stored elsewhere needs a database all the same.
        let elsewhere = Arc::new(Room::new(None, vec![directory.path().to_owned()], Reserve::Bytes(whole + 1)));
        assert!(elsewhere.promise(0).is_err());
    }
}
