//! The types of files.

use super::images::Image;
use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::{FileId, UserId};
use crate::text::text_type;
use crate::unicode::{is_blank, reorders, shortened};

text_type!(
    /// A file's name for people: the last part of the path that the client gave, without control characters, at most
    /// 255 bytes. The server decides nothing by it.
    FileName
);

impl FileName {
    /// Most bytes. File systems have the same limit.
    const MAX_BYTES: usize = 255;
    /// The name of a file without a name that people can see.
    const NAMELESS: &str = "file";

    /// Makes a valid name of any text. It drops path parts, controls and characters that reorder text, and turns line
    /// breaks into blanks. A name that is too long loses the end of its stem. If nothing is left, the name is `file`.
    pub fn clean(text: &str) -> Self {
        let last = text.rsplit(['/', '\\']).next().unwrap_or_default().replace("\r\n", " ");
        let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
        let plain = last.chars().map(|c| if c.is_control() || is_line_break(c) { blank(c) } else { c });
        let name: String = plain.filter(|c| !c.is_control() && !reorders(*c)).collect();
        let name = name.trim();
        if is_blank(name) || matches!(name, "." | "..") {
            return Self(Self::NAMELESS.to_owned());
        }
        if name.len() <= Self::MAX_BYTES {
            return Self(name.to_owned());
        }
        let (stem, extension) = name.split_at(name.len() - extension(name).len());
        let room = Self::MAX_BYTES - extension.len();
        let stem = shortened(stem, |stem| stem.len() <= room).trim_end();
        let stem = if is_blank(stem) { Self::NAMELESS } else { stem };
        Self(format!("{stem}{extension}"))
    }
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// The end of a file's name that tells its type, with its dot: `.pdf`, and both of `.tar.gz`. Empty if there is none.
fn extension(name: &str) -> &str {
    /// Most bytes of an extension. [`FileName::NAMELESS`] fits beside it.
    const MAX_BYTES: usize = FileName::MAX_BYTES - FileName::NAMELESS.len() - 1;
    const PACKED: &[&str] = &["gz", "bz2", "xz", "zst", "lz", "lz4", "lzma", "br", "z", "gpg", "asc", "sig"];
    let last = |name: &str| {
        let dot = name.rfind('.').filter(|&dot| dot > 0)?;
        let word = &name[dot + 1..];
        let fits = !word.is_empty() && word.len() <= MAX_BYTES && !word.contains(char::is_whitespace);
        fits.then_some(dot)
    };
    let Some(dot) = last(name) else { return "" };
    let is_packed = PACKED.iter().any(|packed| name[dot + 1..].eq_ignore_ascii_case(packed));
    let inner = last(&name[..dot]).filter(|&inner| {
        let word = &name[inner + 1..dot];
        word.len() <= 8 && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    &name[inner.filter(|_| is_packed).unwrap_or(dot)..]
}

text_type!(
    /// A media type that the store recognized from the bytes.
    MediaType
);

impl MediaType {
    /// The type of bytes that the store does not recognize.
    pub fn unknown() -> Self {
        Self("application/octet-stream".to_owned())
    }

    /// Whether it is a picture, of any format.
    pub fn is_image(&self) -> bool {
        self.0.starts_with("image/")
    }

    /// Whether it is an image of a format that the server decodes.
    pub fn is_decoded(&self) -> bool {
        self.may_be_shown_inline()
    }

    /// Whether a browser may show it in the page. Only formats that cannot carry scripts.
    pub fn may_be_shown_inline(&self) -> bool {
        matches!(self.0.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp")
    }
}

/// The SHA-256 of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct Sha256(pub [u8; 32]);

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How a message carries its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum AttachmentKind {
    /// Clients show it. Only for a file that is an image.
    Image,
    /// Clients offer it for download.
    File,
}

impl AttachmentKind {
    /// Whether a message can carry the file in this way.
    ///
    /// # Errors
    /// [`Invalid`] naming `file_id` for an image that is none.
    pub fn fits(self, file: &File) -> Result<(), Invalid> {
        match self {
            Self::Image if !file.media_type.is_image() => Err(Invalid::new("file_id", "the file is not an image")),
            _ => Ok(()),
        }
    }
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct File {
    /// The id of the file and of its blob.
    pub id: FileId,
    /// The user who uploaded it.
    pub uploader: UserId,
    /// The name for people.
    pub name: FileName,
    /// Bytes.
    pub size: u64,
    /// The type that the store recognized.
    pub media_type: MediaType,
    /// The hash of the bytes.
    pub sha256: Sha256,
    /// The hash of what the client sent: another one if the store left out metadata.
    pub sent_sha256: Sha256,
    /// What the server knows of the image, if the file is one that it could read.
    pub image: Option<Image>,
    /// When the user uploaded it.
    pub created_at: Timestamp,
}

/// A file that is not stored yet. Its blob is.
pub type NewFile = File;

impl File {
    /// How a message carries the file if the client does not say.
    pub fn kind(&self) -> AttachmentKind {
        if self.media_type.is_image() { AttachmentKind::Image } else { AttachmentKind::File }
    }
}

/// A range of bytes of a file: never empty, always within the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The position behind the last byte.
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
            ("a\r\nb\u{202e}gnp.exe", "a bgnp.exe"),
            ("a\rb\nc\td\u{85}e\u{2028}f\u{1b}.txt", "a b c d e f.txt"),
            ("C:\\\\dir\\\\a.txt", "a.txt"),
            ("dir/", "file"),
            ("\u{200b}\u{3164} \u{2800}", "file"),
            (" \r\n ", "file"),
            ("a\"b%22%41.txt", "a\"b%22%41.txt"),
            ("👩\u{200d}💻 ❤\u{fe0f}.png", "👩\u{200d}💻 ❤\u{fe0f}.png"),
            (".profile", ".profile"),
        ] {
            assert_eq!(FileName::clean(given).as_str(), clean);
        }
    }

    #[test]
    fn a_long_name_loses_from_its_stem() {
        let family = "👩\u{200d}👩\u{200d}👧";
        for (stem, extension, kept) in [
            ("n".repeat(300), ".pdf", "n".repeat(251)),
            ("n".repeat(300), ".tar.gz", "n".repeat(248)),
            ("n".repeat(300), ".sql.XZ", "n".repeat(248)),
            ("n".repeat(300) + ".min", ".js", "n".repeat(252)),
            ("é".repeat(200), ".pdf", "é".repeat(125)),
            ("e\u{301}".repeat(100), ".pdf", "e\u{301}".repeat(83)),
            (family.repeat(20), ".jpeg", family.repeat(13)),
            (format!("n{}", "\u{301}".repeat(200)), ".pdf", "file".to_owned()),
            ("n".repeat(300), "", "n".repeat(255)),
            (format!("{} ", "n".repeat(250)) + &"n".repeat(40), ".pdf", "n".repeat(250)),
        ] {
            let name = FileName::clean(&format!("{stem}{extension}"));
            assert_eq!(name.as_str(), kept + extension);
        }
        for (name, its) in [
            ("a.pdf", ".pdf"),
            ("a.tar.gz", ".tar.gz"),
            ("a.b.c", ".c"),
            (".profile", ""),
            (".a.gz", ".gz"),
            ("a", ""),
            ("a.", ""),
            ("1. of many", ""),
            ("Dr. Who 2.gz", ".gz"),
        ] {
            assert_eq!(extension(name), its, "{name}");
        }
        for length in [70, 250] {
            let extension = format!(".{}", "x".repeat(length));
            let name = FileName::clean(&format!("{}{extension}", "file".repeat(50)));
            assert!(name.as_str().ends_with(&extension) && name.as_str().len() == 255, "{name:?}");
        }
        let endless = format!("a.{}", "x".repeat(300));
        assert_eq!(FileName::clean(&endless).as_str(), &endless[..255]);
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
