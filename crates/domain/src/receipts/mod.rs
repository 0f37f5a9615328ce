//! Who has seen what.

use crate::context::{Caller, Clock, Timestamp};
use crate::error::{Forbidden, Result};
use crate::ids::{ConversationId, GroupId, MessageId, UserId};
use async_trait::async_trait;
use std::sync::Arc;

/// Somebody has seen a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Who.
    pub user: UserId,
    /// The name as shown.
    pub username: String,
    /// When.
    pub seen_at: Timestamp,
}

/// What somebody has not seen yet. Leaves out one's own messages, deleted ones and the broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unseen {
    /// By the other user: id, name as shown, how many. None with 0.
    pub direct: Vec<(UserId, String, u64)>,
    /// By group: id, name, how many. None with 0.
    pub groups: Vec<(GroupId, String, u64)>,
}

impl Unseen {
    /// Over all conversations.
    pub fn total(&self) -> u64 {
        let direct = self.direct.iter().map(|(.., count)| count);
        direct.chain(self.groups.iter().map(|(.., count)| count)).sum()
    }
}

/// Where receipts are kept.
///
/// What may be marked is decided by [`Access::may_mark`](crate::messages::Access::may_mark) in the transaction that marks;
/// marking is idempotent, publishes its event only where it changes something, and a message once seen stays seen.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ReceiptRepository: Send + Sync {
    /// Marks one live message; the sender's own is a no-op.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message), then the rule's.
    async fn mark_seen(&self, reader: UserId, message: MessageId, at: Timestamp) -> Result<()>;

    /// Marks all messages of the conversation up to `up_to`, which may be a deleted one.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation); [`NotFound::Message`](crate::NotFound::Message) where
    /// `up_to` is no message of it; then the rule's.
    async fn mark_read(&self, reader: UserId, of: ConversationId, up_to: MessageId, at: Timestamp) -> Result<()>;

    /// Who has seen a live message (its sender and deleted users left out), by when.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) where the viewer may not read it.
    async fn of_message(&self, viewer: UserId, message: MessageId) -> Result<Vec<Receipt>>;

    /// What the user has not seen. MUST cost in proportion to what is unseen, not to what was ever said.
    async fn unseen(&self, user: UserId) -> Result<Unseen>;
}

/// Marks one message as seen.
pub struct MarkSeen {
    /// Where receipts are kept.
    pub receipts: Arc<dyn ReceiptRepository>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl MarkSeen {
    /// # Errors
    /// Those of [`ReceiptRepository::mark_seen`].
    pub async fn execute(&self, caller: &Caller, message: MessageId) -> Result<()> {
        self.receipts.mark_seen(caller.user, message, self.clock.now()).await
    }
}

/// Marks a conversation as read up to a message.
pub struct MarkRead {
    /// Where receipts are kept.
    pub receipts: Arc<dyn ReceiptRepository>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl MarkRead {
    /// # Errors
    /// Those of [`ReceiptRepository::mark_read`].
    pub async fn execute(&self, caller: &Caller, of: ConversationId, up_to: MessageId) -> Result<()> {
        self.receipts.mark_read(caller.user, of, up_to, self.clock.now()).await
    }
}

/// Lists who has seen a message.
pub struct ListReceipts {
    /// Where receipts are kept.
    pub receipts: Arc<dyn ReceiptRepository>,
}

impl ListReceipts {
    /// # Errors
    /// Those of [`ReceiptRepository::of_message`].
    pub async fn execute(&self, caller: &Caller, message: MessageId) -> Result<Vec<Receipt>> {
        self.receipts.of_message(caller.user, message).await
    }
}

/// Counts what one has not seen.
pub struct CountUnseen {
    /// Where receipts are kept.
    pub receipts: Arc<dyn ReceiptRepository>,
}

impl CountUnseen {
    /// # Errors
    /// [`Forbidden::NotOneself`] for another's.
    pub async fn execute(&self, caller: &Caller, of: UserId) -> Result<Unseen> {
        if of != caller.user {
            return Forbidden::NotOneself.err();
        }
        self.receipts.unseen(of).await
    }
}
