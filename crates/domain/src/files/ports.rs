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

/// Where bytes are kept, under the id of their file.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores all of `source`, holding only a bounded part of it in memory. MUST be durable before it returns, and MUST
    /// leave nothing behind where it fails.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`](crate::Error::FileTooLarge) past `most` bytes; the source's error;
    /// [`Error::StorageFull`](crate::Error::StorageFull), also where `most` bytes would not leave the [`Reserve`](super::Reserve); [`Unavailable::Overloaded`](crate::Unavailable::Overloaded)
    /// where other uploads hold all the memory there is for them;
    /// [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach), which may leave something behind that
    /// can't be removed now.
    async fn store<'a>(&self, id: FileId, source: Box<dyn ByteSource + 'a>, most: u64) -> Result<StoredBlob>;

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

    /// Removes what uploads have left that were cut off before that moment, where the store can tell, and says how many.
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
    /// [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp), by the [`FileQuota`](super::FileQuota) of the policy and all files of
    /// the uploader that were not forgotten, as the transaction sees them.
    async fn create(&self, file: File) -> Result<()>;

    /// The file, if the viewer may read it: as its uploader, or through a live message that carries it in a conversation
    /// that the viewer may read ([`Access::may_read`](crate::messages::Access::may_read)), all seen at one moment.
    async fn find(&self, viewer: UserId, id: FileId) -> Result<Option<File>>;
}
