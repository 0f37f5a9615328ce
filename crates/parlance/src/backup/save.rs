//! Writes a backup.

use super::Progress;
use super::archive::Archive;
use super::manifest::{FORMAT, Manifest, Name};
use super::scratch::Scratch;
use crate::config::{Config, Secret};
use crate::private_files::{folder_of, private_file, sync_folder};
use crate::storage::open_blobs;
use anyhow::{Context as _, bail};
use domain::files::{BlobStore, File};
use domain::{FileId, Timestamp};
use infra_diesel::backup;
use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;

/// The result of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The number of rows per table.
    pub rows: BTreeMap<String, u64>,
    /// The number of blobs.
    pub blobs: u64,
    /// The size of the backup in bytes.
    pub bytes: u64,
    /// Files whose rows still exist and whose bytes are missing.
    pub missing: Vec<FileId>,
    /// Files whose bytes differ from the uploaded ones. The backup contains them as they are.
    pub altered: Vec<FileId>,
}

/// Writes database and blobs into one file, which appears complete or not at all. Servers may run meanwhile.
///
/// # Errors
/// A message for the operator.
pub async fn save(
    config: &Config,
    file: &Path,
    with_secret: bool,
    now: Timestamp,
    progress: Progress<'_>,
) -> anyhow::Result<Saved> {
    let shown = file.display();
    if file.exists() {
        bail!("{shown} exists already: parlance backup never replaces a file");
    }
    super::refuse_half_restored(config)?;
    let name = file.file_name().with_context(|| format!("{shown} is not the name of a file"))?.to_string_lossy();
    let scratch = Scratch::make(folder_of(file).join(format!(".{name}.unfinished")))?;
    let secret = if with_secret { Some(secret(config)?) } else { None };

    let database = scratch.at("parlance.db");
    let tell = |at: infra_diesel::copy::Progress| progress(&format!("{} {}", at.doing, at.table), at.rows, at.of);
    backup::save(&config.database_url, &database, tell).context("the database was not saved")?;
    let saved_url = format!("sqlite://{}", database.display());
    let files = backup::files(&saved_url)?;
    let rows: BTreeMap<_, _> = backup::counts(&saved_url)?.into_iter().map(|(t, n)| (t.to_owned(), n)).collect();

    let part = scratch.at("backup.tar");
    let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
    let mut archive = Archive::new(private_file(&part)?, seconds);
    let size = std::fs::metadata(&database)?.len();
    let mut at = 0;
    archive.add(Name::Database, size, std::fs::File::open(&database)?, |bytes| {
        at += bytes;
        progress("database, bytes", at, size);
    })?;
    let taken = take_blobs(config, &mut archive, &files, progress).await?;
    if let Some(secret) = secret {
        archive.add(Name::Secret, secret.expose().len() as u64, secret.expose(), |_| ())?;
    }
    archive.finish(|entries| Manifest {
        format: FORMAT,
        parlance: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now.as_datetime().to_rfc3339(),
        rows: rows.clone(),
        missing: taken.missing.iter().map(ToString::to_string).collect(),
        entries,
    })?;
    let bytes = std::fs::metadata(&part)?.len();
    name_it(&part, file).with_context(|| format!("the backup cannot be named {shown}"))?;

    // Files deleted since the snapshot rightly have no bytes.
    let missing = if taken.missing.is_empty() { Vec::new() } else { still_known(config, taken.missing)? };
    Ok(Saved { rows, blobs: taken.blobs, bytes, missing, altered: taken.altered })
}

/// Gives the finished backup its name and syncs the directory.
fn name_it(part: &Path, file: &Path) -> std::io::Result<()> {
    // Unlike a rename, a link never replaces a file that has appeared meanwhile. Not every file system has links.
    match std::fs::hard_link(part, file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => std::fs::rename(part, file)?,
        linked => linked?,
    }
    sync_folder(folder_of(file))
}

/// The secret in use.
fn secret(config: &Config) -> anyhow::Result<Secret> {
    let kept = match &config.jwt_secret {
        Some(secret) => Some(secret.clone()),
        None => Secret::found_in(&config.data_dir)?,
    };
    kept.context("there is no secret yet to put into the backup")
}

struct Taken {
    blobs: u64,
    missing: Vec<FileId>,
    altered: Vec<FileId>,
}

async fn take_blobs(
    config: &Config,
    archive: &mut Archive,
    files: &[File],
    progress: Progress<'_>,
) -> anyhow::Result<Taken> {
    let mut taken = Taken { blobs: 0, missing: Vec::new(), altered: Vec::new() };
    if files.is_empty() {
        return Ok(taken);
    }
    let blobs = open_blobs(config).await?;
    for (place, file) in files.iter().enumerate() {
        progress("files", place as u64, files.len() as u64);
        let Some(mut source) = blobs.open(file.id, None).await.context("a file cannot be read")? else {
            taken.missing.push(file.id);
            continue;
        };
        let mut entry = archive.begin(Name::Blob(file.id), file.size)?;
        let mut size = 0;
        while let Some(bytes) = source.next().await.with_context(|| format!("file {} cannot be read", file.id))? {
            size += bytes.len() as u64;
            entry.write(&bytes)?;
        }
        if entry.end()? != file.sha256.0 || size != file.size {
            taken.altered.push(file.id);
        }
        taken.blobs += 1;
    }
    Ok(taken)
}

fn still_known(config: &Config, missing: Vec<FileId>) -> anyhow::Result<Vec<FileId>> {
    let known: HashSet<_> = backup::files(&config.database_url)?.into_iter().map(|file| file.id).collect();
    Ok(missing.into_iter().filter(|id| known.contains(id)).collect())
}

impl Saved {
    /// In a line.
    pub fn summary(&self) -> String {
        let rows = |table: &str| self.rows.get(table).copied().unwrap_or(0);
        let (users, messages) = (rows("users"), rows("messages"));
        format!("{users} users, {messages} messages, {} files; {} bytes", self.blobs, self.bytes)
    }
}
