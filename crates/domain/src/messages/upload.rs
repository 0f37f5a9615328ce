//! What becomes of an uploaded file: a file of its own, or a message that carries it.

use super::model::{Attachment, Caption, DraftBody, IdempotencyKey, Recipient};
use super::ports::Appended;
use super::send::{SendCommand, SendMessage};
use crate::context::Caller;
use crate::error::Result;
use crate::files::{BlobStore, File, FileRepository, StagedFile};
use std::sync::Arc;

/// Makes of a staged file a file of its own, or a message.
pub struct StoreUpload {
    /// Stores the bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// Stores what is known of files.
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
        let file = staged.release();
        if let Err(error) = self.files.create(file.clone()).await {
            // Why it was not stored matters more than what becomes of the blob.
            let _ = self.blobs.remove(file.id).await;
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
        let file = staged.release();
        let id = file.id;
        let body = DraftBody::Attachment(Attachment::Uploaded(file), caption);
        let outcome = self.send.execute(caller, SendCommand { recipient, body, reply_to: None, key }).await;
        let unknown = matches!(
            outcome,
            Err(crate::Error::Internal(_) | crate::Error::Unavailable(crate::Unavailable::StorageOutOfReach))
        );
        if unknown || matches!(outcome, Ok(Appended::Stored(_))) {
            return outcome;
        }
        // Why the message was refused matters more than what becomes of the blob.
        let removed = self.blobs.remove(id).await;
        outcome.and_then(|replayed| removed.map(|()| replayed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Conflict, Error, Invalid, NotFound, Unavailable};
    use crate::files::{MockBlobStore, MockFileRepository};
    use crate::messages::MockMessageLog;
    use crate::testing::{CountedIds, StoppedClock, caller, file, file_id, message, outcome, user};

    fn store_upload(blobs: MockBlobStore, files: MockFileRepository, log: MockMessageLog) -> StoreUpload {
        let send =
            SendMessage { log: Arc::new(log), clock: Arc::new(StoppedClock(7)), ids: Arc::new(CountedIds::default()) };
        StoreUpload { blobs: Arc::new(blobs), files: Arc::new(files), send: Arc::new(send) }
    }

    /// Blobs of which one is removed, or none touched.
    fn blobs(removed: bool) -> MockBlobStore {
        let mut blobs = MockBlobStore::new();
        if removed {
            blobs.expect_remove().once().withf(|id| *id == file_id(1)).returning(|_| Ok(()));
        }
        blobs
    }

    fn staged() -> StagedFile {
        StagedFile::of(file(1))
    }

    #[test]
    fn a_kept_file_is_known() {
        let mut files = MockFileRepository::new();
        files.expect_create().once().withf(|created| *created == file(1)).returning(|_| Ok(()));
        let kept = outcome(store_upload(blobs(false), files, MockMessageLog::new()).keep(staged()));
        assert_eq!(kept.unwrap(), file(1));
    }

    #[test]
    fn a_file_that_cannot_be_known_leaves_no_blob() {
        let mut files = MockFileRepository::new();
        files.expect_create().once().returning(|_| Unavailable::Overloaded.err());
        let refused = outcome(store_upload(blobs(true), files, MockMessageLog::new()).keep(staged()));
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))));
    }

    fn send(blobs: MockBlobStore, log: MockMessageLog) -> Result<Appended> {
        let use_case = store_upload(blobs, MockFileRepository::new(), log);
        let (recipient, caption) = (Recipient::User(user(2)), Caption::parse("see").unwrap());
        let key = IdempotencyKey::parse("client_id", "k").ok();
        outcome(use_case.send(&caller(1), staged(), recipient, caption, key))
    }

    #[test]
    fn a_sent_file_goes_with_the_draft() {
        let mut log = MockMessageLog::new();
        log.expect_append()
            .once()
            .withf(|draft| {
                let body = DraftBody::Attachment(Attachment::Uploaded(file(1)), Caption::parse("see").unwrap());
                draft.sender == user(1)
                    && draft.recipient == Recipient::User(user(2))
                    && draft.body == body
                    && draft.key == IdempotencyKey::parse("client_id", "k").ok()
            })
            .returning(|_| Ok(Appended::Stored(message(1))));
        assert_eq!(send(blobs(false), log).unwrap(), Appended::Stored(message(1)));
    }

    #[test]
    fn a_retry_has_no_need_of_its_blob() {
        let mut log = MockMessageLog::new();
        log.expect_append().once().returning(|_| Ok(Appended::Duplicate(message(1))));
        assert_eq!(send(blobs(true), log).unwrap(), Appended::Duplicate(message(1)));
    }

    /// What the log answers, and whether it is known that no message carries the blob.
    #[test]
    fn a_blob_goes_unless_a_message_may_carry_it() {
        type Answer = fn() -> Error;
        let answers: [(Answer, bool); 8] = [
            (|| NotFound::User.into(), true),
            (|| Invalid::new("file_id", "no image").into(), true),
            (|| Conflict::KeyReused.into(), true),
            (|| Unavailable::Overloaded.into(), true),
            (|| Unavailable::Stopping.into(), true),
            (|| Error::StorageFull, true),
            (|| Unavailable::StorageOutOfReach.into(), false),
            (|| Error::internal("the disk is on fire"), false),
        ];
        for (answer, removed) in answers {
            let mut log = MockMessageLog::new();
            log.expect_append().once().returning(move |_| Err(answer()));
            let refused = send(blobs(removed), log).unwrap_err();
            assert_eq!(refused.to_string(), answer().to_string());
        }
    }

    #[test]
    fn a_blob_that_stays_does_not_hide_why_the_message_was_refused() {
        let mut log = MockMessageLog::new();
        log.expect_append().once().returning(|_| NotFound::Group.err());
        let mut blobs = MockBlobStore::new();
        blobs.expect_remove().once().returning(|_| Err(Error::internal("the disk is on fire")));
        assert!(matches!(send(blobs, log), Err(Error::NotFound(NotFound::Group))));
    }
}
