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

/// A place in the order of everything that was ever committed to one database. Opaque: only compared.
///
/// What was committed after a revision was taken has that revision or a greater one. So who has been given everything up
/// to [`Committed::cursor`] misses nothing by asking for all from it on, and at worst is given something once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

/// What one transaction made happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// In the order in which it happened.
    pub events: Vec<Event>,
    /// From where to resume for who has been given all of it and all that was published before it.
    pub cursor: Revision,
}

/// Where committed events go.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait EventPublisher: Send + Sync {
    /// Called after the commit, for one conversation in the order of its commits. MUST NOT block or fail: a slow listener
    /// is the publisher's concern.
    fn publish(&self, committed: Committed);
}

/// For a server without live connections, and for tests that do not look.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoListeners;

impl EventPublisher for NoListeners {
    fn publish(&self, _committed: Committed) {}
}
