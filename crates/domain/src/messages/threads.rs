//! Threads: replies that belong to one message of the conversation.

use super::model::Message;
use super::service::MessageService;
use crate::context::{Caller, Timestamp};
use crate::error::{Invalid, NotFound, Result};
use crate::ids::{ConversationId, MessageId};
use crate::page::{Limit, Page};

/// What the first message of a thread shows of its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct ThreadSummary {
    /// Replies that are not deleted. At least one.
    pub replies: u64,
    /// When the last of them was sent.
    pub last_reply_at: Timestamp,
}

/// Where a page of a thread begins. Pages come oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadWindow {
    /// At the first message.
    Start,
    /// Behind a message of the thread, deleted or not.
    After(MessageId),
    /// The newest messages before one of the thread, deleted or not.
    Before(MessageId),
}

/// The message that a draft names as the first one of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadStart {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Whether it is a reply in a thread itself.
    pub is_reply: bool,
}

impl ThreadStart {
    /// Whether a message to `conversation` (`None`: a direct one that does not exist yet) may go into this thread.
    /// `found` is the message of the thread's id, if the sender may read it and nobody deleted it.
    ///
    /// # Errors
    /// [`NotFound::Message`] if there is none; [`Invalid`] naming `thread_id` if it is in another conversation, or in a
    /// thread itself.
    pub fn admits(found: Option<Self>, conversation: Option<ConversationId>) -> Result<()> {
        let Some(start) = found else { return NotFound::Message.err() };
        if conversation != Some(start.conversation) {
            return Invalid::new("thread_id", "thread_id must name a message of the same conversation").err();
        }
        if start.is_reply {
            return Invalid::new("thread_id", "thread_id must name a message that is in no thread itself").err();
        }
        Ok(())
    }
}

impl MessageService {
    /// Lists the first message of a thread and its replies. `id` names any of them. A message without replies is a
    /// thread of one.
    ///
    /// # Errors
    /// Those of [`MessageReader::thread`](super::MessageReader::thread).
    pub async fn thread(
        &self,
        caller: &Caller,
        id: MessageId,
        window: ThreadWindow,
        limit: Limit,
    ) -> Result<Page<Message>> {
        self.reader.thread(caller.user, id, window, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::testing::conversation;

    #[test]
    fn a_thread_begins_at_a_message_of_the_conversation_that_is_in_none() {
        let (here, there) = (Some(conversation(1)), Some(conversation(2)));
        let start = |is_reply| Some(ThreadStart { conversation: conversation(1), is_reply });
        assert!(ThreadStart::admits(start(false), here).is_ok());
        assert!(matches!(ThreadStart::admits(None, here), Err(Error::NotFound(NotFound::Message))));
        for (found, to) in [(start(true), here), (start(false), there), (start(false), None)] {
            let refused = ThreadStart::admits(found, to).unwrap_err();
            assert_eq!(refused.field(), Some("thread_id"), "{found:?} {to:?}");
        }
    }
}
