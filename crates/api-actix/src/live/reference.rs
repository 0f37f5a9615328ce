//! What a client calls its operation by.

use super::members::Sent;
use serde_json::Value;

/// A string or a number of the client's, or null where it gave none; returned as it was sent. No number type of ours holds
/// every integer that a client may count with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(String);

/// Why something is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoReference {
    /// It is an object, an array or a truth value, or a string that is not Unicode.
    WrongType,
    /// It is a string with a NUL in it.
    HasNul,
}

impl Default for Reference {
    fn default() -> Self {
        Self("null".to_owned())
    }
}

impl Reference {
    /// Of the value as it was sent.
    ///
    /// # Errors
    /// [`NoReference`].
    pub fn parse(sent: Sent<'_>) -> Result<Self, NoReference> {
        let is_number = matches!(sent.0.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
        let value = if is_number { Value::Null } else { sent.read().map_err(|_| NoReference::WrongType)? };
        match value {
            Value::String(text) if text.contains('\0') => Err(NoReference::HasNul),
            Value::String(_) | Value::Null => Ok(Self(sent.0.to_owned())),
            _ => Err(NoReference::WrongType),
        }
    }

    /// Whether the client gave none.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// As JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(sent: &str) -> Result<String, NoReference> {
        Reference::parse(Sent(sent)).map(|reference| reference.as_json().to_owned())
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
            "1.50",
            "1e400",
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
    fn what_is_neither_string_nor_number_is_none() {
        for sent in ["{}", "[1]", "true", "false", r#""\ud800""#] {
            assert_eq!(returned(sent), Err(NoReference::WrongType), "{sent}");
        }
        assert_eq!(returned(r#""a\u0000""#), Err(NoReference::HasNul));
    }
}
