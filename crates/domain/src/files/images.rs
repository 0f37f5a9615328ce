//! What the server knows of images: their sizes, a placeholder, and thumbnails.

use crate::error::{Error, Invalid, Result};
use crate::files::MediaType;
use crate::ids::{FileId, UserId};
use async_trait::async_trait;
use std::time::Duration;

/// Most pixels of an image that the server decodes.
pub const MAX_IMAGE_PIXELS: u64 = 40_000_000;
/// Most bytes of memory that one image may take, its file included.
pub const MAX_IMAGE_MEMORY: u64 = 256 << 20;
/// How long the server works on one image.
pub const MAX_IMAGE_WORK: Duration = Duration::from_secs(5);
/// How many images one process works on at once.
pub const IMAGES_AT_ONCE: usize = 2;
/// Most bytes of a thumbnail.
pub const MAX_THUMBNAIL_BYTES: usize = 16 << 20;

/// A placeholder of an image in a few bytes, as ThumbHash defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct ThumbHash(Vec<u8>);

impl ThumbHash {
    /// Most bytes of a hash.
    pub const MAX_BYTES: usize = 25;

    /// The hash with these bytes, at most [`ThumbHash::MAX_BYTES`] of them: else `None`.
    pub fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= Self::MAX_BYTES).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What the server learnt of an image by decoding it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Image {
    /// Pixels across, as the image is shown: the orientation that its metadata asks for is applied.
    pub width: u32,
    /// Pixels down, as the image is shown.
    pub height: u32,
    /// The placeholder.
    pub thumb_hash: ThumbHash,
}

/// How wide a thumbnail is. The set is small, so that nobody can fill the store with sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThumbnailWidth {
    /// 320 pixels, for lists.
    Small,
    /// 1280 pixels, for a screen.
    Large,
}

impl ThumbnailWidth {
    /// All widths, the smallest first.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// The width in pixels.
    pub const fn pixels(self) -> u32 {
        match self {
            Self::Small => 320,
            Self::Large => 1280,
        }
    }

    /// The width that a client asks for.
    ///
    /// # Errors
    /// [`Invalid`] naming `field`, for any other text than `320` and `1280`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|width| width.pixels().to_string() == text);
        found.ok_or_else(|| Invalid::new(field, format!("{field} must be 320 or 1280")))
    }

    /// The size of the thumbnail of an image of this size: as wide as this or the image, whichever is less, and as high
    /// as the proportions of the image say. An image that would be higher than [`ThumbnailWidth::MAX_HEIGHT`] gets a
    /// narrower thumbnail instead.
    pub fn fit(self, width: u32, height: u32) -> (u32, u32) {
        let scaled = |side: u32, by: u32, of: u32| {
            let rounded = (u64::from(side) * u64::from(by) + u64::from(of) / 2) / u64::from(of.max(1));
            u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
        };
        let wide = width.min(self.pixels());
        let high = scaled(height, wide, width);
        if high <= Self::MAX_HEIGHT {
            return (wide, high);
        }
        (scaled(width, Self::MAX_HEIGHT, height), Self::MAX_HEIGHT)
    }

    /// Most pixels down of a thumbnail: what both formats can hold.
    pub const MAX_HEIGHT: u32 = 16_383;
}

/// The bytes of a thumbnail, a WebP or a JPEG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail(Vec<u8>);

impl Thumbnail {
    /// The thumbnail with these bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if they are more than [`MAX_THUMBNAIL_BYTES`], or neither format.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self> {
        let is_thumbnail = bytes.starts_with(b"RIFF") || bytes.starts_with(&[0xff, 0xd8]);
        if is_thumbnail && bytes.len() <= MAX_THUMBNAIL_BYTES {
            return Ok(Self(bytes));
        }
        Err(Error::internal("the bytes are no thumbnail"))
    }

    /// The type of the bytes.
    pub fn media_type(&self) -> MediaType {
        let media_type = if self.0.starts_with(b"RIFF") { "image/webp" } else { "image/jpeg" };
        MediaType::from_stored(media_type.to_owned())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A stored file that may be an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFile {
    /// The file, whose blob is stored.
    pub id: FileId,
    /// Bytes.
    pub size: u64,
    /// Who makes the server work on it.
    pub for_user: UserId,
}

/// Decodes images: png, jpeg, webp and gif.
///
/// MUST keep to [`MAX_IMAGE_PIXELS`], [`MAX_IMAGE_MEMORY`], [`MAX_IMAGE_WORK`] and [`IMAGES_AT_ONCE`], and MUST NOT
/// hold up the threads that serve requests. One user MUST NOT be able to take all turns.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ImageReader: Send + Sync {
    /// Reads the image. `None` if the file is none, if a strict decoder refuses it, or if it is beyond the limits.
    ///
    /// # Errors
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if other images take all turns; those of
    /// [`BlobStore::open`](super::BlobStore::open).
    async fn describe(&self, file: ImageFile) -> Result<Option<Image>>;

    /// Makes a thumbnail of the first frame: of the size that [`ThumbnailWidth::fit`] says, upright, in sRGB, without
    /// metadata. `None` in the cases of [`ImageReader::describe`].
    ///
    /// # Errors
    /// Those of [`ImageReader::describe`].
    async fn thumbnail(&self, file: ImageFile, width: ThumbnailWidth) -> Result<Option<Thumbnail>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_widths() {
        assert_eq!(ThumbnailWidth::parse("w", "320"), Ok(ThumbnailWidth::Small));
        assert_eq!(ThumbnailWidth::parse("w", "1280"), Ok(ThumbnailWidth::Large));
        for other in ["", "0", "321", "0320", "+320", "320 ", "-1", "99999999999999999999"] {
            assert_eq!(ThumbnailWidth::parse("w", other).unwrap_err().field, "w", "{other}");
        }
    }

    #[test]
    fn a_thumbnail_keeps_the_proportions_and_never_enlarges() {
        for (width, height, fit) in [
            (640, 480, (320, 240)),
            (320, 7, (320, 7)),
            (100, 50, (100, 50)),
            (641, 3, (320, 1)),
            (40_000, 1, (320, 1)),
            (1, 1, (1, 1)),
            (320, 100_000, (52, 16_383)),
            (1, 40_000_000, (1, 16_383)),
        ] {
            assert_eq!(ThumbnailWidth::Small.fit(width, height), fit, "{width} {height}");
        }
    }

    #[test]
    fn a_placeholder_is_short() {
        assert!(ThumbHash::of_bytes(Vec::new()).is_none() && ThumbHash::of_bytes(vec![0; 26]).is_none());
        assert_eq!(ThumbHash::of_bytes(vec![1; 25]).unwrap().as_bytes(), [1; 25]);
    }

    #[test]
    fn a_thumbnail_is_one_of_two_formats() {
        let types = [(&b"RIFF...."[..], "image/webp"), (&[0xff, 0xd8, 0xff], "image/jpeg")];
        for (bytes, media_type) in types {
            assert_eq!(Thumbnail::of_bytes(bytes.to_vec()).unwrap().media_type().as_str(), media_type);
        }
        assert!(Thumbnail::of_bytes(b"<svg>".to_vec()).is_err());
    }
}
