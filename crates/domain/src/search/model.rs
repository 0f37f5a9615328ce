//! What a user searches, and what is found.

use super::index::has_link;
use super::query::{Highlight, SearchQuery};
use crate::context::Timestamp;
use crate::error::Invalid;
use crate::ids::{MessageId, UserId};
use crate::messages::{Message, MessageType, Recipient};
use crate::page::Limit;

/// What a found message must have beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// A file, images too.
    File,
    /// An image.
    Image,
    /// A link, `http://` or `https://`.
    Link,
}

impl Has {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::File, Self::Image, Self::Link];

    /// # Errors
    /// [`Invalid`] naming `has`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|has| has.as_str() == text);
        found.ok_or_else(|| Invalid::new("has", "has must be file, image or link"))
    }

    /// The word that clients write.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Image => "image",
            Self::Link => "link",
        }
    }

    /// Whether the message has it.
    pub fn is_in(self, message: &Message) -> bool {
        match self {
            Self::File => message.body.file().is_some(),
            Self::Image => message.body.message_type() == MessageType::Image,
            Self::Link => has_link(&message.body),
        }
    }
}

/// A place in what was found, newest first. The next page begins behind it. It stays good if the message there is
/// deleted, and if the index is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchCursor {
    /// When the message there was sent.
    pub created_at: Timestamp,
    /// The message there.
    pub id: MessageId,
}

impl SearchCursor {
    /// The place of a message.
    pub fn at(message: &Message) -> Self {
        Self { created_at: message.created_at, id: message.id }
    }

    /// Parses what `Display` writes: microseconds and the id, with a dot between.
    ///
    /// # Errors
    /// [`Invalid`] naming `before`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("before", "before is not a cursor of this list");
        let (micros, id) = text.split_once('.').ok_or_else(malformed)?;
        let created_at = micros.parse().ok().and_then(Timestamp::from_micros).ok_or_else(malformed)?;
        Ok(Self { created_at, id: MessageId::parse("before", id).map_err(|_| malformed())? })
    }
}

impl std::fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.created_at.as_micros(), self.id)
    }
}

/// What a user searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What must be there, and what must not.
    pub query: SearchQuery,
    /// The only conversation to look in. `None`: all conversations of the caller and the broadcast.
    pub within: Option<Recipient>,
    /// The only sender.
    pub sender: Option<UserId>,
    /// What the message must have.
    pub has: Option<Has>,
    /// Not sent before.
    pub since: Option<Timestamp>,
    /// Not sent after.
    pub until: Option<Timestamp>,
    /// Where the page begins.
    pub before: Option<SearchCursor>,
    /// Most messages of the page: [`Search::MAX_LIMIT`] at most.
    pub limit: Limit,
}

/// Which of its texts a message was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundIn {
    /// Its content.
    Content,
    /// The name of its file.
    FileName,
}

impl FoundIn {
    /// The word that clients read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::FileName => "file_name",
        }
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The message.
    pub message: Message,
    /// The text that matched; the content if both did.
    pub place: FoundIn,
    /// What matched in that text, in order.
    pub highlights: Vec<Highlight>,
}

impl Search {
    /// Most messages of a page.
    pub const MAX_LIMIT: u64 = 50;

    /// The limit of a page: 1 to 50, 20 if the client does not say.
    ///
    /// # Errors
    /// [`Invalid`] naming `limit`.
    pub fn limit(asked: Option<u64>) -> Result<Limit, Invalid> {
        match asked.unwrap_or(20) {
            asked @ 1..=Self::MAX_LIMIT => Limit::of_list(Some(asked)),
            _ => Err(Invalid::new("limit", format!("limit must be from 1 to {}", Self::MAX_LIMIT))),
        }
    }

    /// The latest moment at which a message of the page may have been sent.
    pub fn latest(&self) -> Option<Timestamp> {
        let behind = self.before.map(|before| before.created_at);
        match (self.until, behind) {
            (Some(until), Some(behind)) => Some(until.min(behind)),
            (until, behind) => until.or(behind),
        }
    }

    /// The message as it was found, or `None` if it is not what is searched. Whether the caller may read it is decided
    /// elsewhere.
    pub fn judge(&self, message: Message) -> Option<Found> {
        let fits = self.sender.is_none_or(|sender| message.sender.id == sender)
            && self.since.is_none_or(|since| message.created_at >= since)
            && self.until.is_none_or(|until| message.created_at <= until)
            && self.before.is_none_or(|before| SearchCursor::at(&message) < before)
            && self.has.is_none_or(|has| has.is_in(&message));
        if !fits {
            return None;
        }
        let in_content = self.query.highlights(message.body.content()).map(|found| (FoundIn::Content, found));
        let found = in_content.or_else(|| {
            let name = message.body.file()?.name.as_str();
            self.query.highlights(name).map(|found| (FoundIn::FileName, found))
        });
        found.map(|(place, highlights)| Found { message, place, highlights })
    }
}
