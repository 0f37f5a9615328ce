//! Backups: one tar file with a SQLite file of one moment, the blobs that it knows, and a manifest.
//!
//! The database is saved first and the blobs after it: a blob is stored before the row that knows it, and never
//! changed, so that none is missing unless it was deleted meanwhile.

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

/// What is told while it goes on: what is being done, how far it is, of how much.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
