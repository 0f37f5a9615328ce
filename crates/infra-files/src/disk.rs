//! What the store needs of a directory on disk beyond `object_store`.

use crate::OpenError;
use crate::names::file_of;
use domain::files::ByteSource;
use domain::{Error, FileId, Result};
use object_store::local::LocalFileSystem;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Bytes of a file that one read brings: what a slow reader holds in memory.
const READ_BYTES: u64 = 64 * 1024;

/// The directory of the blobs, as the start found it.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    opened: Option<(u64, u64)>,
    is_missed: AtomicBool,
}

impl Root {
    /// The root at this path. The directory exists.
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        // The working directory may change.
        let path = std::path::absolute(path)?;
        let opened = identity(&std::fs::metadata(&path)?);
        Ok(Self { path, opened, is_missed: AtomicBool::new(false) })
    }

    /// Whether the directory is still where it was. If somebody removed or renamed it, or unmounted its disk, the next
    /// upload would create a new one, and nobody would find the old files. Logs the first such finding.
    pub(crate) fn is_there(&self) -> bool {
        let found = std::fs::metadata(&self.path);
        let is_there = found.as_ref().is_ok_and(|found| found.is_dir() && identity(found) == self.opened);
        if self.is_missed.swap(!is_there, Ordering::Relaxed) == is_there {
            let directory = self.path.display();
            if is_there {
                tracing::warn!(%directory, "the directory for uploads is back");
            } else {
                tracing::error!(
                    %directory,
                    "THE DIRECTORY FOR UPLOADS IS GONE, or another is in its place: files are refused until it is back"
                );
            }
        }
        is_there
    }
}

#[cfg(unix)]
fn identity(found: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(_found: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// Removes unfinished blobs that this process is not writing (`under_way`) and that nobody has written to since that
/// moment. Returns how many.
pub(crate) fn clear_unfinished(
    root: &Path,
    before: SystemTime,
    under_way: impl Fn(FileId) -> bool,
) -> io::Result<usize> {
    let mut cleared = 0;
    for shelf in std::fs::read_dir(root)? {
        let shelf = shelf?;
        if !shelf.file_type()?.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(shelf.path())? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().and_then(unfinished_id).is_none_or(&under_way) {
                continue;
            }
            // It is gone: somebody has finished it.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_file() && found.modified()? < before {
                std::fs::remove_file(entry.path())?;
                cleared += 1;
            }
        }
    }
    Ok(cleared)
}

/// The id of an unfinished blob or of a thumbnail's file, by the name of what is unfinished, `<name>#<number>`.
fn unfinished_id(name: &str) -> Option<FileId> {
    let (id, number) = name.split_once('#')?;
    let numbered = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    FileId::parse("name", id).ok().or_else(|| file_of(id)).filter(|_| numbered)
}

/// Opens the directory. If it does not exist, creates it for its owner only.
///
/// Creates and syncs all directories over which the blobs are spread. If the first upload that needs one created it,
/// the server could answer another upload while that directory is not on disk yet.
pub(crate) fn open(root: &Path, spread_over: impl Iterator<Item = String>) -> Result<LocalFileSystem, OpenError> {
    prepare(root, spread_over).map_err(OpenError::Directory)?;
    Ok(LocalFileSystem::new_with_prefix(root).map_err(OpenError::Store)?.with_fsync(true))
}

fn prepare(root: &Path, spread_over: impl Iterator<Item = String>) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(root)?;
    for name in spread_over {
        builder.create(root.join(name))?;
    }
    sync_directory(root)?;
    root.canonicalize()?.parent().map_or(Ok(()), sync_directory)
}

/// Makes new and renamed entries of a directory durable. Only Unix can and has to.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// The path under which `object_store` writes a blob before it is complete. The file stays there if completing fails.
pub(crate) fn unfinished(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{name}#1"))
}

/// A part of a file, read on blocking threads.
pub(crate) struct FileSource {
    /// `None` while a thread reads it.
    file: Option<File>,
    next: u64,
    end: u64,
}

impl FileSource {
    pub(crate) fn new(file: File, range: std::ops::Range<u64>) -> Self {
        Self { file: Some(file), next: range.start, end: range.end }
    }
}

#[async_trait::async_trait]
impl ByteSource for FileSource {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let (start, most) = (self.next, READ_BYTES.min(self.end - self.next));
        if most == 0 {
            return Ok(None);
        }
        let Some(mut file) = self.file.take() else {
            return Err(Error::internal("a blob was read on after an error"));
        };
        let read = move || -> io::Result<(File, Vec<u8>)> {
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::with_capacity(usize::try_from(most).unwrap_or_default());
            Read::by_ref(&mut file).take(most).read_to_end(&mut bytes)?;
            Ok((file, bytes))
        };
        let (file, bytes) =
            tokio::task::spawn_blocking(read).await.map_err(Error::internal)?.map_err(Error::internal)?;
        if bytes.is_empty() {
            return Err(Error::internal("a blob is shorter than it was"));
        }
        self.file = Some(file);
        self.next += bytes.len() as u64;
        Ok(Some(bytes))
    }
}
