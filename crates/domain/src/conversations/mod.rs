//! Conversations as a user sees them in a list.

use crate::context::{Caller, Timestamp};
use crate::error::{Invalid, Result};
use crate::groups::GroupView;
use crate::ids::{ConversationId, UserId};
use crate::messages::Message;
use crate::page::{Limit, Page};
use crate::users::User;
use async_trait::async_trait;
use std::sync::Arc;

/// With whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// The other user, possibly deleted, possibly oneself.
    User(User),
    /// A group.
    Group(GroupView),
    /// Everybody.
    Everybody,
}

/// A conversation one is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Which.
    pub id: ConversationId,
    /// With whom.
    pub with: With,
    /// The newest live message.
    pub last_message: Option<Message>,
    /// How many live messages of others one has not seen; 0 for the broadcast.
    pub unseen: u64,
    /// The counter.
    pub update: i64,
    /// When the last message was sent (in a group without one: when one joined): the list's order.
    pub active_at: Timestamp,
}

/// A place in the list: behind a conversation that was active at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// When it was active.
    pub active_at: Timestamp,
    /// Which.
    pub id: ConversationId,
}

impl ConversationCursor {
    /// The begin of the year 1, in microseconds: nothing was active before it, and not every database knows of such times.
    const EARLIEST: i64 = -62_135_596_800_000_000;

    /// Behind this one.
    pub fn behind(conversation: &Conversation) -> Self {
        Self { active_at: conversation.active_at, id: conversation.id }
    }

    /// Reads what its `Display` writes: microseconds, a dot, the id. Carries the moment, since a conversation moves to the
    /// top while the list is read.
    ///
    /// # Errors
    /// [`Invalid`] naming `before`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let malformed = || Invalid::new("before", "before is not a cursor of this list");
        let (micros, id) = text.split_once('.').ok_or_else(malformed)?;
        let active_at = micros.parse().ok().filter(|micros| *micros >= Self::EARLIEST).and_then(Timestamp::from_micros);
        let active_at = active_at.ok_or_else(malformed)?;
        Ok(Self { active_at, id: ConversationId::parse("before", id)? })
    }
}

impl std::fmt::Display for ConversationCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.active_at.as_micros(), self.id)
    }
}

/// Where conversations are kept.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ConversationRepository: Send + Sync {
    /// The conversations the user is in, latest first: direct ones, groups, and the broadcast once it has a message.
    async fn list(&self, user: UserId, before: Option<ConversationCursor>, limit: Limit) -> Result<Page<Conversation>>;
}

/// Lists one's conversations.
pub struct ListConversations {
    /// Where conversations are kept.
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
            with: With::Everybody,
            last_message: Some(message(1)),
            unseen: 0,
            update: 1,
            active_at: at(9),
        };
        let behind = ConversationCursor::behind(&last);
        assert_eq!(behind, ConversationCursor { active_at: at(9), id: conversation(5) });
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
        let cursor =
            ConversationCursor { active_at: Timestamp::from_micros(-5).unwrap(), id: ConversationId::BROADCAST };
        assert_eq!(ConversationCursor::parse(&cursor.to_string()).unwrap(), cursor);
        for bad in ["", "x", "1", "1.x"] {
            assert_eq!(ConversationCursor::parse(bad).unwrap_err().field, "before");
        }
        for (micros, good) in [
            ("-62135596800000000", true),
            ("-62135596800000001", false),
            ("-300000000000000000", false),
            ("8210266876799999999", true),
            ("8210266876800000000", false),
            ("99999999999999999999", false),
        ] {
            let text = format!("{micros}.01900000-0000-7000-8000-000000000001");
            assert_eq!(ConversationCursor::parse(&text).is_ok(), good, "{text}");
        }
    }
}
