//! The blob port over [`object_store`]: a directory on disk, or memory for tests; whatever else `object_store` speaks
//! (S3) takes the same road.
//!
//! A blob is named by its file's id alone, never by anything a client said, and is written once and never changed.

mod disk;
mod intake;
mod sniff;
mod store;

pub use disk::OpenError;
pub use store::Blobs;
