//! Splits a JSON object into its members and keeps each value as the client sent it.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Deserializer;

/// A JSON value as the client sent it: well-formed, without surrounding blanks. Its strings are not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawJson<'a>(pub &'a str);

impl RawJson<'_> {
    /// # Errors
    /// A JSON error if the value is no `T`.
    pub fn read<T: DeserializeOwned>(self) -> serde_json::Result<T> {
        serde_json::from_str(self.0)
    }
}

/// The members of an object in their order; `None` if the text is not a well-formed JSON object.
pub fn members(text: &str) -> Option<Vec<(String, RawJson<'_>)>> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    // The text is well-formed, so the loop only has to find where values begin and end.
    let mut rest = text.trim_ascii().strip_prefix('{')?.trim_ascii_start();
    let mut members = Vec::new();
    while !rest.starts_with('}') {
        let (name, after) = split_value(rest)?;
        let (value, after) = split_value(after.trim_ascii_start().strip_prefix(':')?.trim_ascii_start())?;
        members.push((RawJson(name).read().ok()?, RawJson(value)));
        let after = after.trim_ascii_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_ascii_start();
    }
    Some(members)
}

/// Splits off the value at the beginning of a text.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    text.split_at_checked(values.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_taken_apart_and_nothing_is_changed() {
        for (text, expected) in [
            ("{}", &[][..]),
            (" {\n} \r\n", &[]),
            (r#"{"a":1}"#, &[("a", "1")]),
            (r#"{ "a" : -1.50e7 , "b" : "x,\"}" }"#, &[("a", "-1.50e7"), ("b", r#""x,\"}""#)]),
            (r#"{"a":{"b":[1,{"c":"}"}]},"d":null}"#, &[("a", r#"{"b":[1,{"c":"}"}]}"#), ("d", "null")]),
            (r#"{"a\u0062":true,"":[],"a":1,"a":2}"#, &[("ab", "true"), ("", "[]"), ("a", "1"), ("a", "2")]),
            (
                r#"{"n":123456789012345678901234567890,"m":1e999}"#,
                &[("n", "123456789012345678901234567890"), ("m", "1e999")],
            ),
        ] {
            let found = members(text).unwrap_or_else(|| panic!("{text}"));
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.0)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_none() {
        for text in [
            "",
            "{",
            "[]",
            "5",
            "null",
            "{}{}",
            "{} x",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"\\ud800\":1}",
        ] {
            assert_eq!(members(text), None, "{text}");
        }
        let deep = "[".repeat(30_000);
        assert_eq!(members(&format!("{{\"a\":{deep}")), None);
        let closed = format!("{{\"a\":{deep}{}}}", "]".repeat(30_000));
        assert!(members(&closed).is_none_or(|members| members.len() == 1));
    }
}
