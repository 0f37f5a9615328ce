//! Taking files in.

use super::model::{File, FileName};
use super::ports::{BlobStore, ByteSource, FileRepository};
use super::room::FileQuota;
use super::under_way::{Announced, Counted, UnderWay, UploadPlace, UploadQuota};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::Result;
use crate::ids::FileId;
use std::sync::Arc;

/// Takes the bytes of a file while they arrive, before it is known what will become of it.
pub struct StageUpload {
    /// Stores the bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// Stores what is known of files.
    pub files: Arc<dyn FileRepository>,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// The new id.
    pub ids: Arc<dyn IdGenerator>,
    /// How much users may have.
    pub quota: FileQuota,
    /// How many uploads they may have under way.
    pub at_once: UploadQuota,
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
        let place = self.under_way.begin(caller.user, self.at_once)?;
        let Announced { least, most } = announced.unwrap_or(Announced { least: 0, most: self.most });
        let used = self.files.usage(caller.user).await?;
        place.admits(self.quota, used, least)?;
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
        let quota = self.quota;
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

impl StagedFile {
    /// What is known of the file. Its upload is no longer under way: from here on the quota counts it where it is
    /// stored.
    pub fn release(self) -> File {
        let Self { file, mut place } = self;
        place.give_back();
        file
    }

    /// Staged by its uploader, for tests.
    #[cfg(test)]
    pub(crate) fn of(file: File) -> Self {
        let place = Arc::new(UnderWay::default()).begin(file.uploader, UploadQuota(1)).unwrap();
        Self { file, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::files::{MockBlobStore, MockByteSource, MockFileRepository, StoredBlob};
    use crate::testing::{CountedIds, StoppedClock, caller, file, file_id, outcome, user};

    const MAX: u64 = 1_000;

    const QUOTA: u64 = 10_000;

    /// Of users whose files have so many bytes.
    fn stage_upload(mut blobs: MockBlobStore, used: u64, room: bool) -> StageUpload {
        let mut files = MockFileRepository::new();
        files.expect_usage().returning(move |_| Ok(used));
        blobs.expect_has_room().returning(move |_| if room { Ok(()) } else { Err(Error::StorageFull) });
        StageUpload {
            blobs: Arc::new(blobs),
            files: Arc::new(files),
            quota: FileQuota(QUOTA),
            at_once: UploadQuota(1),
            under_way: Arc::default(),
            clock: Arc::new(StoppedClock(7)),
            ids: Arc::new(CountedIds::default()),
            most: MAX,
        }
    }

    /// Blobs of which one is removed, or none touched.
    fn blobs(removed: bool) -> MockBlobStore {
        let mut blobs = MockBlobStore::new();
        if removed {
            blobs.expect_remove().once().withf(|id| *id == file_id(1)).returning(|_| Ok(()));
        }
        blobs
    }

    const ANNOUNCED: Option<Announced> = Some(Announced { least: 0, most: MAX + 7 });

    fn staged() -> StagedFile {
        StagedFile::of(file(1))
    }

    #[test]
    fn a_staged_file_is_what_its_bytes_say() {
        let mut blobs = MockBlobStore::new();
        let store = blobs.expect_store().once();
        store.withf(|id, of, _, most| (*id, *of, *most) == (file_id(1), user(1), MAX)).returning(|_, _, _, _| {
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
        assert!(matches!(refused, Err(Error::FileTooLarge { limit: MAX })));
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
}
