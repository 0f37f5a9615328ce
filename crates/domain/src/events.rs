//! Events: what a transaction changed, for the clients that are connected.

use crate::context::Timestamp;
use crate::groups::{Group, Member};
use crate::ids::{ConversationId, GroupId, MessageId, SessionId, UserId};
use crate::messages::{Destination, Message, ShortDigest, Tombstone, Update};
use crate::views::{Draft, Settings};
use std::collections::HashMap;

/// The digest of the conversation after the change that took the event's number. `None` if whoever made the event
/// learned of the change later, when the conversation had gone on.
pub type EventDigest = Option<ShortDigest>;

/// Something that a committed transaction changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub enum Event {
    /// A user sent a message.
    MessageCreated(Message, EventDigest),
    /// The sender edited a message.
    MessageUpdated(Message, EventDigest),
    /// Somebody deleted a message, or it grew too old. Its sender and destination give the audience.
    MessageDeleted {
        /// What remains of the message.
        tombstone: Tombstone,
        /// The user who had sent it.
        sender: UserId,
        /// Where the message had been sent.
        destination: Destination,
        /// The conversation's digest after the deletion.
        digest: EventDigest,
    },
    /// A user saw a message. The event is for the sender and for the reader's own devices.
    MessageSeen {
        /// The id of the conversation.
        conversation: ConversationId,
        /// Where the message was sent.
        destination: Destination,
        /// The id of the message.
        message: MessageId,
        /// The user who sent the message.
        sender: UserId,
        /// The user who has seen it.
        reader: UserId,
        /// When the reader marked it as seen.
        seen_at: Timestamp,
    },
    /// A user read a conversation up to a message. One event is published for the reader's own devices and one for
    /// each affected sender (`recipient`).
    ConversationRead {
        /// The id of the conversation.
        conversation: ConversationId,
        /// Where the message was sent.
        destination: Destination,
        /// The user whose clients get this event: the reader, or a sender.
        recipient: UserId,
        /// The user who read it.
        reader: UserId,
        /// The last message that the reader has read.
        up_to: MessageId,
    },
    /// A user's settings of a conversation changed. The event is for the user's own devices.
    SettingsChanged {
        /// The id of the conversation.
        conversation: ConversationId,
        /// Where the user's messages to it go.
        destination: Destination,
        /// The user.
        user: UserId,
        /// The settings.
        settings: Settings,
    },
    /// A user's draft in a conversation changed. The event is for the user's own devices.
    DraftChanged {
        /// The id of the conversation.
        conversation: ConversationId,
        /// Where the user's messages to it go.
        destination: Destination,
        /// The user.
        user: UserId,
        /// The draft. `None` if there is none any more.
        draft: Option<Draft>,
    },
    /// A user marked messages as unread. The event is for the user's own devices.
    MarkedUnread {
        /// The id of the conversation.
        conversation: ConversationId,
        /// Where the user's messages to it go.
        destination: Destination,
        /// The user.
        user: UserId,
        /// The first message that the user wants to be unread.
        from: MessageId,
    },
    /// The group's name, description or visibility changed.
    GroupUpdated(Group),
    /// The group is gone. Carries its last state.
    GroupDeleted(Group),
    /// A user joined or was added. A new group's owner counts, too.
    MemberAdded(Member),
    /// A member's role changed.
    MemberUpdated(Member),
    /// A member left or was removed. Carries the member's last state.
    MemberRemoved(Member),
    /// A session was ended.
    SessionEnded {
        /// The id of the user.
        user: UserId,
        /// The id of the session.
        session: SessionId,
    },
    /// An account was deleted; its sessions have ended.
    UserDeleted(UserId),
    /// Each of the two users has written to the other now. From here on the server tells them of each other's presence.
    /// Like presence, the event reaches other nodes at most once.
    Acquainted([UserId; 2]),
}

/// The users whose clients get an event, by the memberships at the time of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum Audience {
    /// These two users, who may be the same one.
    Users([UserId; 2]),
    /// The members of the group.
    Members(GroupId),
    /// Those of the two users who are members of the group.
    MembersAmong(GroupId, [UserId; 2]),
    /// Every connected user.
    Everybody,
    /// No client gets the event itself. The server closes the connections that it ends, or tells clients something else
    /// because of it.
    Nobody,
}

impl Audience {
    /// Whether the audience includes `user`. `is_in` says whether this user is a member of a group.
    pub fn includes(self, user: UserId, is_in: impl Fn(GroupId) -> bool) -> bool {
        match self {
            Self::Users(users) => users.contains(&user),
            Self::Members(group) => is_in(group),
            Self::MembersAmong(group, users) => users.contains(&user) && is_in(group),
            Self::Everybody => true,
            Self::Nobody => false,
        }
    }

