//! The ports that store files and their bytes.

use super::images::{Thumbnail, ThumbnailWidth};
use super::model::{ByteRange, File, MediaType, Sha256};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{FileId, UserId};
use async_trait::async_trait;

/// A stream of bytes.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ByteSource: Send {
    /// The next bytes, never empty; `None` at the end.
    ///
    /// # Errors
    /// The error that ended the stream early.
    async fn next(&mut self) -> Result<Option<Vec<u8>>>;
}

/// What the store learnt about a blob while it stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Bytes.
    pub size: u64,
    /// The type that the store recognized from the bytes.
    pub media_type: MediaType,
    /// The hash of the bytes.
    pub sha256: Sha256,
    /// The hash of the bytes of the source: another one if the store left out metadata.
    pub sent_sha256: Sha256,
}

/// A page of the blobs in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPage {
    /// A bounded number of blobs, possibly none.
    pub blobs: Vec<FileId>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<FileId>,
}

/// Stores bytes under the id of their file.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Whether there is room for `bytes` now. Reserves nothing: bytes that have not arrived MUST NOT take room from
    /// others.
    ///
    /// # Errors
    /// [`Error::StorageFull`](crate::Error::StorageFull) if they would not leave the [`Reserve`](super::Reserve).
    async fn has_room(&self, bytes: u64) -> Result<()>;

    /// Stores the bytes of `source` for the uploader `owner`, with only a bounded part of them in memory. MUST be
    /// durable before it returns, and MUST leave nothing behind if it fails. A few owners MUST NOT be able to hold all
    /// the memory for uploads.
    ///
    /// A store that strips metadata MUST leave it out of every png, jpeg and webp, as far as it can read the file, and
    /// MUST keep the pixels as they are. Size and hash of the blob are those of what it stores; `most` counts what the
    /// source brings.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`](crate::Error::FileTooLarge) past `most` bytes; the source's error;
    /// [`Error::StorageFull`](crate::Error::StorageFull), also while bytes arrive, if the next ones would not leave the
    /// [`Reserve`](super::Reserve); [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if other uploads, or
    /// too many of the same owner, hold the memory;
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach), which may leave bytes behind that the
    /// store cannot remove now.
    async fn store<'a>(
        &self,
        id: FileId,
        owner: UserId,
        source: Box<dyn ByteSource + 'a>,
        most: u64,
    ) -> Result<StoredBlob>;

    /// The bytes of a blob, or of a part of it. `None` if there is no such blob.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn open(&self, id: FileId, range: Option<ByteRange>) -> Result<Option<Box<dyn ByteSource>>>;

    /// The kept thumbnail of that file. `None` if there is none.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn thumbnail(&self, of: FileId, width: ThumbnailWidth) -> Result<Option<Thumbnail>>;

    /// Keeps a thumbnail until the blob of the file is removed. If the blob is gone, MUST keep nothing.
    ///
    /// # Errors
    /// [`Error::StorageFull`](crate::Error::StorageFull) if it would not leave the [`Reserve`](super::Reserve);
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn keep_thumbnail(&self, of: FileId, width: ThumbnailWidth, thumbnail: &Thumbnail) -> Result<()>;

    /// Removes a blob with its thumbnails, if they are there.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn remove(&self, id: FileId) -> Result<()>;

    /// The ids of complete blobs, and of files of which only thumbnails are left, in an order that the store chooses. A
    /// walk through all pages MUST return every blob once that is there all the time. The work for a page SHOULD NOT
    /// grow with the store.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn list(&self, after: Option<FileId>) -> Result<BlobPage>;

    /// Those of the blobs, or of the thumbnails of a missing one, that are in the store and were stored before that
    /// moment.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn stored_before(&self, blobs: Vec<FileId>, before: Timestamp) -> Result<Vec<FileId>>;

    /// Removes the bytes of uploads that broke off before that moment, if the store can tell. Returns how many uploads.
    ///
    /// # Errors
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach).
    async fn clear_unfinished(&self, before: Timestamp) -> Result<usize>;
}

/// Stores files, without their bytes.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait FileRepository: Send + Sync {
    /// Stores a file whose blob is stored.
    ///
    /// # Errors
    /// [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp), by the [`FileQuota`](super::FileQuota) of the policy and all
    /// files of the uploader that the adapter has not forgotten, as the transaction sees them.
    async fn create(&self, file: File) -> Result<()>;

    /// The bytes of all files of the user that count towards the quota.
    async fn usage(&self, user: UserId) -> Result<u64>;

    /// The file, if the viewer may read it: as its uploader, or because a message that is not deleted carries it in a
    /// conversation that the viewer may read ([`Access::may_read`](crate::messages::Access::may_read)). All of it MUST
    /// hold at one moment.
    async fn find(&self, viewer: UserId, id: FileId) -> Result<Option<File>>;
}
