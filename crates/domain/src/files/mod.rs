//! Files. The store of blobs keeps their bytes, the repository everything else.

mod download;
mod images;
mod model;
mod ports;
mod room;
mod service;
mod under_way;
mod upload;

pub use crate::ids::FileId;
pub use download::Download;
#[cfg(feature = "mocks")]
pub use images::MockImageReader;
pub use images::{
    IMAGES_AT_ONCE, Image, ImageFile, ImageReader, MAX_IMAGE_MEMORY, MAX_IMAGE_PIXELS, MAX_IMAGE_WORK,
    MAX_THUMBNAIL_BYTES, ThumbHash, Thumbnail, ThumbnailWidth,
};
pub use model::{AttachmentKind, ByteRange, File, FileName, MediaType, NewFile, Sha256};
pub use ports::{BlobPage, BlobStore, ByteSource, FileRepository, StoredBlob};
#[cfg(feature = "mocks")]
pub use ports::{MockBlobStore, MockByteSource, MockFileRepository};
pub use room::{FileQuota, Growth, Reserve, Space};
pub use service::FileService;
pub use under_way::{Announced, UnderWay, UploadQuota};
pub use upload::{BegunUpload, StagedFile};
