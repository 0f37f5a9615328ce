//! A PNG is a signature and a row of chunks.

use super::{exif, pass_on};
use std::mem::take;

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Text, and the time of the last change.
const METADATA: [&[u8; 4]; 4] = [b"tEXt", b"zTXt", b"iTXt", b"tIME"];
const EXIF: &[u8] = b"eXIf";
const END: &[u8] = b"IEND";
/// Bytes of a chunk's head: length and type.
const HEAD_BYTES: usize = 8;
/// Bytes of the checksum behind a chunk.
const CHECKSUM_BYTES: usize = 4;

#[derive(Default)]
pub(super) struct Png {
    /// Bytes that are not decided: less than the head of a chunk.
    pending: Vec<u8>,
    place: Place,
    is_oriented: bool,
}

#[derive(Default)]
enum Place {
    #[default]
    Signature,
    /// The head of a chunk comes next.
    Head,
    /// So many bytes of the chunk are left, its checksum included.
    Chunk { left: usize, kind: Kind },
    /// Behind the end.
    End,
    /// Where nothing is as it should be.
    Lost,
}

enum Kind {
    Stays,
    Last,
    Goes,
    /// With its first bytes.
    Exif(Vec<u8>),
}

impl Png {
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut pending = take(&mut self.pending);
        let kept = pass_on(&mut pending, bytes, |rest, kept| self.step(rest, kept));
        self.pending = pending;
        kept
    }

    /// What was cut off stays.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        take(&mut self.pending)
    }

    /// Decides about the next bytes, of which there are some. Returns how many, or `None` if it needs more.
    fn step(&mut self, rest: &[u8], kept: &mut Vec<u8>) -> Option<usize> {
        match &mut self.place {
            Place::Signature => {
                kept.extend_from_slice(rest.get(..SIGNATURE.len())?);
                self.place = Place::Head;
                Some(SIGNATURE.len())
            }
            Place::Head => {
                let head = rest.get(..HEAD_BYTES)?;
                self.place = begin(head);
                if matches!(self.place, Place::Lost) {
                    return Some(0);
                }
                if matches!(self.place, Place::Chunk { kind: Kind::Stays | Kind::Last, .. }) {
                    kept.extend_from_slice(head);
                }
                Some(HEAD_BYTES)
            }
            Place::Chunk { left, kind } => {
                let some = &rest[..rest.len().min(*left)];
                match kind {
                    Kind::Stays | Kind::Last => kept.extend_from_slice(some),
                    Kind::Goes => {}
                    Kind::Exif(begun) => begun.extend(some.iter().take(exif::SEARCHED.saturating_sub(begun.len()))),
                }
                *left -= some.len();
                if *left == 0 {
                    self.end_chunk(kept);
                }
                Some(some.len())
            }
            Place::End => Some(rest.len()),
            Place::Lost => {
                kept.extend_from_slice(rest);
                Some(rest.len())
            }
        }
    }

    fn end_chunk(&mut self, kept: &mut Vec<u8>) {
        let ended = std::mem::replace(&mut self.place, Place::Head);
        match ended {
            Place::Chunk { kind: Kind::Last, .. } => self.place = Place::End,
            Place::Chunk { kind: Kind::Exif(block), .. } => {
                if let Some(orientation) = exif::orientation(&block).filter(|_| !self.is_oriented) {
                    self.is_oriented = true;
                    let typed = [EXIF, &exif::block(orientation)].concat();
                    kept.extend_from_slice(&u32::try_from(exif::BLOCK_BYTES).unwrap_or_default().to_be_bytes());
                    kept.extend_from_slice(&typed);
                    kept.extend_from_slice(&checksum(&typed).to_be_bytes());
                }
            }
            _ => {}
        }
    }
}

fn begin(head: &[u8]) -> Place {
    let (length, name) = head.split_at(4);
    let length = length.try_into().map_or(u32::MAX, u32::from_be_bytes);
    if length > i32::MAX.unsigned_abs() || !name.iter().all(u8::is_ascii_alphabetic) {
        return Place::Lost;
    }
    let kind = match name {
        END => Kind::Last,
        EXIF => Kind::Exif(Vec::new()),
        _ if METADATA.iter().any(|metadata| metadata[..] == *name) => Kind::Goes,
        _ => Kind::Stays,
    };
    Place::Chunk { left: length as usize + CHECKSUM_BYTES, kind }
}

/// The checksum of PNG: CRC-32.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::stripped;
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let typed = [&name[..], data].concat();
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &typed, &checksum(&typed).to_be_bytes()].concat()
    }

    #[test]
    fn a_chunk_has_the_checksum_of_png() {
        assert_eq!(chunk(b"IEND", b""), b"\0\0\0\0IEND\xae\x42\x60\x82");
    }

    #[test]
    fn text_time_and_exif_go_and_the_orientation_stays() {
        let exif = [&exif::block(8)[..], b"51 N, 0 W"].concat();
        let file = [
            SIGNATURE.to_vec(),
            chunk(b"IHDR", &[0; 13]),
            chunk(b"iCCP", b"profile"),
            chunk(b"tEXt", b"Author\0Ada"),
            chunk(b"eXIf", &exif),
            chunk(b"eXIf", &exif),
            chunk(b"tIME", &[0; 7]),
            chunk(b"IDAT", &[7; 5000]),
            chunk(b"zTXt", b"x"),
            chunk(b"iTXt", b"XML:com.adobe.xmp"),
            chunk(b"prVt", b"private"),
            chunk(b"IEND", b""),
            b"behind".to_vec(),
        ]
        .concat();
        let left = [
            SIGNATURE.to_vec(),
            chunk(b"IHDR", &[0; 13]),
            chunk(b"iCCP", b"profile"),
            chunk(b"eXIf", &exif::block(8)),
            chunk(b"IDAT", &[7; 5000]),
            chunk(b"prVt", b"private"),
            chunk(b"IEND", b""),
        ]
        .concat();
        assert_eq!(stripped(&file), left);
        assert_eq!(stripped(&left), left);
    }

    #[test]
    fn a_file_is_stripped_as_far_as_it_can_be_read() {
        let header = chunk(b"IHDR", &[0; 13]);
        let begun = [SIGNATURE, &header, &chunk(b"tEXt", b"Author\0Ada")].concat();
        for (rest, stays) in [
            (&b"\0\0\0\x09IDAT123"[..], &b"\0\0\0\x09IDAT123"[..]),
            (b"\0\0\0\x09tEXt123", b""),
            (b"\0\0\0\x09eXIf123", b""),
            (b"\0\0", b"\0\0"),
            (b"\xff\0\0\0tEXt and the rest", b"\xff\0\0\0tEXt and the rest"),
            (b"\0\0\0\x01t.Xt and the rest", b"\0\0\0\x01t.Xt and the rest"),
        ] {
            assert_eq!(stripped(&[&begun, rest].concat()), [SIGNATURE, &header, stays].concat(), "{rest:?}");
        }
    }
}
