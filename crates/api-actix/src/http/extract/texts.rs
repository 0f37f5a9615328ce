//! Checks every string of a JSON text.
//!
//! `serde` skips fields that it does not know. This check covers their strings too, and nothing else: the typed parser
//! checks syntax and numbers.

use crate::http::error::ApiError;

/// The most path segments in a field's name: the path could be as long as the body.
const MAX_STEPS: usize = 32;

/// Checks all strings of an object, field names included.
///
/// # Errors
/// [`ApiError::Malformed`] for a string with a NUL, broken UTF-8 or a lone surrogate. It names the field, unless the
/// string is itself a name.
pub fn check_texts(object: &[u8]) -> Result<(), ApiError> {
    check(object, Vec::new())
}

/// Checks all strings in the value of a field.
///
/// # Errors
/// As [`check_texts`].
pub fn check_texts_of(field: &str, value: &[u8]) -> Result<(), ApiError> {
    if field.contains('\0') {
        return Err(Fault::Nul.in_a_name());
    }
    check(value, vec![Step::Field(field.to_owned())])
}

/// A segment of the path to the current value.
enum Step {
    /// In an object, before a name.
    Name,
    /// At the value of a field.
    Field(String),
    /// At an item of an array.
    Item(usize),
}

/// Does not recurse, because unknown fields may nest without limit.
fn check(json: &[u8], mut way: Vec<Step>) -> Result<(), ApiError> {
    if !needs_a_closer_look(json) {
        return Ok(());
    }
    let mut rest = json;
    while let [first, after @ ..] = rest {
        match first {
            b'{' => way.push(Step::Name),
            b'[' => way.push(Step::Item(0)),
            b'}' | b']' => drop(way.pop()),
            b',' => match way.last_mut() {
                Some(Step::Item(index)) => *index += 1,
                Some(step) => *step = Step::Name,
                None => {}
            },
            b'"' => {
                // An unterminated string is no JSON; the typed parser reports it.
                let Some((string, behind)) = split_string(rest) else { return Ok(()) };
                match (way.last_mut(), read(string)) {
                    (Some(step @ Step::Name), Ok(name)) => *step = Step::Field(name),
                    (Some(Step::Name), Err(fault)) => return Err(fault.in_a_name()),
                    (_, Ok(_)) => {}
                    (_, Err(fault)) => return Err(fault.at(&way)),
                }
                rest = behind;
                continue;
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

/// A quick check whether any string needs a closer look; seldom true.
fn needs_a_closer_look(json: &[u8]) -> bool {
    let escapes =
        |window: &[u8]| matches!(window, [b'\\', b'u', b'0', b'0', b'0', b'0'] | [b'\\', b'u', b'd' | b'D', ..]);
    std::str::from_utf8(json).is_err() || (json.contains(&b'\\') && json.windows(6).any(escapes))
}

/// Splits off a string with its quotes.
fn split_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    text.split_at_checked(end + 2)
}

fn read(string: &[u8]) -> Result<String, Fault> {
    match serde_json::from_slice::<String>(string) {
        Ok(text) if text.contains('\0') => Err(Fault::Nul),
        read => read.map_err(|_| Fault::NoText),
    }
}

/// The fault of a string, if it has one.
#[derive(Clone, Copy)]
enum Fault {
    Nul,
    NoText,
}

impl Fault {
    fn sentence(self, what: &str) -> String {
        match self {
            Self::Nul => format!("{what} contains a NUL"),
            Self::NoText => format!("{what} is not UTF-8, or has a broken escape"),
        }
    }

    fn in_a_name(self) -> ApiError {
        ApiError::malformed(self.sentence("the name of a field"))
    }

    fn at(self, way: &[Step]) -> ApiError {
        let mut path = String::new();
        for step in way.iter().take(MAX_STEPS) {
            match step {
                Step::Name => {}
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        let reason = self.sentence(&path);
        ApiError::malformed_field(path, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(found: Result<(), ApiError>) -> Option<(Option<String>, String)> {
        match found {
            Ok(()) => None,
            Err(ApiError::Malformed { field, reason }) => Some((field, reason)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_and_all_that_is_none_pass() {
        let deep = format!(r#"{{"x":"\ud83d\ude42","y":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        for clean in [
            r#"{"a":[1,-1,1e999,null,true,"\ud83d\ude42",{"b":{}}]}"#,
            r#"{"a":"\\u0000","\\\\\"":"\"\\\\","\ud83d\ude42":1}"#,
            // The typed parser reports invalid JSON.
            r#"{"a":"\ud83d\ude42",}"#,
            r#"]},"\ud83d\ude42" 5 : {"#,
            r#"{"a":"\u0000"#,
            &deep,
        ] {
            assert_eq!(fault(check_texts(clean.as_bytes())), None, "{clean:.100}");
        }
    }

    #[test]
    fn a_string_that_is_no_text_is_named() {
        for (bad, field) in [
            (&br#"{"a":["x",{},"\u0000"]}"#[..], Some("a[2]")),
            (br#"{"a":1e999,"b":{"c":[[0],[1,{"d":"\ud800"}]]}}"#, Some("b.c[1][1].d")),
            (br#"{"a":{"b":[]},"c":"\ude42"}"#, Some("c")),
            (b"{\"a\":\"\xff\"}", Some("a")),
            (br#"{"\u0000":1}"#, None),
            (br#"{"a":{"\ud800":1}}"#, None),
            (b"{\"\xff\":1}", None),
        ] {
            let found = fault(check_texts(bad)).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(bad)));
            assert_eq!(found.0.as_deref(), field, "{found:?}");
        }
    }

    #[test]
    fn of_a_field_the_value_is_looked_at_whatever_it_is() {
        for (value, field) in [(r#""\u0000""#, "x"), (r#"["\u0000"]"#, "x[0]"), (r#"{"y":"\u0000"}"#, "x.y")] {
            assert_eq!(fault(check_texts_of("x", value.as_bytes())).unwrap().0.as_deref(), Some(field), "{value}");
        }
        assert_eq!(fault(check_texts_of("x", br#""\ud83d\ude42""#)), None);
        assert_eq!(fault(check_texts_of("\0", b"1")).unwrap().0, None);
    }

    #[test]
    fn a_long_way_is_cut() {
        let deep = format!(r#"{{"x":{}"\u0000"{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
        let (field, reason) = fault(check_texts(deep.as_bytes())).unwrap();
        assert!(field.unwrap().starts_with("x[0][0]") && reason.len() < 200, "{reason}");
    }
}
