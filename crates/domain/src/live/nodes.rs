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
    /// Messages sent, edited and deleted, each as it is now, in the order of their numbers; who is given them knows the
    /// conversation's messages up to `version`.
    pub events: Vec<Event>,
    /// The version that these events lead to.
    pub version: ConversationVersion,
    /// The version of the conversation at the time of the query.
    pub stands: ConversationVersion,
    /// Whether more events follow.
    pub more: bool,
    /// How many numbers lie between what is known and where the conversation stands; where they are more than
    /// [`MAX_MISSED_IN_ONE`](super::MAX_MISSED_IN_ONE), any number greater than that.
    pub missed: i64,
    /// Of those asked about, who is in the group now; `None` where nothing of the group or its members changed.
    pub members: Option<Vec<UserId>>,
}

/// What nodes read. All of it MUST see every commit that was acknowledged before the call, whichever node made it.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait NodeReader: Send + Sync {
    /// In which conversations messages, the group or its members changed from `since` on. None may be left out; one
    /// that changed before may be in.
    async fn changed(&self, since: Revision) -> Result<Changed>;

    /// What happened in a conversation behind what is known, a page of it; of a group whose members changed, which of
    /// `among` are in now. `None` where there is no such conversation.
    async fn past(&self, of: ConversationId, known: Known, among: Vec<UserId>) -> Result<Option<Past>>;

    /// Takes note of what another node committed: an ended session MUST NOT be taken for a live one after that.
    fn heard(&self, events: &[Event]);

    /// Which of these sessions are not live any more: ended, or of a deleted user.
    async fn ended(&self, sessions: Vec<SessionId>) -> Result<Vec<SessionId>>;
}
