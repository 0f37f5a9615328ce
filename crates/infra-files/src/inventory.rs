//! The inventory of a store, for those who check its contents.

use crate::Blobs;
use crate::fault::fault;
use crate::names::{file_of, last_byte, path_of, shelf};
use crate::s3::PROBE;
use domain::files::{BlobPage, FileId};
use domain::{Error, Result};
use futures_util::StreamExt;
use std::collections::HashSet;
use std::path::Path;

/// Everything in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Blobs and their sizes, in bytes.
    pub blobs: Vec<(FileId, u64)>,
    /// The names of objects that are neither blobs nor thumbnails of one: uploads that a crash cut off, and files that
    /// others put there.
    pub strays: Vec<String>,
}

impl Blobs {
    /// Lists everything. Uploads may go on: it may or may not contain theirs.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub async fn inventory(&self) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        let mut thumbnails = Vec::new();
        let mut listed = self.store.list(None);
        while let Some(object) = listed.next().await {
            let object = object.map_err(fault)?;
            // Every start writes this object into a bucket to check its rights.
            if object.location.as_ref() == PROBE {
                continue;
            }
            match blob_at(&object.location) {
                Some(id) => inventory.blobs.push((id, object.size)),
                None => match thumbnail_at(&object.location) {
                    Some(id) => thumbnails.push((id, object.location.to_string())),
                    None => inventory.strays.push(object.location.to_string()),
                },
            }
        }
        let blobs: HashSet<FileId> = inventory.blobs.iter().map(|(id, _)| *id).collect();
        let lost = thumbnails.into_iter().filter(|(id, _)| !blobs.contains(id)).map(|(_, name)| name);
        inventory.strays.extend(lost);
        if let Some(root) = self.directory.as_ref().map(|root| root.path.clone()) {
            // `object_store` does not list unfinished files.
            let unfinished = tokio::task::spawn_blocking(move || unfinished(&root));
            inventory.strays.extend(unfinished.await.map_err(Error::internal)?.map_err(Error::internal)?);
        }
        Ok(inventory)
    }
}

/// Blobs of a page.
const PAGE: usize = 1_000;

impl Blobs {
    /// The blobs after one, by the names of their shelves and then by their ids.
    pub(crate) async fn page(&self, after: Option<FileId>) -> Result<BlobPage> {
        let blobs = match self.directory.as_ref().map(|root| root.path.clone()) {
            Some(root) => {
                // `object_store` would walk over the whole directory for each page, in no order.
                let listed = tokio::task::spawn_blocking(move || page_on_disk(&root, after));
                listed.await.map_err(Error::internal)?.map_err(Error::internal)?
            }
            None => self.page_in_bucket(after).await?,
        };
        let next = blobs.last().copied().filter(|_| blobs.len() >= PAGE);
        Ok(BlobPage { blobs, next })
    }

    async fn page_in_bucket(&self, after: Option<FileId>) -> Result<Vec<FileId>> {
        let mut listed = match after {
            Some(id) => self.store.list_with_offset(None, &path_of(id)),
            None => self.store.list(None),
        };
        let mut blobs = Vec::new();
        while blobs.len() < PAGE {
            let Some(object) = listed.next().await else { break };
            let location = object.map_err(fault)?.location;
            let found = blob_at(&location).or_else(|| thumbnail_at(&location));
            // The objects of one file follow each other. The last page may have ended among them.
            blobs.extend(found.filter(|id| blobs.last() != Some(id) && after != Some(*id)));
        }
        Ok(blobs)
    }
}

fn page_on_disk(root: &Path, after: Option<FileId>) -> std::io::Result<Vec<FileId>> {
    let mut blobs = Vec::new();
    for number in after.map_or(0, last_byte)..=u8::MAX {
        let mut on_shelf = Vec::new();
        for entry in std::fs::read_dir(root.join(shelf(number)))? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| FileId::parse("name", name).ok().or_else(|| file_of(name)));
            let behind = |id: &FileId| after.is_none_or(|after| last_byte(after) != number || *id > after);
            on_shelf.extend(id.filter(|id| last_byte(*id) == number).filter(behind));
        }
        on_shelf.sort_unstable();
        on_shelf.dedup();
        on_shelf.truncate(PAGE - blobs.len());
        blobs.extend(on_shelf);
        if blobs.len() == PAGE {
            break;
        }
    }
    Ok(blobs)
}

/// The names, in the directory, of blobs that were being written.
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

/// The blob at this location. `None` if the object there is no blob.
fn blob_at(location: &object_store::path::Path) -> Option<FileId> {
    let id = location.filename().and_then(|name| FileId::parse("name", name).ok());
    id.filter(|id| path_of(*id) == *location)
}

/// The file whose thumbnail is at this location. `None` if the object there is none.
fn thumbnail_at(location: &object_store::path::Path) -> Option<FileId> {
    let id = location.filename().and_then(file_of);
    id.filter(|id| location.as_ref().starts_with(path_of(*id).as_ref()))
}
