//! What the store needs of S3 beyond `object_store`.

use crate::OpenError;
use crate::fault::{is_missing, is_out_of_reach, is_without_bucket, told};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// How long S3 may send nothing: after the server began to send a part, or between two pieces of a blob.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// How late after its begin a request may be retried.
const RETRY_DEADLINE: Duration = Duration::from_secs(5);
/// How often a request is retried.
const RETRIES: usize = 3;
/// The pause between two attempts at the start to reach a bucket.
const PAUSE: Duration = Duration::from_millis(500);
/// The object that the start writes to check its rights.
pub const PROBE: &str = ".parlance";

/// A bucket of S3, and the beginning of the names of all blobs in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    name: String,
    prefix: Path,
}

/// A text that names no bucket. The error does not repeat it, because it may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be s3://BUCKET or s3://BUCKET/PREFIX, with nothing secret in it (credentials are AWS_... variables)")]
pub struct NoBucket;

impl Bucket {
    /// Parses `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// [`NoBucket`], also for a text with credentials or parameters.
    pub fn parse(text: &str) -> Result<Self, NoBucket> {
        let place = text.strip_prefix("s3://").ok_or(NoBucket)?;
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if !(3..=63).contains(&name.len()) || !name.chars().all(fits) || prefix.contains(['@', '?', '#', ':']) {
            return Err(NoBucket);
        }
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|_| NoBucket)?;
        Ok(Self { name: name.to_owned(), prefix })
    }
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}", self.name)?;
        if self.prefix.as_ref().is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// A client for the bucket. It does not connect yet.
pub(crate) fn open(
    bucket: &Bucket,
    settings: impl IntoIterator<Item = (String, String)>,
) -> Result<Arc<dyn ObjectStore>, OpenError> {
    // The client's TLS uses the one provider of the process. Somebody may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_DEADLINE)
        .with_read_timeout(READ_DEADLINE);
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(1), base: 2. };
    let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_DEADLINE };
    let mut builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
    for (name, value) in settings {
        let known = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>());
        if let Some(Ok(key)) = known {
            builder = builder.with_config(key, value);
        }
    }
    agree(&builder)?;
    let store = builder
        .with_bucket_name(&bucket.name)
        // Every S3 can delete single objects, and the server needs nothing else.
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
        .build()
        .map_err(|error| OpenError::Settings(told(&error)))?;
    Ok(match bucket.prefix.as_ref() {
        "" => Arc::new(store),
        _ => Arc::new(PrefixStore::new(store, bucket.prefix.clone())),
    })
}

/// Reports wrong settings at once. Otherwise every request would fail because of them.
fn agree(builder: &AmazonS3Builder) -> Result<(), OpenError> {
    let value = |key| builder.get_config_value(&key).unwrap_or_default();
    let plain = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint]
        .into_iter()
        .any(|key| value(key).starts_with("http://"));
    let allowed = value(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    if plain && !["1", "true", "on", "yes", "y"].contains(&allowed.to_ascii_lowercase().as_str()) {
        let reason = "AWS_ENDPOINT is http://, which only AWS_ALLOW_HTTP=true allows";
        return Err(OpenError::Settings(reason.to_owned()));
    }
    Ok(())
}

/// Writes, reads and deletes as the server will have to. If S3 does not answer, it retries for `patience`: a short
/// outage is no reason to fail, a wrong address is.
pub(crate) async fn try_out(store: &dyn ObjectStore, bucket: &Bucket, patience: Duration) -> Result<(), OpenError> {
    let begun = Instant::now();
    let mut told_once = false;
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let late = || OpenError::OutOfReach { bucket: bucket.clone(), reason: "no answer in time".to_owned() };
        let tried = tokio::time::timeout(left, try_once(store, bucket)).await.unwrap_or_else(|_| Err(late()));
        match tried {
            Err(error @ OpenError::OutOfReach { .. }) if begun.elapsed() + PAUSE < patience => {
                if !told_once {
                    tracing::warn!(error = &error as &dyn std::error::Error, "trying on to reach the store of files");
                    told_once = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
            tried => return tried,
        }
    }
}

async fn try_once(store: &dyn ObjectStore, bucket: &Bucket) -> Result<(), OpenError> {
    let probe = Path::from(PROBE);
    let refused = |wanted: &'static str| {
        move |error: object_store::Error| {
            let (bucket, reason) = (bucket.clone(), told(&error));
            if is_without_bucket(&error) {
                OpenError::NoSuchBucket(bucket)
            } else if is_out_of_reach(&error) {
                OpenError::OutOfReach { bucket, reason }
            } else {
                OpenError::Denied { bucket, wanted, reason }
            }
        }
    };
    // An object that does not exist: other servers may be reading the probe now.
    match store.delete(&Path::from(format!("{PROBE}-removed"))).await {
        Err(error) if !is_missing(&error) => return Err(refused("remove a file")(error)),
        _ => {}
    }
    store
        .put(&probe, PutPayload::from_static(b"parlance keeps files here\n"))
        .await
        .map_err(refused("store a file"))?;
    store.get(&probe).await.map_err(refused("give a file out"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_name_and_maybe_a_prefix() {
        for (text, shown) in [
            ("s3://chat-files", "s3://chat-files"),
            ("s3://chat.files/", "s3://chat.files"),
            ("s3://chat/a/b", "s3://chat/a/b"),
            ("s3://chat/a/b/", "s3://chat/a/b"),
        ] {
            assert_eq!(Bucket::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_names_no_bucket_or_holds_a_secret_is_refused() {
        for text in [
            "s3://",
            "s3://ab",
            "s3:///prefix",
            "s3://user:hush@bucket",
            "s3://bucket:hush/a",
            "s3://bucket/a@b",
            "s3://bucket?secret=hush",
            "s3://bucket/a?secret=hush",
            "s3://bucket/a#b",
            "s3://bucket/a//b",
            "s3://bucket/../b",
            "s3://bucket name",
            "https://bucket/a",
        ] {
            assert_eq!(Bucket::parse(text), Err(NoBucket), "{text}");
        }
    }

    fn setting(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn http_has_to_be_allowed() {
        let bucket = Bucket::parse("s3://bucket").unwrap();
        let endpoint = setting("AWS_ENDPOINT", "http://127.0.0.1:9000");
        let refused = open(&bucket, [endpoint.clone()]).unwrap_err().to_string();
        assert!(refused.contains("AWS_ALLOW_HTTP"), "{refused}");
        assert!(open(&bucket, [endpoint, setting("AWS_ALLOW_HTTP", "true"), setting("AWS_PAGER", "less")]).is_ok());
    }
}
