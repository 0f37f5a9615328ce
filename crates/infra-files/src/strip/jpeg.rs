//! A JPEG is a row of segments, each begun by a marker, with coded data behind some of them.

use super::{exif, pass_on};
use std::mem::take;

const END: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const COMMENT: u8 = 0xfe;

#[derive(Default)]
pub(super) struct Jpeg {
    /// Bytes that are not decided: at most one segment and one piece.
    pending: Vec<u8>,
    place: Place,
    /// Whether an orientation has been written.
    is_oriented: bool,
}

#[derive(Default, Clone, Copy)]
enum Place {
    /// A marker comes next.
    #[default]
    Marker,
    /// Coded data comes next.
    Scan,
    /// Behind the end.
    End,
    /// Where nothing is as it should be.
    Lost,
}

impl Jpeg {
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut pending = take(&mut self.pending);
        let kept = pass_on(&mut pending, bytes, |rest, kept| self.step(rest, kept));
        self.pending = pending;
        kept
    }

    /// What was cut off stays, unless it is metadata.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let pending = take(&mut self.pending);
        match (self.place, pending.get(1)) {
            (Place::Marker, Some(marker)) if is_metadata(*marker) => Vec::new(),
            _ => pending,
        }
    }

    /// Decides about the next bytes, of which there are some. Returns how many, or `None` if it needs more.
    fn step(&mut self, rest: &[u8], kept: &mut Vec<u8>) -> Option<usize> {
        match self.place {
            Place::End => Some(rest.len()),
            Place::Lost => {
                kept.extend_from_slice(rest);
                Some(rest.len())
            }
            Place::Scan => {
                let coded = self.coded(rest);
                kept.extend_from_slice(&rest[..coded]);
                (coded > 0 || matches!(self.place, Place::Marker)).then_some(coded)
            }
            Place::Marker => self.marker(rest, kept),
        }
    }

    /// How many bytes of coded data come before the next marker.
    fn coded(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(found) = rest[at..].iter().position(|byte| *byte == 0xff) {
            at += found;
            match rest.get(at + 1) {
                // It may be a marker.
                None => return at,
                // Data that looks like a marker, and restarts.
                Some(0 | 0xd0..=0xd7) => at += 2,
                // Padding.
                Some(0xff) => at += 1,
                Some(_) => {
                    self.place = Place::Marker;
                    return at;
                }
            }
        }
        rest.len()
    }

    fn marker(&mut self, rest: &[u8], kept: &mut Vec<u8>) -> Option<usize> {
        let [mark, marker, ..] = *rest else {
            return self.lose_unless(rest[0] == 0xff);
        };
        match (mark, marker) {
            // Padding.
            (0xff, 0xff) => Some(1),
            (0xff, 0x01 | 0xd0..=0xd8) => {
                kept.extend_from_slice(&[mark, marker]);
                Some(2)
            }
            (0xff, END) => {
                kept.extend_from_slice(&[mark, marker]);
                self.place = Place::End;
                Some(2)
            }
            (0xff, 0x02..) => {
                let [_, _, high, low, ..] = *rest else { return None };
                let length = usize::from(u16::from_be_bytes([high, low]));
                if length < 2 {
                    return self.lose_unless(false);
                }
                let segment = rest.get(..2 + length)?;
                self.segment(marker, segment, kept);
                Some(segment.len())
            }
            _ => self.lose_unless(false),
        }
    }

    /// Waits for more bytes, or gives the file up.
    fn lose_unless(&mut self, waits: bool) -> Option<usize> {
        if waits {
            return None;
        }
        self.place = Place::Lost;
        Some(0)
    }

    fn segment(&mut self, marker: u8, segment: &[u8], kept: &mut Vec<u8>) {
        let payload = &segment[4..];
        match marker {
            0xe0 if payload.starts_with(b"JFIF\0") && payload.len() >= 14 => {
                kept.extend_from_slice(&[0xff, marker, 0, 16]);
                kept.extend_from_slice(&payload[..12]);
                // No columns and no rows of a thumbnail.
                kept.extend_from_slice(&[0, 0]);
            }
            0xe1 if payload.starts_with(exif::PREFIX) => {
                if let Some(orientation) = exif::orientation(payload).filter(|_| !self.is_oriented) {
                    self.is_oriented = true;
                    let length = u8::try_from(2 + exif::PREFIX.len() + exif::BLOCK_BYTES).unwrap_or_default();
                    kept.extend_from_slice(&[0xff, marker, 0, length]);
                    kept.extend_from_slice(exif::PREFIX);
                    kept.extend_from_slice(&exif::block(orientation));
                }
            }
            0xe2 if payload.starts_with(b"ICC_PROFILE\0") => kept.extend_from_slice(segment),
            0xee if payload.starts_with(b"Adobe") => kept.extend_from_slice(segment),
            _ if is_metadata(marker) => {}
            _ => kept.extend_from_slice(segment),
        }
        if marker == START_OF_SCAN {
            self.place = Place::Scan;
        }
    }
}