    fn of_destination(destination: Destination, sender: UserId) -> Self {
        match destination {
            Destination::Direct { receiver } => Self::Users([sender, receiver]),
            Destination::Group(group) => Self::Members(group),
            Destination::Broadcast => Self::Everybody,
        }
    }
}

/// How an event changes the members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipChange {
    /// The user joins. Takes effect before delivery: the new member gets the event.
    Joins(GroupId, UserId),
    /// The user leaves. Takes effect after delivery: the former member gets the event, and no later one.
    Leaves(GroupId, UserId),
    /// All members leave. Takes effect after delivery: all of them get the event.
    Ends(GroupId),
}

impl Event {
    /// The users whose clients get the event.
    pub fn audience(&self) -> Audience {
        match self {
            Self::MessageCreated(message, _) | Self::MessageUpdated(message, _) => {
                Audience::of_destination(message.destination, message.sender.id)
            }
            Self::MessageDeleted { sender, destination, .. } => Audience::of_destination(*destination, *sender),
            Self::MessageSeen { destination: Destination::Group(group), sender, reader, .. } => {
                Audience::MembersAmong(*group, [*sender, *reader])
            }
            Self::MessageSeen { sender, reader, .. } => Audience::Users([*sender, *reader]),
            Self::ConversationRead { destination: Destination::Group(group), recipient, reader, .. }
                if recipient != reader =>
            {
                Audience::MembersAmong(*group, [*recipient, *recipient])
            }
            Self::ConversationRead { recipient, .. } => Audience::Users([*recipient, *recipient]),
            Self::SettingsChanged { user, .. } | Self::DraftChanged { user, .. } | Self::MarkedUnread { user, .. } => {
                Audience::Users([*user, *user])
            }
            Self::GroupUpdated(group) | Self::GroupDeleted(group) => Audience::Members(group.id),
            Self::MemberAdded(member) | Self::MemberUpdated(member) | Self::MemberRemoved(member) => {
                Audience::Members(member.group)
            }
            Self::SessionEnded { .. } | Self::UserDeleted(_) | Self::Acquainted(_) => Audience::Nobody,
        }
    }

    /// The conversation that the event belongs to. `None` if it belongs to none.
    pub fn conversation(&self) -> Option<ConversationId> {
        match self.scope() {
            Scope::Message { conversation, .. } | Scope::View(conversation) => Some(conversation),
            Scope::Group(group, _) => Some(group.conversation()),
            Scope::Accounts => None,
        }
    }

    /// The number that the event took of its conversation's counter. `None` if it took none.
    pub fn update(&self) -> Option<Update> {
        match self.scope() {
            Scope::Message { update, .. } => Some(update),
            Scope::View(_) | Scope::Group(..) | Scope::Accounts => None,
        }
    }

    /// The conversation's digest at the event's number, if it is known.
    pub fn digest(&self) -> EventDigest {
        match self {
            Self::MessageCreated(_, digest) | Self::MessageUpdated(_, digest) | Self::MessageDeleted { digest, .. } => {
                *digest
            }
            Self::MessageSeen { .. }
            | Self::ConversationRead { .. }
            | Self::SettingsChanged { .. }
            | Self::DraftChanged { .. }
            | Self::MarkedUnread { .. }
            | Self::GroupUpdated(_)
            | Self::GroupDeleted(_)
            | Self::MemberAdded(_)
            | Self::MemberUpdated(_)
            | Self::MemberRemoved(_)
            | Self::SessionEnded { .. }
            | Self::UserDeleted(_)
            | Self::Acquainted(_) => None,
        }
    }

    /// Whether the event changes the group or its members.
    pub fn changes_membership(&self) -> bool {
        match self.scope() {
            Scope::Group(..) => true,
            Scope::Message { .. } | Scope::View(_) | Scope::Accounts => false,
        }
    }

    /// How the event changes the members of a group.
    pub fn membership_change(&self) -> Option<MembershipChange> {
        match self.scope() {
            Scope::Group(_, change) => change,
            Scope::Message { .. } | Scope::View(_) | Scope::Accounts => None,
        }
    }

