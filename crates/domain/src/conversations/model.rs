//! The types of the list of conversations.

use crate::context::Timestamp;
use crate::error::Invalid;
use crate::events::Revision;
use crate::groups::GroupView;
use crate::ids::ConversationId;
use crate::messages::{Message, Seq, ShortDigest, Update};
use crate::receipts::UnseenCount;
use crate::users::User;
use crate::views::{Draft, Settings};

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counterpart {
    /// The other user, who may be deleted; in a conversation of a user with themselves, the user.
    User(User),
    /// A group.
    Group(GroupView),
    /// All users: the broadcast.
    Everybody,
}

/// When a conversation was last active, in the order in which messages were committed. The list has this order, and no
/// clock decides it. If one send was answered before another began, the other comes later, whichever nodes served them.
/// Concurrent sends come in some order, which is the same for all users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Activity {
    /// The revision of the transaction that sent the last message; in a group without messages, of the one in which the
    /// user joined.
    pub revision: Revision,
    /// The number of the message within that transaction.
    pub nth: i64,
}

/// A conversation of the user who lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The id of the conversation.
    pub id: ConversationId,
    /// The other side.
    pub with: Counterpart,
    /// The newest message that is not deleted.
    pub last_message: Option<Message>,
    /// How many messages of others the user has not seen; 0 for the broadcast. Deleted messages do not count.
    pub unseen: UnseenCount,
    /// The conversation's message counter.
    pub update: Update,
    /// The digest of the conversation at `update`.
    pub digest: ShortDigest,
    /// Up to this message nothing is unseen for the user ([`UnseenCount`]).
    pub read_up_to: Seq,
    /// The newest message that another user has marked as seen, or read up to; 0 if nobody has.
    pub others_read_up_to: Seq,
    /// The user's settings.
    pub settings: Settings,
    /// What the user has begun to write there.
    pub draft: Option<Draft>,
    /// The conversation's place in the list.
    pub activity: Activity,
    /// When somebody sent the last message (in a group without messages: when the user joined), by the clock, but never
    /// before an earlier message of the conversation.
    pub active_at: Timestamp,
}

/// A place in the list. The next page begins behind it. It carries the activity as it was, because a conversation may
/// move to the top while the client reads the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// The activity of the last conversation of the page.
    pub activity: Activity,
    /// The id of the last conversation of the page.
    pub id: ConversationId,
}

impl ConversationCursor {
    /// The place behind `conversation`.
    pub fn behind(conversation: &Conversation) -> Self {
        Self { activity: conversation.activity, id: conversation.id }
    }

    /// Parses what `Display` writes: the two numbers and the id, with dots between.
    ///
    /// # Errors
    /// [`Invalid`] naming `before`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("before", "before is not a cursor of this list");
        let (revision, rest) = text.split_once('.').ok_or_else(malformed)?;
        let (nth, id) = rest.split_once('.').ok_or_else(malformed)?;
        let revision = Revision(revision.parse().map_err(|_| malformed())?);
        let nth = nth.parse().map_err(|_| malformed())?;
        Ok(Self { activity: Activity { revision, nth }, id: ConversationId::parse("before", id)? })
    }
}

impl std::fmt::Display for ConversationCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.activity.revision.0, self.activity.nth, self.id)
    }
}

/// Which conversations of the list a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConversationFilter {
    /// Only archived ones, or only others.
    pub archived: Option<bool>,
    /// Only those with unseen messages, or only others.
    pub unseen: Option<bool>,
}

impl ConversationFilter {
    /// Whether the list shows a conversation.
    pub fn admits(self, archived: bool, unseen: UnseenCount) -> bool {
        self.archived.is_none_or(|asked| asked == archived)
            && self.unseen.is_none_or(|asked| asked == (unseen.count > 0))
    }
}

/// The outcome of opening a direct conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It did not exist before.
    Made(Conversation),
    /// It existed.
    Found(Conversation),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_writes() {
        for (revision, nth) in [(-5, 0), (0, 7), (i64::MIN, i64::MIN), (i64::MAX, i64::MAX)] {
            let activity = Activity { revision: Revision(revision), nth };
            let cursor = ConversationCursor { activity, id: ConversationId::BROADCAST };
            assert_eq!(ConversationCursor::parse(&cursor.to_string()).unwrap(), cursor);
        }
        let id = ConversationId::BROADCAST;
        for bad in ["", "x", "1", "1.2", "1.2.x"].map(str::to_owned).into_iter().chain([
            format!("1.{id}"),
            format!("x.2.{id}"),
            format!("1.x.{id}"),
            format!("1.2.3.{id}"),
            format!("9223372036854775808.0.{id}"),
            format!("1.2.{id}.3"),
        ]) {
            assert_eq!(ConversationCursor::parse(&bad).unwrap_err().field, "before", "{bad}");
        }
    }
}
