//! Verifies a backup without trusting any byte of it.

use super::archive::{SEAL_BYTES, seal};
use super::hex;
use super::manifest::{Entry, FORMAT, Manifest, Name};
use anyhow::{Context as _, bail, ensure};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

/// The largest manifest for an archive with so many bytes before it: no larger than those bytes. The description of an
/// entry is shorter than the entry's header, and that of a missing file is shorter than the file's row in the database.
/// The program can therefore read a backup with any number of files, and a forged manifest takes no more memory than
/// the backup has bytes. A small manifest is always allowed.
fn max_manifest_bytes(before: u64) -> u64 {
    before.max(1 << 20)
}

/// The location of an entry's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLocation {
    /// The offset in the archive.
    pub offset: u64,
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the bytes, in hex.
    pub sha256: String,
}

/// A verified backup.
#[derive(Debug)]
pub struct Contents {
    /// Its manifest.
    pub manifest: Manifest,
    /// The location of every entry except the manifest.
    pub locations: BTreeMap<Name, EntryLocation>,
}

/// Hashes the bytes that pass through.
struct Hashed<R> {
    inner: R,
    hash: Rc<RefCell<Sha256>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.borrow_mut().update(&into[..read]);
        Ok(read)
    }
}

/// Reads a whole backup and returns its contents. Writes nothing.
///
/// # Errors
/// An error if any bit differs from when the backup was made, if an entry does not belong there, or if the format is
/// another one.
pub fn verify(file: &Path, mut progress: impl FnMut(u64, u64)) -> anyhow::Result<Contents> {
    let mut open = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let body = open.metadata()?.len().checked_sub(SEAL_BYTES).context("this is no backup: it is too short")?;
    let hash = Rc::new(RefCell::new(Sha256::new()));
    let mut sealed = Hashed { inner: (&open).take(body), hash: Rc::clone(&hash) };
    // A file that is no archive gets the most likely message.
    let read = read_entries(&mut sealed, body, &mut progress);
    // The seal also covers bytes that the reading of entries did not reach.
    std::io::copy(&mut sealed, &mut std::io::sink())?;
    let expected = seal(&hash.borrow().clone().finalize())?;
    let mut found = Vec::new();
    open.seek(SeekFrom::Start(body))?;
    open.read_to_end(&mut found)?;
    ensure!(found == expected, "this file is damaged, truncated or no backup: its checksum is wrong");
    let (manifest, locations) = read?;
    check(&manifest, &locations)?;
    Ok(Contents { manifest, locations })
}

fn read_entries(
    from: impl Read,
    of: u64,
    progress: &mut impl FnMut(u64, u64),
) -> anyhow::Result<(Manifest, BTreeMap<Name, EntryLocation>)> {
    let (mut manifest, mut locations) = (None, BTreeMap::new());
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries()? {
        let mut entry = entry.context("this backup cannot be read")?;
        let path = entry.path_bytes().into_owned();
        let name = std::str::from_utf8(&path).ok().and_then(Name::parse);
        let Some(name) = name.filter(|_| entry.header().entry_type() == tar::EntryType::Regular) else {
            bail!("this backup contains {:?}, which belongs in no backup", String::from_utf8_lossy(&path));
        };
        let (offset, size) = (entry.raw_file_position(), entry.size());
        progress(offset, of);
        if name == Name::Manifest {
            let fits = size <= max_manifest_bytes(offset);
            ensure!(manifest.is_none() && fits, "the manifest of this backup is malformed");
            // Parsed directly, so that the text is not in memory as well.
            let read = serde_json::from_reader(BufReader::new(&mut entry));
            manifest = Some(read.context("the manifest of this backup cannot be read")?);
            continue;
        }
        let mut hash = Sha256::new();
        let mut bytes = vec![0; 1 << 18];
        loop {
            let read = entry.read(&mut bytes)?;
            if read == 0 {
                break;
            }
            hash.update(&bytes[..read]);
        }
        let location = EntryLocation { offset, size, sha256: hex(&hash.finalize()) };
        ensure!(locations.insert(name, location).is_none(), "this backup holds {name} twice");
    }
    Ok((manifest.context("this backup has no manifest")?, locations))
}

