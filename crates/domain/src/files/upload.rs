//! Taking files in.

use super::model::{File, FileName};
use super::ports::{BlobStore, ByteSource, FileRepository};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::Result;
use crate::ids::FileId;
use crate::messages::{Appended, Attachment, Caption, DraftBody, IdempotencyKey, Outgoing, Recipient, SendMessage};
use std::sync::Arc;

/// Takes the bytes of a file while they arrive, before it is known what will become of it.
pub struct StageUpload {
    /// Where bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
    /// The largest file taken, in bytes (`PARLANCE_MAX_FILE_BYTES`).
    pub most: u64,
}

/// A file whose bytes are stored and that nobody knows of yet: it becomes a file of its own or a message's, or is dropped.
#[derive(Debug)]
#[must_use = "a staged file that is neither kept nor discarded leaves its blob behind"]
pub struct StagedFile(File);

impl StageUpload {
    /// # Errors
    /// Those of [`BlobStore::store`].
    pub async fn execute<'a>(
        &self,
        caller: &Caller,
        name: FileName,
        source: Box<dyn ByteSource + 'a>,
    ) -> Result<StagedFile> {
        let id = FileId(self.ids.next());
        let blob = self.blobs.store(id, source, self.most).await?;
        Ok(StagedFile(File {
            id,
            uploader: caller.user,
            name,
            size: blob.size,
            media_type: blob.media_type,
            sha256: blob.sha256,
            created_at: self.clock.now(),
        }))
    }

    /// Drops a staged file that came to nothing.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn discard(&self, staged: StagedFile) -> Result<()> {
        self.blobs.remove(staged.0.id).await
    }
}

/// Makes of a staged file a file of its own, or a message.
pub struct StoreUpload {
    /// Where bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// Where files are known.
    pub files: Arc<dyn FileRepository>,
    /// Sends the message that carries it.
    pub send: Arc<SendMessage>,
}

impl StoreUpload {
    /// The file by itself, readable by its uploader.
    ///
    /// # Errors
    /// Only faults of storage; the blob is gone then.
    pub async fn keep(&self, staged: StagedFile) -> Result<File> {
        let file = staged.0;
        if let Err(error) = self.files.create(file.clone()).await {
            self.blobs.remove(file.id).await?;
            return Err(error);
        }
        Ok(file)
    }

    /// A message that carries the file, an image where its bytes are one.
    ///
    /// # Errors
    /// Those of [`MessageLog::append`](crate::messages::MessageLog::append); the blob is gone then, and also where the
    /// message had been sent before. It stays only where it is unknown whether the message was stored.
    pub async fn send(
        &self,
        caller: &Caller,
        staged: StagedFile,
        recipient: Recipient,
        caption: Caption,
        key: Option<IdempotencyKey>,
    ) -> Result<Appended> {
        let id = staged.0.id;
        let body = DraftBody::Attachment(Attachment::Uploaded(staged.0), caption);
        let outcome = self.send.execute(caller, Outgoing { recipient, body, reply_to: None, key }).await;
        let unknown = matches!(
            outcome,
            Err(crate::Error::Internal(_) | crate::Error::Unavailable(crate::Unavailable::StorageOutOfReach))
        );
        if !unknown && !matches!(outcome, Ok(Appended::Stored(_))) {
            self.blobs.remove(id).await?;
        }
        outcome
    }
}
