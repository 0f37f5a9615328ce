//! The secret that signs tokens.

use crate::private_files::{folder_of, private_file, sync_folder};
use anyhow::{Context as _, bail};
use rand::TryRngCore as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The smallest secret for HS256, in bytes.
const MIN_BYTES: usize = 32;
/// The file name in the data directory.
const FILE_NAME: &str = "jwt-secret";

/// A secret of 32 bytes or more. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// # Errors
    /// A message if it is too short.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() < MIN_BYTES {
            return Err(format!("must have {MIN_BYTES} bytes or more"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads the secret in `data_dir`, or creates it at the first start, readable only by this user.
    ///
    /// # Errors
    /// An error if it cannot be read or written, or is too short.
    pub fn kept_in(data_dir: &Path) -> anyhow::Result<Self> {
        if let Some(secret) = Self::found_in(data_dir)? {
            return Ok(secret);
        }
        let secret = Self::generate()?;
        secret.keep_in(data_dir)?;
        Ok(secret)
    }

    /// Reads the secret in `data_dir`, if there is one.
    ///
    /// # Errors
    /// An error if it cannot be read, or is too short.
    pub fn found_in(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(FILE_NAME);
        let shown = path.display();
        match std::fs::read_to_string(&path) {
            // An earlier version could be killed between creating the file and writing it.
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => match Self::parse(text.trim_end()) {
                Ok(secret) => Ok(Some(secret)),
                Err(reason) => bail!("the secret in {shown} {reason}; remove the file to have a new one made"),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read the secret in {shown}")),
        }
    }

    /// Stores the secret in `data_dir`, readable only by this user.
    ///
    /// # Errors
    /// An error if it cannot be written, also because a secret already exists.
    pub fn keep_in(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = data_dir.join(FILE_NAME);
        self.write(&path).with_context(|| format!("cannot keep a secret in {}", path.display()))
    }

    /// The path in `data_dir`.
    pub fn path_in(data_dir: &Path) -> PathBuf {
        data_dir.join(FILE_NAME)
    }

    fn generate() -> anyhow::Result<Self> {
        let mut bytes = [0; MIN_BYTES];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).context("the system provides no random bytes")?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Writes the file completely or not at all, even if the process is killed, and never replaces another. If two
    /// servers start at once in one directory, one of them fails and has to start again.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let folder = folder_of(path);
        let part = folder.join(format!(".{FILE_NAME}.{}.part", std::process::id()));
        let written = (|| {
            match std::fs::remove_file(&part) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = private_file(&part)?;
            file.write_all(self.0.as_bytes())?;
            file.sync_all()?;
            if std::fs::metadata(path).is_ok_and(|found| found.len() == 0) {
                return std::fs::rename(&part, path);
            }
            match std::fs::hard_link(&part, path) {
                // Not every file system has links.
                Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                    std::fs::rename(&part, path)
                }
                linked => linked,
            }
        })();
        // After a rename, the temporary file no longer exists.
        let _ = std::fs::remove_file(&part);
        written?;
        sync_folder(folder)
    }

    /// The secret itself, for signing.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_for_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let made = Secret::kept_in(dir.path()).unwrap();
        assert!(made.expose().len() >= MIN_BYTES);
        assert_eq!(Secret::kept_in(dir.path()).unwrap(), made);
        assert_ne!(Secret::kept_in(tempfile::tempdir().unwrap().path()).unwrap(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(dir.path().join(FILE_NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_was_cut_off_is_made_again_and_another_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), "").unwrap();
        let made = Secret::kept_in(dir.path()).unwrap();
        assert_eq!(Secret::kept_in(dir.path()).unwrap(), made);
        assert!(Secret::generate().unwrap().keep_in(dir.path()).is_err());
        assert_eq!(Secret::kept_in(dir.path()).unwrap(), made);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_short_one_is_refused_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let short = "s".repeat(31);
        std::fs::write(dir.path().join(FILE_NAME), format!("{short}\n")).unwrap();
        let refusal = format!("{:#}", Secret::kept_in(dir.path()).unwrap_err());
        assert!(refusal.contains("32 bytes") && !refusal.contains(&short), "{refusal}");
        assert_eq!(format!("{:?}", Secret::parse(&"s".repeat(32)).unwrap()), "Secret(..)");
    }
}
