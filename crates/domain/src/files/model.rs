//! What is known of a file.

use crate::context::Timestamp;
use crate::ids::{FileId, UserId};
use crate::messages::AttachmentKind;
use crate::text::text_type;

text_type!(
    /// A file's name, for people: the last part of what the client called it, without control characters, at most 255
    /// bytes. It decides nothing.
    FileName
);

impl FileName {
    /// Makes a fit name of any text: path parts, controls and characters that reorder text go; what is left without a
    /// name is called `file`.
    pub fn clean(text: &str) -> Self {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
        let reorders =
            |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let mut name: String = last.chars().filter(|c| !c.is_control() && !reorders(*c)).collect();
        while name.len() > 255 {
            name.pop();
        }
        match name.trim() {
            "" | "." | ".." => Self("file".to_owned()),
            trimmed => Self(trimmed.to_owned()),
        }
    }
}

text_type!(
    /// A media type, sniffed from the bytes.
    MediaType
);

impl MediaType {
    /// What nothing is known of.
    pub fn unknown() -> Self {
        Self("application/octet-stream".to_owned())
    }

    /// A picture of any format.
    pub fn is_image(&self) -> bool {
        self.0.starts_with("image/")
    }

    /// Whether a browser may show it in place: the formats that can carry no script.
    pub fn may_be_shown_inline(&self) -> bool {
        matches!(self.0.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp")
    }
}

/// The SHA-256 of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256(pub [u8; 32]);

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Which; also names its blob.
    pub id: FileId,
    /// Who uploaded it.
    pub uploader: UserId,
    /// For people.
    pub name: FileName,
    /// In bytes.
    pub size: u64,
    /// Sniffed.
    pub media_type: MediaType,
    /// Of its bytes.
    pub sha256: Sha256,
    /// When uploaded.
    pub created_at: Timestamp,
}

/// A file whose blob is stored and that is not known yet.
pub type NewFile = File;

impl File {
    /// How a message carries it unless told otherwise.
    pub fn kind(&self) -> AttachmentKind {
        if self.media_type.is_image() { AttachmentKind::Image } else { AttachmentKind::File }
    }
}

/// A part of a file, in bytes; never empty, always within the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_for_people() {
        for (given, clean) in [
            ("a.txt", "a.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\photo 1.png", "photo 1.png"),
            ("", "file"),
            ("..", "file"),
            ("a\r\nb\u{202e}gnp.exe", "abgnp.exe"),
        ] {
            assert_eq!(FileName::clean(given).as_str(), clean);
        }
    }

    proptest! {
        #[test]
        fn a_clean_name_is_short_and_plain(text in "(.|\\n|/|\\\\){0,400}") {
            let name = FileName::clean(&text);
            prop_assert!(!name.as_str().is_empty() && name.as_str().len() <= 255);
            prop_assert!(!name.as_str().contains(['/', '\\']) && !name.as_str().chars().any(char::is_control));
            prop_assert_eq!(FileName::clean(name.as_str()), name);
        }
    }
}
