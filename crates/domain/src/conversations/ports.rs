//! The port that stores users' views of conversations.

use super::model::{Conversation, ConversationCursor, ConversationFilter, Opened};
use crate::context::Timestamp;
use crate::error::Result;
use crate::ids::{ConversationId, UserId};
use crate::page::{Limit, Page};
use crate::views::{NewDraft, SettingsChange};
use async_trait::async_trait;

/// Stores users' views of conversations.
///
/// A view is one user's: a change takes no number of the conversation, and MUST publish an event for the user alone. A
/// change that changes nothing publishes none. A user has a view of each conversation that
/// [`Access::may_mark`](crate::messages::Access::may_mark) says so of, and the transaction that changes one MUST ask
/// that rule. The view ends with the membership.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ConversationRepository: Send + Sync {
    /// The user's conversations that the filter admits, latest [`Activity`](super::Activity) first: direct ones,
    /// groups, and the broadcast once it has a message. A direct conversation without messages is only in the lists of
    /// users who have opened it.
    async fn list(
        &self,
        user: UserId,
        filter: ConversationFilter,
        before: Option<ConversationCursor>,
        limit: Limit,
    ) -> Result<Page<Conversation>>;

    /// Opens the direct conversation of a user with another one or with themselves: makes it, if there is none, and
    /// lists it for `user`. Nobody else learns of it.
    ///
    /// # Errors
    /// [`NotFound::User`](crate::NotFound::User) if `other` does not exist, or is deleted and shares no conversation
    /// with the user.
    async fn open_direct(&self, user: UserId, other: UserId, new: ConversationId, at: Timestamp) -> Result<Opened>;

    /// Changes the settings, and answers with the conversation. Judges by [`Archive`](crate::views::Archive) whether
    /// the conversation was archived before.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation), then the rule's.
    async fn change_settings(
        &self,
        user: UserId,
        of: ConversationId,
        change: SettingsChange,
        at: Timestamp,
    ) -> Result<Conversation>;

    /// Keeps a draft instead of the one before.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation); [`NotFound::Message`](crate::NotFound::Message) if
    /// `reply_to` or `thread_id` names no message that the user may read; [`Invalid`](crate::Invalid) if it names one
    /// of another conversation, or by [`ThreadStart::admits`](crate::messages::ThreadStart::admits); then the rule's.
    async fn keep_draft(&self, user: UserId, of: ConversationId, draft: NewDraft, at: Timestamp) -> Result<()>;

    /// Drops the draft, if there is one.
    ///
    /// # Errors
    /// [`NotFound::Conversation`](crate::NotFound::Conversation), then the rule's.
    async fn drop_draft(&self, user: UserId, of: ConversationId) -> Result<()>;
}
