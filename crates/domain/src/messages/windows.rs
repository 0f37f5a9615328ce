//! Which messages of a conversation a list contains.

use super::model::Message;
use crate::error::Invalid;
use crate::ids::MessageId;
use crate::page::Limit;

/// Where a list of messages begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// Behind the newest message.
    Latest,
    /// At a message, which may be deleted.
    Message(MessageId),
}

/// Most messages that an offset may skip. Skipping one costs as much as reading it. Cursors reach everything.
pub const MAX_OFFSET: u64 = 10_000;

/// The part of a conversation to list. Lists come oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Counted from the oldest message; deleted ones do not count. Costs in proportion to `offset`, which
    /// [`Window::from_oldest`] bounds.
    Offset {
        /// How many messages to skip.
        offset: u64,
        /// Most messages of the page.
        limit: Limit,
    },
    /// The newest messages before the cursor.
    Before {
        /// Where the page ends.
        cursor: Cursor,
        /// Most messages of the page.
        limit: Limit,
    },
    /// The oldest messages after a message.
    After {
        /// The message.
        cursor: MessageId,
        /// Most messages of the page.
        limit: Limit,
    },
}

impl Window {
    /// The page behind the `offset` oldest messages.
    ///
    /// # Errors
    /// [`Invalid`] naming `offset` if it is more than [`MAX_OFFSET`].
    pub fn from_oldest(offset: u64, limit: Limit) -> Result<Self, Invalid> {
        if offset > MAX_OFFSET {
            let sentence = format!("offset must be at most {MAX_OFFSET}: page by the cursors before and after instead");
            return Err(Invalid::new("offset", sentence));
        }
        Ok(Self::Offset { offset, limit })
    }
}

/// Whether a list contains the replies in threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Replies {
    /// In line with the other messages.
    #[default]
    Included,
    /// Only the first messages of threads stay.
    Excluded,
}

/// The messages of a conversation that a list contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listing {
    /// Which part of the conversation.
    pub window: Window,
    /// Whether with the replies in threads.
    pub replies: Replies,
}

impl From<Window> for Listing {
    fn from(window: Window) -> Self {
        Self { window, replies: Replies::Included }
    }
}

/// The middle of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// A message of the conversation, or the place of a deleted one.
    Message(MessageId),
    /// The viewer's first unseen message. The newest page if there is none.
    FirstUnseen,
}

/// A page around a place, oldest message first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAround {
    /// The messages.
    pub items: Vec<Message>,
    /// Whether there are older messages.
    pub older: bool,
    /// Whether there are newer messages.
    pub newer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_has_an_end_and_names_what_has_none() {
        let limit = Limit::of_list(None).unwrap();
        assert_eq!(Window::from_oldest(10_000, limit).unwrap(), Window::Offset { offset: 10_000, limit });
        for beyond in [10_001, u64::MAX] {
            let refused = Window::from_oldest(beyond, limit).unwrap_err();
            assert_eq!(refused.field, "offset");
            assert!(refused.to_string().contains("before and after"), "{refused}");
        }
    }
}
