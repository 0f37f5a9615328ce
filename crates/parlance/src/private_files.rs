//! Writes files that only the owner may read, and that survive a power failure.

use std::fs::{File, OpenOptions};
use std::path::Path;

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file that only this user may read.
///
/// # Errors
/// Where it exists, or cannot be made.
pub fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes what was made or renamed in a folder durable; only Unix can and has to.
///
/// # Errors
/// Where it cannot be.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
