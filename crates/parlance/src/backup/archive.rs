//! Writes a tar file that a checksum covers completely.
//!
//! The last entry, the seal, holds the SHA-256 of all bytes before it. The bytes after it are fixed. A reader therefore
//! detects every changed bit, and `tar` reads the file as usual.

use super::hex;
use super::manifest::{Entry, Manifest, Name};
use anyhow::Context as _;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Read, Write};

/// The block size of tar in bytes.
const BLOCK: usize = 512;
/// The name of the last entry.
const SEAL: &str = "sha256";
/// The size of the seal: its header, its content, and the two empty blocks that end a tar file.
pub const SEAL_BYTES: u64 = 4 * BLOCK as u64;

/// A writer of a backup.
pub struct Archive {
    file: BufWriter<File>,
    hash: Sha256,
    entries: Vec<Entry>,
    /// The time of the backup, in seconds since 1970.
    made_at: u64,
}

/// Builds the header of an entry.
fn header(name: &str, size: u64, made_at: u64) -> anyhow::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).context("a name that does not fit")?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(made_at);
    header.set_cksum();
    Ok(header)
}

/// Builds the end of a backup whose preceding bytes have that hash.
///
/// # Errors
/// None is expected: the name always fits.
pub fn seal(hash: &[u8]) -> anyhow::Result<Vec<u8>> {
    let content = format!("{}\n", hex(hash));
    let mut bytes = header(SEAL, content.len() as u64, 0)?.as_bytes().to_vec();
    bytes.extend(content.as_bytes());
    bytes.resize(SEAL_BYTES as usize, 0);
    Ok(bytes)
}

impl Archive {
    /// Writes to an empty file.
    pub fn new(file: File, made_at: u64) -> Self {
        Self { file: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new(), entries: Vec::new(), made_at }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    /// Begins an entry of exactly `size` bytes.
    ///
    /// # Errors
    /// An I/O error.
    pub fn begin(&mut self, name: Name, size: u64) -> anyhow::Result<OpenEntry<'_>> {
        let header = header(&name.to_string(), size, self.made_at)?;
        self.write(header.as_bytes())?;
        Ok(OpenEntry { archive: self, name, size, left: size, hash: Sha256::new() })
    }

    /// Adds all bytes of a reader, which must be `size` bytes.
    ///
    /// # Errors
    /// An I/O error, or an error if the reader returns fewer bytes.
    pub fn add(
        &mut self,
        name: Name,
        size: u64,
        mut from: impl Read,
        mut passed: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let mut entry = self.begin(name, size)?;
        let mut bytes = vec![0; 1 << 18];
        loop {
            let read = from.read(&mut bytes)?;
            if read == 0 {
                break;
            }
            entry.write(&bytes[..read])?;
            passed(read as u64);
        }
        anyhow::ensure!(entry.left == 0, "{name} is shorter than it was");
        entry.end()?;
        Ok(())
    }

    /// Writes the manifest and the seal, and syncs the file.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish(mut self, manifest: impl FnOnce(Vec<Entry>) -> Manifest) -> anyhow::Result<()> {
        let manifest = manifest(std::mem::take(&mut self.entries));
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.add(Name::Manifest, text.len() as u64, &text[..], |_| ())?;
        let seal = seal(&self.hash.clone().finalize())?;
        self.file.write_all(&seal)?;
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}

/// A writer of one entry.
pub struct OpenEntry<'a> {
    archive: &'a mut Archive,
    name: Name,
    size: u64,
    left: u64,
    hash: Sha256,
}

impl OpenEntry<'_> {
    /// Adds bytes and ignores those beyond the declared size.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let fits = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= fits as u64;
        self.hash.update(&bytes[..fits]);
        self.archive.write(&bytes[..fits])
    }

    /// Ends the entry. It pads missing bytes with zeros and returns the hash of the written content.
    ///
    /// # Errors
    /// An I/O error.
    pub fn end(mut self) -> std::io::Result<[u8; 32]> {
        while self.left > 0 {
            self.write(&[0; BLOCK])?;
        }
        let past = usize::try_from(self.size % BLOCK as u64).unwrap_or(0);
        if past > 0 {
            self.archive.write(&vec![0; BLOCK - past])?;
        }
        let hash: [u8; 32] = self.hash.finalize().into();
        self.archive.entries.push(Entry { name: self.name.to_string(), size: self.size, sha256: hex(&hash) });
        Ok(hash)
    }
}
