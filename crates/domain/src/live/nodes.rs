//! What a node reads from the database to keep up with other nodes, even if it lost their packets.

use crate::error::Result;
use crate::events::{Audience, ConversationVersion, Event, Revision};
use crate::ids::{ConversationId, SessionId, UserId};
use async_trait::async_trait;

/// A conversation that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedConversation {
    /// The id of the conversation.
    pub conversation: ConversationId,
    /// The users to whom the conversation is of interest.
    pub audience: Audience,
    /// The version of the conversation at the time of the query.
    pub version: ConversationVersion,
}

/// Every conversation that changed from a revision on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The conversations in which something changed.
    pub conversations: Vec<ChangedConversation>,
    /// The answer covers everything that was committed before this revision. Later commits have it or a greater one.
    pub at: Revision,
}

/// What a node knows of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Everything that led to this version.
    Version(ConversationVersion),
    /// Everything that was committed before this revision.
    Before(Revision),
}

/// What happened in a conversation after what a node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The users to whom the conversation is of interest.
    pub audience: Audience,
    /// Messages that users sent, changed or deleted, each as it is now, in the order of their numbers. A node that has
    /// them knows the conversation's messages up to `version`.
    pub events: Vec<Event>,
    /// The version that these events lead to.
    pub version: ConversationVersion,
    /// The current version of the conversation, at the time of the query.
    pub stands: ConversationVersion,
    /// Whether more events follow.
    pub more: bool,
    /// How many numbers lie between `known` and the current version. If they are more than
    /// [`MAX_MISSED_IN_ONE`](super::MAX_MISSED_IN_ONE), any number greater than that.
    pub missed: i64,
    /// Those of the users asked about who are in the group now. `None` if neither the group nor its members changed.
    pub members: Option<Vec<UserId>>,
}

/// What nodes read. Every answer MUST include every commit that a node acknowledged before the call.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait NodeReader: Send + Sync {
    /// The conversations in which messages, the group or its members changed from `since` on. MUST contain all of them.
    /// May contain one that changed earlier.
    async fn changed(&self, since: Revision) -> Result<Changed>;

    /// A page of what happened in a conversation after `known`. For a group whose members changed, also those of
    /// `among` who are members now. `None` if there is no such conversation.
    async fn past(&self, of: ConversationId, known: Known, among: Vec<UserId>) -> Result<Option<Past>>;

    /// Notes what another node committed. MUST NOT return a session as live any more that these events ended.
    fn heard(&self, events: &[Event]);

    /// Those of the sessions that have ended, or whose users are deleted.
    async fn ended(&self, sessions: Vec<SessionId>) -> Result<Vec<SessionId>>;
}
