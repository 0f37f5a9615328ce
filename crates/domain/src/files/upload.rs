//! Taking files in.

use super::model::{File, FileName};
use super::ports::{BlobStore, ByteSource, FileRepository};
use super::under_way::{Announced, Counted, UnderWay, UploadPlace};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::Result;
use crate::ids::FileId;
use crate::messages::{Appended, Attachment, Caption, DraftBody, IdempotencyKey, Outgoing, Recipient, SendMessage};
use crate::users::ServerPolicy;
use std::sync::Arc;

/// Takes the bytes of a file while they arrive, before it is known what will become of it.
pub struct StageUpload {
    /// Where bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// Where files are known.
    pub files: Arc<dyn FileRepository>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
    /// How much users may have, and how many uploads at once.
    pub policy: Arc<ServerPolicy>,
    /// The uploads under way.
    pub under_way: Arc<UnderWay>,
    /// The largest file taken, in bytes (`PARLANCE_MAX_FILE_BYTES`).
    pub most: u64,
}

/// An upload whose file has not come yet.
#[derive(Debug)]
pub struct BegunUpload {
    place: UploadPlace,
    /// How many bytes the user's files had at the beginning.
    used: u64,
    /// The most bytes that the file can have.
    most: u64,
}

/// A file whose bytes are stored and that nobody knows of yet: it becomes a file of its own or a message's, or is
/// dropped.
#[derive(Debug)]
#[must_use = "a staged file that is neither kept nor discarded leaves its blob behind"]
pub struct StagedFile {
    file: File,
    place: UploadPlace,
}

impl StageUpload {
    /// Takes a place for an upload before any of it is read.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`](crate::Error::TooManyUploads); [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp) where
    /// the user's quota has no room for what was announced beside the user's files and uploads under way;
    /// [`Error::StorageFull`](crate::Error::StorageFull) where the store has none.
    pub async fn begin(&self, caller: &Caller, announced: Option<Announced>) -> Result<BegunUpload> {
        let place = self.under_way.begin(caller.user, self.policy.uploads)?;
        let Announced { least, most } = announced.unwrap_or(Announced { least: 0, most: self.most });
        let used = self.files.usage(caller.user).await?;
        place.admits(self.policy.files, used, least)?;
        let most = most.min(self.most);
        self.blobs.has_room(announced.map_or(0, |_| most)).await?;
        Ok(BegunUpload { place, used, most })
    }

