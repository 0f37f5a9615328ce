//! Where files are kept.

use super::model::{ByteRange, File, MediaType, Sha256};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{FileId, UserId};
use async_trait::async_trait;

/// Bytes that come bit by bit.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ByteSource: Send {
    /// The next bytes, never empty; `None` at the end.
    ///
    /// # Errors
    /// Whatever ends the stream early.
    async fn next(&mut self) -> Result<Option<Vec<u8>>>;
}

/// What storing a blob found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// In bytes.
    pub size: u64,
    /// Sniffed from the bytes.
    pub media_type: MediaType,
    /// Of the bytes.
    pub sha256: Sha256,
}

/// Blobs that lie in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPage {
    /// A bounded number, possibly none.
    pub blobs: Vec<FileId>,
    /// Behind which blob to look on; `None` at the end.
    pub next: Option<FileId>,
}

/// Where bytes are kept, under the id of their file.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Whether there is room for so many bytes now. Promises nothing: MUST NOT take room from others for bytes that
    /// have not come.
    ///
    /// # Errors
    /// [`Error::StorageFull`](crate::Error::StorageFull) where they would not leave the [`Reserve`](super::Reserve).
    async fn has_room(&self, bytes: u64) -> Result<()>;

    /// Stores all of `source`, which `owner` sends, holding only a bounded part of it in memory. MUST be durable before
    /// it returns, and MUST leave nothing behind where it fails. Few owners MUST NOT be able to hold all the memory
    /// that there is for uploads.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`](crate::Error::FileTooLarge) past `most` bytes; the source's error;
    /// [`Error::StorageFull`](crate::Error::StorageFull), also where what comes next would not leave the
    /// [`Reserve`](super::Reserve); [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) where other uploads, or
    /// too many of the same owner, hold the memory there is for them;
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach), which may leave something behind that
    /// can't be removed now.
    async fn store<'a>(
        &self,
        id: FileId,
        owner: UserId,
        source: Box<dyn ByteSource + 'a>,
        most: u64,
    ) -> Result<StoredBlob>;

    /// The bytes of a blob, or of a part of it. `None` where there is no such blob.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn open(&self, id: FileId, range: Option<ByteRange>) -> Result<Option<Box<dyn ByteSource>>>;

    /// Forgets a blob, if it is there.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn remove(&self, id: FileId) -> Result<()>;

    /// Whole blobs, in an order of the store's own: each that lies there all the time MUST come once. The work for an
    /// answer SHOULD NOT grow with the store.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn list(&self, after: Option<FileId>) -> Result<BlobPage>;

    /// Those of the blobs that are there and were stored before that moment.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn stored_before(&self, blobs: Vec<FileId>, before: Timestamp) -> Result<Vec<FileId>>;

    /// Removes what uploads have left that were cut off before that moment, where the store can tell, and says how
    /// many.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn clear_unfinished(&self, before: Timestamp) -> Result<usize>;
}

/// Where is kept what is known of files.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait FileRepository: Send + Sync {
    /// Stores a file whose blob is stored.
    ///
    /// # Errors
    /// [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp), by the [`FileQuota`](super::FileQuota) of the policy and all
    /// files of the uploader that were not forgotten, as the transaction sees them.
    async fn create(&self, file: File) -> Result<()>;

    /// How many bytes the user's files have together, as the quota counts them.
    async fn usage(&self, user: UserId) -> Result<u64>;

    /// The file, if the viewer may read it: as its uploader, or through a live message that carries it in a
    /// conversation that the viewer may read ([`Access::may_read`](crate::messages::Access::may_read)), all seen at one
    /// moment.
    async fn find(&self, viewer: UserId, id: FileId) -> Result<Option<File>>;
}
