//! What is found out about bytes while they pass.

use crate::sniff;
use domain::files::{Sha256, StoredBlob};
use domain::{Error, Result};
use sha2::Digest;

/// Counts, hashes and remembers the beginning of what passes.
pub(crate) struct Intake {
    most: u64,
    size: u64,
    hash: sha2::Sha256,
    head: Vec<u8>,
}

impl Intake {
    /// Nothing has passed yet, and at most `most` bytes may.
    pub(crate) fn new(most: u64) -> Self {
        Self { most, size: 0, hash: sha2::Sha256::new(), head: Vec::new() }
    }

    /// Lets bytes pass.
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

    /// All has passed.
    pub(crate) fn finish(self) -> StoredBlob {
        let whole = self.size == self.head.len() as u64;
        StoredBlob {
            size: self.size,
            media_type: sniff::media_type(&self.head, whole),
            sha256: Sha256(self.hash.finalize().into()),
        }
    }
}
