//! The ports that store and read messages: one log per conversation.

use super::model::{Changes, Content, Draft, Message, Recipient, Window};
use super::numbers::Update;
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::page::{Limit, Page};
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
/// fails takes no number, except that [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach) means
/// *unknown*: the same draft key settles it.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MessageLog: Send + Sync {
    /// Appends a message to the conversation of its recipient, which for a direct one MUST be made if needed. A sender
    /// who may see a public group joins it in the same transaction
    /// ([`GroupAccess::may_send`](crate::groups::GroupAccess::may_send)).
    ///
    /// # Errors
    /// In this order: [`NotFound`](crate::NotFound) for a recipient, file or replied-to message that the sender may not
    /// see or that was deleted; [`Invalid`](crate::Invalid) for an image that is none; `Forbidden` by
    /// [`ServerPolicy::may_broadcast`](crate::users::ServerPolicy::may_broadcast);
    /// [`Conflict::KeyReused`](crate::Conflict::KeyReused) by [`IdempotencyRecord`](super::IdempotencyRecord).
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) when the queue is full.
    async fn append(&self, draft: Draft) -> Result<Appended>;

    /// Changes the words of a live message, by [`Access::may_edit`](super::Access::may_edit).
    ///
    /// # Errors
    /// Where the message may not be read, that it is not there; then [`Content::for_type`]'s, since form comes before
    /// right (`docs/api.md`, Conventions); then the rule's.
    async fn edit(&self, actor: UserId, id: MessageId, content: Content, at: Timestamp) -> Result<Message>;

    /// Makes a live message a tombstone, its words forgotten, by [`Access::may_delete`](super::Access::may_delete).
    ///
    /// # Errors
    /// The rule's.
    async fn delete(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()>;
}

/// The reading side. Each call sees one moment of the database, membership included.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MessageReader: Send + Sync {
    /// Live messages of the conversation with the recipient, oldest first. Two users who have not talked have an empty
    /// one.
    ///
    /// # Errors
    /// [`Recipient::not_found`] where the viewer may not read it; [`NotFound::Message`](crate::NotFound::Message) where
    /// a cursor names no message, live or deleted, of this conversation.
    async fn page(&self, viewer: UserId, of: Recipient, window: Window) -> Result<Page<Message>>;

    /// The live message, if the viewer may read it.
    async fn find(&self, viewer: UserId, id: MessageId) -> Result<Option<Message>>;

    /// What changed in a conversation after the number `after`, in order of `update`.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation) where the viewer may not read it.
    async fn changes(&self, viewer: UserId, of: ConversationId, after: Update, limit: Limit) -> Result<Changes>;
}
