//! Repairs the heads of a form's parts for a header parser.
//!
//! A file's name may contain line breaks, and old clients (curl before 7.81, for example) send them unencoded. A parser
//! takes such a break for the end of the header. This module encodes it as browsers do, as `%0D` and `%0A`. It passes
//! the files' bytes on unchanged.

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use memchr::memmem;

/// The longest head in bytes. A longer one passes unchanged, and the parser refuses it.
const MAX_HELD_BYTES: usize = 16 * 1024;

/// Returns the form with repaired heads.
pub fn mended(
    body: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
    boundary: &str,
) -> impl Stream<Item = Result<Bytes, PayloadError>> + 'static {
    let reading = (Box::pin(body), Some(HeadRepair::new(boundary)));
    stream::unfold(reading, |(mut body, repair)| async {
        // Runs until the end has been passed on.
        let mut repair = repair?;
        // An empty piece would not wake the parser.
        loop {
            match body.next().await {
                Some(Ok(piece)) => {
                    let passed = repair.take(&piece);
                    if !passed.is_empty() {
                        return Some((Ok(passed), (body, Some(repair))));
                    }
                }
                Some(Err(error)) => return Some((Err(error), (body, Some(repair)))),
                None => return Some((Ok(repair.held.freeze()), (body, None))),
            }
        }
    })
    // The parser polls once more after the end.
    .fuse()
}

struct HeadRepair {
    /// The delimiter before a head.
    delimiter: Vec<u8>,
    /// Bytes that arrived and cannot be passed on yet.
    held: BytesMut,
    in_head: bool,
}

impl HeadRepair {
    fn new(boundary: &str) -> Self {
        // Starts with a line end, because the first delimiter is at the beginning of the body.
        Self { delimiter: format!("\r\n--{boundary}\r\n").into(), held: BytesMut::from(&b"\r\n"[..]), in_head: false }
    }

    /// The bytes that can be passed on now.
    fn take(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        let mut passed = BytesMut::with_capacity(self.held.len());
        loop {
            if self.in_head {
                match memmem::find(&self.held, b"\r\n\r\n") {
                    Some(end) => passed.extend_from_slice(&mend(&self.held.split_to(end + 4))),
                    None if self.held.len() > MAX_HELD_BYTES => {}
                    None => break,
                }
                self.in_head = false;
            } else if let Some(at) = memmem::find(&self.held, &self.delimiter) {
                passed.extend_from_slice(&self.held.split_to(at + self.delimiter.len()));
                self.in_head = true;
            } else {
                let safe = self.held.len().saturating_sub(self.delimiter.len() - 1);
                passed.extend_from_slice(&self.held.split_to(safe));
                break;
            }
        }
        passed.freeze()
    }
}

/// Encodes line breaks and removes other control characters between quotes, where clients put arbitrary file names that
/// the parser refuses. A NUL becomes a byte that is invalid UTF-8, so that the error names the field. If a quote is not
/// closed, the function changes nothing.
fn mend(head: &[u8]) -> Vec<u8> {
    let mut mended = Vec::with_capacity(head.len());
    let (mut left, mut quoted) = (head, false);
    while let [byte, rest @ ..] = left {
        left = rest;
        match (byte, quoted) {
            (b'"', false) => quoted = true,
            (b'"', true) => quoted = !ends_value(rest),
            (b'\\', true) => {
                if let [next @ (b'"' | b'\\'), behind @ ..] = rest
                    && !(*next == b'"' && ends_line(behind))
                {
                    mended.extend_from_slice(&[b'\\', *next]);
                    left = behind;
                    continue;
                }
            }
            (b'\r', true) => {
                mended.extend_from_slice(b"%0D");
                continue;
            }
            (b'\n', true) => {
                mended.extend_from_slice(b"%0A");
                continue;
            }
            (b'\0', true) => {
                mended.push(0xff);
                continue;
            }
            (0x01..=0x08 | 0x0b..=0x1f | 0x7f, true) => continue,
            _ => {}
        }
        mended.push(*byte);
    }
    if quoted { head.to_vec() } else { mended }
}

fn ends_line(rest: &[u8]) -> bool {
    rest.starts_with(b"\r\n")
}

/// Whether a quoted value ends before this position.
fn ends_value(rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    ends_line(&rest[blanks..]) || rest[blanks..].starts_with(b";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Repairs a body in pieces of that size, and removes the line end that the repair puts before it.
    fn whole(body: &[u8], size: usize) -> Vec<u8> {
        let mut repair = HeadRepair::new("b");
        let mut passed: Vec<u8> = body.chunks(size.max(1)).flat_map(|piece| repair.take(piece)).collect();
        passed.extend_from_slice(&repair.held);
        passed.split_off(2)
    }

    #[test]
    fn only_what_is_between_quotes_in_a_head_is_mended() {
        for (head, expected) in [
            (
                &b"x: form-data; name=\"file\"; filename=\"a\r\nb\nc\rd.txt\""[..],
                &b"x: form-data; name=\"file\"; filename=\"a%0D%0Ab%0Ac%0Dd.txt\""[..],
            ),
            (b"x: y; filename=\"a\\\"\nb\"", b"x: y; filename=\"a\\\"%0Ab\""),
            (b"x: y; filename=\"a\"b\nc\"; z", b"x: y; filename=\"a\"b%0Ac\"; z"),
            (b"x: y; filename=\"C:\\dir\\\"\r\nz: \"1\"", b"x: y; filename=\"C:\\dir\\\"\r\nz: \"1\""),
            (b"x: y; filename=\"a\\\\\"\r\nz: 1", b"x: y; filename=\"a\\\\\"\r\nz: 1"),
            (b"x: \"a\0\"", b"x: \"a\xff\""),
            (b"x: \"a\x07b\x7f\x1b\tc\"", b"x: \"ab\tc\""),
            (b"x: \"a\r\nb: c", b"x: \"a\r\nb: c"),
            (b"x: y\r\nz: \"1\"", b"x: y\r\nz: \"1\""),
        ] {
            let form = |head: &[u8]| [b"--b\r\n", head, b"\r\n\r\n\"a\nb\0\"\r\n--b--\r\n"].concat();
            for size in [1, 2, 7, 1000] {
                let mended = whole(&form(head), size);
                assert_eq!(mended, form(expected), "{}", head.escape_ascii());
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_pass_as_they_are(
            content in prop::collection::vec(prop_oneof![prop::sample::select(&b"\r\n-b\""[..]), any::<u8>()], 0..200),
            size in 1usize..50,
        ) {
            let form = [b"--b\r\nx: \"y\"\r\n\r\n", &content[..], b"\r\n--b--\r\n"].concat();
            // No further head begins in it.
            prop_assume!(!form[5..].windows(7).any(|window| window == b"\r\n--b\r\n"));
            prop_assert_eq!(whole(&form, size), form);
        }
    }
}
