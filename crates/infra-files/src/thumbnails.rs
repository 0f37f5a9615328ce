//! Thumbnails: objects beside the blob of their file, under its name and their width.

use crate::Blobs;
use crate::fault::{fault, is_missing};
use crate::names::{path_of, thumbnail_of};
use crate::room::Promise;

use domain::files::{FileId, MAX_THUMBNAIL_BYTES, Thumbnail, ThumbnailWidth};
use domain::{Error, Result};
use futures_util::StreamExt;
use object_store::{ObjectStoreExt, PutPayload};

impl Blobs {
    pub(crate) async fn kept_thumbnail(&self, of: FileId, width: ThumbnailWidth) -> Result<Option<Thumbnail>> {
        let found = match self.store.get(&thumbnail_of(of, width)).await {
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
        let place = thumbnail_of(of, width);
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
            self.delete(&thumbnail_of(of, width)).await?;
        }
        Ok(())
    }

    /// When the blob was stored, or a thumbnail if the blob is missing, in microseconds.
    pub(crate) async fn stored_at(&self, id: FileId) -> Result<Option<i64>> {
        let thumbnails = ThumbnailWidth::ALL.map(|width| thumbnail_of(id, width));
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
