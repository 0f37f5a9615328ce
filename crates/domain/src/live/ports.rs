//! What a live connection reads from storage: the groups of its user, and what the user missed.

use super::acquaintance::Acquaintance;
use crate::error::Result;
use crate::events::{ConversationVersion, Revision};
use crate::ids::{ConversationId, GroupId, UserId};
use crate::messages::Update;
use async_trait::async_trait;

/// The groups and contacts of a user at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriptions {
    /// The groups, each with the version of its conversation.
    pub groups: Vec<(GroupId, ConversationVersion)>,
    /// Existing users who have written to this user and whom this user has written to ([`Acquaintance::each_wrote`]).
    pub contacts: Vec<UserId>,
    /// The moment. Everything that is committed later has this revision or a greater one.
    pub at: Revision,
}

/// A conversation in which the user missed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedIn {
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// The user missed numbers after this one; `MessageService::list_changes` returns them. An adapter looks back no
    /// further than a replay reaches. If the user missed more than [`MAX_MISSED_IN_ONE`](super::MAX_MISSED_IN_ONE), or
    /// than is left of [`MAX_MISSED_IN_ALL`](super::MAX_MISSED_IN_ALL), `after` is the number one further back than
    /// that.
    pub after: Update,
    /// The counter now. The user missed at most `update - after` numbers.
    pub update: Update,
}

/// What happened in a user's conversations from a revision on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Whether the user's groups or memberships changed. The client has to load them again.
    pub memberships_changed: bool,
    /// Whether the user's own settings, drafts or marks of a conversation changed. The client has to load the list of
    /// conversations again.
    pub views_changed: bool,
    /// Conversations, the broadcast included, in which users sent, changed or deleted messages.
    pub conversations: Vec<MissedIn>,
}

/// What live connections read.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait LiveReader: Send + Sync {
    /// The user's groups and contacts, and the moment of the answer.
    async fn subscriptions(&self, user: UserId) -> Result<Subscriptions>;

    /// The relation of two users.
    async fn acquaintance(&self, one: UserId, other: UserId) -> Result<Acquaintance>;

    /// What the user missed from `since` on. MUST contain everything that was committed then or later. May contain
    /// something older. `None` if `since` is no revision of this database: greater than every revision, or less than
    /// the first (every database begins at another one).
    async fn missed(&self, user: UserId, since: Revision) -> Result<Option<Missed>>;
}
