//! The JSON that clients read: one type for each shape in `docs/api.md`, converted from the domain's types.
//!
//! The types do not depend on the transport: WebSocket and HTTP handlers send the same shapes.

#![deny(missing_docs)]

mod admin;
mod api_tokens;
mod conversations;
mod digests;
pub mod events;
mod export;
mod files;
mod message_parts;
mod messages;
mod origin;
mod people;
mod public_url;
mod search;
mod server;
mod views;
mod words;

pub use admin::{Account, AuditEntry};
pub use api_tokens::{ApiToken, NewApiToken};
pub use conversations::{Conversation, Receipt, Unseen, UnseenDirect, UnseenGroup};
pub use digests::{RangeDigest, ShortDigest, SyncPoint};
pub use export::{Export, ExportWriter};
pub use files::{File, Thumbnails};
pub use message_parts::{Forwarded, MessageVersion, Pinned, Reaction, Reactor, Thread};
pub use messages::{Change, Changes, Message, Tombstone, kind};
pub use origin::Origin;
pub use people::{Group, May, Me, Member, Sender, Session, User};
pub use public_url::PublicUrl;
pub use search::Found;
pub use server::{Limits, LoginWays, Server};
pub use views::{Draft, Mute, Settings};
pub use words::{KINDS, ROLES, TYPES, VISIBILITIES, kind_word, role_word, type_word, visibility_word};

use chrono::SecondsFormat;
use domain::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

/// An id: a UUIDv7 in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = "uuid", examples("01890a5d-ac96-774b-bcce-b302099a8057"))]
pub struct Id(pub Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// A moment, RFC 3339 in UTC with exactly six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-07-06T05:00:00.000000Z"))]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.as_datetime().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A confirmation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// The action that the server took.
    pub message: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_decimals_and_ids_one_spelling() {
        for (micros, shown) in [
            (1_783_314_000_000_000, "2026-07-06T05:00:00.000000Z"),
            (1_783_314_000_000_001, "2026-07-06T05:00:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            let time = Time(Timestamp::from_micros(micros).unwrap());
            assert_eq!(serde_json::to_value(time).unwrap(), shown);
        }
        let id = Id(Uuid::from_u128(0x0189_0A5D_AC96_774B_BCCE_B302_099A_8057));
        assert_eq!(serde_json::to_value(id).unwrap(), "01890a5d-ac96-774b-bcce-b302099a8057");
    }
}
