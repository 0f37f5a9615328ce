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

/// What tar counts in.
const BLOCK: usize = 512;
/// The name of the last entry.
const SEAL: &str = "sha256";
/// How much the seal takes: its header, its content, and the two empty blocks that end a tar file.
pub const SEAL_BYTES: u64 = 4 * BLOCK as u64;

/// A backup that is being written.
pub struct Archive {
    file: BufWriter<File>,
    hash: Sha256,
    entries: Vec<Entry>,
    /// When, in seconds since 1970.
    made_at: u64,
}

/// The header of an entry.
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

/// The end of a backup whose bytes before it have that hash.
///
/// # Errors
/// None that can happen: its one name fits.
pub fn seal(hash: &[u8]) -> anyhow::Result<Vec<u8>> {
    let content = format!("{}\n", hex(hash));
    let mut bytes = header(SEAL, content.len() as u64, 0)?.as_bytes().to_vec();
    bytes.extend(content.as_bytes());
    bytes.resize(SEAL_BYTES as usize, 0);
    Ok(bytes)
}

impl Archive {
    /// Into a file that is empty.
    pub fn new(file: File, made_at: u64) -> Self {
        Self { file: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new(), entries: Vec::new(), made_at }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    /// Begins an entry of exactly so many bytes.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn begin(&mut self, name: Name, size: u64) -> anyhow::Result<OpenEntry<'_>> {
        let header = header(&name.to_string(), size, self.made_at)?;
        self.write(header.as_bytes())?;
        Ok(OpenEntry { archive: self, name, size, left: size, hash: Sha256::new() })
    }

    /// Adds all that a reader gives, which must be `size` bytes.
    ///
    /// # Errors
    /// Where it cannot be read or written, or gives less.
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

    /// Writes manifest and seal, and makes all of it durable.
    ///
    /// # Errors
    /// Where it cannot be written.
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

/// An entry that is being written.
pub struct OpenEntry<'a> {
    archive: &'a mut Archive,
    name: Name,
    size: u64,
    left: u64,
    hash: Sha256,
}

impl OpenEntry<'_> {
    /// Adds bytes; what is more than was said at the beginning is left out.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let fits = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= fits as u64;
        self.hash.update(&bytes[..fits]);
        self.archive.write(&bytes[..fits])
    }

    /// Ends it, filled up with zeros if there was less than was said, and gives the hash of what is there now.
    ///
    /// # Errors
    /// Where it cannot be written.
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
