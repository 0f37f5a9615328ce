//! `parlance backup` and `parlance restore`.

use super::bar::Bar;
use super::say;
use crate::backup;
use crate::clock::SystemClock;
use crate::config::Config;
use clap::Args;
use domain::Clock as _;
use std::path::PathBuf;

/// The arguments of `parlance backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The file to write, a tar archive; must not exist
    file: PathBuf,
    /// Also save the secret that signs tokens: users stay logged in after a restore, but anyone who has the backup
    /// can act as any user
    #[arg(long)]
    with_secret: bool,
}

/// The arguments of `parlance restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// A file that `parlance backup` wrote
    file: PathBuf,
}

/// Writes a backup and prints a summary.
///
/// # Errors
/// In words for the operator.
pub async fn save(config: &Config, arguments: &BackupArguments) -> anyhow::Result<()> {
    let BackupArguments { file, with_secret } = arguments;
    let mut bar = Bar::new();
    let draw = &mut |doing: &str, done, of| bar.draw(doing, done, of);
    let saved = backup::save(config, file, *with_secret, SystemClock.now(), draw).await;
    bar.clear();
    let saved = saved?;
    say(format_args!("saved in {}: {}", file.display(), saved.summary()))?;
    for id in &saved.missing {
        say(format_args!("  missing: the bytes of file {id} are lost; the backup does not contain them"))?;
    }
    for id in &saved.altered {
        say(format_args!(
            "  altered: the bytes of file {id} are not the uploaded ones; the backup contains them as they are"
        ))?;
    }
    if !with_secret && config.jwt_secret.is_none() {
        say("without the secret: after a restore all users have to log in again (see --with-secret)")?;
    }
    Ok(())
}

/// Restores a backup and prints a summary.
///
/// # Errors
/// In words for the operator.
pub async fn restore(config: &Config, arguments: &RestoreArguments) -> anyhow::Result<()> {
    let mut bar = Bar::new();
    let draw = &mut |doing: &str, done, of| bar.draw(doing, done, of);
    let restored = backup::restore(config, &arguments.file, draw).await;
    bar.clear();
    let restored = restored?;
    let manifest = &restored.manifest;
    say(format_args!("restored what parlance {} saved at {}:", manifest.parlance, manifest.made_at))?;
    for (table, rows) in &manifest.rows {
        say(format_args!("{table:<14} {rows:>12} rows"))?;
    }
    say(format_args!("{:<14} {:>12}", "files", restored.blobs))?;
    if !restored.with_secret && config.jwt_secret.is_none() {
        say("the backup had no secret: all users have to log in again")?;
    }
    Ok(())
}