    /// Takes the file of an upload, as far as the quota of the user has room for it.
    ///
    /// # Errors
    /// Those of [`BlobStore::store`]; [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp).
    pub async fn execute<'a>(
        &self,
        caller: &Caller,
        begun: BegunUpload,
        name: FileName,
        source: Box<dyn ByteSource + 'a>,
    ) -> Result<StagedFile> {
        let BegunUpload { mut place, used, most } = begun;
        let id = FileId(self.ids.next());
        let quota = self.policy.files;
        let counted = Counted { source, place: &mut place, files: &*self.files, quota, used, passed: 0 };
        let blob = self.blobs.store(id, caller.user, Box::new(counted), most).await?;
        let file = File {
            id,
            uploader: caller.user,
            name,
            size: blob.size,
            media_type: blob.media_type,
            sha256: blob.sha256,
            created_at: self.clock.now(),
        };
        Ok(StagedFile { file, place })
    }

    /// Drops a staged file that came to nothing.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn discard(&self, staged: StagedFile) -> Result<()> {
        self.blobs.remove(staged.file.id).await
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
        let StagedFile { file, mut place } = staged;
        place.give_back();
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
        let StagedFile { file, mut place } = staged;
        place.give_back();
        let id = file.id;
        let body = DraftBody::Attachment(Attachment::Uploaded(file), caption);
        let outcome = self.send.execute(caller, Outgoing { recipient, body, reply_to: None, key }).await;
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
    use crate::files::{FileQuota, MockBlobStore, MockByteSource, MockFileRepository, StoredBlob, UploadQuota};
    use crate::messages::MockMessageLog;
    use crate::testing::{CountedIds, StoppedClock, caller, file, file_id, message, outcome, user};

    const MOST: u64 = 1_000;

    const QUOTA: u64 = 10_000;

    /// Of users whose files have so many bytes.
    fn stage_upload(mut blobs: MockBlobStore, used: u64, room: bool) -> StageUpload {
        let mut files = MockFileRepository::new();
        files.expect_usage().returning(move |_| Ok(used));
        blobs.expect_has_room().returning(move |_| if room { Ok(()) } else { Err(Error::StorageFull) });
        let policy = ServerPolicy { files: FileQuota(QUOTA), uploads: UploadQuota(1), ..ServerPolicy::default() };
        StageUpload {
            blobs: Arc::new(blobs),
            files: Arc::new(files),
            policy: Arc::new(policy),
            under_way: Arc::default(),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
            most: MOST,
        }
    }

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

    const ANNOUNCED: Option<Announced> = Some(Announced { least: 0, most: MOST + 7 });

    fn staged() -> StagedFile {
        let place = Arc::new(UnderWay::default()).begin(user(1), UploadQuota(1)).unwrap();
        StagedFile { file: file(1), place }
    }

    #[test]
    fn a_staged_file_is_what_its_bytes_say() {
        let mut blobs = MockBlobStore::new();
        let store = blobs.expect_store().once();
        store.withf(|id, of, _, most| (*id, *of, *most) == (file_id(1), user(1), MOST)).returning(|_, _, _, _| {
            let File { size, media_type, sha256, .. } = file(1);
            Ok(StoredBlob { size, media_type, sha256 })
        });
        let source = Box::new(MockByteSource::new());
        let stage = stage_upload(blobs, 0, true);
        let begun = outcome(stage.begin(&caller(1), ANNOUNCED)).unwrap();
        let staged = outcome(stage.execute(&caller(1), begun, FileName::clean("a.png"), source)).unwrap();
        assert_eq!(staged.file, file(1));
        // It has its place until it is kept or dropped.
        assert!(matches!(outcome(stage.begin(&caller(1), None)), Err(Error::TooManyUploads { limit: 1 })));
        outcome(stage.begin(&caller(2), None)).unwrap();
        drop(staged);
        outcome(stage.begin(&caller(1), None)).unwrap();
    }

    #[test]
    fn what_cannot_be_stored_is_not_staged() {
        let mut blobs = MockBlobStore::new();
        blobs.expect_store().once().returning(|_, _, _, limit| Err(Error::FileTooLarge { limit }));
        let source = Box::new(MockByteSource::new());
        let stage = stage_upload(blobs, 0, true);
        let begun = outcome(stage.begin(&caller(1), ANNOUNCED)).unwrap();
        let refused = outcome(stage.execute(&caller(1), begun, FileName::clean("a.png"), source));
        assert!(matches!(refused, Err(Error::FileTooLarge { limit: MOST })));
        outcome(stage.begin(&caller(1), None)).unwrap();
    }

    #[test]
    fn what_has_no_room_does_not_begin() {
        let begin = |used, room, least| {
            let announced = Some(Announced { least, most: least });
            outcome(stage_upload(MockBlobStore::new(), used, room).begin(&caller(1), announced)).map(drop)
        };
        begin(QUOTA - 500, true, 500).unwrap();
        assert!(matches!(begin(QUOTA - 500, true, 501), Err(Error::QuotaUsedUp { limit: QUOTA })));
        assert!(matches!(begin(0, false, 1), Err(Error::StorageFull)));
    }

    #[test]
    fn a_file_that_is_longer_than_the_quota_is_given_up_while_it_arrives() {
        let mut blobs = MockBlobStore::new();
        blobs.expect_store().once().returning(|_, _, mut source, _| match outcome(source.next()) {
            Err(error) => Err(error),
            Ok(_) => panic!("it passed"),
        });
        let mut source = MockByteSource::new();
        source.expect_next().once().returning(|| Ok(Some(vec![0; 501])));
        let stage = stage_upload(blobs, QUOTA - 500, true);
        let begun = outcome(stage.begin(&caller(1), None)).unwrap();
        let refused = outcome(stage.execute(&caller(1), begun, FileName::clean("a.png"), Box::new(source)));
        assert!(matches!(refused, Err(Error::QuotaUsedUp { limit: QUOTA })));
    }

    #[test]
    fn a_discarded_file_leaves_no_blob() {
        outcome(stage_upload(blobs(true), 0, true).discard(staged())).unwrap();
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
        log.expect_append().once().returning(|_| Ok(Appended::Replayed(message(1))));
        assert_eq!(send(blobs(true), log).unwrap(), Appended::Replayed(message(1)));
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
