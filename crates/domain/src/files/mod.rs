//! Files. The store of blobs keeps their bytes, the repository everything else.

mod download;
mod model;
mod ports;
mod room;
mod service;
mod under_way;
mod upload;

pub use crate::ids::FileId;
pub use download::Download;
pub use model::{AttachmentKind, ByteRange, File, FileName, MediaType, NewFile, Sha256};
pub use ports::{BlobPage, BlobStore, ByteSource, FileRepository, StoredBlob};
#[cfg(feature = "mocks")]
pub use ports::{MockBlobStore, MockByteSource, MockFileRepository};
pub use room::{FileQuota, Growth, Reserve, Space};
pub use service::FileService;
pub use under_way::{Announced, UnderWay, UploadQuota};
pub use upload::{BegunUpload, StagedFile};
