//! Checks the store of uploads: whether it works, and whether it has the blobs that the database refers to.

use super::Finding;
use crate::clock::UuidV7;
use crate::config::{Config, Uploads};
use crate::storage::open_blobs;
use async_trait::async_trait;
use domain::files::{BlobStore, ByteSource};
use domain::{FileId, IdGenerator as _, UserId};
use infra_diesel::backup;
use infra_files::Blobs;
use std::collections::{HashMap, HashSet};

/// Checks the configured store, and its contents if the database is reachable.
pub async fn examine(config: &Config, database_is_readable: bool) -> Vec<Finding> {
    const CHECK: &str = "uploads";
    if let Uploads::Directory(directory) = &config.uploads
        && !config.data_dir.exists()
        && !directory.exists()
    {
        return vec![Finding::ok(CHECK, "nothing yet: the first start creates the store")];
    }
    let blobs = match open_blobs(config).await {
        Ok(blobs) => blobs,
        Err(error) => return vec![Finding::wrong(CHECK, format!("{error:#}"))],
    };
    let mut findings = vec![match probe(&blobs).await {
        Ok(()) => Finding::ok(CHECK, "the doctor stored, read and removed a probe"),
        Err(error) => Finding::wrong(CHECK, format!("PARLANCE_FILES: a probe failed: {error:#}")),
    }];
    if database_is_readable {
        let found = contents(config, &blobs).await;
        findings.push(found.unwrap_or_else(|error| {
            Finding::wrong("files", format!("the doctor cannot compare them with the database: {error:#}"))
        }));
    }
    findings
}

const PROBE: &[u8] = b"parlance doctor was here";

struct Probe(Option<Vec<u8>>);

#[async_trait]
impl ByteSource for Probe {
    async fn next(&mut self) -> domain::Result<Option<Vec<u8>>> {
        Ok(self.0.take())
    }
}

async fn probe(blobs: &Blobs) -> anyhow::Result<()> {
    let id = FileId(UuidV7.next());
    blobs.store(id, UserId(id.0), Box::new(Probe(Some(PROBE.to_vec()))), PROBE.len() as u64).await?;
    let mut read = Vec::new();
    let opened = blobs.open(id, None).await;
    if let Ok(Some(mut source)) = opened {
        while let Some(bytes) = source.next().await? {
            read.extend(bytes);
        }
    }
    blobs.remove(id).await?;
    anyhow::ensure!(read == PROBE, "the store returned other bytes than it was given");
    Ok(())
}

/// Finds blobs without a row, rows without a blob, and blobs whose size differs from their row.
async fn contents(config: &Config, blobs: &Blobs) -> anyhow::Result<Finding> {
    let known = |config: &Config| backup::files(&config.database_url);
    let before: HashSet<_> = known(config)?.into_iter().map(|file| file.id).collect();
    let inventory = blobs.inventory().await?;
    // Files stored or removed during the listing are neither missing nor orphaned.
    let after: HashMap<_, _> = known(config)?.into_iter().map(|file| (file.id, file.size)).collect();
    let there: HashMap<_, _> = inventory.blobs.iter().copied().collect();
    let missing: Vec<_> =
        after.keys().filter(|id| before.contains(id) && !there.contains_key(id)).map(ToString::to_string).collect();
    let altered = there.iter().filter(|(id, size)| after.get(id).is_some_and(|known| known != *size)).count();
    let left: Vec<_> = there.iter().filter(|(id, _)| !after.contains_key(id) && !before.contains(id)).collect();
    Ok(judge_contents(&missing, altered, left.len(), left.iter().map(|(_, size)| **size).sum(), inventory.strays.len()))
}

/// The number of missing files that the report names.
const NAMED: usize = 3;

fn judge_contents(missing: &[String], altered: usize, left: usize, left_bytes: u64, strays: usize) -> Finding {
    const CHECK: &str = "files";
    if !missing.is_empty() || altered > 0 {
        let named = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        return Finding::wrong(
            CHECK,
            format!(
                "{} files without bytes ({named}), {altered} of another size: restore them from a backup",
                missing.len()
            ),
        );
    }
    if left + strays > 0 {
        return Finding::warning(
            CHECK,
            format!(
                "{left} blobs ({left_bytes} bytes) and {strays} other objects of no file: left by a crash, harmless"
            ),
        );
    }
    Finding::ok(CHECK, "every file has its bytes, and the store holds nothing else")
}
