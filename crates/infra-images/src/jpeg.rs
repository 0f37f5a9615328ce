//! What the decoder of JPEGs does not tell beforehand.

/// The outline of a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Where the image ends.
    pub end: usize,
    /// Bytes that the decoder holds beside the pixels: all coefficients of a progressive image, else none.
    pub held: u64,
}

/// The outline of a file. `None` if it has no end, or cannot be read as far as that.
pub fn outline(file: &[u8]) -> Option<Outline> {
    let (mut at, mut is_coded, mut held) = (2, false, 0);
    loop {
        if is_coded {
            at += file.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        }
        match (*file.get(at)?, *file.get(at + 1)?) {
            (0xff, 0xd9) => return Some(Outline { end: at + 2, held }),
            (0xff, 0xff) => at += 1,
            // Data that looks like a marker.
            (0xff, 0) if is_coded => at += 2,
            (0xff, 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, marker) => {
                let length = usize::from(u16::from_be_bytes([*file.get(at + 2)?, *file.get(at + 3)?]));
                let segment = file.get(at + 4..at + 2 + length)?;
                if marker == 0xc2 {
                    held = coefficients(segment)?;
                }
                at += 2 + length;
                is_coded = marker == 0xda;
            }
            _ => return None,
        }
    }
}

/// The bytes of all coefficients of a frame, two each: as many as pixels in a component that is not sampled down.
fn coefficients(frame: &[u8]) -> Option<u64> {
    let [_, high_up, high, wide_up, wide, _, components @ ..] = frame else { return None };
    let pixels = u64::from(u16::from_be_bytes([*high_up, *high])) * u64::from(u16::from_be_bytes([*wide_up, *wide]));
    let samples = |component: &[u8]| component.get(1).map_or(0, |each| u64::from(each >> 4) * u64::from(each & 15));
    let most = components.chunks(3).map(samples).max()?.max(1);
    let all: u64 = components.chunks(3).map(samples).sum();
    Some((pixels * all).div_ceil(most) * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_has_the_first_end_and_what_is_held() {
        let scan = b"\xff\xda\0\x02a\xff\0b\xff\xd0c\xff\xd9";
        let baseline = [&b"\xff\xd8\xff\xc0\0\x02"[..], scan].concat();
        assert_eq!(outline(&baseline), Some(Outline { end: baseline.len(), held: 0 }));
        let frame = b"\x08\0\x64\0\xc8\x03\x01\x22\0\x02\x11\x01\x03\x11\x01";
        let progressive = [&b"\xff\xd8\xff\xc2\0\x11"[..], frame, scan].concat();
        let end = progressive.len();
        assert_eq!(outline(&[&progressive[..], &baseline].concat()), Some(Outline { end, held: 100 * 200 * 3 }));
        for left in 0..end {
            assert_eq!(outline(&progressive[..left]), None, "{left}");
        }
    }
}
