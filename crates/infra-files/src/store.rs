//! Blobs in an object store.

use crate::OpenError;
use crate::disk::{self, FileSource, Root};
use crate::fault::{fault, is_missing};
use crate::intake::Intake;
use crate::part::{Memory, Part};
use crate::room::{Promise, Room, UnderWay};
use crate::s3::{self, Bucket};
use async_trait::async_trait;
use domain::files::{BlobPage, BlobStore, ByteRange, ByteSource, FileId, Reserve, StoredBlob};
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

/// How much of an upload is written to disk at once, and so held in memory.
const DISK_PART_BYTES: usize = 256 * 1024;
/// How much of an upload is sent to S3 at once: the least it takes as a part.
const S3_PART_BYTES: usize = 5 * 1024 * 1024;
/// How much memory all uploads hold together: 25 at once of the parts that S3 wants, or 500 of those for a disk.
const MEMORY_BYTES: usize = 128 * 1024 * 1024;
/// How many parts a blob can have; of S3.
const MAX_PARTS: u64 = 10_000;
/// How long a client may send nothing before what it has sent is written and its memory is everybody's again: many
/// clients that stop in the middle would else hold all of it.
const IDLE: Duration = Duration::from_secs(1);
/// How long clearing up after a failed write may take: whoever uploads waits for it.
const CLEARING: Duration = Duration::from_secs(3);

/// Blobs in an object store.
///
/// A blob lies under `<last two digits of its id>/<id>`. The tail of a UUIDv7 is random and spreads blobs evenly, while
/// its head is the time and would crowd all uploads of a few hours into one place.
///
/// What a crash leaves behind lies in the same places: a whole blob whose id no file has, or on disk `<id>#1`, a blob
/// that was being written. Only one who knows the files can tell the former; both are removed when they are old.
#[derive(Debug)]
pub struct Blobs {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// How much is written at once.
    part_bytes: usize,
    memory: Memory,
    /// The directory, where it is one.
    pub(crate) directory: Option<Arc<Root>>,
    room: Arc<Room>,
    /// The blobs that are being written.
    under_way: Arc<UnderWay>,
}

impl Blobs {
    /// In a directory, which is made if needed. Blocks; for the start of the program.
    ///
    /// # Errors
    /// [`OpenError`] where it can't be made or written.
    pub fn on_disk(root: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let root = root.into();
        let store = disk::open(&root, (0..=u8::MAX).map(shelf))?;
        let root = Root::new(root).map_err(OpenError::Directory)?;
        Ok(Self { directory: Some(Arc::new(root)), ..Self::new(Arc::new(store), DISK_PART_BYTES) })
    }

    /// In a bucket of S3 or of what speaks like it. `settings` are the `AWS_...` variables: where it is, who one is.
    /// Tries out what it will need, for `patience` where it gets no answer.
    ///
    /// # Errors
    /// [`OpenError`] where it can't be reached or refuses, told in one sentence without anything secret.
    pub async fn in_bucket(
        bucket: &Bucket,
        settings: impl IntoIterator<Item = (String, String)>,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        let store = s3::open(bucket, settings)?;
        s3::try_out(&*store, bucket, patience).await?;
        Ok(Self::new(store, S3_PART_BYTES))
    }

    /// In memory, for tests.
    pub fn in_memory() -> Self {
        Self::new(Arc::new(InMemory::new()), DISK_PART_BYTES)
    }

    /// In any store whose writes are durable when they return. Larger blobs are written in parts of `part_bytes`, each
    /// held in memory meanwhile; S3 wants at least 5 MiB.
    pub fn new(store: Arc<dyn ObjectStore>, part_bytes: usize) -> Self {
        let room = Arc::new(Room::new(None, Vec::new(), Reserve::Bytes(0)));
        Self {
            store,
            part_bytes: part_bytes.max(1),
            memory: Memory::of(MEMORY_BYTES),
            directory: None,
            room,
            under_way: Arc::default(),
        }
    }

    /// Refuses what would not leave the reserve free, on the disk of the directory and on those of `others`, which need
    /// room too.
    #[must_use]
    pub fn leaving(self, reserve: Reserve, others: Vec<PathBuf>) -> Self {
        let uploads = self.directory.as_ref().map(|root| root.path.clone());
        Self { room: Arc::new(Room::new(uploads, others, reserve)), ..self }
    }

    /// Whether the directory is where it was at the start; of a bucket nothing is known.
    pub async fn is_there(&self) -> bool {
        let Some(root) = self.directory.clone() else { return true };
        tokio::task::spawn_blocking(move || root.is_there()).await.unwrap_or(false)
    }

    /// # Errors
    /// [`Unavailable::StorageOutOfReach`] where the directory is gone.
    async fn must_be_there(&self) -> Result<()> {
        if self.is_there().await { Ok(()) } else { Unavailable::StorageOutOfReach.err() }
    }

