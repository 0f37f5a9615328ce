//! Taking files in.

use super::images::ImageFile;
use super::model::{File, FileName};
use super::ports::ByteSource;
use super::service::FileService;
use super::under_way::{Announced, Counted, UploadPlace};
use crate::context::Caller;
use crate::error::Result;
use crate::ids::FileId;

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

impl FileService {
    /// Takes a place for an upload before any of it is read.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`](crate::Error::TooManyUploads); [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp) where
    /// the user's quota has no room for what was announced beside the user's files and uploads under way;
    /// [`Error::StorageFull`](crate::Error::StorageFull) where the store has none.
    pub async fn begin_upload(&self, caller: &Caller, announced: Option<Announced>) -> Result<BegunUpload> {
        let place = self.under_way.begin(caller.user, self.at_once)?;
        let Announced { least, most } = announced.unwrap_or(Announced { least: 0, most: self.max_file_bytes });
        let used = self.files.usage(caller.user).await?;
        place.admits(self.quota, used, least)?;
        let most = most.min(self.max_file_bytes);
        self.blobs.has_room(announced.map_or(0, |_| most)).await?;
        Ok(BegunUpload { place, used, most })
    }

    /// Stores the bytes of an upload's file while they arrive, as far as the quota of the user has room for them, and
    /// reads the image if it is one. What becomes of the file is decided later.
    ///
    /// # Errors
    /// Those of [`BlobStore::store`](super::BlobStore::store); [`Error::QuotaUsedUp`](crate::Error::QuotaUsedUp).
    pub async fn stage<'a>(
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
        let image = if blob.media_type.is_decoded() {
            let source = ImageFile { id, size: blob.size, for_user: caller.user };
            // The upload stands whatever happens; the operator can have the sizes read later.
            self.images.describe(source).await.unwrap_or_default()
        } else {
            None
        };
        let file = File {
            id,
            uploader: caller.user,
            name,
            size: blob.size,
            media_type: blob.media_type,
            sha256: blob.sha256,
            sent_sha256: blob.sent_sha256,
            image,
            created_at: self.clock.now(),
        };
        Ok(StagedFile { file, place })
    }

    /// Makes a staged file a file of its own, which its uploader can read.
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
        use super::under_way::{UnderWay, UploadQuota};
        let place = std::sync::Arc::new(UnderWay::default()).begin(file.uploader, UploadQuota(1)).unwrap();
        Self { file, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Unavailable};
    use crate::files::{
        FileQuota, MediaType, MockBlobStore, MockByteSource, MockFileRepository, MockImageReader, StoredBlob,
    };
    use crate::testing::{caller, file, file_id, file_service, image, outcome, user};
    use std::sync::Arc;

    const MAX: u64 = 1_000;

    const QUOTA: u64 = 10_000;

    /// Of users whose files have so many bytes.
    fn uploads(mut blobs: MockBlobStore, used: u64, room: bool) -> FileService {
        let mut files = MockFileRepository::new();
        files.expect_usage().returning(move |_| Ok(used));
        blobs.expect_has_room().returning(move |_| if room { Ok(()) } else { Err(Error::StorageFull) });
        over(files, blobs)
    }

    fn over(files: MockFileRepository, blobs: MockBlobStore) -> FileService {
        FileService {
            files: Arc::new(files),
            blobs: Arc::new(blobs),
            quota: FileQuota(QUOTA),
            max_file_bytes: MAX,
            ..file_service()
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
            let File { size, media_type, sha256, sent_sha256, .. } = file(1);
            Ok(StoredBlob { size, media_type, sha256, sent_sha256 })
        });
        let bytes = Box::new(MockByteSource::new());
        let mut images = MockImageReader::new();
        let source = ImageFile { id: file_id(1), size: 3, for_user: user(1) };
        images.expect_describe().once().withf(move |of| *of == source).returning(|_| Ok(Some(image())));
        let files = FileService { images: Arc::new(images), ..uploads(blobs, 0, true) };
        let begun = outcome(files.begin_upload(&caller(1), ANNOUNCED)).unwrap();
        let staged = outcome(files.stage(&caller(1), begun, FileName::clean("a.png"), bytes)).unwrap();
        assert_eq!(staged.file, File { image: Some(image()), ..file(1) });
        // It has its place until it is kept or dropped.
        assert!(matches!(outcome(files.begin_upload(&caller(1), None)), Err(Error::TooManyUploads { limit: 1 })));
        outcome(files.begin_upload(&caller(2), None)).unwrap();
        drop(staged);
        outcome(files.begin_upload(&caller(1), None)).unwrap();
    }

    #[test]
    fn an_upload_stands_whatever_becomes_of_its_image() {
        for (media_type, described) in [("image/png", 2), ("image/svg+xml", 0), ("text/plain", 0)] {
            let mut blobs = MockBlobStore::new();
            blobs.expect_store().returning(move |_, _, _, _| {
                let File { size, sha256, sent_sha256, .. } = file(1);
                let media_type = MediaType::from_stored(media_type.to_owned());
                Ok(StoredBlob { size, media_type, sha256, sent_sha256 })
            });
            let mut images = MockImageReader::new();
            let mut answers = vec![Unavailable::Overloaded.err(), Ok(None)];
            images.expect_describe().times(described).returning(move |_| answers.pop().unwrap());
            let files = FileService { images: Arc::new(images), ..uploads(blobs, 0, true) };
            for _ in 0..2 {
                let begun = outcome(files.begin_upload(&caller(1), ANNOUNCED)).unwrap();
                let bytes = Box::new(MockByteSource::new());
                let staged = outcome(files.stage(&caller(1), begun, FileName::clean("a.png"), bytes)).unwrap();
                assert_eq!(staged.release().image, None);
            }
        }
    }

    #[test]
    fn what_cannot_be_stored_is_not_staged() {
        let mut blobs = MockBlobStore::new();
        blobs.expect_store().once().returning(|_, _, _, limit| Err(Error::FileTooLarge { limit }));
        let source = Box::new(MockByteSource::new());
        let files = uploads(blobs, 0, true);
        let begun = outcome(files.begin_upload(&caller(1), ANNOUNCED)).unwrap();
        let refused = outcome(files.stage(&caller(1), begun, FileName::clean("a.png"), source));
        assert!(matches!(refused, Err(Error::FileTooLarge { limit: MAX })));
        outcome(files.begin_upload(&caller(1), None)).unwrap();
    }

    #[test]
    fn what_has_no_room_does_not_begin() {
        let begin = |used, room, least| {
            let announced = Some(Announced { least, most: least });
            outcome(uploads(MockBlobStore::new(), used, room).begin_upload(&caller(1), announced)).map(drop)
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
        let files = uploads(blobs, QUOTA - 500, true);
        let begun = outcome(files.begin_upload(&caller(1), None)).unwrap();
        let refused = outcome(files.stage(&caller(1), begun, FileName::clean("a.png"), Box::new(source)));
        assert!(matches!(refused, Err(Error::QuotaUsedUp { limit: QUOTA })));
    }

    #[test]
    fn a_kept_file_is_known() {
        let mut files = MockFileRepository::new();
        files.expect_create().once().withf(|created| *created == file(1)).returning(|_| Ok(()));
        let kept = outcome(over(files, blobs(false)).keep(staged()));
        assert_eq!(kept.unwrap(), file(1));
    }

    #[test]
    fn a_file_that_cannot_be_known_leaves_no_blob() {
        let mut files = MockFileRepository::new();
        files.expect_create().once().returning(|_| Unavailable::Overloaded.err());
        let refused = outcome(over(files, blobs(true)).keep(staged()));
        assert!(matches!(refused, Err(Error::Unavailable(Unavailable::Overloaded))));
    }

    #[test]
    fn a_discarded_file_leaves_no_blob() {
        outcome(uploads(blobs(true), 0, true).discard(staged())).unwrap();
    }
}
