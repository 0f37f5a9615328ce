//! Conversations as a user sees them in a list.

use crate::context::{Caller, Timestamp};
use crate::error::{Invalid, Result};
use crate::events::Revision;
use crate::groups::GroupView;
use crate::ids::{ConversationId, UserId};
use crate::messages::{Message, Update};
use crate::page::{Limit, Page};
use crate::receipts::UnseenCount;
use crate::users::User;
use async_trait::async_trait;
use std::sync::Arc;

/// Counterpart whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counterpart {
    /// The other user, possibly deleted, possibly oneself.
    User(User),
    /// A group.
    Group(GroupView),
    /// Everybody.
    Everybody,
}

/// When a conversation was last active, in the order in which messages were committed: the list's order, which no clock
/// decides. Of two sends of which one was answered before the other began, the other comes later, on whatever nodes
/// they were. Sends at once come in some order, the same for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Activity {
    /// Of the transaction in which the last message was sent (in a group without one: one joined).
    pub revision: Revision,
    /// Which message of the transaction that was.
    pub nth: i64,
}

/// A conversation one is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The id of the conversation.
    pub id: ConversationId,
    /// Counterpart whom.
    pub with: Counterpart,
    /// The newest live message.
    pub last_message: Option<Message>,
    /// How many live messages of others one has not seen; 0 for the broadcast.
    pub unseen: UnseenCount,
    /// The counter.
    pub update: Update,
    /// Its place in the list.
    pub activity: Activity,
    /// When the last message was sent (in a group without one: when one joined), by the clock, and not before any
    /// earlier one of the conversation.
    pub active_at: Timestamp,
}

/// A place in the list: behind a conversation that was active then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// When it was active.
    pub activity: Activity,
    /// The id of the conversation.
    pub id: ConversationId,
}

impl ConversationCursor {
    /// Behind this one.
    pub fn behind(conversation: &Conversation) -> Self {
        Self { activity: conversation.activity, id: conversation.id }
    }

    /// Reads what its `Display` writes: the two numbers and the id, with dots between. Carries the place, since a
    /// conversation moves to the top while the list is read.
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
    /// The conversations the user is in, latest [`Activity`] first: direct ones, groups, and the broadcast once it has
    /// a message.
    async fn list(&self, user: UserId, before: Option<ConversationCursor>, limit: Limit) -> Result<Page<Conversation>>;
}

/// Lists one's conversations.
pub struct ListConversations {
    /// Stores conversations.
    pub conversations: Arc<dyn ConversationRepository>,
}

impl ListConversations {
    /// # Errors
    /// Only faults of storage.
    pub async fn execute(
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
        let list = ListConversations { conversations: Arc::new(conversations) };
        assert_eq!(outcome(list.execute(&caller(1), Some(behind), limit)).unwrap(), page);
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
