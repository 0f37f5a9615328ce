//! The ports that store and read messages: one log per conversation.

use super::model::{Changes, Content, Draft, Message, Recipient, Window};
use super::numbers::Update;
use super::page_version::{PageRead, PageVersion};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::page::Limit;
use async_trait::async_trait;

/// The outcome of appending a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The adapter stored it as this message.
    Stored(Message),
    /// The sender had used the key for the same message before. Carries that message as it is now; the adapter stored
    /// nothing.
    Duplicate(Message),
}

/// The writing side.
///
/// Every call MUST be durable before it returns `Ok`, MUST take the next number of the conversation's counter (from 1,
/// dense, in commit order), and MUST publish its event after the commit, in commit order per conversation. A call that
/// fails takes no number, except that after [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach)
/// nobody knows: a caller who repeats the draft with the same key finds out.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MessageLog: Send + Sync {
    /// Appends a message to the conversation of its recipient; it MUST create a direct conversation that does not exist
    /// yet. A sender who may see a public group joins it in the same transaction
    /// ([`GroupAccess::may_send`](crate::groups::GroupAccess::may_send)).
    ///
    /// # Errors
    /// In this order: [`NotFound`](crate::NotFound) for a recipient, file or replied-to message that the sender may not
    /// see or that was deleted; [`Invalid`](crate::Invalid) for an image that is none; `Forbidden` by
    /// [`ServerPolicy::may_broadcast`](crate::users::ServerPolicy::may_broadcast);
    /// [`Conflict::KeyReused`](crate::Conflict::KeyReused) by [`IdempotencyRecord`](super::IdempotencyRecord).
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if the queue is full.
    async fn append(&self, draft: Draft) -> Result<Appended>;

    /// Changes the content of a message, by [`Access::may_edit`](super::Access::may_edit).
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) if the actor may not read the message; then those of
    /// [`Content::for_type`], because form comes before right (`docs/api.md`, Conventions); then those of the rule.
    async fn edit(&self, actor: UserId, id: MessageId, content: Content, at: Timestamp) -> Result<Message>;

    /// Turns a message into a tombstone and forgets its content, by [`Access::may_delete`](super::Access::may_delete).
    ///
    /// # Errors
    /// Those of the rule.
    async fn delete(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()>;
}

/// The reading side. Each call sees one moment of the database, memberships included.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MessageReader: Send + Sync {
    /// Messages of the conversation with the recipient that are not deleted, oldest first. Empty for two users who have
    /// not written to each other. MUST answer [`PageRead::Unchanged`] only if the viewer may read the conversation and
    /// its version is `known`, and MUST decide both by the same moment of the database.
    ///
    /// # Errors
    /// [`Recipient::not_found`] if the viewer may not read it; [`NotFound::Message`](crate::NotFound::Message) if a
    /// cursor names no message, deleted or not, of this conversation.
    async fn page(&self, viewer: UserId, of: Recipient, window: Window, known: Option<PageVersion>)
    -> Result<PageRead>;

    /// The message, if it is not deleted and the viewer may read it.
    async fn find(&self, viewer: UserId, id: MessageId) -> Result<Option<Message>>;

    /// The changes of a conversation after the number `after`, in the order of their numbers.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation) if the viewer may not read it.
    async fn changes(&self, viewer: UserId, of: ConversationId, after: Update, limit: Limit) -> Result<Changes>;
}
