//! A WebP is a RIFF container: its size, and a row of chunks. EXIF and XMP come last, but the size of the whole and the
//! flags that announce them come first. So this holds a file of a usual size until its end. In a larger one, it puts
//! zeros in the place of metadata, and the size stays.

use super::exif;
use std::mem::take;

/// Most bytes of a file that is held.
#[cfg(not(test))]
const HELD_BYTES: usize = 4 << 20;
#[cfg(test)]
const HELD_BYTES: usize = 1_000;
/// Bytes of the container's head: `RIFF`, size, `WEBP`.
const HEAD_BYTES: usize = 12;
/// Bytes of a chunk's head: type and size.
const CHUNK_HEAD_BYTES: usize = 8;
/// Bytes that the size of the container does not count.
const UNCOUNTED: usize = 8;
const HAS_EXIF: u8 = 0x08;
const HAS_XMP: u8 = 0x04;
const FEATURES: &[u8] = b"VP8X";
const EXIF: &[u8] = b"EXIF";
const XMP: &[u8] = b"XMP ";
/// A chunk that readers skip.
const FILLING: &[u8] = b"JUNK";

#[derive(Default)]
pub(super) struct WebP {
    pending: Vec<u8>,
    place: Place,
}

#[derive(Default)]
enum Place {
    #[default]
    Head,
    /// The file is held until it has so many bytes.
    Held(usize),
    /// So many bytes of the container are left, and a chunk comes next.
    Chunk(u64),
    /// In a chunk that passes, or in whose place zeros pass.
    Within { chunk: u64, left: u64, passes: bool },
    /// Behind the end.
    End,
}

impl WebP {
    /// Bytes of the file that are held.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        if let Place::Held(size) = self.place {
            // Without a copy for every piece.
            self.pending.extend_from_slice(&bytes[..bytes.len().min(size.saturating_sub(self.pending.len()))]);
            return if self.pending.len() == size { self.finish() } else { Vec::new() };
        }
        self.pending.extend_from_slice(bytes);
        let pending = take(&mut self.pending);
        let (mut kept, mut rest) = (Vec::with_capacity(pending.len()), &pending[..]);
        while let Some(used) = self.step(rest, &mut kept) {
            rest = &rest[used..];
            if matches!(self.place, Place::Held(_)) {
                kept.extend(self.pass(rest));
                return kept;
            }
        }
        self.pending = rest.to_vec();
        kept
    }

    /// What was cut off stays, unless it is metadata.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let pending = take(&mut self.pending);
        match std::mem::replace(&mut self.place, Place::End) {
            Place::Held(_) => without_metadata(&pending),
            Place::Chunk(_) if is_metadata(&pending) => Vec::new(),
            Place::End => Vec::new(),
            _ => pending,
        }
    }

    /// Decides about the next bytes. Returns how many, or `None` if it needs more.
    fn step(&mut self, rest: &[u8], kept: &mut Vec<u8>) -> Option<usize> {
        if rest.is_empty() {
            return None;
        }
        match self.place {
            Place::Head => {
                let head = rest.get(..HEAD_BYTES)?;
                let size = u64::from(size_at(head, 4)?);
                let whole = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(UNCOUNTED);
                if whole <= HELD_BYTES {
                    self.place = Place::Held(whole.max(HEAD_BYTES));
                    return Some(0);
                }
                kept.extend_from_slice(head);
                self.place = Place::Chunk(size - 4);
                Some(HEAD_BYTES)
            }
            Place::Chunk(0) | Place::End => {
                self.place = Place::End;
                Some(rest.len())
            }
            Place::Chunk(left) => self.chunk(left, rest, kept),
            Place::Within { chunk: 0, left, .. } => {
                self.place = Place::Chunk(left);
                Some(0)
            }
            Place::Within { chunk, left, passes } => {
                let length = rest.len().min(usize::try_from(chunk).unwrap_or(usize::MAX));
                if passes {
                    kept.extend_from_slice(&rest[..length]);
                } else {
                    kept.resize(kept.len() + length, 0);
                }
                self.place = Place::Within { chunk: chunk - length as u64, left, passes };
                Some(length)
            }
            // Only [`WebP::pass`] and [`WebP::finish`] go on from here.
            Place::Held(_) => None,
        }
    }

    /// Begins a chunk of a file that is not held.
    fn chunk(&mut self, left: u64, rest: &[u8], kept: &mut Vec<u8>) -> Option<usize> {
        let head = rest.get(..CHUNK_HEAD_BYTES)?;
        let size = u64::from(size_at(head, 4)?);
        let name = &head[..4];
        let most = left.saturating_sub(CHUNK_HEAD_BYTES as u64);
        let chunk = (size + size % 2).min(most);
        let within = |used: usize, passes| Place::Within { chunk: chunk - used as u64, left: most - chunk, passes };
        let begun = usize::try_from(size.min(chunk)).unwrap_or(usize::MAX);
        if name == FEATURES && begun > 0 {
            let features = rest.get(CHUNK_HEAD_BYTES)?;
            kept.extend_from_slice(head);
            kept.push(features & !HAS_XMP);
            self.place = within(1, true);
            return Some(CHUNK_HEAD_BYTES + 1);
        }
        if name == EXIF && begun >= exif::BLOCK_BYTES {
            let begun = begun.min(exif::SEARCHED);
            let block = rest.get(CHUNK_HEAD_BYTES..CHUNK_HEAD_BYTES + begun)?;
            kept.extend_from_slice(head);
            // The flag that announces it has passed already. 1 is upright.
            kept.extend_from_slice(&exif::block(exif::orientation(block).unwrap_or(1)));
            kept.resize(kept.len() + begun - exif::BLOCK_BYTES, 0);
            self.place = within(begun, false);
            return Some(CHUNK_HEAD_BYTES + begun);
        }
        let passes = ![EXIF, XMP].contains(&name);
        kept.extend_from_slice(if passes { name } else { FILLING });
        kept.extend_from_slice(&head[4..]);
        self.place = within(0, passes);
        Some(CHUNK_HEAD_BYTES)
    }
}

