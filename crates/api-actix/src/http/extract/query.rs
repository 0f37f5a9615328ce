//! Query strings.

use crate::http::error::ApiError;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::Invalid;
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::future::{Ready, ready};

/// The query. The fields of `T` are `Option<String>`s; unknown parameters are ignored.
///
/// A parameter given twice, with broken UTF-8 or with a NUL is answered with a 400 that names it.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request).map_err(Into::into))
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// Parses the query of a request after the caller's own checks.
    ///
    /// # Errors
    /// [`ApiError::Malformed`].
    pub fn of(request: &HttpRequest) -> Result<Self, ApiError> {
        parse(request.query_string()).map(Self)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let mut fields = Map::new();
    for (name, value) in pairs(query)? {
        if fields.contains_key(&name) {
            let reason = format!("{name} is given twice");
            return Err(ApiError::malformed_field(name, reason));
        }
        fields.insert(name, Value::String(value));
    }
    serde_json::from_value(Value::Object(fields)).map_err(|_| ApiError::malformed("the query is malformed"))
}

/// The decoded parameters, in order.
///
/// # Errors
/// [`ApiError::Malformed`] naming the parameter with a NUL or broken UTF-8.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name =
            decode(name).ok_or_else(|| ApiError::malformed("the name of a parameter is not UTF-8 without NULs"))?;
        match decode(value) {
            Some(value) => Ok((name, value)),
            None => {
                let reason = format!("{name} is not UTF-8 without NULs");
                Err(ApiError::malformed_field(name, reason))
            }
        }
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

/// Parses a number in a query: digits only.
///
/// # Errors
/// [`Invalid`] naming `field`, also for numbers above 64 bits.
pub fn number(field: &'static str, text: Option<&str>) -> Result<Option<u64>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.map(Some).ok_or_else(|| Invalid::new(field, format!("{field} must be a whole number")))
}

/// Parses a yes or no in a query or a form.
///
/// # Errors
/// [`Invalid`] naming `field` for any other words than `true` and `false`.
pub fn flag(field: &'static str, text: Option<&str>) -> Result<Option<bool>, Invalid> {
    match text {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Invalid::new(field, format!("{field} must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Fields {
        q: Option<String>,
        limit: Option<String>,
    }

    #[test]
    fn parameters_are_decoded() {
        let fields: Fields = parse("q=a+b%20%C3%A9%26&limit=5&other=1&&x").unwrap();
        assert_eq!((fields.q.as_deref(), fields.limit.as_deref()), (Some("a b é&"), Some("5")));
        let fields: Fields = parse("q=&limit").unwrap();
        assert_eq!((fields.q.as_deref(), fields.limit.as_deref()), (Some(""), Some("")));
        assert!(parse::<Fields>("").unwrap().q.is_none());
    }

    #[test]
    fn a_malformed_parameter_is_named() {
        for (query, expected) in [
            ("q=%ff", Some("q")),
            ("q=a%00", Some("q")),
            ("other=%C3", Some("other")),
            ("limit=1&limit=1", Some("limit")),
            ("%ff=1", None),
        ] {
            match parse::<Fields>(query) {
                Err(ApiError::Malformed { field, .. }) => assert_eq!(field.as_deref(), expected, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
    }

    #[test]
    fn flags_are_one_of_two_words() {
        assert_eq!(flag("unseen", None), Ok(None));
        assert_eq!(flag("unseen", Some("true")), Ok(Some(true)));
        assert_eq!(flag("unseen", Some("false")), Ok(Some(false)));
        for bad in ["", "True", "1", "yes"] {
            assert_eq!(flag("unseen", Some(bad)).unwrap_err().field, "unseen", "{bad}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number("limit", None), Ok(None));
        assert_eq!(number("limit", Some("007")), Ok(Some(7)));
        for bad in ["", "-1", "+1", "1e2", "1.0", " 1", "x", "18446744073709551616", "٣"] {
            assert_eq!(number("limit", Some(bad)).unwrap_err().field, "limit", "{bad}");
        }
    }
}
