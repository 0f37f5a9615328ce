//! The blob port over [`object_store`]: a directory on disk, a bucket of S3, or memory for tests.
//!
//! The name of a blob depends on the id of its file alone, never on anything that a client said. The store writes a
//! blob once and never changes it.

mod disk;
mod fault;
mod intake;
mod inventory;
mod names;
mod part;
mod room;
mod s3;
mod sniff;
mod store;
mod strip;
mod thumbnails;

pub use inventory::Inventory;
pub use room::space_of;
pub use s3::{Bucket, NoBucket};
pub use store::Blobs;

/// Why the store of blobs cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory does not exist and cannot be created, or the path is no directory.
    #[error("the directory for uploads cannot be used")]
    Directory(#[source] std::io::Error),
    /// `object_store` cannot open the directory.
    #[error("the directory for uploads cannot be opened")]
    Store(#[source] object_store::Error),
    /// The `AWS_...` variables contradict each other or are malformed.
    #[error("the AWS_... variables cannot be used: {0}")]
    Settings(String),
    /// The bucket does not exist.
    #[error("{0} does not exist")]
    NoSuchBucket(Bucket),
    /// The bucket refused an operation that the server needs.
    #[error("{bucket} refuses to {wanted}: {reason}")]
    Denied {
        /// The bucket.
        bucket: Bucket,
        /// The refused operation.
        wanted: &'static str,
        /// The answer, without secrets.
        reason: String,
    },
    /// The bucket does not answer.
    #[error("{bucket} is out of reach: {reason}")]
    OutOfReach {
        /// The bucket.
        bucket: Bucket,
        /// What happened, without secrets.
        reason: String,
    },
}
