//! A backup is one tar file: a SQLite file with a snapshot, the blobs that it refers to, and a manifest.
//!
//! `save` writes the database first and the blobs after it. The server stores a blob before the row that refers to it
//! and never changes a blob, so the backup lacks only blobs that were deleted meanwhile.

mod archive;
mod leftover;
mod manifest;
mod restore;
mod save;
mod scratch;
mod verify;

pub use leftover::{half_restored, refuse_half_restored};
pub use manifest::{FORMAT, Manifest, Name};
pub use restore::{Restored, restore};
pub use save::{Saved, save};
pub use verify::{Contents, verify};

/// Reports progress: the current activity, how much is done, and the total.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
