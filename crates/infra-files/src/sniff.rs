//! Recognizes the type of a file by its bytes.
//!
//! `infer` knows the signatures. Some of them are a few letters that any text may begin with (`BM`, `MZ`, `OTTO`,
//! `ID3`), and some check only a few bytes. That is not enough here, because the answer decides what a browser does
//! with the file. So this module checks those signatures in full, and calls a text what reads as text.

use domain::files::MediaType;

/// How many of the first bytes decide.
pub(crate) const HEAD_BYTES: usize = 8 * 1024;

/// Formats whose signature is itself text, each with the whole signature (as in WHATWG's MIME Sniffing).
const TEXTUAL_SIGNATURES: &[(&[u8], &str)] = &[
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"{\\rtf", "application/rtf"),
];

/// The media type of a file that begins with `head`: the whole file if `whole`, else its first [`HEAD_BYTES`].
pub(crate) fn media_type(head: &[u8], whole: bool) -> MediaType {
    if let Some((_, known)) = TEXTUAL_SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        return MediaType::from_stored((*known).to_owned());
    }
    let guess = infer::get(head).map(|kind| kind.mime_type());
    if reads_as_text(head, whole) {
        let text = guess.filter(|guess| guess.starts_with("text/")).unwrap_or("text/plain");
        return MediaType::from_stored(text.to_owned());
    }
    match guess {
        Some(guess) if !guess.starts_with("text/") && bears_out(guess, head) => {
            MediaType::from_stored(guess.to_owned())
        }
        _ => MediaType::unknown(),
    }
}

/// Whether the bytes are UTF-8 without control characters, except those of layout and the escape of terminal colours.
/// An incomplete character at the end is allowed where the head was cut, and not at the end of the file.
fn reads_as_text(head: &[u8], whole: bool) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(cut) if !whole && cut.error_len().is_none() => match std::str::from_utf8(&head[..cut.valid_up_to()]) {
            Ok(text) => text,
            Err(_) => return false,
        },
        Err(_) => return false,
    };
    !text.bytes().any(|b| matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f))
}

/// Whether the whole signature is there, for the guesses that `infer` makes from a part of it.
fn bears_out(guess: &str, head: &[u8]) -> bool {
    match guess {
        "image/png" => head.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/webp" => head.starts_with(b"RIFF") && head[8..].starts_with(b"WEBPVP8"),
        // The signature of GIF is textual. Everything else that begins with "GIF" is no GIF.
        "image/gif" => false,
        // The size of the header behind the file header identifies the known versions.
        "image/bmp" => {
            matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(head: &[u8]) -> String {
        media_type(head, true).into_string()
    }

    #[test]
    fn pictures_are_known_by_their_bytes() {
        let mut bmp = b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bmp.resize(64, 0);
        for (head, expected) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0\x01\0", "image/gif"),
            (b"GIF87a", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (&bmp, "image/bmp"),
        ] {
            assert_eq!(of(head), expected);
            assert!(media_type(head, true).is_image());
        }
    }

    #[test]
    fn other_formats_are_known_too() {
        for (head, expected) in [
            (&b"%PDF-1.7\n1 0 obj"[..], "application/pdf"),
            (b"PK\x03\x04\x14\0\0\0\x08\0", "application/zip"),
            (b"\x1f\x8b\x08\0\0\0\0\0", "application/gzip"),
            (b"ID3\x04\0\0\0", "audio/mpeg"),
            (b"<!DOCTYPE html><script>", "text/html"),
        ] {
            assert_eq!(of(head), expected, "{head:?}");
        }
    }

    #[test]
    fn what_reads_as_text_is_no_picture() {
        for head in [
            &b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"[..],
            b"<?xml version=\"1.0\"?><svg/>",
            b"<html><script>alert(1)</script>",
            b"BMW is a make of cars",
            b"GIF is pronounced with a hard g",
            b"MZ was a make of motorcycles",
            b"OTTO and ID3",
            b"RIFF....WEBP",
            b"no picture\xf0\x9f\x99\x82",
            b"#!/bin/sh\n",
            b"",
        ] {
            assert!(of(head).starts_with("text/"), "{head:?} is {}", of(head));
        }
    }

    #[test]
    fn half_a_signature_is_not_enough() {
        for head in
            [&b"\x89PNG\0\0\0\0"[..], b"GIF\0\0\0", b"BM\0\xff\xff", b"\0\0\0\0\0\0\0\0WEBPVP8 ", b"\0\x01", b"a\0b"]
        {
            assert_eq!(of(head), "application/octet-stream", "{head:?}");
        }
    }

    #[test]
    fn a_character_may_be_cut_by_the_end_of_the_head_but_not_of_the_file() {
        let cut = "päö".as_bytes().split_last().unwrap().1;
        assert_eq!(media_type(cut, false).as_str(), "text/plain");
        assert_eq!(media_type(cut, true).as_str(), "application/octet-stream");
    }
}
