//! Writes files that only the owner may read, and that survive a power failure.

use std::fs::{File, OpenOptions};
use std::path::Path;

/// The folder of a path.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a file that only this user may read.
///
/// # Errors
/// An error if it exists or cannot be created.
pub fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Syncs a folder, so that new and renamed files in it are durable; only Unix can and has to.
///
/// # Errors
/// An I/O error.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
