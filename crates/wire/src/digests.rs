//! JSON of digests.

use domain::messages;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// The first 16 hexadecimal digits of a conversation's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{16}$", examples("5df6e0e2761359d3"))]
pub struct ShortDigest(pub messages::ShortDigest);

impl Serialize for ShortDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The digest of a part of a conversation, or of the whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct RangeDigest {
    /// The conversation's `update` at the moment of the answer.
    update: i64,
    /// The first `seq` of the part.
    from: i64,
    /// The last one.
    to: i64,
    /// How many messages were sent in the part, deleted ones too.
    messages: u64,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
}

impl From<messages::RangeDigest> for RangeDigest {
    fn from(found: messages::RangeDigest) -> Self {
        Self {
            update: found.update.0,
            from: found.span.from.0,
            to: found.span.to.0,
            messages: found.messages,
            digest: found.digest.to_string(),
        }
    }
}

/// Where a conversation stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct SyncPoint {
    update: i64,
    digest: ShortDigest,
}

impl From<messages::SyncPoint> for SyncPoint {
    fn from(point: messages::SyncPoint) -> Self {
        Self { update: point.update.0, digest: ShortDigest(point.digest) }
    }
}
