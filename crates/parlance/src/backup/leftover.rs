//! Cleans up after an interrupted restore, by the journal that it wrote.
//!
//! No server starts while a journal is there: it would find no database and create an empty one. The next restore
//! removes exactly what the interrupted one put in the places of database, uploads and secret.

use super::scratch::Scratch;
use super::verify::Contents;
use super::{Name, hex};
use crate::config::{Config, Secret};
use crate::private_files::folder_of;
use crate::storage::open_blobs;
use anyhow::{Context as _, bail};
use domain::FileId;
use domain::files::BlobStore as _;
use infra_diesel::backup::RESTORING;
use sha2::{Digest as _, Sha256};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The journal of a restore, beside the database that it prepares.
const JOURNAL: &str = "journal";
/// The prepared database.
pub const DATABASE: &str = "parlance.db";

/// A line of the journal: a step that the restore is about to take, or has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The restore has begun with the database of this hash.
    Of(String),
    /// The restore is about to store a blob that did not exist.
    Blob(FileId),
    /// The restore is about to store a secret of this hash.
    Secret(String),
    /// The restore is about to move the database to its place.
    Placing,
    /// The database is in its place.
    Done,
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        Some(match line.split_once(' ') {
            Some(("of", hash)) => Self::Of(hash.to_owned()),
            Some(("blob", id)) => Self::Blob(FileId::parse("id", id).ok()?),
            Some(("secret", hash)) => Self::Secret(hash.to_owned()),
            _ if line == "placing" => Self::Placing,
            _ if line == "done" => Self::Done,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Of(hash) => write!(f, "of {hash}"),
            Self::Blob(id) => write!(f, "blob {id}"),
            Self::Secret(hash) => write!(f, "secret {hash}"),
            Self::Placing => f.write_str("placing"),
            Self::Done => f.write_str("done"),
        }
    }
}

/// The step that names the backup's database.
pub fn of(contents: &Contents) -> Step {
    Step::Of(contents.locations.get(&Name::Database).map(|location| location.sha256.clone()).unwrap_or_default())
}

/// The step that names a secret.
pub fn of_secret(secret: &Secret) -> Step {
    Step::Secret(hex(&Sha256::digest(secret.expose())))
}

/// Records a step before the caller takes it.
///
/// # Errors
/// An I/O error.
pub fn note(scratch: &Scratch, step: &Step) -> anyhow::Result<()> {
    let mut journal = OpenOptions::new().create(true).append(true).open(scratch.at(JOURNAL))?;
    Ok(writeln!(journal, "{step}")?)
}

/// The working directory of a restore under this configuration.
pub fn place(config: &Config) -> PathBuf {
    let database = config.database_url.strip_prefix("sqlite://").map(Path::new);
    database.map_or(config.data_dir.as_path(), folder_of).join(RESTORING)
}

/// The remains of an interrupted restore, locked by this process.
pub struct Leftover {
    scratch: Scratch,
    steps: Vec<Step>,
}

impl Leftover {
    /// Finds the remains of a restore into this place.
    ///
    /// # Errors
    /// An error if a restore is running.
    pub fn find(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(scratch) = Scratch::left_at(&place(config))? else { return Ok(None) };
        // Without a journal, the restore had not changed anything yet.
        let journal = std::fs::read_to_string(scratch.at(JOURNAL)).unwrap_or_default();
        // An incomplete line names a step that the restore had not taken.
        let steps = journal.lines().filter_map(Step::parse).collect();
        Ok(Some(Self { scratch, steps }))
    }

    /// Whether the restore had only cleanup left: the database is in its place.
    pub fn is_done(&self, config: &Config) -> bool {
        let database = config.database_url.strip_prefix("sqlite://").map(Path::new);
        let moved = || database.is_some_and(Path::exists) && !self.scratch.at(DATABASE).exists();
        self.steps.contains(&Step::Done) || (self.steps.contains(&Step::Placing) && moved())
    }

    /// Whether it restored the same backup.
    pub fn is_of(&self, contents: &Contents) -> bool {
        self.steps.contains(&of(contents))
    }

    /// Leaves the remains as they are: only a restore may continue or remove them.
    pub fn leave(self) {
        // The directory has to stay. The lock ends with the process at the latest.
        std::mem::forget(self.scratch);
    }

    /// Undoes the interrupted restore.
    ///
    /// # Errors
    /// An I/O error if a file cannot be removed.
    pub async fn undo(self, config: &Config) -> anyhow::Result<()> {
        let blobs: Vec<_> =
            self.steps.iter().filter_map(|step| if let Step::Blob(id) = step { Some(*id) } else { None }).collect();
        if !blobs.is_empty() {
            let store = open_blobs(config).await?;
            for id in blobs {
                let removed = store.remove(id).await.and(store.remove_unfinished(id).await);
                removed.context("cannot remove what an earlier restore stored")?;
            }
        }
        if let Some(secret) = Secret::found_in(&config.data_dir)?
            && self.steps.contains(&of_secret(&secret))
        {
            std::fs::remove_file(Secret::path_in(&config.data_dir))?;
        }
        // Dropping the scratch directory removes the rest.
        Ok(())
    }
}

/// The path of an unfinished restore, if there is one. Changes nothing.
pub fn half_restored(config: &Config) -> Option<String> {
    let place = place(config);
    place.exists().then(|| place.display().to_string())
}

/// Refuses to work beside an unfinished restore. It cleans up after a finished one.
///
/// # Errors
/// A message for the operator.
pub fn refuse_half_restored(config: &Config) -> anyhow::Result<()> {
    let place = place(config);
    if !place.exists() {
        return Ok(());
    }
    let shown = place.display();
    match Leftover::find(config) {
        Ok(None) => Ok(()),
        Ok(Some(left)) if left.is_done(config) => Ok(()),
        Ok(Some(left)) => {
            left.leave();
            bail!(
                "an interrupted restore left {shown}: run `parlance restore` again, or remove it to give the restore up"
            )
        }
        Err(error) => Err(error).context("a restore is under way"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written() {
        let id = FileId::parse("id", "01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        for step in [Step::Of("ab".into()), Step::Blob(id), Step::Secret("cd".into()), Step::Placing, Step::Done] {
            assert_eq!(Step::parse(&step.to_string()), Some(step));
        }
        assert_eq!(Step::parse("blob 01890a5d-ac96-774b"), None);
    }
}
