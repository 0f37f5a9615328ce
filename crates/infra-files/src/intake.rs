//! Examines the bytes of an upload while they pass.

use crate::sniff;
use domain::files::{Sha256, StoredBlob};
use domain::{Error, Result};
use sha2::Digest;

/// Counts and hashes the bytes, and keeps the first ones.
pub(crate) struct Intake {
    most: u64,
    size: u64,
    hash: sha2::Sha256,
    head: Vec<u8>,
}

impl Intake {
    /// Accepts at most `most` bytes.
    pub(crate) fn new(most: u64) -> Self {
        Self { most, size: 0, hash: sha2::Sha256::new(), head: Vec::new() }
    }

    /// Examines the next bytes.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`].
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > self.most {
            return Err(Error::FileTooLarge { limit: self.most });
        }
        self.hash.update(bytes);
        let wanted = (sniff::HEAD_BYTES - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..wanted]);
        Ok(())
    }

    /// The result, after the last byte.
    pub(crate) fn finish(self) -> StoredBlob {
        let whole = self.size == self.head.len() as u64;
        StoredBlob {
            size: self.size,
            media_type: sniff::media_type(&self.head, whole),
            sha256: Sha256(self.hash.finalize().into()),
        }
    }
}
