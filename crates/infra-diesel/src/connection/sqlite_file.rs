//! The real path of a SQLite file, and whether the file is still there.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The identity of a file, independent of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// `None` if the system has no such identity.
    #[cfg(unix)]
    pub fn of(found: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self { device: found.dev(), inode: found.ino() })
    }

    /// `None` if the system has no such identity.
    #[cfg(not(unix))]
    pub fn of(_found: &Metadata) -> Option<Self> {
        None
    }
}

/// How many names a file has.
#[cfg(unix)]
pub fn link_count(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

/// How many names a file has.
#[cfg(not(unix))]
pub fn link_count(_found: &Metadata) -> u64 {
    1
}

/// The path of a file beside a database.
pub fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// More links than this lead in a circle.
const MAX_LINKS: usize = 40;

/// The path without links. The file itself need not exist, but its folder must.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        let folder = folder_of(&path);
        let Some(name) = path.file_name() else { return Err(ErrorKind::IsADirectory.into()) };
        let place = folder.canonicalize()?.join(name);
        match std::fs::read_link(&place) {
            Ok(leads_to) => path = place.parent().unwrap_or(Path::new("/")).join(leads_to),
            Err(_) => return Ok(place),
        }
    }
    Err(io::Error::other("its links lead in a circle"))
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Free bytes of a disk, if the system tells them.
#[cfg(unix)]
pub fn free_space(folder: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// All bytes of a disk, if the system tells them.
#[cfg(unix)]
pub fn whole_space(folder: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(space.f_blocks.saturating_mul(space.f_frsize))
}

/// Whether the disk refuses writes.
#[cfg(unix)]
pub fn is_read_only(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|space| space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Free bytes of a disk, if the system tells them.
#[cfg(not(unix))]
pub fn free_space(_folder: &Path) -> Option<u64> {
    None
}

/// All bytes of a disk, if the system tells them.
#[cfg(not(unix))]
pub fn whole_space(_folder: &Path) -> Option<u64> {
    None
}

/// Whether the disk refuses writes.
#[cfg(not(unix))]
pub fn is_read_only(_folder: &Path) -> bool {
    false
}

/// The directory beside the database that a restore uses until it is done.
pub const RESTORING: &str = ".restoring";

/// Whether an unfinished restore has left its directory beside the database.
pub fn is_half_restored(path: &Path) -> bool {
    let real = real_path(path).ok();
    [Some(path), real.as_deref()].into_iter().flatten().any(|path| folder_of(path).join(RESTORING).exists())
}