    /// Changes how many bytes all uploads hold in memory together, 128 MiB unless told. One that finds no room is
    /// refused after a while with [`domain::Unavailable::Overloaded`].
    #[must_use]
    pub fn holding(self, bytes: usize) -> Self {
        Self { memory: Memory::of(bytes), ..self }
    }

    /// Writes everything and makes it durable; what is written when it fails is the caller's to clear.
    async fn write(
        &self,
        path: &Path,
        owner: UserId,
        source: &mut dyn ByteSource,
        upload: &mut Upload,
        most: u64,
    ) -> Result<StoredBlob> {
        let mut intake = Intake::new(most);
        let mut part = Part::new(&self.memory, owner, self.part_bytes_for(most));
        loop {
            let bytes = {
                let mut next = source.next();
                // A disk takes parts of any size, a bucket wants all of one.
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
            let Some(bytes) = bytes else { break };
            intake.pass(&bytes)?;
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                if part.is_full() {
                    self.write_part(path, &mut part, upload).await?;
                }
                rest = part.fill(rest).await?;
            }
        }
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

    /// Writes what was gathered, and lets go of its memory.
    async fn write_part(&self, path: &Path, part: &mut Part<'_>, upload: &mut Upload) -> Result<()> {
        let (gathered, _held) = part.take();
        let _room = Promise::of(&self.room, gathered.content_length()).await?;
        upload.begin(&*self.store, path).await?.put_part(gathered).await.map_err(fault)
    }

    /// Larger where the largest blob would not go into as many parts as there may be.
    fn part_bytes_for(&self, most: u64) -> usize {
        let needed = usize::try_from(most.div_ceil(MAX_PARTS)).unwrap_or(usize::MAX);
        self.part_bytes.max(needed.min(MEMORY_BYTES / 4))
    }

    /// Removes what a failed write has left. Tells only the log where that fails too, or takes too long: the first
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
                // Completing had begun, or a directory has no parts: what follows covers that.
                Err(error) if is_missing(&error) || self.directory.is_some() => Ok(()),
                aborted => aborted.map_err(fault),
            };
        }
        cleared.and(self.remove(id).await).and(self.remove_unfinished(id).await)
    }

    /// Removes what writing a blob has left that was cut off, for who knows that nobody is writing it.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub async fn remove_unfinished(&self, id: FileId) -> Result<()> {
        let Some(root) = &self.directory else { return Ok(()) };
        let unfinished = disk::unfinished(&root.path, path_of(id).as_ref());
        match tokio::task::spawn_blocking(move || std::fs::remove_file(unfinished)).await {
            Ok(Err(error)) if error.kind() != ErrorKind::NotFound => Err(Error::internal(error)),
            _ => Ok(()),
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
    async fn has_room(&self, bytes: u64) -> Result<()> {
        let room = Arc::clone(&self.room);
        tokio::task::spawn_blocking(move || room.has(bytes)).await.map_err(Error::internal)?
    }

    /// Not to be dropped before it is done: the last step may then still happen, and leave a blob that nobody knows of.
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
        // Wherever it was written to: nobody would find it.
        self.must_be_there().await?;
        written
    }

    async fn open(&self, id: FileId, range: Option<ByteRange>) -> Result<Option<Box<dyn ByteSource>>> {
        let range = range.map(|range| GetRange::Bounded(range.start..range.end));
        let found = match self.store.get_opts(&path_of(id), GetOptions { range, ..GetOptions::default() }).await {
            Ok(found) => found,
            // Not that one, or none of them.
            Err(error) if is_missing(&error) => return self.must_be_there().await.map(|()| None),
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
            Ok(()) => Ok(()),
            // On a disk that is not mounted it may be there all the same.
            Err(error) if is_missing(&error) => self.must_be_there().await,
            Err(error) => Err(fault(error)),
        }
    }

    async fn list(&self, after: Option<FileId>) -> Result<BlobPage> {
        self.must_be_there().await?;
        self.page(after).await
    }

    async fn stored_before(&self, blobs: Vec<FileId>, before: Timestamp) -> Result<Vec<FileId>> {
        self.must_be_there().await?;
        let mut old = Vec::new();
        for id in blobs {
            match self.store.head(&path_of(id)).await {
                Ok(found) if found.last_modified.timestamp_micros() < before.as_micros() => old.push(id),
                Err(error) if !is_missing(&error) => return Err(fault(error)),
                _ => {}
            }
        }
        Ok(old)
    }

    /// A bucket's parts can be listed by nobody here: it has to clear them itself.
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
pub(crate) fn shelf(number: u8) -> String {
    format!("{number:02x}")
}

/// What says on which shelf a blob lies.
pub(crate) fn last_byte(id: FileId) -> u8 {
    let [.., last] = *id.0.as_bytes();
    last
}

pub(crate) fn path_of(id: FileId) -> Path {
    Path::from_iter([shelf(last_byte(id)), id.to_string()])
}
