//! Translates failures of a store into errors of the domain.

use domain::{Error, Unavailable};
use object_store::client::HttpError;
use std::error::Error as StdError;
use std::io::ErrorKind;

/// `ENFILE` and `EMFILE`. The standard library has no names for them.
const SHORT_OF_FILES: [i32; 2] = [23, 24];

/// The refusal of S3, fit for the log. It lacks the body of the answer, which may repeat what signed the request.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

/// The domain's error for a failure. A full store concerns operator and client; a store out of reach may answer a
/// retry; everything else is internal.
pub(crate) fn fault(error: object_store::Error) -> Error {
    if is_full(&error) {
        return Error::StorageFull;
    }
    if is_short_of_files(&error) {
        tracing::warn!(cause = told(&error), "too many files are open");
        return Unavailable::Overloaded.into();
    }
    if is_out_of_reach(&error) {
        // The domain's error has no place for the cause.
        tracing::warn!(cause = told(&error), "the store of files is out of reach");
        return Unavailable::StorageOutOfReach.into();
    }
    match status(&error) {
        Some(_) => Error::internal(Refused(told(&error))),
        None => Error::internal(error),
    }
}

/// Whether the object is missing while its bucket exists.
pub(crate) fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && !is_without_bucket(error)
}

/// Whether the bucket is missing.
pub(crate) fn is_without_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}

/// Whether a retry may help: no answer came, or the answer says so.
pub(crate) fn is_out_of_reach(error: &object_store::Error) -> bool {
    let unanswered = causes(error).any(|cause| cause.is::<HttpError>());
    // If S3 fails after it began to answer, it sends 200 with an error in the body.
    let gave_up = error.to_string().contains("Server returned error response");
    unanswered || gave_up || matches!(status(error), Some(408 | 429 | 500..=599))
}

fn is_full(error: &object_store::Error) -> bool {
    let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
    let disk = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    disk.map(std::io::Error::kind).any(|kind| full.contains(&kind)) || status(error) == Some(507)
}

/// Whether this process or the machine has too many files open. With less load it goes on.
fn is_short_of_files(error: &object_store::Error) -> bool {
    let disk = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    disk.filter_map(std::io::Error::raw_os_error).any(|code| SHORT_OF_FILES.contains(&code))
}

fn causes(error: &object_store::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |cause: &&'_ (dyn StdError + 'static)| (*cause).source())
}

/// The status of S3's answer. `object_store` hides it in a private type, so this reads its text.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, status) = text.split_once("non-2xx status code: ")?;
    status.get(..3)?.parse().ok()
}

/// An error of S3 in words, without the body of its answer except for the error code.
pub(crate) fn told(error: &object_store::Error) -> String {
    let text = error.to_string();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let plain = text.split(['<', '{']).next().unwrap_or_default().trim_end_matches([' ', ':', '\n']);
    let mut told: String = plain.chars().take(LONGEST).collect();
    if let Some(code) = code.filter(|code| code.len() < 64) {
        told = format!("{told} ({code})");
    }
    told
}

/// Characters of an error that the log shows.
const LONGEST: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: source.into() }
    }

    fn answered(status: &str, body: &str) -> object_store::Error {
        generic(format!(
            "Error performing PUT http://s3/b/k in 1ms - Server returned non-2xx status code: {status}: {body}"
        ))
    }

    #[test]
    fn a_full_disk_is_told_from_other_faults() {
        let wrapped = |kind: ErrorKind| generic(std::io::Error::from(kind));
        assert!(matches!(fault(wrapped(ErrorKind::StorageFull)), Error::StorageFull));
        assert!(matches!(fault(wrapped(ErrorKind::QuotaExceeded)), Error::StorageFull));
        assert!(matches!(fault(wrapped(ErrorKind::PermissionDenied)), Error::Internal(_)));
    }

    #[test]
    fn too_many_open_files_are_too_much_load() {
        for code in SHORT_OF_FILES {
            let error = fault(generic(std::io::Error::from_raw_os_error(code)));
            assert!(matches!(error, Error::Unavailable(Unavailable::Overloaded)), "{code}");
        }
    }

    #[test]
    fn a_status_says_whether_to_try_again() {
        for status in ["500 Internal Server Error", "503 Slow Down", "429 Too Many Requests", "408 Request Timeout"] {
            let error = fault(answered(status, ""));
            assert!(matches!(error, Error::Unavailable(Unavailable::StorageOutOfReach)), "{status}");
        }
        assert!(matches!(fault(answered("507 Insufficient Storage", "")), Error::StorageFull));
        assert!(matches!(fault(answered("403 Forbidden", "")), Error::Internal(_)));
    }

    #[test]
    fn what_a_request_was_signed_with_is_not_repeated() {
        let body = "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>hush</CanonicalRequest></Error>";
        let Error::Internal(error) = fault(answered("403 Forbidden", body)) else { panic!("it is no fault of ours") };
        let text = error.to_string();
        assert!(text.ends_with("403 Forbidden (SignatureDoesNotMatch)"), "{text}");
        assert!(!text.contains("hush") && error.source().is_none());
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        let missing = |code: &str| object_store::Error::NotFound {
            path: "k".to_owned(),
            source: answered("404 Not Found", &format!("<Error><Code>{code}</Code></Error>")).into(),
        };
        assert!(is_missing(&missing("NoSuchKey")) && !is_missing(&missing("NoSuchBucket")));
    }
}
