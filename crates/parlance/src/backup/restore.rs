//! Restores a backup.

use super::leftover::{self, Leftover, Step};
use super::manifest::{Manifest, Name};
use super::scratch::Scratch;
use super::verify::{Contents, EntryLocation, verify};
use super::{Progress, hex};
use crate::config::{Config, Secret};
use crate::private_files::{folder_of, private_file, sync_folder};
use crate::storage::open_blobs;
use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use domain::files::{BlobStore, ByteSource};
use domain::{Error, FileId, UserId};
use infra_diesel::{Store, backup};
use infra_files::Blobs;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// The manifest of the backup.
    pub manifest: Manifest,
    /// The number of blobs.
    pub blobs: usize,
    /// Whether the backup contained the secret.
    pub with_secret: bool,
}

/// Restores a backup into the configured database, uploads and secret, all of which must be empty. It moves the
/// database last, and no server starts before. It cleans up after an earlier interrupted restore.
///
/// # Errors
/// A message for the operator. Nothing of the backup remains then, except for an empty directory. A Postgres database
/// that failed in the middle holds an unfinished copy, which no server accepts.
pub async fn restore(config: &Config, file: &Path, progress: Progress<'_>) -> anyhow::Result<Restored> {
    let contents = verify(file, |at, of| progress("verifying, bytes", at, of))?;
    let place = leftover::place(config);
    let mut goes_on = false;
    if let Some(left) = Leftover::find(config)? {
        goes_on = left.is_of(&contents);
        if !left.is_done(config) {
            left.undo(config).await?;
        } else if goes_on {
            return Ok(Restored::of(contents));
        }
    }
    must_be_empty(config, &contents, goes_on.then(|| place.join(leftover::DATABASE)).as_deref())?;
    config.make_data_dir()?;
    let folder = folder_of(&place);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let scratch = Scratch::make(place.clone())?;
    leftover::note(&scratch, &leftover::of(&contents))?;
    // A server that starts after a power failure has to find the journal.
    sync_folder(folder)?;
    let database = scratch.at(leftover::DATABASE);
    take_out(file, &contents.locations[&Name::Database], &database)?;
    check(&database, &contents).await?;

    let mut undo = Undo::default();
    let outcome = put_in_place(config, file, &contents, &scratch, &mut undo, progress).await;
    if let Err(error) = outcome {
        undo.run().await;
        return Err(error);
    }
    Ok(Restored::of(contents))
}

impl Restored {
    fn of(contents: Contents) -> Self {
        let blobs = contents.locations.keys().filter(|name| matches!(name, Name::Blob(_))).count();
        Self { with_secret: contents.locations.contains_key(&Name::Secret), manifest: contents.manifest, blobs }
    }
}

/// Everything that a failed restore has to undo.
#[derive(Default)]
struct Undo {
    blobs: Option<Blobs>,
    stored: Vec<FileId>,
    secret: Option<PathBuf>,
}

impl Undo {
    async fn run(self) {
        // The caller reports the first error. A blob that cannot be removed becomes an orphan, which `doctor` finds.
        if let Some(blobs) = self.blobs {
            for id in self.stored {
                let _ = blobs.remove(id).await;
            }
        }
        if let Some(secret) = self.secret {
            let _ = std::fs::remove_file(secret);
        }
    }
}

