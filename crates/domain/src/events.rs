//! What happened, for whoever is connected.

use crate::context::Timestamp;
use crate::groups::{Group, Member};
use crate::ids::{ConversationId, MessageId, SessionId, UserId};
use crate::messages::{Message, Place, Tombstone};

/// Something that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message was sent.
    MessageCreated(Message),
    /// A message was edited.
    MessageUpdated(Message),
    /// A message was deleted. With its sender and place, which say to whom this is of interest.
    MessageDeleted {
        /// What is left of it.
        tombstone: Tombstone,
        /// Who had sent it.
        sender: UserId,
        /// Where.
        place: Place,
    },
    /// A message was seen: of interest to its sender and to the reader's other devices.
    MessageSeen {
        /// Of which conversation.
        conversation: ConversationId,
        /// Which.
        message: MessageId,
        /// Whose message.
        sender: UserId,
        /// Who has seen it.
        reader: UserId,
        /// When.
        seen_at: Timestamp,
    },
    /// All up to a message was seen: of interest to the reader's other devices.
    ConversationRead {
        /// Which.
        conversation: ConversationId,
        /// Who read it.
        reader: UserId,
        /// Up to which message.
        up_to: MessageId,
    },
    /// Name, description or visibility changed.
    GroupUpdated(Group),
    /// The group is gone. As it last was.
    GroupDeleted(Group),
    /// Somebody joined or was added (also a new group's owner).
    MemberAdded(Member),
    /// Somebody's role changed.
    MemberUpdated(Member),
    /// Somebody left or was removed. As the member last was.
    MemberRemoved(Member),
    /// A session was ended.
    SessionEnded {
        /// Whose.
        user: UserId,
        /// Which.
        session: SessionId,
    },
    /// An account was deleted; its sessions have ended.
    UserDeleted(UserId),
}

/// Where committed events go.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait EventPublisher: Send + Sync {
    /// Takes what one transaction made happen, in order. Called after the commit, for one conversation in the order of
    /// its commits. MUST NOT block or fail: a slow listener is the publisher's concern.
    fn publish(&self, events: Vec<Event>);
}

/// For a server without live connections, and for tests that do not look.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoListeners;

impl EventPublisher for NoListeners {
    fn publish(&self, _events: Vec<Event>) {}
}
