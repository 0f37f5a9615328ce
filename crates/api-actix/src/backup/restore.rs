//! Putting a backup in place.

use super::manifest::{Manifest, Name};
use super::scratch::{Scratch, folder_of, private_file};
use super::verify::{Contents, Place, verify};
use super::{Progress, hex};
use crate::app::open_blobs;
use crate::config::{Config, Secret};
use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use domain::files::{BlobStore, ByteSource};
use domain::{Error, FileId};
use infra_diesel::{Store, backup};
use infra_files::Blobs;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup said of itself.
    pub manifest: Manifest,
    /// How many blobs.
    pub blobs: usize,
    /// Whether the secret came along.
    pub with_secret: bool,
}

/// Puts a backup where the configuration says that database, uploads and secret are, and where nothing is yet. The database
/// comes last, so that no server starts on half of it.
///
/// # Errors
/// In words for the operator. Nothing of the backup is left then, but for an empty directory; a Postgres that failed in
/// the middle holds an unfinished copy, which no server takes.
pub async fn restore(config: &Config, file: &Path, progress: Progress<'_>) -> anyhow::Result<Restored> {
    let contents = verify(file, |at, of| progress("verifying, bytes", at, of))?;
    must_be_empty(config, &contents)?;
    config.make_data_dir()?;
    let place = config.database_url.strip_prefix("sqlite://").map(PathBuf::from);
    let folder = place.as_deref().map_or(config.data_dir.as_path(), folder_of);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let scratch = Scratch::make(folder.join(".restoring"))?;
    let database = scratch.at("parlance.db");
    take_out(file, &contents.places[&Name::Database], &database)?;
    check(&database, &contents).await?;

    let mut undo = Undo::default();
    let outcome = put_in_place(config, file, &contents, &database, &mut undo, progress).await;
    if let Err(error) = outcome {
        undo.run().await;
        return Err(error);
    }
    let blobs = undo.stored.len();
    Ok(Restored { with_secret: contents.places.contains_key(&Name::Secret), manifest: contents.manifest, blobs })
}

/// Everything a failure has to take back.
#[derive(Default)]
struct Undo {
    blobs: Option<Blobs>,
    stored: Vec<FileId>,
    secret: Option<PathBuf>,
}

impl Undo {
    async fn run(self) {
        // The first error is the one to tell; what stays of blobs is an orphan that `doctor` finds.
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
    database: &Path,
    undo: &mut Undo,
    progress: Progress<'_>,
) -> anyhow::Result<()> {
    let blobs = &*undo.blobs.insert(open_blobs(config).await?);
    let of = contents.places.len() as u64;
    for (at, (name, place)) in contents.places.iter().enumerate() {
        progress("files", at as u64, of);
        let Name::Blob(id) = *name else { continue };
        undo.stored.push(id);
        let source = Box::new(Part::open(file, place)?);
        let stored = blobs.store(id, source, place.size).await.context("a file cannot be stored")?;
        ensure!(hex(&stored.sha256.0) == place.sha256, "the backup was changed while it was read");
    }
    if let Some(place) = contents.places.get(&Name::Secret)
        && Secret::found_in(&config.data_dir)?.is_none()
    {
        secret_in(file, place)?.keep_in(&config.data_dir)?;
        undo.secret = Some(Secret::path_in(&config.data_dir));
    }
    let tell = |at: infra_diesel::copy::Progress| progress(&format!("{} {}", at.doing, at.table), at.rows, at.of);
    Ok(backup::put_in_place(database, &config.database_url, tell)?)
}

/// Whether nothing is in the way.
fn must_be_empty(config: &Config, contents: &Contents) -> anyhow::Result<()> {
    backup::must_be_empty(&config.database_url).context("a backup is restored into an empty place only")?;
    if contents.places.contains_key(&Name::Secret) && Secret::found_in(&config.data_dir)?.is_some() {
        bail!("{} holds a secret already, and so does the backup: move it away first", config.data_dir.display());
    }
    Ok(())
}

/// Makes the saved database fit to be used, and looks whether it is sound and fits the blobs.
async fn check(database: &Path, contents: &Contents) -> anyhow::Result<()> {
    backup::prepare(database).context("the saved database cannot be used")?;
    let url = format!("sqlite://{}", database.display());
    let faults = Store::check(&url).await?;
    ensure!(faults.is_empty(), "the saved database is not sound: {}", faults.join("; "));
    let mut blobs: BTreeMap<Name, &Place> = contents.places.iter().map(|(name, place)| (*name, place)).collect();
    for file in backup::files(&url)? {
        let found = blobs.remove(&Name::Blob(file.id));
        let excused = contents.manifest.missing.contains(&file.id.to_string());
        ensure!(found.is_some() || excused, "the backup lacks file {}, which its database knows", file.id);
    }
    let stray = blobs.into_keys().find(|name| matches!(name, Name::Blob(_)));
    ensure!(stray.is_none(), "the backup holds a file that its database does not know");
    Ok(())
}

/// Writes an entry to a file.
fn take_out(backup: &Path, place: &Place, to: &Path) -> anyhow::Result<()> {
    let mut part = Part::open(backup, place)?;
    let mut file = private_file(to)?;
    std::io::copy(&mut part.0, &mut file).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(file.sync_all()?)
}

fn secret_in(backup: &Path, place: &Place) -> anyhow::Result<Secret> {
    let mut text = String::new();
    Part::open(backup, place)?.0.read_to_string(&mut text)?;
    Secret::parse(&text).map_err(|reason| anyhow::anyhow!("the secret in the backup {reason}"))
}

/// The bytes of an entry.
struct Part(std::io::Take<File>);

impl Part {
    fn open(backup: &Path, place: &Place) -> std::io::Result<Self> {
        let mut file = File::open(backup)?;
        file.seek(SeekFrom::Start(place.offset))?;
        Ok(Self(file.take(place.size)))
    }
}

#[async_trait]
impl ByteSource for Part {
    async fn next(&mut self) -> domain::Result<Option<Vec<u8>>> {
        // Blocks for moments; nobody else is waiting in this process.
        let mut bytes = Vec::with_capacity(1 << 18);
        Read::by_ref(&mut self.0).take(1 << 18).read_to_end(&mut bytes).map_err(Error::internal)?;
        Ok(if bytes.is_empty() { None } else { Some(bytes) })
    }
}
