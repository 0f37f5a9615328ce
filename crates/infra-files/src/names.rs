//! The names of blobs and thumbnails in the store.

use domain::files::{FileId, ThumbnailWidth};
use object_store::path::Path;

/// The name of one of the 256 directories that blobs are spread over.
pub(crate) fn shelf(number: u8) -> String {
    format!("{number:02x}")
}

/// The byte of the id that selects the shelf.
pub(crate) fn last_byte(id: FileId) -> u8 {
    let [.., last] = *id.0.as_bytes();
    last
}

/// Where the blob is.
pub(crate) fn path_of(id: FileId) -> Path {
    Path::from_iter([shelf(last_byte(id)), id.to_string()])
}

/// Where the thumbnail is.
pub(crate) fn thumbnail_of(of: FileId, width: ThumbnailWidth) -> Path {
    Path::from(format!("{}.{}", path_of(of), width.pixels()))
}

/// The file, by the last part of the name of its thumbnail.
pub(crate) fn file_of(name: &str) -> Option<FileId> {
    let (id, width) = name.split_once('.')?;
    ThumbnailWidth::parse("name", width).ok()?;
    FileId::parse("name", id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_thumbnail_is_found_by_its_name() {
        let id = FileId(Uuid::from_u128(7));
        for width in ThumbnailWidth::ALL {
            let place = thumbnail_of(id, width);
            assert!(place.as_ref().starts_with(path_of(id).as_ref()));
            assert_eq!(place.filename().and_then(file_of), Some(id));
        }
        for other in [id.to_string(), format!("{id}.321"), format!("{id}."), format!("{id}.320#1"), "x.320".to_owned()]
        {
            assert_eq!(file_of(&other), None, "{other}");
        }
    }
}
