//! Finds the end of a chunked body (RFC 9112, 7.1), within bounds. It does not look at the data.

/// The most bytes behind the size of one chunk: extensions, which the server ignores.
const MAX_EXTENSION_BYTES: u32 = 256;
/// The most such bytes in a whole body, trailers included.
const MAX_OVERHEAD_BYTES: u32 = 8 * 1024;

/// A fault of the grammar, or more bytes around the data than the limits allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The parser's position in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    /// Before the first digit of a size.
    FirstDigit,
    /// Before a further digit, or behind the last.
    Size,
    /// In blanks behind the size.
    Blanks,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// Before a trailer, or before the empty line that ends the body.
    TrailerOrEnd,
    Trailer,
    TrailerLf,
    EndLf,
}

/// A parser of one chunked body.
#[derive(Debug, Clone)]
pub struct Chunks {
    state: ChunkState,
    /// Bytes left in the current chunk.
    left: u64,
    line: u32,
    beside: u32,
}

impl Chunks {
    /// A parser at the beginning of a body.
    pub fn new() -> Self {
        Self { state: ChunkState::FirstDigit, left: 0, line: 0, beside: 0 }
    }

    /// Consumes bytes. Returns how many of them belong to the body, and whether the body ends there.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.state == ChunkState::Data {
                let rest = bytes.len() - at;
                let taken = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
                self.left -= taken as u64;
                at += taken;
                if self.left == 0 {
                    self.state = ChunkState::DataCr;
                }
                continue;
            }
            at += 1;
            if self.state == ChunkState::EndLf {
                return if byte == b'\n' { Ok((at, true)) } else { Err(Malformed) };
            }
            self.state = self.step(byte)?;
        }
        Ok((at, false))
    }

    fn step(&mut self, byte: u8) -> Result<ChunkState, Malformed> {
        match (self.state, byte) {
            (ChunkState::FirstDigit, _) => {
                (self.left, self.line) = (digit(byte)?, 0);
                Ok(ChunkState::Size)
            }
            (ChunkState::Size | ChunkState::Blanks | ChunkState::Extension, b'\r') => Ok(ChunkState::SizeLf),
            (ChunkState::Size | ChunkState::Blanks, b';') => Ok(ChunkState::Extension),
            (ChunkState::Size | ChunkState::Blanks, b' ' | b'\t') => {
                self.aside()?;
                Ok(ChunkState::Blanks)
            }
            (ChunkState::Size, _) => {
                self.left = self.left.checked_mul(16).ok_or(Malformed)? + digit(byte)?;
                // This bounds a size that consists of zeros only.
                self.aside()?;
                Ok(ChunkState::Size)
            }
            (ChunkState::Extension, 0x00..=0x08 | 0x0a..=0x1f | 0x7f) => Err(Malformed),
            (ChunkState::Extension, _) => {
                self.aside()?;
                Ok(ChunkState::Extension)
            }
            (ChunkState::SizeLf, b'\n') if self.left == 0 => Ok(ChunkState::TrailerOrEnd),
            (ChunkState::SizeLf, b'\n') => Ok(ChunkState::Data),
            (ChunkState::DataCr, b'\r') => Ok(ChunkState::DataLf),
            (ChunkState::DataLf, b'\n') => Ok(ChunkState::FirstDigit),
            (ChunkState::TrailerOrEnd, b'\r') => Ok(ChunkState::EndLf),
            (ChunkState::Trailer, b'\r') => Ok(ChunkState::TrailerLf),
            (ChunkState::TrailerOrEnd | ChunkState::Trailer, _) => {
                self.line = 0;
                self.aside()?;
                Ok(ChunkState::Trailer)
            }
            (ChunkState::TrailerLf, b'\n') => Ok(ChunkState::TrailerOrEnd),
            _ => Err(Malformed),
        }
    }

    /// Counts a byte outside of the data.
    fn aside(&mut self) -> Result<(), Malformed> {
        self.line += 1;
        self.beside += 1;
        if self.line > MAX_EXTENSION_BYTES || self.beside > MAX_OVERHEAD_BYTES { Err(Malformed) } else { Ok(()) }
    }
}

fn digit(byte: u8) -> Result<u64, Malformed> {
    (byte as char).to_digit(16).map(u64::from).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are the body, however they are cut; `None` where it does not end.
    fn length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let whole = Chunks::new().advance(bytes).map(|(length, ended)| ended.then_some(length));
        let mut chunks = Chunks::new();
        let mut single = Ok(None);
        for (at, byte) in bytes.iter().enumerate() {
            match chunks.advance(&[*byte]) {
                Ok((1, false)) => {}
                Ok((_, ended)) => {
                    assert!(ended);
                    single = Ok(Some(at + 1));
                    break;
                }
                Err(malformed) => {
                    single = Err(malformed);
                    break;
                }
            }
        }
        assert_eq!(whole, single, "{}", String::from_utf8_lossy(bytes));
        whole
    }

    #[test]
    fn a_body_ends_where_it_says() {
        for (body, rest) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
            ("A;x=y\r\n0123456789\r\n00\r\n\r\n", "x"),
            ("1 \t\r\nx\r\n0;end\r\nTrailer: 1\r\nAnother: 2\r\n\r\n", "\r\n"),
        ] {
            let bytes = format!("{body}{rest}");
            assert_eq!(length(bytes.as_bytes()), Ok(Some(body.len())), "{bytes}");
        }
        assert_eq!(length(b"5\r\nhel"), Ok(None));
    }

    #[test]
    fn what_is_none_is_refused() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "5\r\nhello0\r\n",
            "5\nhello\r\n",
            "5\r\nhello\n0\r\n",
            "5;\x01\r\n",
            "5x\r\n",
            "5 x\r\nhello\r\n",
            "5 5\r\nhello\r\n",
            "fffffffffffffffff\r\n",
            "0\r\n\rx",
            "1\rx",
        ] {
            assert_eq!(length(body.as_bytes()), Err(Malformed), "{body:?}");
        }
    }

    #[test]
    fn what_stands_beside_the_data_is_bounded() {
        let line = |length: usize| format!("1;{}\r\nx\r\n", "e".repeat(length));
        assert_eq!(length(format!("{}0\r\n\r\n", line(200)).as_bytes()).map(|end| end.is_some()), Ok(true));
        for body in [
            line(300),
            line(200).repeat(100),
            format!("{}\r\n", "0".repeat(300)),
            format!("0\r\n{}", "a: b\r\n".repeat(10_000)),
            format!("0\r\n{}", "a".repeat(10_000)),
        ] {
            assert_eq!(length(body.as_bytes()), Err(Malformed), "{body:.40}");
        }
        // Small chunks are no fault.
        assert_eq!(length("1\r\nx\r\n".repeat(100_000).as_bytes()), Ok(None));
    }
}
