//! Blobs in an object store.

use crate::disk::{self, FileSource, OpenError};
use crate::intake::Intake;
use async_trait::async_trait;
use bytes::BytesMut;
use domain::files::{BlobStore, ByteRange, ByteSource, FileId, StoredBlob};
use domain::{Error, Result};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, memory::InMemory,
};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// How much of an upload is written to disk at once, and so held in memory.
const DISK_PART_BYTES: usize = 256 * 1024;

/// Blobs in an object store.
///
/// A blob lies under `<last two digits of its id>/<id>`. The tail of a UUIDv7 is random and spreads blobs evenly, while
/// its head is the time and would crowd all uploads of a few hours into one place.
///
/// What a crash leaves behind lies in the same places: a whole blob whose id no file has, or on disk `<id>#1`, a blob
/// that was being written. Only one who knows the files can tell the former, so nothing is cleared at start.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// How much is written at once.
    part_bytes: usize,
    /// The directory, where it is one.
    directory: Option<PathBuf>,
}

impl Blobs {
    /// In a directory, which is made if needed. Blocks; for the start of the program.
    ///
    /// # Errors
    /// [`OpenError`] where it can't be made or written.
    pub fn on_disk(root: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let root = root.into();
        let store = disk::open(&root, (0..=u8::MAX).map(shelf))?;
        Ok(Self { store: Arc::new(store), part_bytes: DISK_PART_BYTES, directory: Some(root) })
    }

    /// In memory, for tests.
    pub fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new()), DISK_PART_BYTES)
    }

    /// In any store whose writes are durable when they return. Larger blobs are written in parts of `part_bytes`, each
    /// held in memory meanwhile; S3 wants at least 5 MiB.
    pub fn new(store: Arc<dyn ObjectStore>, part_bytes: usize) -> Self {
        Self { store, part_bytes: part_bytes.max(1), directory: None }
    }

    /// Writes everything and makes it durable; what is written when it fails is the caller's to clear.
    async fn write(
        &self,
        path: &Path,
        source: &mut dyn ByteSource,
        upload: &mut Upload,
        most: u64,
    ) -> Result<StoredBlob> {
        let mut intake = Intake::new(most);
        let mut buffer = BytesMut::new();
        while let Some(bytes) = source.next().await? {
            intake.pass(&bytes)?;
            buffer.extend_from_slice(&bytes);
            while buffer.len() > self.part_bytes {
                let part = buffer.split_to(self.part_bytes).freeze();
                upload.begin(&*self.store, path).await?.put_part(part.into()).await.map_err(fault)?;
            }
        }
        let last = PutPayload::from(buffer.freeze());
        match &mut upload.0 {
            Some(parts) => {
                parts.put_part(last).await.map_err(fault)?;
                parts.complete().await.map_err(fault)?;
            }
            None => {
                self.store.put(path, last).await.map_err(fault)?;
            }
        }
        Ok(intake.finish())
    }

    /// Removes what a failed write has left. Tells only the log where that fails too: the first error matters more.
    async fn clear(&self, id: FileId, path: &Path, upload: Upload) {
        if let Some(mut parts) = upload.0 {
            // Fails where completing had begun; what follows covers that.
            let _ = parts.abort().await;
        }
        let mut cleared = self.remove(id).await;
        if let Some(root) = &self.directory {
            let unfinished = disk::unfinished(root, path.as_ref());
            let removed = tokio::task::spawn_blocking(move || std::fs::remove_file(unfinished)).await;
            if let Ok(Err(error)) = removed
                && error.kind() != ErrorKind::NotFound
            {
                cleared = cleared.and(Err(Error::internal(error)));
            }
        }
        if let Err(error) = cleared {
            tracing::warn!(file = %id, error = &error as &dyn std::error::Error, "an upload that failed left a blob behind");
        }
    }
}

/// An upload in parts, once there was more than one part to write.
struct Upload(Option<Box<dyn MultipartUpload>>);

impl Upload {
    async fn begin(&mut self, store: &dyn ObjectStore, path: &Path) -> Result<&mut Box<dyn MultipartUpload>> {
        let parts = match self.0.take() {
            Some(parts) => parts,
            None => store.put_multipart(path).await.map_err(fault)?,
        };
        Ok(self.0.insert(parts))
    }
}

#[async_trait]
impl BlobStore for Blobs {
    /// Not to be dropped before it is done: the last step may then still happen, and leave a blob that nobody knows of.
    async fn store<'a>(&self, id: FileId, mut source: Box<dyn ByteSource + 'a>, most: u64) -> Result<StoredBlob> {
        let path = path_of(id);
        let mut upload = Upload(None);
        let written = self.write(&path, &mut *source, &mut upload, most).await;
        if written.is_err() {
            self.clear(id, &path, upload).await;
        }
        written
    }

    async fn open(&self, id: FileId, range: Option<ByteRange>) -> Result<Option<Box<dyn ByteSource>>> {
        let range = range.map(|range| GetRange::Bounded(range.start..range.end));
        let found = match self.store.get_opts(&path_of(id), GetOptions { range, ..GetOptions::default() }).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(fault(error)),
        };
        let range = found.range;
        Ok(Some(match found.payload {
            GetResultPayload::File(file, _) => Box::new(FileSource::new(file, range)),
            GetResultPayload::Stream(stream) => Box::new(StreamSource { stream, left: range.end - range.start }),
        }))
    }

    async fn remove(&self, id: FileId) -> Result<()> {
        match self.store.delete(&path_of(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(fault(error)),
        }
    }
}

/// What a store streams, held to the length it announced.
struct StreamSource {
    stream: BoxStream<'static, object_store::Result<bytes::Bytes>>,
    left: u64,
}

#[async_trait]
impl ByteSource for StreamSource {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.stream.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    self.left = self.left.saturating_sub(bytes.len() as u64);
                    return Ok(Some(bytes.into()));
                }
                Some(Err(error)) => return Err(fault(error)),
                None if self.left > 0 => return Err(Error::internal("a blob is shorter than it was")),
                None => return Ok(None),
            }
        }
    }
}

/// The name of one of the 256 directories that blobs are spread over.
fn shelf(number: u8) -> String {
    format!("{number:02x}")
}

fn path_of(id: FileId) -> Path {
    let [.., last] = *id.0.as_bytes();
    Path::from_iter([shelf(last), id.to_string()])
}

/// A full disk is the operator's to know and the client's to be told; everything else is internal.
fn fault(error: object_store::Error) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(current) = cause {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
        if current.downcast_ref::<std::io::Error>().is_some_and(|error| full.contains(&error.kind())) {
            return Error::StorageFull;
        }
        cause = current.source();
    }
    Error::internal(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_faults() {
        let wrapped = |kind: ErrorKind| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(std::io::Error::from(kind)),
        };
        assert!(matches!(fault(wrapped(ErrorKind::StorageFull)), Error::StorageFull));
        assert!(matches!(fault(wrapped(ErrorKind::QuotaExceeded)), Error::StorageFull));
        assert!(matches!(fault(wrapped(ErrorKind::PermissionDenied)), Error::Internal(_)));
    }
}
