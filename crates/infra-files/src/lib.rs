//! The blob port over [`object_store`]: a directory on disk, a bucket of S3, or memory for tests.
//!
//! A blob is named by its file's id alone, never by anything a client said, and is written once and never changed.

mod disk;
mod fault;
mod intake;
mod inventory;
mod part;
mod room;
mod s3;
mod sniff;
mod store;

pub use inventory::Inventory;
pub use room::space_of;
pub use s3::{Bucket, NoBucket};
pub use store::Blobs;

/// Why blobs can't be kept there.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there and can't be made, or is no directory.
    #[error("the directory for uploads cannot be used")]
    Directory(#[source] std::io::Error),
    /// `object_store` refuses it.
    #[error("the directory for uploads cannot be opened")]
    Store(#[source] object_store::Error),
    /// What the variables say can't be meant.
    #[error("the AWS_... variables cannot be used: {0}")]
    Settings(String),
    /// There is no such bucket there.
    #[error("{0} does not exist")]
    NoSuchBucket(Bucket),
    /// It was asked for all that is needed, and said no to something.
    #[error("{bucket} refuses to {wanted}: {reason}")]
    Denied {
        /// Which.
        bucket: Bucket,
        /// What was asked of it.
        wanted: &'static str,
        /// What it said, without anything secret.
        reason: String,
    },
    /// Nobody answers there.
    #[error("{bucket} is out of reach: {reason}")]
    OutOfReach {
        /// Which.
        bucket: Bucket,
        /// What happened, without anything secret.
        reason: String,
    },
}
