//! What a live connection needs of storage: in which groups its user is, and what it missed while it was away.

use super::acquaintance::Acquaintance;
use crate::error::Result;
use crate::events::{ConversationVersion, Revision};
use crate::ids::{ConversationId, GroupId, UserId};
use crate::messages::Update;
use async_trait::async_trait;

/// In which groups somebody is, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriptions {
    /// The groups, and where each stands.
    pub groups: Vec<(GroupId, ConversationVersion)>,
    /// Living users who have written to this one and been written to ([`Acquaintance::each_wrote`]).
    pub contacts: Vec<UserId>,
    /// The moment: everything committed later has this revision or a greater one.
    pub at: Revision,
}

/// Where something was missed in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedIn {
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// What was missed has numbers after this one: `ListChanges` gives it. An adapter looks for it no further back than
    /// is replayed: where more was missed than [`MAX_MISSED_IN_ONE`](super::MAX_MISSED_IN_ONE), or than is left of
    /// [`MAX_MISSED_IN_ALL`](super::MAX_MISSED_IN_ALL), `after` is the number one further back than that.
    pub after: Update,
    /// The counter now: how many numbers were missed at most is `update - after`.
    pub update: Update,
}

/// What happened to somebody's conversations from a revision on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Whether groups or memberships changed: what is known of them has to be loaded again.
    pub roster_changed: bool,
    /// Conversations, the broadcast included, in which messages were sent, edited or deleted.
    pub conversations: Vec<MissedIn>,
}

/// What live connections read.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait LiveReader: Send + Sync {
    /// The user's groups and contacts, and the moment that this was so.
    async fn subscriptions(&self, user: UserId) -> Result<Subscriptions>;

    /// How two users stand to each other.
    async fn acquaintance(&self, one: UserId, other: UserId) -> Result<Acquaintance>;

    /// What the user missed from `since` on: nothing committed then or later may be left out, something older may be
    /// in. `None` where `since` is no revision of this database: greater than any, or less (each begins to count
    /// somewhere else).
    async fn missed(&self, user: UserId, since: Revision) -> Result<Option<Missed>>;
}