fn size_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn is_metadata(chunk: &[u8]) -> bool {
    chunk.starts_with(EXIF) || chunk.starts_with(XMP)
}

/// A whole file, or what there is of it, without its metadata.
fn without_metadata(file: &[u8]) -> Vec<u8> {
    let Some((head, mut rest)) = file.split_at_checked(HEAD_BYTES) else { return file.to_vec() };
    let mut kept = head.to_vec();
    let (mut features, mut is_oriented) = (None, false);
    while let Some(size) = size_at(rest, 4) {
        let length = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(CHUNK_HEAD_BYTES);
        let padded = length.saturating_add(length % 2).min(rest.len());
        let (chunk, behind) = rest.split_at(padded);
        if chunk.starts_with(FEATURES) && chunk.len() > CHUNK_HEAD_BYTES {
            features = features.or(Some(kept.len() + CHUNK_HEAD_BYTES));
        }
        if !is_metadata(chunk) {
            kept.extend_from_slice(chunk);
        } else if chunk.starts_with(EXIF)
            && let Some(orientation) = exif::orientation(&chunk[CHUNK_HEAD_BYTES..]).filter(|_| !is_oriented)
        {
            is_oriented = true;
            kept.extend_from_slice(EXIF);
            kept.extend_from_slice(&u32::try_from(exif::BLOCK_BYTES).unwrap_or_default().to_le_bytes());
            kept.extend_from_slice(&exif::block(orientation));
        }
        rest = behind;
    }
    if !is_metadata(rest) {
        kept.extend_from_slice(rest);
    }
    if let Some(flags) = features.and_then(|at| kept.get_mut(at)) {
        *flags &= !(HAS_XMP | if is_oriented { 0 } else { HAS_EXIF });
    }
    let (was, is) = (u32::try_from(file.len()).unwrap_or(u32::MAX), u32::try_from(kept.len()).unwrap_or(u32::MAX));
    let size = size_at(head, 4).unwrap_or_default().wrapping_sub(was).wrapping_add(is);
    kept[4..8].copy_from_slice(&size.to_le_bytes());
    kept
}

#[cfg(test)]
mod tests {
    use super::super::tests::stripped;
    use super::*;

    fn chunk(name: &[u8], data: &[u8]) -> Vec<u8> {
        let padding: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
        [name, &u32::try_from(data.len()).unwrap().to_le_bytes(), data, padding].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        let chunks = chunks.concat();
        let size = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
        [b"RIFF", &size[..], b"WEBP", &chunks].concat()
    }

    fn features(flags: u8) -> Vec<u8> {
        chunk(FEATURES, &[flags, 0, 0, 0, 1, 0, 0, 1, 0, 0])
    }

    fn exif(orientation: u8) -> Vec<u8> {
        chunk(EXIF, &[&exif::block(orientation)[..], b"51 N, 0 West"].concat())
    }

    #[test]
    fn exif_and_xmp_go_and_the_orientation_stays() {
        let image = [chunk(b"ICCP", b"profile"), chunk(b"VP8 ", &[7; 501]), chunk(b"ALPH", b"x")];
        let with = |flags, more: &[Vec<u8>]| file(&[&[features(flags)], &image[..], more].concat());
        let whole = [with(0x3c, &[exif(6), exif(3), chunk(XMP, b"<x/>")]), b"behind".to_vec()].concat();
        let left = with(0x38, &[chunk(EXIF, &exif::block(6))]);
        assert_eq!(stripped(&whole), left);
        assert_eq!(stripped(&left), left);
        assert_eq!(stripped(&with(0x3c, &[chunk(EXIF, b"no orientation"), chunk(XMP, b"x")])), with(0x30, &[]));
        let simple = file(&[chunk(b"VP8L", &[7; 99])]);
        assert_eq!(stripped(&[&simple[..], b"x"].concat()), simple);
    }

    #[test]
    fn metadata_of_a_large_file_becomes_zeros() {
        let image = chunk(b"VP8 ", &[7; 2 * HELD_BYTES + 1]);
        let whole = file(&[features(0x3c), image.clone(), exif(6), chunk(XMP, b"<x>")]);
        let block = [&exif::block(6)[..], &[0; 12]].concat();
        let left = file(&[features(0x38), image.clone(), chunk(EXIF, &block), chunk(FILLING, &[0; 3])]);
        assert_eq!(stripped(&[&whole[..], b"behind"].concat()), left);
        assert_eq!(stripped(&left), left);
        let short = file(&[image.clone(), chunk(EXIF, b"x")]);
        assert_eq!(stripped(&short), file(&[image, chunk(FILLING, b"\0")]));
    }

    #[test]
    fn a_file_is_stripped_as_far_as_it_can_be_read() {
        for size in [100, 2 * HELD_BYTES] {
            let whole = file(&[features(0x0c), chunk(b"VP8 ", &vec![7; size]), exif(6)]);
            for cut in 1..46 {
                let left = stripped(&whole[..whole.len() - cut]);
                assert!(!left.windows(4).any(|part| part == b"51 N"), "{cut}");
                assert_eq!(left[38..38 + size], whole[38..38 + size], "{cut}");
            }
        }
        for broken in [&b"RIFF\0\0\0\0WEBP"[..], b"RIFF\x08\0\0\0WEBPVP8 ", b"RIFF\xff\xff\xff\xffWEBP"] {
            assert_eq!(stripped(broken), broken);
        }
    }
}
