//! JSON of files.

use crate::PublicUrl;
use crate::{Id, Time};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::files::{self, ThumbnailWidth};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

/// Characters that a file name in a URL need not encode: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An uploaded file.
#[derive(Debug, Serialize, ToSchema)]
pub struct File {
    id: Id,
    #[schema(examples("/uploads/01890a5d-ac96-774b-bcce-b302099a8057/cat.png"))]
    url: String,
    name: String,
    size: u64,
    /// The type that the server recognized from the bytes.
    #[serde(rename = "type")]
    #[schema(examples("image/png"))]
    media_type: String,
    /// Of the stored bytes.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    created_at: Time,
    /// Pixels across, as shown. This and the next three are there if the server could read the file as an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    width: Option<u32>,
    /// Pixels down, as shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    height: Option<u32>,
    /// A placeholder: a ThumbHash in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("3OcRJYB4d3h/iIeHeEh3eIhw+j2w"))]
    thumbhash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    thumbnails: Option<Thumbnails>,
}

/// The URLs of an image's thumbnails, by their width.
#[derive(Debug, Serialize, ToSchema)]
pub struct Thumbnails {
    #[serde(rename = "320")]
    #[schema(examples("/uploads/01890a5d-ac96-774b-bcce-b302099a8057/cat.png?w=320"))]
    small: String,
    #[serde(rename = "1280")]
    #[schema(examples("/uploads/01890a5d-ac96-774b-bcce-b302099a8057/cat.png?w=1280"))]
    large: String,
}

impl File {
    /// The file with its URLs relative to this base URL.
    pub fn at(public: &PublicUrl, file: files::File) -> Self {
        let name = utf8_percent_encode(file.name.as_str(), RESERVED);
        let url = format!("{}/uploads/{}/{name}", public.path(), file.id);
        Self {
            id: Id(file.id.0),
            width: file.image.as_ref().map(|image| image.width),
            height: file.image.as_ref().map(|image| image.height),
            thumbhash: file.image.as_ref().map(|image| STANDARD.encode(image.thumb_hash.as_bytes())),
            thumbnails: file.image.map(|_| Thumbnails::of(&url)),
            url,
            name: file.name.into_string(),
            size: file.size,
            media_type: file.media_type.into_string(),
            sha256: file.sha256.to_string(),
            created_at: Time(file.created_at),
        }
    }
}

impl Thumbnails {
    /// The thumbnails of a file with that URL.
    fn of(url: &str) -> Self {
        let thumbnail = |width: ThumbnailWidth| format!("{url}?w={}", width.pixels());
        Self { small: thumbnail(ThumbnailWidth::Small), large: thumbnail(ThumbnailWidth::Large) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{FileId, Timestamp, UserId};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn an_image_has_its_size_and_thumbnails() {
        let image = files::Image {
            width: 640,
            height: 480,
            thumb_hash: files::ThumbHash::of_bytes(vec![0xfb, 0xff, 0x01, 0x02]).unwrap(),
        };
        let file = files::File {
            id: FileId(Uuid::from_u128(5)),
            uploader: UserId(Uuid::from_u128(3)),
            name: files::FileName::clean("a b.png"),
            size: 9,
            media_type: files::MediaType::from_stored("image/png".to_owned()),
            sha256: files::Sha256([0xab; 32]),
            sent_sha256: files::Sha256([0xcd; 32]),
            image: Some(image),
            created_at: Timestamp::from_micros(1).unwrap(),
        };
        let public = PublicUrl::parse("https://example.org/chat").unwrap();
        let mut shown = serde_json::to_value(File::at(&public, file)).unwrap();
        let url = format!("/chat/uploads/{}/a%20b.png", Uuid::from_u128(5));
        assert_eq!((&shown["url"], &shown["sha256"]), (&json!(url), &json!("ab".repeat(32))));
        for common in ["id", "url", "name", "size", "type", "sha256", "created_at"] {
            assert!(shown.as_object_mut().unwrap().remove(common).is_some(), "{common}");
        }
        let small = format!("{url}?w=320");
        let large = format!("{url}?w=1280");
        assert_eq!(
            shown,
            json!({
                "width": 640, "height": 480, "thumbhash": "+/8BAg==", "thumbnails": {"320": small, "1280": large},
            })
        );
    }
}
