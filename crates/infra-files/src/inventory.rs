//! What is in a store, for who looks whether it is what should be.

use crate::Blobs;
use crate::fault::fault;
use crate::s3::PROBE;
use crate::store::path_of;
use domain::files::FileId;
use domain::{Error, Result};
use futures_util::StreamExt;
use std::path::Path;

/// All that lies in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Blobs and their sizes, in bytes.
    pub blobs: Vec<(FileId, u64)>,
    /// What is no blob, by its name in the store: uploads that a crash has cut off, and what others have put there.
    pub strays: Vec<String>,
}

impl Blobs {
    /// Lists everything. Uploads may go on meanwhile: theirs may be in it or not.
    ///
    /// # Errors
    /// Where the store cannot be listed.
    pub async fn inventory(&self) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        let mut listed = self.store.list(None);
        while let Some(object) = listed.next().await {
            let object = object.map_err(fault)?;
            // What every start writes into a bucket to see that it can.
            if object.location.as_ref() == PROBE {
                continue;
            }
            let id = object.location.filename().and_then(|name| FileId::parse("name", name).ok());
            match id.filter(|id| path_of(*id) == object.location) {
                Some(id) => inventory.blobs.push((id, object.size)),
                None => inventory.strays.push(object.location.to_string()),
            }
        }
        if let Some(root) = self.directory.as_ref().map(|root| root.path.clone()) {
            // `object_store` does not list what it has not finished.
            let unfinished = tokio::task::spawn_blocking(move || unfinished(&root));
            inventory.strays.extend(unfinished.await.map_err(Error::internal)?.map_err(Error::internal)?);
        }
        Ok(inventory)
    }
}

/// Blobs that were being written, by their names in the directory.
fn unfinished(root: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for shelf in std::fs::read_dir(root)? {
        let shelf = shelf?;
        if !shelf.file_type()?.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(shelf.path())? {
            let name = entry?.file_name();
            if name.to_string_lossy().contains('#') {
                found.push(format!("{}/{}", shelf.file_name().to_string_lossy(), name.to_string_lossy()));
            }
        }
    }
    Ok(found)
}
