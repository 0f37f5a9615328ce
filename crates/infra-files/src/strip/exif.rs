//! The orientation of an image, as EXIF has it: a TIFF file with the entry 0x0112.

/// Bytes of an EXIF block that are searched. The entries of the image come first.
pub(super) const SEARCHED: usize = 64 * 1024;
/// What some writers put before the TIFF file, as JPEG demands it.
pub(super) const PREFIX: &[u8] = b"Exif\0\0";
/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// Bytes of what [`block`] makes.
pub(super) const BLOCK_BYTES: usize = 26;

/// The orientation in a block, 1 to 8.
pub(super) fn orientation(block: &[u8]) -> Option<u8> {
    let tiff = block.strip_prefix(PREFIX).unwrap_or(block);
    let is_little_endian = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short_at = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long_at = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if is_little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(long_at(4)?).ok()?;
    let first = directory.checked_add(2)?;
    let entries = (0..usize::from(short_at(directory)?)).map_while(|n| first.checked_add(n * 12));
    let entry = entries.take_while(|at| *at < tiff.len()).find(|at| short_at(*at) == Some(ORIENTATION))?;
    let value = match (short_at(entry + 2)?, long_at(entry + 4)?) {
        (3, 1) => u32::from(short_at(entry + 8)?),
        (4, 1) => long_at(entry + 8)?,
        _ => return None,
    };
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value))
}

/// A block with the orientation alone.
pub(super) fn block(orientation: u8) -> [u8; BLOCK_BYTES] {
    let mut block = *b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    block[19] = orientation;
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_found() {
        for value in 1..=8 {
            assert_eq!(orientation(&block(value)), Some(value));
            assert_eq!(orientation(&[PREFIX, &block(value)].concat()), Some(value));
        }
        assert_eq!(orientation(&block(0)), None);
        assert_eq!(orientation(&block(9)), None);
    }

    #[test]
    fn it_stands_among_others_in_either_order_of_bytes() {
        let little =
            b"II*\0\x0a\0\0\0..\x02\0\x0f\x01\x02\0\x05\0\0\0\x64\0\0\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(orientation(little), Some(6));
    }

    #[test]
    fn nonsense_has_none() {
        let whole = block(6);
        for length in 0..18 {
            assert_eq!(orientation(&whole[..length]), None, "{length}");
        }
        let mut far = whole;
        far[4..8].copy_from_slice(&[0xff; 4]);
        assert_eq!(orientation(&far), None);
        let mut many = block(6);
        many[8..12].copy_from_slice(&[0xff, 0xff, 0, 0]);
        assert_eq!(orientation(&many), None);
    }
}
