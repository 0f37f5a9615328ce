//! Leaves the metadata out of png, jpeg and webp while their bytes pass. It never changes a pixel.
//!
//! Photos tell where and when somebody took them, and with which device. What the image needs to look right stays:
//! colour profiles, and the orientation, as an EXIF block with that one entry. What lies behind the end of the image
//! goes. Where a file cannot be read any further, the rest of it passes as it is.

mod exif;
mod jpeg;
mod png;
mod webp;

use std::mem::take;

/// Bytes that tell the format.
const HEAD_BYTES: usize = 12;

/// Removes the metadata of one file.
pub(crate) struct Stripper(State);

enum State {
    /// Fewer than [`HEAD_BYTES`] have come.
    Undecided(Vec<u8>),
    /// Everything passes.
    Plain,
    Jpeg(jpeg::Jpeg),
    Png(png::Png),
    WebP(webp::WebP),
}

impl Stripper {
    /// Strips the formats that it knows, or nothing.
    pub(crate) fn new(strips: bool) -> Self {
        Self(if strips { State::Undecided(Vec::new()) } else { State::Plain })
    }

    /// Takes the next bytes of the file, and returns those that stay.
    pub(crate) fn pass(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        match &mut self.0 {
            State::Plain => bytes,
            State::Undecided(head) => {
                head.extend(bytes);
                if head.len() < HEAD_BYTES {
                    return Vec::new();
                }
                let head = take(head);
                self.0 = State::of(&head);
                self.pass(head)
            }
            State::Jpeg(jpeg) => jpeg.pass(&bytes),
            State::Png(png) => png.pass(&bytes),
            State::WebP(webp) => webp.pass(&bytes),
        }
    }

    /// What stays of the bytes that it holds, after the last one.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        match &mut self.0 {
            State::Plain => Vec::new(),
            State::Undecided(head) => take(head),
            State::Jpeg(jpeg) => jpeg.finish(),
            State::Png(png) => png.finish(),
            State::WebP(webp) => webp.finish(),
        }
    }

    /// Whether what stays may differ from what came.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self.0, State::Plain | State::Undecided(_))
    }

    /// Bytes that it holds and that the caller has to account for.
    pub(crate) fn held(&self) -> usize {
        match &self.0 {
            State::WebP(webp) => webp.held(),
            // At most one segment.
            _ => 0,
        }
    }
}

/// What stays of the bytes that are pending and the next ones, as far as `step` decides: it returns about how many, or
/// `None` if it needs more. The others are pending then.
fn pass_on(pending: &mut Vec<u8>, bytes: &[u8], mut step: impl FnMut(&[u8], &mut Vec<u8>) -> Option<usize>) -> Vec<u8> {
    pending.extend_from_slice(bytes);
    let (mut kept, mut rest) = (Vec::with_capacity(pending.len()), &pending[..]);
    while !rest.is_empty()
        && let Some(used) = step(rest, &mut kept)
    {
        rest = &rest[used..];
    }
    *pending = rest.to_vec();
    kept
}

impl State {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(&[0xff, 0xd8, 0xff]) {
            Self::Jpeg(jpeg::Jpeg::default())
        } else if head.starts_with(png::SIGNATURE) {
            Self::Png(png::Png::default())
        } else if head.starts_with(b"RIFF") && head[8..].starts_with(b"WEBP") {
            Self::WebP(webp::WebP::default())
        } else {
            Self::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stays of a file, in whatever pieces it comes.
    pub(super) fn stripped(file: &[u8]) -> Vec<u8> {
        let outcomes = [file.len().max(1), 1, 7, 4096].map(|size| {
            let mut stripper = Stripper::new(true);
            let mut kept: Vec<u8> = file.chunks(size).flat_map(|piece| stripper.pass(piece.to_vec())).collect();
            kept.extend(stripper.finish());
            kept
        });
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "the pieces made a difference");
        outcomes.into_iter().next().unwrap()
    }

    #[test]
    fn other_files_pass() {
        let files: [&[u8]; 7] = [
            b"",
            b"GIF89a",
            b"GIF89a comment and more",
            b"RIFF\x04\0\0\0WAVE",
            b"\xff\xd8",
            b"\x89PNG\r\n\x1a\n",
            b"text",
        ];
        for file in files {
            assert_eq!(stripped(file), file);
        }
        let mut off = Stripper::new(false);
        let png = [png::SIGNATURE, &[0, 0, 0, 0], b"tEXt", &[0; 4]].concat();
        assert_eq!(off.pass(png.clone()), png);
        assert!(!off.changes() && off.finish().is_empty());
    }
}
