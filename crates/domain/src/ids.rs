//! The ids of things. Every id is a UUID, written in its canonical 36-character form. Those that the server makes are
//! of version 7.

use crate::error::Invalid;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the canonical 36-character form. Refuses other spellings of a UUID, so that every id has exactly
            /// one.
            ///
            /// # Errors
            /// [`Invalid`] naming `field`.
            pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
                parse_uuid(text).map(Self).ok_or_else(|| Invalid::new(field, format!("{field} is not an id")))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

id!(
    /// A user, existing or deleted.
    UserId
);
id!(
    /// A session. A token names one.
    SessionId
);
id!(
    /// A conversation: a direct one, a group's, or the broadcast.
    ConversationId
);
id!(
    /// A group. A group *is* a conversation: see [`GroupId::conversation`].
    GroupId
);
id!(
    /// A message.
    MessageId
);
id!(
    /// An uploaded file.
    FileId
);

impl ConversationId {
    /// The broadcast conversation. The first migration creates it, and there is only one.
    pub const BROADCAST: Self = Self(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
}

impl GroupId {
    /// The group's conversation, which carries the same id.
    pub const fn conversation(self) -> ConversationId {
        ConversationId(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let canonical = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(UserId::parse("id", canonical).unwrap().to_string(), canonical);
        for other in [
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
            "01890a5d-ac96-774b-bcce-b302099a805g",
            "01890a5d-ac96-774b-bcce-b302099a8057x",
            "",
        ] {
            assert_eq!(UserId::parse("id", other).unwrap_err().field, "id", "{other}");
        }
    }
}