/// Segments of applications, and comments.
fn is_metadata(marker: u8) -> bool {
    matches!(marker, 0xe0..=0xef | COMMENT)
}

#[cfg(test)]
mod tests {
    use super::super::tests::stripped;
    use super::*;

    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], payload].concat()
    }

    fn exif(orientation: u8) -> Vec<u8> {
        segment(0xe1, &[exif::PREFIX, &exif::block(orientation), b"51 N, 0 W"].concat())
    }

    const JFIF: &[u8] = b"JFIF\0\x01\x02\0\0\x48\0\x48\x01\x01rgb";

    #[test]
    fn only_what_the_image_needs_stays() {
        let scan = [&segment(START_OF_SCAN, b"scan")[..], b"a\xff\0b\xff\xd0c\xff\xff\0"].concat();
        let file = [
            vec![0xff, 0xd8],
            segment(0xe0, JFIF),
            segment(0xe0, b"JFXX\0thumbnail"),
            exif(6),
            exif(3),
            segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
            segment(0xe2, b"ICC_PROFILE\0\x01\x01profile"),
            segment(0xe2, b"MPF\0more pictures"),
            segment(0xed, b"Photoshop 3.0\0"),
            segment(0xee, b"Adobe\0d\0\0\0\0\x01"),
            segment(0xee, b"other"),
            segment(0xfe, b"comment"),
            segment(0xdb, b"table"),
            vec![0xff],
            segment(0xc2, b"frame"),
            scan.clone(),
            segment(0xfe, b"between"),
            segment(0xc4, b"table"),
            scan.clone(),
            vec![0xff, END],
            b"behind".to_vec(),
            exif(1),
        ]
        .concat();
        let left = [
            vec![0xff, 0xd8],
            segment(0xe0, b"JFIF\0\x01\x02\0\0\x48\0\x48\0\0"),
            segment(0xe1, &[exif::PREFIX, &exif::block(6)].concat()),
            segment(0xe2, b"ICC_PROFILE\0\x01\x01profile"),
            segment(0xee, b"Adobe\0d\0\0\0\0\x01"),
            segment(0xdb, b"table"),
            segment(0xc2, b"frame"),
            scan.clone(),
            segment(0xc4, b"table"),
            scan,
            vec![0xff, END],
        ]
        .concat();
        assert_eq!(stripped(&file), left);
        assert_eq!(stripped(&left), left);
    }

    #[test]
    fn a_file_is_stripped_as_far_as_it_can_be_read() {
        let begun = [vec![0xff, 0xd8], segment(0xfe, b"comment"), segment(0xdb, b"table")].concat();
        let left = [vec![0xff, 0xd8], segment(0xdb, b"table")].concat();
        for (rest, stays) in [
            (&b"lost \xff\xfe\0\x04ab"[..], &b"lost \xff\xfe\0\x04ab"[..]),
            (b"\xff\xfe\0\x40cut off", b""),
            (b"\xff\xc4\0\x40cut off", b"\xff\xc4\0\x40cut off"),
            (b"\xff\xc4\0\0", b"\xff\xc4\0\0"),
            (b"\xff", b"\xff"),
            (b"\xff\xda\0\x02scan\xff", b"\xff\xda\0\x02scan\xff"),
        ] {
            assert_eq!(stripped(&[&begun, rest].concat()), [&left, stays].concat(), "{rest:?}");
        }
    }
}
