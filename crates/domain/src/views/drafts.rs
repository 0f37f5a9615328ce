//! What a user has begun to write in a conversation, for all of the user's devices.

use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::MessageId;
use crate::messages::MAX_CHARACTERS;
use crate::text::{at_most, text_type, without_nul};
use crate::unicode::is_blank;

text_type!(
    /// The text of a draft: at most 4096 characters, at least one of them visible. Stored exactly as written.
    DraftContent
);

impl DraftContent {
    /// `None` for a blank text: such a draft is none.
    ///
    /// # Errors
    /// [`Invalid`] naming `content`.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        without_nul("content", text)?;
        at_most("content", text, MAX_CHARACTERS)?;
        Ok((!is_blank(text)).then(|| Self(text.to_owned())))
    }
}

/// A draft to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDraft {
    /// The text.
    pub content: DraftContent,
    /// The message of the conversation that it is to answer.
    pub reply_to: Option<MessageId>,
    /// The first message of the thread that it is to be a reply in.
    pub thread_id: Option<MessageId>,
}

/// A user's draft of a message to a conversation. The user has one for each conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Draft {
    /// The text.
    pub content: DraftContent,
    /// The message that it is to answer, which somebody may have deleted since.
    pub reply_to: Option<MessageId>,
    /// The first message of the thread that it is to be a reply in, which somebody may have deleted since.
    pub thread_id: Option<MessageId>,
    /// When a device of the user last wrote it.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_kept_as_written_or_is_none_or_refused() {
        assert_eq!(DraftContent::parse(" hi\n").unwrap().unwrap().as_str(), " hi\n");
        for blank in ["", " \t\r\n\u{3000}"] {
            assert_eq!(DraftContent::parse(blank), Ok(None));
        }
        for bad in ["a\0b".to_owned(), "x".repeat(4097), " ".repeat(4097)] {
            assert_eq!(DraftContent::parse(&bad).unwrap_err().field, "content");
        }
        assert!(DraftContent::parse(&"🙂".repeat(4096)).unwrap().is_some());
    }
}
