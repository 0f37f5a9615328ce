//! What `parlance reindex` makes anew, beside running servers too.

use crate::backup::refuse_half_restored;
use crate::config::Config;
use crate::storage::open_blobs;
use anyhow::Context as _;
use domain::files::{ImageFile, ImageReader as _};
use infra_diesel::images::UnreadImages;
use infra_images::Workshop;
use std::sync::Arc;

/// What reading the sizes came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Images whose sizes are known now.
    pub read: u64,
    /// Files that have the type of an image and cannot be read as one.
    pub unreadable: u64,
}

/// Reads the sizes of images that were stored before servers read them.
///
/// # Errors
/// A message for the operator. What was read before stays; the next run goes on from there.
pub async fn sizes(config: &Config) -> anyhow::Result<Sizes> {
    refuse_half_restored(config)?;
    let mut unread = UnreadImages::open(&config.database_url).context("the database cannot be used")?;
    let (mut sizes, mut after) = (Sizes::default(), None);
    let mut files = unread.page(after)?;
    if files.is_empty() {
        return Ok(sizes);
    }
    let workshop = Workshop::new(Arc::new(open_blobs(config).await?));
    while let Some(last) = files.last() {
        after = Some(last.id);
        for file in files {
            let source = ImageFile { id: file.id, size: file.size, for_user: file.uploader };
            match workshop.describe(source).await.with_context(|| format!("file {} cannot be read", file.id))? {
                Some(image) => {
                    unread.note(file.id, &image)?;
                    sizes.read += 1;
                }
                None => sizes.unreadable += 1,
            }
        }
        files = unread.page(after)?;
    }
    Ok(sizes)
}
