//! Examines the bytes of an upload while they pass.

use crate::sniff;
use domain::files::{Sha256, StoredBlob};
use domain::{Error, Result};
use sha2::Digest;

/// Counts and hashes the bytes that come and those that stay, and keeps the first ones of the latter.
pub(crate) struct Intake {
    most: u64,
    sent: u64,
    sent_hash: sha2::Sha256,
    size: u64,
    /// `None` while all bytes have stayed.
    hash: Option<sha2::Sha256>,
    head: Vec<u8>,
}

impl Intake {
    /// Accepts at most `most` bytes.
    pub(crate) fn new(most: u64) -> Self {
        Self { most, sent: 0, sent_hash: sha2::Sha256::new(), size: 0, hash: None, head: Vec::new() }
    }

    /// Examines the next bytes that came.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`].
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Result<()> {
        self.sent += bytes.len() as u64;
        if self.sent > self.most {
            return Err(Error::FileTooLarge { limit: self.most });
        }
        self.sent_hash.update(bytes);
        Ok(())
    }

    /// Examines the next bytes that stay. `changed` says whether they may be others than those that came; then they are
    /// for the whole file.
    pub(crate) fn keep(&mut self, bytes: &[u8], changed: bool) {
        self.size += bytes.len() as u64;
        if changed {
            self.hash.get_or_insert_default().update(bytes);
        }
        let wanted = (sniff::HEAD_BYTES - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..wanted]);
    }

    /// The result, after the last byte.
    pub(crate) fn finish(self) -> StoredBlob {
        let whole = self.size == self.head.len() as u64;
        let sent_sha256 = Sha256(self.sent_hash.finalize().into());
        StoredBlob {
            size: self.size,
            media_type: sniff::media_type(&self.head, whole),
            sha256: self.hash.map_or(sent_sha256, |hash| Sha256(hash.finalize().into())),
            sent_sha256,
        }
    }
}
