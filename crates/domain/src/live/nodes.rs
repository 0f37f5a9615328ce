//! What a node reads to keep up with what other nodes commit to the same database, whatever became of the word that
//! they sent.

use crate::error::Result;
use crate::events::{Audience, Event, Head, Revision};
use crate::ids::{ConversationId, SessionId, UserId};
use async_trait::async_trait;

/// A conversation in which something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedConversation {
    /// Which.
    pub conversation: ConversationId,
    /// To whom it is of interest.
    pub audience: Audience,
    /// Where it stands.
    pub head: Head,
}

/// What happened anywhere from a revision on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Where.
    pub conversations: Vec<ChangedConversation>,
    /// All that was committed before this revision is told of; what commits later has it or a greater one.
    pub at: Revision,
}

/// What a node knows of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All up to here.
    Head(Head),
    /// All that was committed before this revision.
    Before(Revision),
}

/// What happened in a conversation behind what a node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// To whom it is of interest.
    pub audience: Audience,
    /// Messages sent, edited and deleted, each as it is now, in the order of their numbers; who is given them knows the
    /// conversation's messages up to `head`.
    pub events: Vec<Event>,
    /// Where that leads to.
    pub head: Head,
    /// Where the conversation stands.
    pub stands: Head,
    /// Whether there is more behind it.
    pub more: bool,
    /// How many numbers lie between what is known and where the conversation stands; where they are more than
    /// [`MOST_IN_ONE`](super::MOST_IN_ONE), any number greater than that.
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
