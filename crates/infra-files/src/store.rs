//! Blobs in an object store.

use crate::OpenError;
use crate::disk::{self, FileSource, Root};
use crate::fault::{fault, is_missing};
use crate::intake::Intake;
use crate::names::{path_of, shelf};
use crate::part::{BLOCK_BYTES, Memory, Part};
use crate::room::{Promise, Room, UnderWay};
use crate::s3::{self, Bucket};
use crate::strip::Stripper;
use async_trait::async_trait;
use domain::files::{
    BlobPage, BlobStore, ByteRange, ByteSource, FileId, Reserve, StoredBlob, Thumbnail, ThumbnailWidth,
};
use domain::{Error, Result, Timestamp, Unavailable, UserId};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, memory::InMemory,
};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Bytes of an upload that one write to disk takes. An upload holds as many in memory.
const DISK_PART_BYTES: usize = 256 * 1024;
/// Bytes of an upload that one request to S3 sends: the smallest part that S3 takes.
const S3_PART_BYTES: usize = 5 * 1024 * 1024;
/// Bytes of memory that all uploads hold together: 25 parts for S3 at once, or 500 for a disk.
const MEMORY_BYTES: usize = 128 * 1024 * 1024;
/// Most parts of a blob in S3.
const MAX_PARTS: u64 = 10_000;
/// How long a client may pause before the store writes what has arrived and frees the memory. Otherwise many clients
/// that stop in the middle would hold all of it.
const IDLE: Duration = Duration::from_secs(1);
/// How long cleaning up after a failed write may take. The uploading client waits for it.
const CLEARING: Duration = Duration::from_secs(3);

/// Blobs in an object store.
///
/// A blob has the path `<last two digits of its id>/<id>`. The tail of a UUIDv7 is random and spreads blobs evenly. Its
/// head is the time, and would crowd all uploads of a few hours into one place.
///
/// A crash leaves bytes in the same places: a complete blob whose id no file has, or on disk `<id>#1`, an unfinished
/// blob. Only somebody who knows the files recognizes the former. The server removes both when they are old.
#[derive(Debug)]
pub struct Blobs {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Bytes that one write takes.
    part_bytes: usize,
    memory: Memory,
    /// The directory. `None` for other stores.
    pub(crate) directory: Option<Arc<Root>>,
    pub(crate) room: Arc<Room>,
    /// The blobs that this process is writing.
    under_way: Arc<UnderWay>,
    /// Whether it leaves out the metadata of images.
    strips: bool,
}

impl Blobs {
    /// A store in a directory, which it creates if needed. Blocks; for the start of the program.
    ///
    /// # Errors
    /// [`OpenError`] if it cannot create the directory or write to it.
    pub fn on_disk(root: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let root = root.into();
        let store = disk::open(&root, (0..=u8::MAX).map(shelf))?;
        let root = Root::new(root).map_err(OpenError::Directory)?;
        Ok(Self { directory: Some(Arc::new(root)), ..Self::new(Arc::new(store), DISK_PART_BYTES) })
    }

    /// A store in a bucket of S3 or of a compatible service. `settings` are the `AWS_...` variables: the address and
    /// the credentials. Tries every operation that the server needs; if the service does not answer, it retries for
    /// `patience`.
    ///
    /// # Errors
    /// [`OpenError`] if the service is out of reach or refuses. It is one sentence without secrets.
    pub async fn in_bucket(
        bucket: &Bucket,
        settings: impl IntoIterator<Item = (String, String)>,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        let store = s3::open(bucket, settings)?;
        s3::try_out(&*store, bucket, patience).await?;
        Ok(Self::new(store, S3_PART_BYTES))
    }

