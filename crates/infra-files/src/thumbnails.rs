//! Thumbnails: objects beside the blob of their file, under its name and their width.

use crate::Blobs;
use crate::fault::{fault, is_missing};
use crate::room::Promise;
use crate::store::path_of;
use domain::files::{FileId, MAX_THUMBNAIL_BYTES, Thumbnail, ThumbnailWidth};
use domain::{Error, Result};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

/// Where the thumbnail is.
fn place(of: FileId, width: ThumbnailWidth) -> Path {
    Path::from(format!("{}.{}", path_of(of), width.pixels()))
}

/// The file, by the last part of the name of its thumbnail.
pub(crate) fn file_of(name: &str) -> Option<FileId> {
    let (id, width) = name.split_once('.')?;
    ThumbnailWidth::parse("name", width).ok()?;
    FileId::parse("name", id).ok()
}

impl Blobs {
    pub(crate) async fn kept_thumbnail(&self, of: FileId, width: ThumbnailWidth) -> Result<Option<Thumbnail>> {
        let found = match self.store.get(&place(of, width)).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return self.must_be_there().await.map(|()| None),
            Err(error) => return Err(fault(error)),
        };
        let mut bytes = Vec::new();
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(fault)?;
            if bytes.len() + piece.len() > MAX_THUMBNAIL_BYTES {
                return Err(Error::internal("a thumbnail is larger than it was"));
            }
            bytes.extend_from_slice(&piece);
        }
        Thumbnail::of_bytes(bytes).map(Some)
    }

    pub(crate) async fn store_thumbnail(&self, of: FileId, width: ThumbnailWidth, thumbnail: &Thumbnail) -> Result<()> {
        self.must_be_there().await?;
        let bytes = thumbnail.as_bytes();
        let room = Promise::of(&self.room, bytes.len()).await?;
        let place = place(of, width);
        self.store.put(&place, PutPayload::from(bytes.to_vec())).await.map_err(fault)?;
        drop(room);
        // Somebody may have removed the file since the caller read it.
        match self.store.head(&path_of(of)).await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => self.delete(&place).await,
            Err(error) => Err(fault(error)),
        }
    }

    pub(crate) async fn remove_thumbnails(&self, of: FileId) -> Result<()> {
        for width in ThumbnailWidth::ALL {
            self.delete(&place(of, width)).await?;
        }
        Ok(())
    }

    /// When the blob was stored, or a thumbnail if the blob is missing, in microseconds.
    pub(crate) async fn stored_at(&self, id: FileId) -> Result<Option<i64>> {
        let thumbnails = ThumbnailWidth::ALL.map(|width| place(id, width));
        for path in std::iter::once(path_of(id)).chain(thumbnails) {
            match self.store.head(&path).await {
                Ok(found) => return Ok(Some(found.last_modified.timestamp_micros())),
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(fault(error)),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_thumbnail_is_found_by_its_name() {
        let id = FileId(Uuid::from_u128(7));
        for width in ThumbnailWidth::ALL {
            let place = place(id, width);
            assert!(place.as_ref().starts_with(path_of(id).as_ref()));
            assert_eq!(place.filename().and_then(file_of), Some(id));
        }
        for other in [id.to_string(), format!("{id}.321"), format!("{id}."), format!("{id}.320#1"), "x.320".to_owned()]
        {
            assert_eq!(file_of(&other), None, "{other}");
        }
    }
}