/// Checks the contents against the manifest.
fn check(manifest: &Manifest, locations: &BTreeMap<Name, EntryLocation>) -> anyhow::Result<()> {
    ensure!(
        manifest.format == FORMAT,
        "this backup has format {}, written by parlance {}; this parlance reads format {FORMAT}",
        manifest.format,
        manifest.parlance
    );
    ensure!(locations.contains_key(&Name::Database), "this backup has no database");
    let described = |(name, location): (&Name, &EntryLocation)| Entry {
        name: name.to_string(),
        size: location.size,
        sha256: location.sha256.clone(),
    };
    let mut found: Vec<_> = locations.iter().map(described).collect();
    let mut said = manifest.entries.clone();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    said.sort_by(|one, other| one.name.cmp(&other.name));
    ensure!(found == said, "this backup differs from its manifest");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::archive::Archive;
    use super::*;
    use crate::private_files::private_file;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn manifest(entries: Vec<Entry>) -> Manifest {
        let (parlance, made_at) = ("0".to_owned(), "now".to_owned());
        Manifest { format: FORMAT, parlance, made_at, rows: BTreeMap::new(), missing: Vec::new(), entries }
    }

    fn backup(file: &Path) {
        let mut archive = Archive::new(private_file(file).unwrap(), 7);
        archive.add(Name::Database, 700, &[1; 700][..], |_| ()).unwrap();
        archive.add(Name::parse(&format!("uploads/{ID}")).unwrap(), 3, &b"abc"[..], |_| ()).unwrap();
        archive.finish(manifest).unwrap();
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("b.tar");
        backup(&file);
        let contents = verify(&file, |_, _| ()).unwrap();
        let blob = &contents.locations[&Name::parse(&format!("uploads/{ID}")).unwrap()];
        let bytes = std::fs::read(&file).unwrap();
        let offset = usize::try_from(blob.offset).unwrap();
        assert_eq!(&bytes[offset..offset + 3], b"abc");
        // And tar reads it, too.
        let names: Vec<_> = tar::Archive::new(&bytes[..])
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["parlance.db", &format!("uploads/{ID}"), "manifest.json", "sha256"]);
    }

    #[test]
    fn a_backup_with_any_bit_turned_or_missing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (file, bad) = (dir.path().join("b.tar"), dir.path().join("bad.tar"));
        backup(&file);
        let bytes = std::fs::read(&file).unwrap();
        for location in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[location] ^= 1 << (location % 8);
            std::fs::write(&bad, turned).unwrap();
            assert!(verify(&bad, |_, _| ()).is_err(), "byte {location}");
        }
        for length in [0, 1, 511, 512, 2048, bytes.len() / 2, bytes.len() - 512, bytes.len() - 1] {
            std::fs::write(&bad, &bytes[..length]).unwrap();
            assert!(verify(&bad, |_, _| ()).is_err(), "{length} bytes");
        }
        std::fs::write(&bad, [&bytes[..], &[0; 512]].concat()).unwrap();
        assert!(verify(&bad, |_, _| ()).is_err());
    }

    #[test]
    fn a_manifest_of_any_number_of_files_is_shorter_than_the_archive_before_it() {
        const HEADER_BYTES: usize = 512;
        // Of a row: two ids, a hash, a size and a time.
        const MIN_ROW_BYTES: usize = 16 + 16 + 32;
        let name = format!("uploads/{ID}");
        let large = Entry { name, size: u64::MAX, sha256: hex(&Sha256::digest(b"")) };
        let length = |manifest: &Manifest| serde_json::to_vec_pretty(manifest).unwrap().len();
        let (one, two) = (manifest(vec![large.clone()]), manifest(vec![large.clone(), large]));
        let missing = |count| Manifest { missing: vec![ID.to_owned(); count], ..manifest(Vec::new()) };
        assert!(length(&two) - length(&one) < HEADER_BYTES);
        assert!(length(&missing(2)) - length(&missing(1)) < MIN_ROW_BYTES);
        // More than half a million files.
        assert_eq!(max_manifest_bytes(1 << 30), 1 << 30);
    }

    #[test]
    fn a_manifest_that_is_larger_than_what_it_speaks_of_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("b.tar");
        let mut text = serde_json::to_vec(&manifest(Vec::new())).unwrap();
        text.resize(1 << 21, b' ');
        forged(
            &file,
            &[("parlance.db", tar::EntryType::Regular, b"db"), ("manifest.json", tar::EntryType::Regular, &text)],
        );
        let refused = verify(&file, |_, _| ()).unwrap_err();
        assert!(refused.to_string().contains("is malformed"), "{refused}");
    }

    /// A foreign archive, sealed as a backup is.
    fn forged(file: &Path, entries: &[(&str, tar::EntryType, &[u8])]) {
        let mut bytes = Vec::new();
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            bytes.extend(header.as_bytes());
            bytes.extend(*content);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        let seal = seal(&Sha256::digest(&bytes)).unwrap();
        std::fs::write(file, [bytes, seal].concat()).unwrap();
    }

    #[test]
    fn what_does_not_belong_in_a_backup_is_refused_however_well_it_is_sealed() {
        use tar::EntryType::{Directory, Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("b.tar");
        let entry = |name: &str, bytes: &[u8]| Entry {
            name: name.to_owned(),
            size: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
        };
        let said = |entries: Vec<Entry>| serde_json::to_vec(&manifest(entries)).unwrap();
        let good = said(vec![entry("parlance.db", b"db")]);
        let database = ("parlance.db", Regular, &b"db"[..]);
        forged(&file, &[database, ("manifest.json", Regular, &good)]);
        verify(&file, |_, _| ()).unwrap();
        for (stray, kind) in [
            ("../parlance.db", Regular),
            ("/etc/passwd", Regular),
            ("uploads/../../x", Regular),
            ("uploads/x", Regular),
            ("jwt-secret", Symlink),
            ("uploads/", Directory),
            ("parlance.db", Regular),
            // In the archive, and not in the manifest.
            ("jwt-secret", Regular),
        ] {
            forged(&file, &[database, (stray, kind, b""), ("manifest.json", Regular, &good)]);
            assert!(verify(&file, |_, _| ()).is_err(), "{stray}");
        }
        for manifest in [
            said(vec![entry("parlance.db", b"dB")]),
            said(Vec::new()),
            said(vec![entry("parlance.db", b"db"), entry("jwt-secret", b"x")]),
            b"{}".to_vec(),
            String::from_utf8(good.clone()).unwrap().replace("\"format\":1", "\"format\":2").into_bytes(),
        ] {
            forged(&file, &[database, ("manifest.json", Regular, &manifest)]);
            assert!(verify(&file, |_, _| ()).is_err(), "{}", String::from_utf8_lossy(&manifest));
        }
        forged(&file, &[database]);
        assert!(verify(&file, |_, _| ()).is_err());
    }
}
