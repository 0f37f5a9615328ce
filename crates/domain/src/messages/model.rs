//! What a message is, on its way in and as it is kept.

use super::numbers::{Seq, Update};
use crate::context::Timestamp;
use crate::error::{Invalid, NotFound};
use crate::files::{AttachmentKind, File, NewFile};
use crate::ids::{ConversationId, FileId, GroupId, MessageId, UserId};
use crate::page::Limit;
use crate::text::{at_most, text_type, without_nul};
use crate::unicode::is_blank;
use crate::users::Profile;

/// The most characters of a message (`docs/api.md`, Messages).
const MAX_CHARACTERS: usize = 4096;

text_type!(
    /// The content of a text message: not blank (a reader sees something of it), at most 4096 characters, kept exactly
    /// as sent.
    Text
);

impl Text {
    /// # Errors
    /// [`Invalid`] naming `content`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_blank(text) {
            return Err(Invalid::new("content", "content must not be blank"));
        }
        Caption::parse(text).map(|caption| Self(caption.0))
    }
}

text_type!(
    /// What is said beside a file: at most 4096 characters, possibly nothing.
    Caption
);

impl Caption {
    /// # Errors
    /// [`Invalid`] naming `content`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        without_nul("content", text)?;
        at_most("content", text, MAX_CHARACTERS)?;
        Ok(Self(text.to_owned()))
    }

    /// Nothing said.
    pub fn none() -> Self {
        Self(String::new())
    }
}

text_type!(
    /// What tells a retry from a new message: 1 to 64 characters, one name space per user.
    IdempotencyKey
);

impl IdempotencyKey {
    /// # Errors
    /// [`Invalid`] naming `field`.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        without_nul(field, text)?;
        at_most(field, text, 64)?;
        if text.is_empty() {
            return Err(Invalid::new(field, format!("{field} must not be empty")));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a message is, as clients write and read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    /// Words only.
    Text,
    /// A picture, possibly with words.
    Image,
    /// Any file, possibly with words.
    File,
}

impl MessageType {
    /// # Errors
    /// [`Invalid`] naming `type`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "text" => Ok(Self::Text),
            "image" => Ok(Self::Image),
            "file" => Ok(Self::File),
            _ => Err(Invalid::new("type", "type must be text, image or file")),
        }
    }

    /// As clients read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::File => "file",
        }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub enum Body {
    /// Words.
    Text(Text),
    /// A file, possibly with words.
    Attachment {
        /// How it is carried.
        kind: AttachmentKind,
        /// The file.
        file: File,
        /// The words.
        caption: Caption,
    },
}

impl Body {
    /// The type as clients see it.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Text(_) => MessageType::Text,
            Self::Attachment { kind: AttachmentKind::Image, .. } => MessageType::Image,
            Self::Attachment { kind: AttachmentKind::File, .. } => MessageType::File,
        }
    }

    /// The words; empty where there are none.
    pub fn content(&self) -> &str {
        match self {
            Self::Text(text) => text.as_str(),
            Self::Attachment { caption, .. } => caption.as_str(),
        }
    }

    /// The same with other words, which [`Content::for_type`] has allowed.
    #[must_use]
    pub fn with_content(self, words: &str) -> Self {
        match self {
            Self::Text(_) => Self::Text(Text::from_stored(words.to_owned())),
            Self::Attachment { kind, file, .. } => {
                Self::Attachment { kind, file, caption: Caption::from_stored(words.to_owned()) }
            }
        }
    }

    /// The file, if it carries one.
    pub fn file(&self) -> Option<&File> {
        match self {
            Self::Text(_) => None,
            Self::Attachment { file, .. } => Some(file),
        }
    }
}

/// Words for a message that exists: what is allowed depends on what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(Caption);

impl Content {
    /// # Errors
    /// [`Invalid`] naming `content`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Caption::parse(text).map(Self)
    }

    /// The words as the new content of a message of that type.
    ///
    /// # Errors
    /// [`Invalid`] naming `content` where a text would become blank.
    pub fn for_type(&self, message_type: MessageType) -> Result<&str, Invalid> {
        if message_type == MessageType::Text {
            Text::parse(self.0.as_str())?;
        }
        Ok(self.0.as_str())
    }
}

/// Where a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub enum Destination {
    /// To one user (possibly oneself).
    Direct {
        /// The one it was sent to.
        receiver: UserId,
    },
    /// In a group.
    Group(GroupId),
    /// To everybody.
    Broadcast,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Message {
    /// The id of the message.
    pub id: MessageId,
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// Where it was sent.
    pub destination: Destination,
    /// The sender, as shown to others.
    pub sender: Profile,
    /// What the message says or carries.
    pub body: Body,
    /// Which message of the same conversation it answers.
    pub reply_to: Option<MessageId>,
    /// Its position: the conversation's counter when it was sent.
    pub seq: Seq,
    /// The conversation's counter at its last change.
    pub update: Update,
    /// When sent. Not to be ordered by.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
    /// When its content was last changed, if ever.
    pub edited_at: Option<Timestamp>,
}

