//! The types of messages: drafts, stored messages, and pages of them.

use super::digest::ShortDigest;
use super::forwards::Forwarded;
use super::mentions::{Mentions, SaidMentions};
use super::numbers::{Seq, Update};
use super::pins::Pin;
use super::reactions::Reaction;
use super::threads::ThreadSummary;
use crate::context::Timestamp;
use crate::error::{Invalid, NotFound};
use crate::files::{AttachmentKind, File, NewFile};
use crate::ids::{ConversationId, FileId, GroupId, MessageId, UserId};
use crate::text::{at_most, text_type, without_nul};
use crate::unicode::is_blank;
use crate::users::Profile;

/// Most characters of a message (`docs/api.md`, Messages).
pub const MAX_CHARACTERS: usize = 4096;

text_type!(
    /// The content of a text message: at most 4096 characters, at least one of them visible. Stored exactly as sent.
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
    /// The text beside a file: at most 4096 characters, possibly none.
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

    /// No text.
    pub fn none() -> Self {
        Self(String::new())
    }
}

text_type!(
    /// Tells a retry from a new message: 1 to 64 characters. Every user has a separate name space.
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

/// The type of a message, as clients write and read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    /// Text only.
    Text,
    /// A picture, possibly with text.
    Image,
    /// Any file, possibly with text.
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

    /// The word that clients read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::File => "file",
        }
    }
}

/// The content of a message.
#[expect(clippy::large_enum_variant, reason = "few messages are in memory at once, and a box would cost each file one")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub enum Body {
    /// Text only.
    Text(Text),
    /// A file, possibly with text.
    Attachment {
        /// How the message carries the file.
        kind: AttachmentKind,
        /// The file.
        file: File,
        /// The text.
        caption: Caption,
    },
}

impl Body {
    /// The type that clients see.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Text(_) => MessageType::Text,
            Self::Attachment { kind: AttachmentKind::Image, .. } => MessageType::Image,
            Self::Attachment { kind: AttachmentKind::File, .. } => MessageType::File,
        }
    }

    /// The text; empty if there is none.
    pub fn content(&self) -> &str {
        match self {
            Self::Text(text) => text.as_str(),
            Self::Attachment { caption, .. } => caption.as_str(),
        }
    }

    /// The same body with another text. [`Content::for_type`] has checked it.
    #[must_use]
    pub fn with_content(self, words: &str) -> Self {
        match self {
            Self::Text(_) => Self::Text(Text::from_stored(words.to_owned())),
            Self::Attachment { kind, file, .. } => {
                Self::Attachment { kind, file, caption: Caption::from_stored(words.to_owned()) }
            }
        }
    }

    /// The file that the message carries.
    pub fn file(&self) -> Option<&File> {
        match self {
            Self::Text(_) => None,
            Self::Attachment { file, .. } => Some(file),
        }
    }
}

/// A new text for an existing message. The type of the message decides whether it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(Caption);

impl Content {
    /// # Errors
    /// [`Invalid`] naming `content`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Caption::parse(text).map(Self)
    }

    /// The text as the new content of a message of that type.
    ///
    /// # Errors
    /// [`Invalid`] naming `content` if it would leave a text message blank.
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
    /// To one user, who may be the sender.
    Direct {
        /// The user who receives it.
        receiver: UserId,
    },
    /// In a group.
    Group(GroupId),
    /// To all users.
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
    /// Where the sender sent it.
    pub destination: Destination,
    /// The sender, as shown to others.
    pub sender: Profile,
    /// What the message says or carries.
    pub body: Body,
    /// The message of the same conversation that it answers.
    pub reply_to: Option<MessageId>,
    /// The users whom it mentions.
    pub mentions: Mentions,
    /// The reactions, by the oldest of each emoji.
    pub reactions: Vec<Reaction>,
    /// That it is pinned.
    pub pinned: Option<Pin>,
    /// The first message of the thread that it is a reply in.
    pub thread_id: Option<MessageId>,
    /// Its replies, if it is the first message of a thread.
    pub thread: Option<ThreadSummary>,
    /// What it forwards.
    pub forwarded: Option<Forwarded>,
    /// Its position: the conversation's counter when it was sent.
    pub seq: Seq,
    /// The conversation's counter at its last change.
    pub update: Update,
    /// When the sender sent it. Nothing is ordered by it.
    pub created_at: Timestamp,
    /// When the message last changed.
    pub updated_at: Timestamp,
    /// When the sender last edited it. `None` if never.
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
    /// The number that the deletion took.
    pub update: Update,
    /// When somebody deleted it.
    pub deleted_at: Timestamp,
}

/// The recipient of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// One user.
    User(UserId),
    /// A group.
    Group(GroupId),
    /// All users.
    Everybody,
}

impl Recipient {
    /// The error that says that the recipient does not exist.
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
    /// A file that somebody uploaded before and that the sender may read.
    Stored {
        /// How the message is to carry it.
        kind: AttachmentKind,
        /// The id of the file.
        file: FileId,
    },
    /// A file that came with the message. The adapter stores both. An image if its bytes are one.
    Uploaded(NewFile),
}

/// The content of a message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewBody {
    /// Text only.
    Text(Text),
    /// A file, possibly with text.
    Attachment(Attachment, Caption),
    /// What another message says and carries. The sender may read that message.
    Forward(MessageId),
}

impl NewBody {
    /// The text.
    pub fn content(&self) -> &str {
        match self {
            Self::Text(text) => text.as_str(),
            Self::Attachment(_, caption) => caption.as_str(),
            Self::Forward(_) => "",
        }
    }
}

/// A message on its way to the log. Everything that needs no storage has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The id of the message if it is stored.
    pub id: MessageId,
    /// The id of the direct conversation if this is its first message.
    pub new_conversation: ConversationId,
    /// The caller.
    pub sender: UserId,
    /// The recipient.
    pub recipient: Recipient,
    /// What the message is to say or carry.
    pub body: NewBody,
    /// The message of the same conversation that it answers.
    pub reply_to: Option<MessageId>,
    /// The first message of the thread that it is to be a reply in.
    pub thread_id: Option<MessageId>,
    /// The mentions. `None`: those that the content names.
    pub mentions: Option<SaidMentions>,
    /// The key that retries of the same message carry.
    pub key: Option<IdempotencyKey>,
    /// Whether the sender's draft in the conversation ends with it.
    pub clears_draft: bool,
    /// The time of the transaction. Nothing is ordered by it.
    pub at: Timestamp,
}

/// A message that changed, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeEntry {
    /// Somebody sent or edited it.
    Message(Box<Message>),
    /// Somebody deleted it.
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
    /// Where the next page begins: the number of the last entry, or the conversation's counter if no page follows.
    pub update: Update,
    /// The entries in the order of their numbers.
    pub entries: Vec<ChangeEntry>,
    /// Whether another page follows.
    pub more: bool,
    /// The digest of the conversation at `update`, if no page follows.
    pub digest: Option<ShortDigest>,
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
    fn an_edit_may_empty_a_caption_but_not_a_text() {
        let empty = Content::parse("").unwrap();
        assert!(empty.for_type(MessageType::Text).is_err());
        assert_eq!(empty.for_type(MessageType::Image).unwrap(), "");
    }
}
