//! Giving files out.

use super::images::{ImageFile, Thumbnail, ThumbnailWidth};
use super::model::{ByteRange, File};
use super::ports::ByteSource;
use super::service::FileService;
use crate::context::Caller;
use crate::error::{Error, NotFound, Result};
use crate::ids::FileId;

/// A file and the bytes asked for.
pub struct Download {
    /// What is known of it.
    pub file: File,
    /// Its bytes, or those of the part asked for.
    pub bytes: Box<dyn ByteSource>,
}

impl FileService {
    /// What is known of the file, before it is decided which part is wanted.
    ///
    /// # Errors
    /// [`NotFound::File`], also for one that the caller may not read.
    pub async fn describe(&self, caller: &Caller, id: FileId) -> Result<File> {
        Ok(self.files.find(caller.user, id).await?.ok_or(NotFound::File)?)
    }

    /// The bytes of a file that [`FileService::describe`] has allowed.
    ///
    /// # Errors
    /// [`NotFound::File`] where the blob is gone.
    pub async fn read(&self, file: File, range: Option<ByteRange>) -> Result<Download> {
        let bytes = self.blobs.open(file.id, range).await?.ok_or(NotFound::File)?;
        Ok(Download { file, bytes })
    }

    /// The thumbnail of a file that [`FileService::describe`] has allowed. The first request makes it, and the store
    /// keeps it.
    ///
    /// # Errors
    /// [`NotFound::Thumbnail`] where the server could not read the file as an image;
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) where other images take all turns.
    pub async fn thumbnail(&self, caller: &Caller, file: &File, width: ThumbnailWidth) -> Result<Thumbnail> {
        if file.image.is_none() {
            return NotFound::Thumbnail.err();
        }
        if let Some(kept) = self.blobs.thumbnail(file.id, width).await? {
            return Ok(kept);
        }
        let source = ImageFile { id: file.id, size: file.size, for_user: caller.user };
        let made = self.images.thumbnail(source, width).await?.ok_or(NotFound::Thumbnail)?;
        match self.blobs.keep_thumbnail(file.id, width, &made).await {
            // A full disk takes nothing from readers: the next request makes it again.
            Ok(()) | Err(Error::StorageFull) => Ok(made),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::error::Unavailable;
    use crate::files::{MockBlobStore, MockByteSource, MockFileRepository, MockImageReader};
    use crate::testing::{caller, file, file_id, file_service, image, outcome, user};
    use std::sync::Arc;

    #[test]
    fn a_file_is_described_to_who_may_read_it() {
        let mut files = MockFileRepository::new();
        files
            .expect_find()
            .withf(|viewer, id| (*viewer, *id) == (user(2), file_id(1)))
            .returning(|_, _| Ok(Some(file(1))));
        files.expect_find().withf(|viewer, _| *viewer == user(3)).returning(|_, _| Ok(None));
        let files = FileService { files: Arc::new(files), ..file_service() };
        assert_eq!(outcome(files.describe(&caller(2), file_id(1))).unwrap(), file(1));
        let refused = outcome(files.describe(&caller(3), file_id(1)));
        assert!(matches!(refused, Err(Error::NotFound(NotFound::File))));
    }

    fn jpeg() -> Thumbnail {
        Thumbnail::of_bytes(vec![0xff, 0xd8]).unwrap()
    }

    /// What caller 2 gets, of a store that has `kept` and keeps or does not, and a reader that makes `made`.
    fn thumbnail(
        kept: Option<Thumbnail>,
        made: Option<Result<Option<Thumbnail>>>,
        keeps: Option<Result<()>>,
    ) -> Result<Thumbnail> {
        let (mut blobs, mut images) = (MockBlobStore::new(), MockImageReader::new());
        let asked = (file_id(1), ThumbnailWidth::Large);
        blobs.expect_thumbnail().once().withf(move |of, w| (*of, *w) == asked).return_once(move |_, _| Ok(kept));
        if let Some(keeps) = keeps {
            let keep = blobs.expect_keep_thumbnail().once();
            keep.withf(move |of, w, bytes| (*of, *w) == asked && *bytes == jpeg()).return_once(|_, _, _| keeps);
        }
        if let Some(made) = made {
            let source = ImageFile { id: file_id(1), size: 3, for_user: user(2) };
            let make = images.expect_thumbnail().once();
            make.withf(move |of, w| (*of, *w) == (source, ThumbnailWidth::Large)).return_once(|_, _| made);
        }
        let files = FileService { blobs: Arc::new(blobs), images: Arc::new(images), ..file_service() };
        let picture = File { image: Some(image()), ..file(1) };
        outcome(files.thumbnail(&caller(2), &picture, ThumbnailWidth::Large))
    }

    #[test]
    fn a_thumbnail_is_made_once_and_kept() {
        assert_eq!(thumbnail(Some(jpeg()), None, None).unwrap(), jpeg());
        let made = || Some(Ok(Some(jpeg())));
        assert_eq!(thumbnail(None, made(), Some(Ok(()))).unwrap(), jpeg());
        assert_eq!(thumbnail(None, made(), Some(Err(Error::StorageFull))).unwrap(), jpeg());
        let lost = thumbnail(None, made(), Some(Unavailable::StorageOutOfReach.err()));
        assert!(matches!(lost, Err(Error::Unavailable(Unavailable::StorageOutOfReach))));
    }

    #[test]
    fn what_cannot_be_read_has_no_thumbnail() {
        let plain = outcome(file_service().thumbnail(&caller(2), &file(1), ThumbnailWidth::Small));
        assert!(matches!(plain, Err(Error::NotFound(NotFound::Thumbnail))));
        let refused = thumbnail(None, Some(Ok(None)), None);
        assert!(matches!(refused, Err(Error::NotFound(NotFound::Thumbnail))));
        let busy = thumbnail(None, Some(Unavailable::Overloaded.err()), None);
        assert!(matches!(busy, Err(Error::Unavailable(Unavailable::Overloaded))));
    }

    #[test]
    fn the_part_asked_for_is_read_and_a_blob_that_is_gone_does_not_exist() {
        let part = Some(ByteRange { start: 1, end: 3 });
        let mut blobs = MockBlobStore::new();
        blobs.expect_open().withf(move |id, range| (*id, *range) == (file_id(1), part)).returning(|_, _| {
            let mut source = MockByteSource::new();
            source.expect_next().once().returning(|| Ok(Some(b"bc".to_vec())));
            Ok(Some(Box::new(source)))
        });
        blobs.expect_open().withf(|_, range| range.is_none()).returning(|_, _| Ok(None));
        let files = FileService { blobs: Arc::new(blobs), ..file_service() };
        let mut found = outcome(files.read(file(1), part)).unwrap();
        assert_eq!(outcome(found.bytes.next()).unwrap().unwrap(), b"bc");
        let gone = outcome(files.read(file(1), None));
        assert!(matches!(gone, Err(Error::NotFound(NotFound::File))));
    }
}
