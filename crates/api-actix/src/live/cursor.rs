//! Resume cursors as clients keep them. They are opaque: only the server that issued a cursor reads it.

use domain::events::Revision;
use domain::live::Since;

/// The version of the cursor format.
const FORM: &str = "r1.";
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A revision as text.
#[derive(Debug, Clone, Copy)]
pub struct Cursor(pub Revision);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0.0.unsigned_abs();
        let mut text = [b'0'; 13];
        let mut begin = text.len();
        loop {
            begin -= 1;
            text[begin] = DIGITS[usize::try_from(rest % 36).unwrap_or(0)];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        let digits = std::str::from_utf8(&text[begin..]).map_err(|_| std::fmt::Error)?;
        write!(f, "{FORM}{digits}")
    }
}

impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Parses the cursor that a client resumes from. Browsers send an empty text before their first event.
pub fn since(text: Option<&str>) -> Since {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Since::Now };
    let digits = text.strip_prefix(FORM).filter(|digits| !digits.starts_with('+'));
    let number = digits.and_then(|digits| i64::from_str_radix(digits, 36).ok()).filter(|number| *number >= 0);
    number.map_or(Since::Unreadable, |number| Since::Revision(Revision(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_writes() {
        for number in [0, 1, 35, 36, 1_783_314_000_000_000, i64::MAX] {
            let text = Cursor(Revision(number)).to_string();
            assert_eq!(since(Some(&text)), Since::Revision(Revision(number)), "{text}");
        }
        assert_eq!(Cursor(Revision(36)).to_string(), "r1.10");
        assert_eq!((since(None), since(Some(""))), (Since::Now, Since::Now));
        for foreign in ["x", "r1.", "r1.-1", "r1.+1", "r1.zzzzzzzzzzzzzzzz", "r2.1", "R1.1", "r1.1 ", "r1.é", "12"] {
            assert_eq!(since(Some(foreign)), Since::Unreadable, "{foreign}");
        }
    }
}
