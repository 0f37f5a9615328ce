//! Files: their bytes are blobs, kept apart from what is known of them.

mod download;
mod model;
mod ports;
mod room;
mod upload;

pub use crate::ids::FileId;
pub use download::{Download, DownloadFile};
pub use model::{ByteRange, File, FileName, MediaType, NewFile, Sha256};
pub use ports::{BlobStore, ByteSource, FileRepository, StoredBlob};
#[cfg(feature = "mocks")]
pub use ports::{MockBlobStore, MockByteSource, MockFileRepository};
pub use room::{FileQuota, Growth, Reserve, Space};
pub use upload::{StageUpload, StagedFile, StoreUpload};
