//! Giving files out.

use super::model::{ByteRange, File};
use super::ports::ByteSource;
use super::service::FileService;
use crate::context::Caller;
use crate::error::{NotFound, Result};
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::files::{MockBlobStore, MockByteSource, MockFileRepository};
    use crate::testing::{caller, file, file_id, file_service, outcome, user};
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
