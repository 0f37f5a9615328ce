//! What the work on one image may take.

use crate::Refusal;
use domain::files::{MAX_IMAGE_MEMORY, MAX_IMAGE_PIXELS};
use std::io::{BufRead, Cursor, Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::time::Instant;

/// Bytes that a decoder gets at once: between two such pieces the reader looks at the clock.
const PIECE: usize = 1024;

/// Whether an image of this size fits the limits, if it takes `decoded` bytes beside the `file` bytes of its file.
pub fn check_size(width: u32, height: u32, decoded: u64, file: usize) -> std::result::Result<(), Refusal> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_IMAGE_PIXELS {
        return Err(Refusal::Pixels(width, height));
    }
    if decoded.saturating_add(file as u64) > MAX_IMAGE_MEMORY {
        return Err(Refusal::Memory);
    }
    Ok(())
}

/// A file in memory that stops giving bytes when the time is over. Decoders cannot be stopped otherwise.
#[derive(Debug)]
pub struct Timed<'a> {
    bytes: Cursor<&'a [u8]>,
    until: Instant,
}

impl<'a> Timed<'a> {
    /// Gives these bytes until that moment.
    pub fn new(bytes: &'a [u8], until: Instant) -> Self {
        Self { bytes: Cursor::new(bytes), until }
    }

    fn look(&self) -> Result<()> {
        if Instant::now() < self.until { Ok(()) } else { Err(Error::new(ErrorKind::TimedOut, "it takes too long")) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        // `read_exact` and `read_to_end` of the standard library call this again and again.
        let most = buffer.len().min(64 * PIECE);
        if most > 8 {
            self.look()?;
        }
        self.bytes.read(&mut buffer[..most])
    }
}

impl BufRead for Timed<'_> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        self.look()?;
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE)])
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes.consume(bytes);
    }
}

impl Seek for Timed<'_> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pixels_and_memory_are_bounded() {
        check_size(8_000, 5_000, 120_000_000, 1 << 20).unwrap();
        assert!(matches!(check_size(8_000, 5_001, 0, 0), Err(Refusal::Pixels(..))));
        assert!(matches!(check_size(u32::MAX, u32::MAX, 0, 0), Err(Refusal::Pixels(..))));
        assert!(matches!(check_size(0, 1, 0, 0), Err(Refusal::Pixels(..))));
        assert!(matches!(check_size(8_000, 5_000, MAX_IMAGE_MEMORY, 1), Err(Refusal::Memory)));
    }

    #[test]
    fn the_file_ends_with_the_time() {
        let bytes = vec![7; 3 * PIECE];
        let mut read = Vec::new();
        Timed::new(&bytes, Instant::now() + Duration::from_secs(60)).read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        let mut late = Timed::new(&bytes, Instant::now());
        assert_eq!(late.fill_buf().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(late.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
