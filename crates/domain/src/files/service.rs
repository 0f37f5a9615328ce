//! The service of files. `upload` and `download` contain its methods.

use super::images::ImageReader;
use super::ports::{BlobStore, FileRepository};
use super::room::FileQuota;
use super::under_way::{UnderWay, UploadQuota};
use crate::context::{Clock, IdGenerator};
use std::sync::Arc;

/// Stores uploaded files, and serves downloads.
pub struct FileService {
    /// Stores what is known of files.
    pub files: Arc<dyn FileRepository>,
    /// Stores the bytes of files.
    pub blobs: Arc<dyn BlobStore>,
    /// Decodes images.
    pub images: Arc<dyn ImageReader>,
    /// Most bytes of one user's files.
    pub quota: FileQuota,
    /// Most uploads of one user at once.
    pub at_once: UploadQuota,
    /// The uploads under way.
    pub under_way: Arc<UnderWay>,
    /// The size of the largest file that the server accepts (`PARLANCE_MAX_FILE_BYTES`).
    pub max_file_bytes: u64,
    /// Dates what is done.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of files.
    pub ids: Arc<dyn IdGenerator>,
}
