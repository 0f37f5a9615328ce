//! JSON bodies.

use super::texts::check_texts;
use crate::http::error::ApiError;
use crate::http::pace::MinUploadRate;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

/// The largest JSON body, in bytes.
pub const LIMIT: usize = 64 * 1024;

/// The JSON object of the body. All fields of `T` are `Option`s: `null` counts as absent, and an empty body as `{}`.
///
/// The extractor accepts any content type except `multipart/form-data` (415), and at most [`LIMIT`] bytes (413). It
/// answers 400 and names the field for a wrong type, a field given twice, broken UTF-8 or a NUL, in unknown fields too.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // A client that sends byte by byte must not hold a connection for ever.
            let pace = MinUploadRate::of(&request)?;
            let body = tokio::time::timeout(pace.timeout, read(&request, payload)).await;
            let body = body.unwrap_or_else(|_| Err(ApiError::malformed("the body came too slowly")))?;
            Ok(Self(parse_object(&body)?))
        })
    }
}

async fn read(request: &HttpRequest, mut payload: Payload) -> Result<Vec<u8>, ApiError> {
    let headers = request.headers();
    let multipart = |value: &header::HeaderValue| {
        value.as_bytes().get(..19).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/form-data"))
    };
    if headers.get(header::CONTENT_TYPE).is_some_and(multipart) {
        return Err(ApiError::UnsupportedMediaType { reason: "this route takes JSON, not a form" });
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let too_large = || ApiError::BodyTooLarge { limit: LIMIT };
    if length.is_some_and(|length| length > LIMIT) {
        return Err(too_large());
    }
    // Allocates the usual size only: an announced length must not cost memory.
    let mut body = Vec::with_capacity(length.unwrap_or(0).min(4096));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::malformed("the body ended early"))?;
        if body.len() + chunk.len() > LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads a JSON object.
///
/// # Errors
/// [`ApiError::Malformed`], naming the field if one is at fault.
pub fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = match body.trim_ascii_start() {
        [] => b"{}",
        // serde would read an array into a struct, field by field.
        object @ [b'{', ..] => object,
        _ => return Err(ApiError::malformed("the body must be a JSON object")),
    };
    check_texts(body)?;
    deserialize(body)
}

fn deserialize<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = field_of(error.path()).or_else(|| duplicated(error.inner()));
        fault(field, error.inner())
    })?;
    reader.end().map_err(|error| fault(None, &error))?;
    Ok(value)
}

fn fault(field: Option<String>, error: &serde_json::Error) -> ApiError {
    use serde_json::error::Category;
    let reason = match (error.classify(), &field) {
        // serde's own message would repeat the value.
        (Category::Data, Some(field)) if duplicated(error).is_some() => format!("{field} is given twice"),
        (Category::Data, Some(field)) => format!("{field} has the wrong type"),
        _ => format!("the body is not JSON (line {}, column {})", error.line(), error.column()),
    };
    ApiError::Malformed { field, reason }
}

/// The path to the faulty value, unless the whole object is at fault.
fn field_of(path: &Path) -> Option<String> {
    let known = path.iter().next().is_some_and(|segment| !matches!(segment, Segment::Unknown));
    known.then(|| path.to_string())
}

/// The name of a field given twice. serde reports it only in its message.
fn duplicated(error: &serde_json::Error) -> Option<String> {
    let message = error.to_string();
    let (name, _) = message.strip_prefix("duplicate field `")?.split_once('`')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Body {
        name: Option<String>,
        count: Option<u64>,
    }

    fn field_of_fault(body: &[u8]) -> Option<String> {
        match parse_object::<Body>(body).unwrap_err() {
            ApiError::Malformed { field, reason } => {
                assert!(!reason.is_empty());
                field
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn absent_null_and_unknown_fields_are_fine() {
        for body in ["", " \n", "{}", r#"{"name":null}"#, r#" {"other":[1e999,{"x":"\n\u00e9 \ud83d\ude42"}]}"#] {
            assert_eq!(parse_object::<Body>(body.as_bytes()).unwrap(), Body { name: None, count: None }, "{body}");
        }
        let body = r#"{"name":"a\\u0000b 🙂"}"#;
        assert_eq!(parse_object::<Body>(body.as_bytes()).unwrap().name.as_deref(), Some("a\\u0000b 🙂"));
    }

    #[test]
    fn a_fault_names_its_field() {
        for (body, field) in [
            (&br#"{"name":5}"#[..], Some("name")),
            (br#"{"name":["a"]}"#, Some("name")),
            (br#"{"count":-1}"#, Some("count")),
            (br#"{"count":18446744073709551616}"#, Some("count")),
            (br#"{"name":"a","name":"b"}"#, Some("name")),
            (br#"{"name":"a\u0000"}"#, Some("name")),
            (b"{\"name\":\"a\0\"}", Some("name")),
            (b"{\"name\":\"\xff\"}", Some("name")),
            (b"{\"other\":{\"deep\":[\"\xc3\"]}}", Some("other.deep[0]")),
            (br#"{"other":{"deep":["","\u0000"]}}"#, Some("other.deep[1]")),
            (br#"{"other":"\ud800"}"#, Some("other")),
            (br#"{"name":"\ud800"}"#, Some("name")),
            (br#"{"\u0000":1}"#, None),
            (br#"{"name":"a"} x"#, None),
            (br#"{"name":"a"}{}"#, None),
            (b"{", None),
            (b"[]", None),
            (br#"["a",1]"#, None),
            (b"null", None),
            (b"5", None),
            (b"\xff", None),
            (b"name=a", None),
        ] {
            assert_eq!(field_of_fault(body).as_deref(), field, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn nothing_nests_too_deep_to_be_read() {
        let deep = format!(r#"{{"other":{}"#, "[".repeat(30_000));
        field_of_fault(deep.as_bytes());
        let deep = format!(r#"{{"x":"\ud83d\ude42","other":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(parse_object::<Body>(deep.as_bytes()).unwrap(), Body { name: None, count: None });
    }
}
