//! Giving files out.

use super::model::{ByteRange, File};
use super::ports::{BlobStore, ByteSource, FileRepository};
use crate::context::Caller;
use crate::error::{NotFound, Result};
use crate::ids::FileId;
use std::sync::Arc;

/// A file and the bytes asked for.
pub struct Download {
    /// What is known of it.
    pub file: File,
    /// Its bytes, or those of the part asked for.
    pub bytes: Box<dyn ByteSource>,
}

/// Gives a file to who may read it.
pub struct DownloadFile {
    /// Where files are known.
    pub files: Arc<dyn FileRepository>,
    /// Where bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
}

impl DownloadFile {
    /// What is known of the file, before it is decided which part is wanted.
    ///
    /// # Errors
    /// [`NotFound::File`], also for one that the caller may not read.
    pub async fn describe(&self, caller: &Caller, id: FileId) -> Result<File> {
        Ok(self.files.find(caller.user, id).await?.ok_or(NotFound::File)?)
    }

    /// The bytes of a file that [`DownloadFile::describe`] has allowed.
    ///
    /// # Errors
    /// [`NotFound::File`] where the blob is gone.
    pub async fn read(&self, file: File, range: Option<ByteRange>) -> Result<Download> {
        let bytes = self.blobs.open(file.id, range).await?.ok_or(NotFound::File)?;
        Ok(Download { file, bytes })
    }
}
