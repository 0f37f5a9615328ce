//! The ports that store and read messages: one log per conversation.

use super::history::MessageVersion;
use super::mentions::EditCommand;
use super::model::{Changes, Message, NewMessage, Recipient};
use super::numbers::Update;
use super::page_version::{PageRead, PageVersion};
use super::reactions::{Emoji, Reactor};
use super::threads::ThreadWindow;
use super::windows::{Around, Listing, PageAround, Replies};
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
/// fails takes no number, except that after [`Unavailable::StorageOutOfReach`](crate::Unavailable::StorageOutOfReach)
/// nobody knows: a caller who repeats the draft with the same key finds out.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait MessageLog: Send + Sync {
    /// Appends a message to the conversation of its recipient; it MUST create a direct conversation that does not exist
    /// yet. A sender who may see a public group joins it in the same transaction
    /// ([`GroupAccess::may_send`](crate::groups::GroupAccess::may_send)). MUST drop the sender's draft in the same
    /// transaction, if the message says so.
    ///
    /// The message brings the conversation back for members who have archived it, unless
    /// [`Archive::holds`](crate::views::Archive::holds). MUST publish their settings, for so many of them as one
    /// transaction can take; later messages publish those of the others.
    ///
    /// # Errors
    /// In this order: [`NotFound`](crate::NotFound) for a recipient, file, forwarded or replied-to message, or first
    /// message of a thread, that the sender may not see or that was deleted; [`Invalid`](crate::Invalid) for an image
    /// that is none, or by [`ThreadStart::admits`](super::ThreadStart::admits); `Forbidden` by
    /// [`ServerPolicy::may_broadcast`](crate::users::ServerPolicy::may_broadcast), and by
    /// [`Access::may_mention_all`](super::Access::may_mention_all) if the draft gives such mentions;
    /// [`Conflict::KeyReused`](crate::Conflict::KeyReused) by [`IdempotencyRecord`](super::IdempotencyRecord).
    /// [`Unavailable::Overloaded`](crate::Unavailable::Overloaded) if the queue is full.
    async fn append(&self, draft: NewMessage) -> Result<Appended>;

    /// Changes the content of a message and its mentions, by [`Access::may_edit`](super::Access::may_edit). An edit to
    /// the same content and mentions takes no number and changes nothing. MUST keep the content that the edit replaces
    /// as a version, if [`EditHistory`](super::EditHistory) says so: of the oldest ones only as many as fit its limit.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) if the actor may not read the message; then those of
    /// [`Content::for_type`](super::Content::for_type), because form comes before right (`docs/api.md`, Conventions);
    /// then those of the rule; then that of [`Message::can_be_edited`], and of
    /// [`Access::may_mention_all`](super::Access::may_mention_all).
    async fn edit(&self, actor: UserId, id: MessageId, edit: EditCommand, at: Timestamp) -> Result<Message>;

    /// Turns a message into a tombstone and forgets its content, by [`Access::may_delete`](super::Access::may_delete).
    ///
    /// # Errors
    /// Those of the rule.
    async fn delete(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()>;

    /// Reacts to a message, by [`Access::may_react`](super::Access::may_react). Takes no number if the actor has
    /// reacted with the emoji before.
    ///
    /// # Errors
    /// Those of the rule; [`Conflict`](crate::Conflict) by
    /// [`ReactionCounts::may_add`](super::ReactionCounts::may_add).
    async fn react(&self, actor: UserId, id: MessageId, emoji: Emoji, at: Timestamp) -> Result<()>;

    /// Takes a reaction back, by the same rule. Takes no number if there is none.
    ///
    /// # Errors
    /// Those of the rule.
    async fn unreact(&self, actor: UserId, id: MessageId, emoji: Emoji, at: Timestamp) -> Result<()>;

    /// Pins a message, by [`Access::may_pin`](super::Access::may_pin). Takes no number if it is pinned.
    ///
    /// # Errors
    /// Those of the rule; [`Conflict`](crate::Conflict) by [`may_pin_another`](super::may_pin_another).
    async fn pin(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()>;

    /// Unpins a message, by the same rule. Takes no number if it is not pinned.
    ///
    /// # Errors
    /// Those of the rule.
    async fn unpin(&self, actor: UserId, id: MessageId, at: Timestamp) -> Result<()>;
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
    async fn page(
        &self,
        viewer: UserId,
        of: Recipient,
        listing: Listing,
        known: Option<PageVersion>,
    ) -> Result<PageRead>;

    /// Messages of the conversation with the recipient around a place: as many older as newer ones, the message at the
    /// place counted among the newer ones, or more of one kind if there are fewer of the other.
    ///
    /// # Errors
    /// Those of [`MessageReader::page`].
    async fn around(
        &self,
        viewer: UserId,
        of: Recipient,
        place: Around,
        replies: Replies,
        limit: Limit,
    ) -> Result<PageAround>;

    /// The first message of the thread that `id` is in, and its replies, oldest first, without deleted ones. `id` names
    /// any of them.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) if `id` names no message, or a deleted one, or the viewer may
    /// not read it; or if the cursor names no message of the thread, deleted or not.
    async fn thread(&self, viewer: UserId, id: MessageId, window: ThreadWindow, limit: Limit) -> Result<Page<Message>>;

    /// The messages of others that mention the viewer by name, or all members while the viewer was one and has been
    /// since, newest first: those before a message. Only what the viewer may read at this moment. In the broadcast the
    /// members are the users who had signed up.
    ///
    /// # Errors
    /// Those of storage.
    async fn mentions(&self, viewer: UserId, before: Option<MessageId>, limit: Limit) -> Result<Page<Message>>;

    /// The pinned messages of a conversation, pinned last first: those that were pinned before the number.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation) if the viewer may not read it.
    async fn pins(
        &self,
        viewer: UserId,
        of: ConversationId,
        before: Option<Update>,
        limit: Limit,
    ) -> Result<Page<Message>>;

    /// Who reacted to a message, all or with one emoji, oldest first: those behind the number.
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) if the viewer may not read it.
    async fn reactors(
        &self,
        viewer: UserId,
        id: MessageId,
        emoji: Option<Emoji>,
        after: Update,
        limit: Limit,
    ) -> Result<Page<Reactor>>;

    /// What a message said, oldest first, the present content last, by
    /// [`EditHistory::may_read`](super::EditHistory::may_read).
    ///
    /// # Errors
    /// [`NotFound::Message`](crate::NotFound::Message) if the viewer may not read it; those of the rule.
    async fn versions(&self, viewer: UserId, id: MessageId) -> Result<Vec<MessageVersion>>;

    /// The message, if it is not deleted and the viewer may read it.
    async fn find(&self, viewer: UserId, id: MessageId) -> Result<Option<Message>>;

    /// The changes of a conversation after the number `after`, in the order of their numbers.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation) if the viewer may not read it.
    async fn changes(&self, viewer: UserId, of: ConversationId, after: Update, limit: Limit) -> Result<Changes>;
}
