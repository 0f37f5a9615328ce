//! A place for what is not finished.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A directory of its own, for this user only, gone with all that is in it when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it. Its folder must be there.
    ///
    /// # Errors
    /// Where it cannot be made, also since another one is at it or was cut off.
    pub fn make(path: PathBuf) -> anyhow::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let shown = path.display();
        builder.create(&path).map_err(|error| {
            let left = error.kind() == ErrorKind::AlreadyExists;
            let hint = if left { " (left by one that was cut off? then remove it)" } else { "" };
            anyhow::Error::from(error).context(format!("cannot make {shown}{hint}"))
        })?;
        Ok(Self(path))
    }

    /// A place in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in nobody's way but that of the next one, which tells.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file that only this user may read.
///
/// # Errors
/// Where it exists, or cannot be made.
pub fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
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
    if cfg!(unix) { std::fs::File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_may_have_been_left() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |path| format!("{:#}", Scratch::make(path).unwrap_err());
        assert!(!refusal(folder.path().join("missing/scratch")).contains("cut off"));
        let _scratch = Scratch::make(folder.path().join("scratch")).unwrap();
        assert!(refusal(folder.path().join("scratch")).contains("cut off"));
    }
}