    /// The one table of what each kind of event changes. A new kind does not compile without a row here.
    fn scope(&self) -> Scope {
        match self {
            Self::MessageCreated(message, _) | Self::MessageUpdated(message, _) => {
                Scope::Message { conversation: message.conversation, update: message.update }
            }
            Self::MessageDeleted { tombstone, .. } => {
                Scope::Message { conversation: tombstone.conversation, update: tombstone.update }
            }
            Self::MessageSeen { conversation, .. }
            | Self::ConversationRead { conversation, .. }
            | Self::SettingsChanged { conversation, .. }
            | Self::DraftChanged { conversation, .. }
            | Self::MarkedUnread { conversation, .. } => Scope::View(*conversation),
            Self::GroupUpdated(group) => Scope::Group(group.id, None),
            Self::GroupDeleted(group) => Scope::Group(group.id, Some(MembershipChange::Ends(group.id))),
            Self::MemberAdded(member) => {
                Scope::Group(member.group, Some(MembershipChange::Joins(member.group, member.user)))
            }
            Self::MemberUpdated(member) => Scope::Group(member.group, None),
            Self::MemberRemoved(member) => {
                Scope::Group(member.group, Some(MembershipChange::Leaves(member.group, member.user)))
            }
            Self::SessionEnded { .. } | Self::UserDeleted(_) | Self::Acquainted(_) => Scope::Accounts,
        }
    }
}

/// What an event changes.
#[derive(Clone, Copy)]
enum Scope {
    /// A message. The change took the next number of the conversation's counter.
    Message { conversation: ConversationId, update: Update },
    /// A user's view of a conversation: what the user has read, settings, the draft. Takes no number.
    View(ConversationId),
    /// A group or its members. Takes no number.
    Group(GroupId, Option<MembershipChange>),
    /// Accounts and sessions: no conversation.
    Accounts,
}

/// A place in the order of everything that was ever committed to one database. Opaque: only compared.
///
/// Whatever commits after a caller took a revision has that revision or a greater one. So a client that has everything
/// up to [`Committed::cursor`] misses nothing if it asks for everything from there on. It may get something twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct Revision(pub i64);

/// How far a conversation has come. A node that knows one version, and is given the events from that version to another
/// one, knows the other one. So a node can tell whether it missed something that another node committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct ConversationVersion {
    /// The message counter: the number of the last change of a message, its sending included. From 1, dense.
    pub update: Update,
    /// The revision of the last transaction that sent or changed a message.
    pub messages_revision: Revision,
    /// The mark of the last change of the group or its members ([`Self::membership_after`]).
    pub membership_revision: Revision,
}

impl ConversationVersion {
    /// The version of a conversation that was just made.
    pub const NEW: Self = Self { update: Update(0), messages_revision: Revision(0), membership_revision: Revision(0) };

    /// The version after a transaction of that revision with these events.
    #[must_use]
    pub fn after<'a>(mut self, events: impl IntoIterator<Item = &'a Event>, revision: Revision) -> Self {
        let membership = self.membership_after(revision);
        for event in events {
            if let Some(update) = event.update() {
                self.update = update;
                self.messages_revision = revision;
            }
            if event.changes_membership() {
                self.membership_revision = membership;
            }
        }
        self
    }

    /// The mark of a change of the group or its members by a transaction of that revision. Normally that revision. If
    /// a transaction with a smaller revision gets the group's lock second, the previous mark plus 1: marks only grow.
    pub fn membership_after(&self, revision: Revision) -> Revision {
        revision.max(Revision(self.membership_revision.0 + 1))
    }

    /// Whether a node that knows this version knows everything that led to the other one.
    pub fn is_at_least(&self, other: &Self) -> bool {
        self.update >= other.update && self.membership_revision >= other.membership_revision
    }

    /// The revision of the last change of any kind.
    pub fn newest(&self) -> Revision {
        self.messages_revision.max(self.membership_revision)
    }
}

/// What one transaction made happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The events, in the order in which they happened.
    pub events: Vec<Event>,
    /// For every conversation that an event belongs to, its version before the transaction.
    pub versions: HashMap<ConversationId, ConversationVersion>,
    /// The revision of the transaction.
    pub revision: Revision,
    /// Where a client resumes that has all of these events and all that were published before.
    pub cursor: Revision,
}

/// Takes the events of committed transactions.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait EventPublisher: Send + Sync {
    /// The writer calls this after each commit; calls for one conversation come in the order of its commits. MUST NOT
    /// block or fail: a slow listener is the publisher's concern.
    fn publish(&self, committed: Committed);

    /// The database may have committed something that the writer cannot publish, because the outcome is unknown. The
    /// writer calls this before it publishes anything later. Every listener has to look in the database. MUST NOT block
    /// or fail.
    fn lost(&self);
}

/// For a server without live connections, and for tests that do not look.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoListeners;

impl EventPublisher for NoListeners {
    fn publish(&self, _committed: Committed) {}

    fn lost(&self) {}
}

#[cfg(test)]
mod tests;
