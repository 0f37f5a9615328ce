//! The reference by which a client recognizes the reply to its operation.

use super::json_object::RawJson;
use serde_json::Value;

/// A client's string or integer, or null if it gave none. The server returns it unchanged as text, because no Rust
/// number type holds every integer that a client may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Why a value is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoReference {
    /// It is an object, an array, a boolean, a number that is not written as an integer, or a string with invalid
    /// Unicode.
    WrongType,
    /// It is a string with a NUL.
    HasNul,
}

impl Default for Reference {
    fn default() -> Self {
        Self("null".to_owned())
    }
}

impl Reference {
    /// Parses the value as the client sent it.
    ///
    /// # Errors
    /// [`NoReference`].
    pub fn parse(sent: RawJson<'_>) -> Result<Self, NoReference> {
        let digits = sent.0.strip_prefix('-').unwrap_or(sent.0);
        // The value is well-formed JSON, so one of digits only is an integer.
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(sent.0.to_owned()));
        }
        match sent.read().map_err(|_| NoReference::WrongType)? {
            Value::String(text) if text.contains('\0') => Err(NoReference::HasNul),
            Value::String(_) | Value::Null => Ok(Self(sent.0.to_owned())),
            _ => Err(NoReference::WrongType),
        }
    }

    /// Whether the client gave no reference.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The reference as JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(sent: &str) -> Result<String, NoReference> {
        Reference::parse(RawJson(sent)).map(|reference| reference.as_json().to_owned())
    }

    #[test]
    fn it_is_returned_as_it_was_sent() {
        for sent in [
            "null",
            "0",
            "-7",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "340282366920938463463374607431768211457",
            r#""""#,
            r#""r1""#,
            r#""18446744073709551616""#,
            r#""\u00e9 \" \ud83d\ude42""#,
        ] {
            assert_eq!(returned(sent).as_deref(), Ok(sent));
        }
        assert!(returned("null").is_ok() && Reference::default().is_null());
        assert_eq!(returned(&"9".repeat(5_000)), Ok("9".repeat(5_000)));
    }

    #[test]
    fn what_is_neither_string_nor_integer_is_none() {
        for sent in ["{}", "[1]", "true", "false", "1.5", "1.0", "-0.0", "1e3", "1E3", "1e999", r#""\ud800""#] {
            assert_eq!(returned(sent), Err(NoReference::WrongType), "{sent}");
        }
        assert_eq!(returned(r#""a\u0000""#), Err(NoReference::HasNul));
    }
}
