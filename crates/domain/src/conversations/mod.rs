//! The list of a user's conversations.

use crate::context::{Caller, Timestamp};
use crate::error::{Invalid, Result};
use crate::events::Revision;
use crate::groups::GroupView;
use crate::ids::{ConversationId, UserId};
use crate::messages::{Message, ShortDigest, Update};
use crate::page::{Limit, Page};
use crate::receipts::UnseenCount;
use crate::users::User;
use async_trait::async_trait;
use std::sync::Arc;

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

/// Stores conversations.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ConversationRepository: Send + Sync {
    /// The user's conversations, latest [`Activity`] first: direct ones, groups, and the broadcast once it has a
    /// message.
    async fn list(&self, user: UserId, before: Option<ConversationCursor>, limit: Limit) -> Result<Page<Conversation>>;
}

/// Lists conversations.
pub struct ConversationService {
    /// Stores conversations.
    pub conversations: Arc<dyn ConversationRepository>,
}

impl ConversationService {
    /// Lists the caller's conversations.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn list(
        &self,
        caller: &Caller,
        before: Option<ConversationCursor>,
        limit: Limit,
    ) -> Result<Page<Conversation>> {
        self.conversations.list(caller.user, before, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Digest;
    use crate::testing::{at, caller, conversation, message, outcome, user};
    use mockall::predicate::eq;

    #[test]
    fn ones_own_conversations_are_listed_and_the_last_one_tells_where_to_go_on() {
        let last = Conversation {
            id: conversation(5),
            with: Counterpart::Everybody,
            last_message: Some(message(1)),
            unseen: UnseenCount::default(),
            update: Update(1),
            digest: Digest::ZERO.short(),
            activity: Activity { revision: Revision(7), nth: 2 },
            active_at: at(9),
        };
        let behind = ConversationCursor::behind(&last);
        let activity = Activity { revision: Revision(7), nth: 2 };
        assert_eq!(behind, ConversationCursor { activity, id: conversation(5) });
        let limit = Limit::of_list(Some(1)).unwrap();
        let mut conversations = MockConversationRepository::new();
        let found = Page { items: vec![last], more: true };
        let page = found.clone();
        conversations
            .expect_list()
            .once()
            .with(eq(user(1)), eq(Some(behind)), eq(limit))
            .return_once(move |_, _, _| Ok(found));
        let conversations = ConversationService { conversations: Arc::new(conversations) };
        assert_eq!(outcome(conversations.list(&caller(1), Some(behind), limit)).unwrap(), page);
    }

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