/// What remains of a deleted message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Tombstone {
    /// The id of the message.
    pub id: MessageId,
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// The position that the message had.
    pub seq: Seq,
    /// The number its deletion took.
    pub update: Update,
    /// When deleted.
    pub deleted_at: Timestamp,
}

/// To whom a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// One user.
    User(UserId),
    /// A group.
    Group(GroupId),
    /// Everybody.
    Everybody,
}

impl Recipient {
    /// What does not exist where the recipient does not.
    pub fn not_found(self) -> NotFound {
        match self {
            Self::User(_) => NotFound::User,
            Self::Group(_) => NotFound::Group,
            Self::Everybody => NotFound::Conversation,
        }
    }
}

/// The file of a message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// One uploaded before, that the sender may read.
    Stored {
        /// How it is to be carried.
        kind: AttachmentKind,
        /// The id of a file that the sender may read.
        file: FileId,
    },
    /// One that came with the message, to be stored with it; an image where its bytes are one.
    Uploaded(NewFile),
}

/// What a message to be sent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftBody {
    /// Words.
    Text(Text),
    /// A file, possibly with words.
    Attachment(Attachment, Caption),
}

impl DraftBody {
    /// The words.
    pub fn content(&self) -> &str {
        match self {
            Self::Text(text) => text.as_str(),
            Self::Attachment(_, caption) => caption.as_str(),
        }
    }
}

/// A message on its way to the log: everything that needs no storage has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The message's id, if it is stored.
    pub id: MessageId,
    /// The id of the direct conversation, if this is its first message.
    pub new_conversation: ConversationId,
    /// The caller.
    pub sender: UserId,
    /// The user, the group or everybody.
    pub recipient: Recipient,
    /// What the message is to say or carry.
    pub body: DraftBody,
    /// Which message of the same conversation it answers.
    pub reply_to: Option<MessageId>,
    /// A retry carries the same key.
    pub key: Option<IdempotencyKey>,
    /// The time of the transaction. Nothing is ordered by it.
    pub at: Timestamp,
}

/// Where to begin in a list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Behind the newest.
    Latest,
    /// At a message, deleted ones included.
    Message(MessageId),
}

/// How many messages an offset may pass over: passing over one costs as much as giving it. Cursors reach everything.
pub const MAX_OFFSET: u64 = 10_000;

/// Which part of a conversation to list; always given oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Counted in live messages from the oldest. Costs in proportion to `offset`: [`Window::from_oldest`] bounds it.
    Offset {
        /// How many to pass over.
        offset: u64,
        /// How many at the most.
        limit: Limit,
    },
    /// The newest ones before a place.
    Before {
        /// The place.
        cursor: Cursor,
        /// How many at the most.
        limit: Limit,
    },
    /// The oldest ones after a message.
    After {
        /// The message.
        cursor: MessageId,
        /// How many at the most.
        limit: Limit,
    },
}

impl Window {
    /// The page behind the `offset` oldest messages.
    ///
    /// # Errors
    /// [`Invalid`] naming `offset` where it is more than [`MAX_OFFSET`].
    pub fn from_oldest(offset: u64, limit: Limit) -> Result<Self, Invalid> {
        if offset > MAX_OFFSET {
            let sentence = format!("offset must be at most {MAX_OFFSET}: page by the cursors before and after instead");
            return Err(Invalid::new("offset", sentence));
        }
        Ok(Self::Offset { offset, limit })
    }
}

/// A message that changed since some number, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeEntry {
    /// It was sent or edited.
    Message(Box<Message>),
    /// It was deleted.
    Deleted(Tombstone),
}

impl ChangeEntry {
    /// The number of its last change.
    pub fn update(&self) -> Update {
        match self {
            Self::Message(message) => message.update,
            Self::Deleted(tombstone) => tombstone.update,
        }
    }
}

/// A page of a conversation's change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Where the next page begins: the last entry's number, or the conversation's counter where there is no more.
    pub update: Update,
    /// In order of `update`.
    pub entries: Vec<ChangeEntry>,
    /// Whether another page follows.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_kept_as_it_is_or_refused(text in "(.|\\n|\\t| |🙂){0,50}|x{4090,4100}|🙂{4094,4098}") {
            match Text::parse(&text) {
                Ok(kept) => prop_assert_eq!(kept.as_str(), &text),
                Err(_) => prop_assert!(is_blank(&text) || text.contains('\0') || text.chars().count() > 4096),
            }
        }
    }

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

    #[test]
    fn an_edit_may_empty_a_caption_but_not_a_text() {
        let empty = Content::parse("").unwrap();
        assert!(empty.for_type(MessageType::Text).is_err());
        assert_eq!(empty.for_type(MessageType::Image).unwrap(), "");
    }
}
