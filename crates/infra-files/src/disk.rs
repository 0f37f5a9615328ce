//! What a directory on disk needs beyond `object_store`.

use crate::OpenError;
use domain::files::ByteSource;
use domain::{Error, Result};
use object_store::local::LocalFileSystem;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a file is read at once: what a slow reader holds in memory.
const READ_BYTES: u64 = 64 * 1024;

/// Opens the directory, for its owner's eyes only where it is made here.
///
/// The directories that blobs are spread over are all made now, and synced: were each made by the first upload that
/// needs it, another upload could be answered while the directory it went into is not on disk yet.
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

/// Makes what was made or renamed in a directory durable; only Unix can and has to.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// The path under which `object_store` writes a blob before it is complete: it stays there if completing fails.
pub(crate) fn unfinished(root: &Path, name: &str) -> std::path::PathBuf {
    root.join(format!("{name}#1"))
}

/// Part of a file, read off the async threads.
pub(crate) struct FileSource {
    /// Away while it is being read.
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