async fn put_in_place(
    config: &Config,
    file: &Path,
    contents: &Contents,
    scratch: &Scratch,
    undo: &mut Undo,
    progress: Progress<'_>,
) -> anyhow::Result<()> {
    let blobs = &*undo.blobs.insert(open_blobs(config).await?);
    let of = contents.locations.len() as u64;
    // One file at a time, to bound memory.
    let nobody = UserId(Uuid::nil());
    for (at, (name, location)) in contents.locations.iter().enumerate() {
        progress("files", at as u64, of);
        let Name::Blob(id) = *name else { continue };
        if blobs.open(id, None).await?.is_none() {
            leftover::note(scratch, &Step::Blob(id))?;
            undo.stored.push(id);
        }
        let source = Box::new(Part::open(file, location)?);
        let stored = blobs.store(id, nobody, source, location.size).await.context("a file cannot be stored")?;
        ensure!(hex(&stored.sha256.0) == location.sha256, "the backup was changed while it was read");
    }
    if let Some(location) = contents.locations.get(&Name::Secret)
        && Secret::found_in(&config.data_dir)?.is_none()
    {
        let secret = secret_in(file, location)?;
        leftover::note(scratch, &leftover::of_secret(&secret))?;
        secret.keep_in(&config.data_dir)?;
        undo.secret = Some(Secret::path_in(&config.data_dir));
    }
    let tell = |at: infra_diesel::copy::Progress| progress(&format!("{} {}", at.doing, at.table), at.rows, at.of);
    leftover::note(scratch, &Step::Placing)?;
    backup::put_in_place(&scratch.at(leftover::DATABASE), &config.database_url, tell)?;
    leftover::note(scratch, &Step::Done)
}

/// Checks that the target is empty, except for what an earlier restore has copied from `begun_from`.
fn must_be_empty(config: &Config, contents: &Contents, begun_from: Option<&Path>) -> anyhow::Result<()> {
    backup::must_be_empty(&config.database_url, begun_from).context("restore needs an empty place")?;
    if contents.locations.contains_key(&Name::Secret) && Secret::found_in(&config.data_dir)?.is_some() {
        bail!(
            "{} has a secret already, and the backup contains one: move the former away first",
            config.data_dir.display()
        );
    }
    Ok(())
}

/// Migrates the saved database, and checks that it is sound and fits the blobs.
async fn check(database: &Path, contents: &Contents) -> anyhow::Result<()> {
    backup::prepare(database).context("the saved database cannot be used")?;
    let url = format!("sqlite://{}", database.display());
    let faults = Store::check(&url).await?;
    ensure!(faults.is_empty(), "the saved database has faults: {}", faults.join("; "));
    let mut blobs: BTreeMap<Name, &EntryLocation> =
        contents.locations.iter().map(|(name, location)| (*name, location)).collect();
    for file in backup::files(&url)? {
        let found = blobs.remove(&Name::Blob(file.id));
        let excused = contents.manifest.missing.contains(&file.id.to_string());
        ensure!(found.is_some() || excused, "the backup lacks file {}, which is in its database", file.id);
    }
    let stray = blobs.into_keys().find(|name| matches!(name, Name::Blob(_)));
    ensure!(stray.is_none(), "the backup contains a file that is not in its database");
    Ok(())
}

/// Writes an entry to a file.
fn take_out(backup: &Path, location: &EntryLocation, to: &Path) -> anyhow::Result<()> {
    let mut part = Part::open(backup, location)?;
    let mut file = private_file(to)?;
    std::io::copy(&mut part.0, &mut file).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(file.sync_all()?)
}

fn secret_in(backup: &Path, location: &EntryLocation) -> anyhow::Result<Secret> {
    let mut text = String::new();
    Part::open(backup, location)?.0.read_to_string(&mut text)?;
    Secret::parse(&text).map_err(|reason| anyhow::anyhow!("the secret in the backup {reason}"))
}

/// The bytes of an entry.
struct Part(std::io::Take<File>);

impl Part {
    fn open(backup: &Path, location: &EntryLocation) -> std::io::Result<Self> {
        let mut file = File::open(backup)?;
        file.seek(SeekFrom::Start(location.offset))?;
        Ok(Self(file.take(location.size)))
    }
}

#[async_trait]
impl ByteSource for Part {
    async fn next(&mut self) -> domain::Result<Option<Vec<u8>>> {
        // Blocks briefly; no other task waits in this process.
        let mut bytes = Vec::with_capacity(1 << 18);
        Read::by_ref(&mut self.0).take(1 << 18).read_to_end(&mut bytes).map_err(Error::internal)?;
        Ok(if bytes.is_empty() { None } else { Some(bytes) })
    }
}