    /// A store in memory, for tests.
    pub fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new()), DISK_PART_BYTES)
    }

    /// A store whose writes are durable when they return. It writes larger blobs in parts of `part_bytes`, and holds
    /// each part in memory; S3 wants at least 5 MiB.
    pub fn new(store: Arc<dyn ObjectStore>, part_bytes: usize) -> Self {
        let room = Arc::new(Room::new(None, Vec::new(), Reserve::Bytes(0)));
        Self {
            store,
            part_bytes: part_bytes.max(1),
            memory: Memory::of(MEMORY_BYTES),
            directory: None,
            room,
            under_way: Arc::default(),
            strips: false,
        }
    }

    /// Makes the store refuse uploads that would not leave the reserve free, on the disk of the directory and on those
    /// of `others`, which need room too.
    #[must_use]
    pub fn leaving(self, reserve: Reserve, others: Vec<PathBuf>) -> Self {
        let uploads = self.directory.as_ref().map(|root| root.path.clone());
        Self { room: Arc::new(Room::new(uploads, others, reserve)), ..self }
    }

    /// Makes the store leave out the metadata of every png, jpeg and webp that it stores from now on.
    #[must_use]
    pub fn stripping(self) -> Self {
        Self { strips: true, ..self }
    }

    /// Whether the directory is where it was at the start. Always true for a bucket, of which the process knows
    /// nothing.
    pub async fn is_there(&self) -> bool {
        let Some(root) = self.directory.clone() else { return true };
        tokio::task::spawn_blocking(move || root.is_there()).await.unwrap_or(false)
    }

    /// # Errors
    /// [`Unavailable::StorageOutOfReach`] if the directory is gone.
    pub(crate) async fn must_be_there(&self) -> Result<()> {
        if self.is_there().await { Ok(()) } else { Unavailable::StorageOutOfReach.err() }
    }

    /// Sets how many bytes of memory all uploads hold together; 128 MiB by default. An upload that finds none gets
    /// [`domain::Unavailable::Overloaded`] after a while.
    #[must_use]
    pub fn holding(self, bytes: usize) -> Self {
        Self { memory: Memory::of(bytes), ..self }
    }

    /// Writes everything and makes it durable. If it fails, the caller removes what it has written.
    async fn write(
        &self,
        path: &Path,
        owner: UserId,
        source: &mut dyn ByteSource,
        upload: &mut Upload,
        most: u64,
    ) -> Result<StoredBlob> {
        let mut intake = Intake::new(most);
        let (mut stripper, mut held) = (Stripper::new(self.strips), Vec::new());
        let mut part = Part::new(&self.memory, owner, self.part_bytes_for(most));
        loop {
            let bytes = {
                let mut next = source.next();
                // A disk takes parts of any size. A bucket wants parts of one size.
                let may_be_early = self.directory.is_some() && !part.is_empty();
                match tokio::time::timeout(IDLE, next.as_mut()).await {
                    Ok(bytes) => bytes?,
                    Err(_) if may_be_early => {
                        self.write_part(path, &mut part, upload).await?;
                        next.await?
                    }
                    Err(_) => next.await?,
                }
            };
            let is_last = bytes.is_none();
            let bytes = match bytes {
                Some(bytes) => {
                    intake.pass(&bytes)?;
                    stripper.pass(bytes)
                }
                None => stripper.finish(),
            };
            let blocks = stripper.held().div_ceil(BLOCK_BYTES);
            while blocks > held.len() {
                held.push(self.memory.have(owner, 1, self.part_bytes.div_ceil(BLOCK_BYTES)).await?);
            }
            intake.keep(&bytes, stripper.changes());
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                if part.is_full() {
                    self.write_part(path, &mut part, upload).await?;
                }
                rest = part.fill(rest).await?;
            }
            if is_last {
                break;
            }
        }
        drop(held);
        let (last, _held) = part.take();
        let _room = Promise::of(&self.room, last.content_length()).await?;
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

    /// Writes the gathered bytes, and frees their memory.
    async fn write_part(&self, path: &Path, part: &mut Part<'_>, upload: &mut Upload) -> Result<()> {
        let (gathered, _held) = part.take();
        let _room = Promise::of(&self.room, gathered.content_length()).await?;
        upload.begin(&*self.store, path).await?.put_part(gathered).await.map_err(fault)
    }

    /// The size of a part. Larger if the largest blob would need too many parts otherwise.
    fn part_bytes_for(&self, most: u64) -> usize {
        let needed = usize::try_from(most.div_ceil(MAX_PARTS)).unwrap_or(usize::MAX);
        self.part_bytes.max(needed.min(MEMORY_BYTES / 4))
    }

    /// Deletes an object, if it is there.
    pub(crate) async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) => Ok(()),
            // The blob may be on a disk that is not mounted.
            Err(error) if is_missing(&error) => self.must_be_there().await,
            Err(error) => Err(fault(error)),
        }
    }

    /// Removes what a failed write has left. If that fails too, or takes too long, only the log says so: the first
    /// error matters more.
    async fn clear(&self, id: FileId, upload: Upload) {
        let cleared = tokio::time::timeout(CLEARING, self.try_to_clear(id, upload)).await;
        let cleared = cleared.unwrap_or_else(|late| Err(Error::internal(late)));
        if let Err(error) = cleared {
            tracing::warn!(file = %id, error = &error as &dyn std::error::Error, "an upload that failed left a blob behind");
        }
    }

    async fn try_to_clear(&self, id: FileId, upload: Upload) -> Result<()> {
        let mut cleared = Ok(());
        if let Some(mut parts) = upload.0 {
            cleared = match parts.abort().await {
                // Completing had begun, or a directory has no parts. The next step removes those.
                Err(error) if is_missing(&error) || self.directory.is_some() => Ok(()),
                aborted => aborted.map_err(fault),
            };
        }
        cleared.and(self.remove(id).await).and(self.remove_unfinished(id).await)
    }

    /// Removes what a broken-off write of this blob has left. The caller knows that nobody is writing it.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn remove_unfinished(&self, id: FileId) -> Result<()> {
        let Some(root) = &self.directory else { return Ok(()) };
        let unfinished = disk::unfinished(&root.path, path_of(id).as_ref());
        match tokio::task::spawn_blocking(move || std::fs::remove_file(unfinished)).await {
            Ok(Err(error)) if error.kind() != ErrorKind::NotFound => Err(Error::internal(error)),
            _ => Ok(()),
        }
    }
}

/// An upload in parts. `None` until there is more than one part.
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
    async fn has_room(&self, bytes: u64) -> Result<()> {
        let room = Arc::clone(&self.room);
        tokio::task::spawn_blocking(move || room.has(bytes)).await.map_err(Error::internal)?
    }

    /// Callers must not drop it before it is done: the last step may still happen, and leave a blob that nobody knows
    /// of.
    async fn store<'a>(
        &self,
        id: FileId,
        owner: UserId,
        mut source: Box<dyn ByteSource + 'a>,
        most: u64,
    ) -> Result<StoredBlob> {
        let path = path_of(id);
        self.must_be_there().await?;
        let _writing = self.under_way.begin(id);
        let mut upload = Upload(None);
        let written = self.write(&path, owner, &mut *source, &mut upload, most).await;
        if written.is_err() {
            self.clear(id, upload).await;
        }
        // If the directory is gone, nobody would find what was written.
        self.must_be_there().await?;
        written
    }

    async fn open(&self, id: FileId, range: Option<ByteRange>) -> Result<Option<Box<dyn ByteSource>>> {
        let range = range.map(|range| GetRange::Bounded(range.start..range.end));
        let found = match self.store.get_opts(&path_of(id), GetOptions { range, ..GetOptions::default() }).await {
            Ok(found) => found,
            // This blob is missing, or all of them are.
            Err(error) if is_missing(&error) => return self.must_be_there().await.map(|()| None),
            Err(error) => return Err(fault(error)),
        };
        let range = found.range;
        Ok(Some(match found.payload {
            GetResultPayload::File(file, _) => Box::new(FileSource::new(file, range)),
            GetResultPayload::Stream(stream) => Box::new(StreamSource { stream, left: range.end - range.start }),
        }))
    }

    async fn thumbnail(&self, of: FileId, width: ThumbnailWidth) -> Result<Option<Thumbnail>> {
        self.kept_thumbnail(of, width).await
    }

    async fn keep_thumbnail(&self, of: FileId, width: ThumbnailWidth, thumbnail: &Thumbnail) -> Result<()> {
        self.store_thumbnail(of, width, thumbnail).await
    }

    async fn remove(&self, id: FileId) -> Result<()> {
        self.delete(&path_of(id)).await?;
        // Behind the blob: whoever keeps a thumbnail looks for the blob afterwards.
        self.remove_thumbnails(id).await
    }

    async fn list(&self, after: Option<FileId>) -> Result<BlobPage> {
        self.must_be_there().await?;
        self.page(after).await
    }

    async fn stored_before(&self, blobs: Vec<FileId>, before: Timestamp) -> Result<Vec<FileId>> {
        self.must_be_there().await?;
        let mut old = Vec::new();
        for id in blobs {
            if self.stored_at(id).await?.is_some_and(|at| at < before.as_micros()) {
                old.push(id);
            }
        }
        Ok(old)
    }

    /// Does nothing for a bucket: `object_store` cannot list its unfinished parts, so the bucket has to remove them
    /// itself.
    async fn clear_unfinished(&self, before: Timestamp) -> Result<usize> {
        let Some(root) = self.directory.clone() else { return Ok(0) };
        self.must_be_there().await?;
        let before = UNIX_EPOCH + Duration::from_micros(u64::try_from(before.as_micros()).unwrap_or(0));
        let under_way = Arc::clone(&self.under_way);
        let clear = move || disk::clear_unfinished(&root.path, before, |id| under_way.has(id));
        let cleared = tokio::task::spawn_blocking(clear);
        cleared.await.map_err(Error::internal)?.map_err(Error::internal)
    }
}

/// A stream of the store, checked against the announced length.
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
