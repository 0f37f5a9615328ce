//! What happened, for whoever is connected.

use crate::context::Timestamp;
use crate::groups::{Group, Member};
use crate::ids::{ConversationId, GroupId, MessageId, SessionId, UserId};
use crate::messages::{Message, Place, Tombstone};
use std::collections::HashMap;

/// Something that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
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
        /// Where it was said.
        place: Place,
        /// Which.
        message: MessageId,
        /// Whose message.
        sender: UserId,
        /// Who has seen it.
        reader: UserId,
        /// When.
        seen_at: Timestamp,
    },
    /// All up to a message was seen: of interest to the reader's other devices, and to who sent something of it, each
    /// told by an event of one's own.
    ConversationRead {
        /// Which.
        conversation: ConversationId,
        /// Where it was said.
        place: Place,
        /// Whom this tells of it.
        told: UserId,
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
    /// Each of the two has written to the other now: from here on they are told of each other's coming and going. Like
    /// that, it reaches other nodes at most once.
    Acquainted([UserId; 2]),
}

/// To whom an event is of interest, by what is known when it is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub enum Audience {
    /// These two, who may be the same.
    Users([UserId; 2]),
    /// Who is in the group.
    Members(GroupId),
    /// These two, as far as they are in the group.
    MembersAmong(GroupId, [UserId; 2]),
    /// Everybody who is connected.
    Everybody,
    /// Nobody is told: what it ends is cut off, or others are told something else because of it.
    Nobody,
}

impl Audience {
    /// Whether `user` belongs to it, who is in the groups for which `is_in` holds.
    pub fn includes(self, user: UserId, is_in: impl Fn(GroupId) -> bool) -> bool {
        match self {
            Self::Users(users) => users.contains(&user),
            Self::Members(group) => is_in(group),
            Self::MembersAmong(group, users) => users.contains(&user) && is_in(group),
            Self::Everybody => true,
            Self::Nobody => false,
        }
    }

    fn of_place(place: Place, sender: UserId) -> Self {
        match place {
            Place::Direct { receiver } => Self::Users([sender, receiver]),
            Place::Group(group) => Self::Members(group),
            Place::Broadcast => Self::Everybody,
        }
    }
}

/// What an event does to who is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipChange {
    /// Takes effect before the event is given out: who joins is told.
    Joins(GroupId, UserId),
    /// Takes effect after the event was given out: who leaves is told, and nothing after that.
    Leaves(GroupId, UserId),
    /// All leave, and are told.
    Ends(GroupId),
}

impl Event {
    /// To whom it is of interest.
    pub fn audience(&self) -> Audience {
        match self {
            Self::MessageCreated(message) | Self::MessageUpdated(message) => {
                Audience::of_place(message.place, message.sender.id)
            }
            Self::MessageDeleted { sender, place, .. } => Audience::of_place(*place, *sender),
            Self::MessageSeen { place: Place::Group(group), sender, reader, .. } => {
                Audience::MembersAmong(*group, [*sender, *reader])
            }
            Self::MessageSeen { sender, reader, .. } => Audience::Users([*sender, *reader]),
            Self::ConversationRead { place: Place::Group(group), told, reader, .. } if told != reader => {
                Audience::MembersAmong(*group, [*told, *told])
            }
            Self::ConversationRead { told, .. } => Audience::Users([*told, *told]),
            Self::GroupUpdated(group) | Self::GroupDeleted(group) => Audience::Members(group.id),
            Self::MemberAdded(member) | Self::MemberUpdated(member) | Self::MemberRemoved(member) => {
                Audience::Members(member.group)
            }
            Self::SessionEnded { .. } | Self::UserDeleted(_) | Self::Acquainted(_) => Audience::Nobody,
        }
    }

    /// The conversation it belongs to, if it belongs to one.
    pub fn conversation(&self) -> Option<ConversationId> {
        match self.scope() {
            Scope::Message { conversation, .. } | Scope::Receipt(conversation) => Some(conversation),
            Scope::Group(group, _) => Some(group.conversation()),
            Scope::Accounts => None,
        }
    }

    /// The number it took of its conversation's counter, if it took one.
    pub fn update(&self) -> Option<i64> {
        match self.scope() {
            Scope::Message { update, .. } => Some(update),
            Scope::Receipt(_) | Scope::Group(..) | Scope::Accounts => None,
        }
    }

    /// Whether it changes the group or its members.
    pub fn changes_roster(&self) -> bool {
        match self.scope() {
            Scope::Group(..) => true,
            Scope::Message { .. } | Scope::Receipt(_) | Scope::Accounts => false,
        }
    }

    /// What it does to who is in a group.
    pub fn membership_change(&self) -> Option<MembershipChange> {
        match self.scope() {
            Scope::Group(_, change) => change,
            Scope::Message { .. } | Scope::Receipt(_) | Scope::Accounts => None,
        }
    }

    /// The one table of what the kinds of events change. A new kind has to be given its row.
    fn scope(&self) -> Scope {
        match self {
            Self::MessageCreated(message) | Self::MessageUpdated(message) => {
                Scope::Message { conversation: message.conversation, update: message.update }
            }
            Self::MessageDeleted { tombstone, .. } => {
                Scope::Message { conversation: tombstone.conversation, update: tombstone.update }
            }
            Self::MessageSeen { conversation, .. } | Self::ConversationRead { conversation, .. } => {
                Scope::Receipt(*conversation)
            }
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
    Message { conversation: ConversationId, update: i64 },
    /// What somebody has read in a conversation. Takes no number.
    Receipt(ConversationId),
    /// A group or its members, with what that does to who is in it. Takes no number.
    Group(GroupId, Option<MembershipChange>),
    /// Accounts and sessions: no conversation.
    Accounts,
}

/// A place in the order of everything that was ever committed to one database. Opaque: only compared.
///
/// What was committed after a revision was taken has that revision or a greater one. So who has been given everything
/// up to [`Committed::cursor`] misses nothing by asking for all from it on, and at worst is given something once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize))]
pub struct Revision(pub i64);

/// Where a conversation stands. Whoever knows it as it stands at one head, and is given what leads from that head to
/// another, knows it as it stands at the other: so a node tells whether it missed something that another one committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "replication", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Head {
    /// Its counter.
    pub update: i64,
    /// Of the last time a message was sent, edited or deleted.
    pub changed: Revision,
    /// Of the last time the group or its members changed.
    pub roster: Revision,
}

impl Head {
    /// Of what was just made.
    pub const NEW: Self = Self { update: 0, changed: Revision(0), roster: Revision(0) };

    /// Where it stands after these events of a transaction of that revision.
    #[must_use]
    pub fn after<'a>(mut self, events: impl IntoIterator<Item = &'a Event>, revision: Revision) -> Self {
        let roster = self.roster_after(revision);
        for event in events {
            if let Some(update) = event.update() {
                self.update = update;
                self.changed = revision;
            }
            if event.changes_roster() {
                self.roster = roster;
            }
        }
        self
    }

    /// What a transaction of that revision marks a change of the group or its members with. Never less than before,
    /// though of two transactions the one with the smaller revision may be the second to change the group: who knows a
    /// greater mark knows all.
    pub fn roster_after(&self, revision: Revision) -> Revision {
        revision.max(Revision(self.roster.0 + 1))
    }

    /// Whether who knows this head knows all that the other does.
    pub fn covers(&self, other: &Self) -> bool {
        self.update >= other.update && self.roster >= other.roster
    }

    /// The last time anything changed.
    pub fn newest(&self) -> Revision {
        self.changed.max(self.roster)
    }
}

/// What one transaction made happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// In the order in which it happened.
    pub events: Vec<Event>,
    /// Of every conversation that one of them belongs to: where it stood before.
    pub heads: HashMap<ConversationId, Head>,
    /// What its changes are marked with.
    pub revision: Revision,
    /// From where to resume for who has been given all of it and all that was published before it.
    pub cursor: Revision,
}

/// Where committed events go.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait EventPublisher: Send + Sync {
    /// Called after the commit, for one conversation in the order of its commits. MUST NOT block or fail: a slow
    /// listener is the publisher's concern.
    fn publish(&self, committed: Committed);

    /// Something may have been committed that is not going to be published: nobody knows. Called before anything later
    /// is published; whoever was given what came before has to look for themselves. MUST NOT block or fail.
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
mod tests {
    use super::*;
    use crate::groups::{Description, GroupName, Role, Visibility};
    use crate::testing::{at, conversation, message, message_id, user};
    use std::collections::HashSet;
    use uuid::Uuid;

    const GROUP: GroupId = GroupId(Uuid::from_u128(9));

    fn member(n: u128) -> Member {
        Member {
            group: GROUP,
            user: user(n),
            username: String::new(),
            role: Role::Member,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    fn group() -> Group {
        Group {
            id: GROUP,
            name: GroupName::parse("name", "g").unwrap(),
            description: Description::none(),
            visibility: Visibility::Private,
            member_count: 2,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    fn said(place: Place) -> Event {
        Event::MessageCreated(Message { place, ..message(1) })
    }

    /// By user 2, told to a user.
    fn read(told: u128, place: Place) -> Event {
        let (conversation, up_to) = (conversation(1), message_id(1));
        Event::ConversationRead { conversation, place, told: user(told), reader: user(2), up_to }
    }

    fn seen(place: Place) -> Event {
        let (sender, reader) = (user(1), user(2));
        Event::MessageSeen {
            conversation: conversation(1),
            place,
            message: message_id(1),
            sender,
            reader,
            seen_at: at(1),
        }
    }

    #[test]
    fn of_two_transactions_the_second_to_change_a_group_is_newer_whichever_began_first() {
        let before = Head { update: 7, changed: Revision(90), roster: Revision(101) };
        let change = [Event::MemberRemoved(member(2)), Event::MemberRemoved(member(3))];
        let after = before.after(&change, Revision(100));
        assert_eq!((after.update, after.roster), (7, Revision(102)));
        assert!(after.covers(&before) && !before.covers(&after));
        assert_eq!(before.after(&change, Revision(200)).roster, Revision(200));
    }

    /// Who of: the sender 1, the receiver or reader 2, another 3; each in the group and not.
    #[test]
    fn events_go_to_those_they_concern() {
        let everybody = [true; 6];
        let members = [true, true, true, false, false, false];
        let the_two = [true, true, false, true, true, false];
        for (event, expected) in [
            (said(Place::Direct { receiver: user(2) }), the_two),
            (said(Place::Group(GROUP)), members),
            (said(Place::Broadcast), everybody),
            (seen(Place::Direct { receiver: user(2) }), the_two),
            // Who has left does not learn any more who reads.
            (seen(Place::Group(GROUP)), [true, true, false, false, false, false]),
            (read(2, Place::Group(GROUP)), [false, true, false, false, true, false]),
            (read(1, Place::Direct { receiver: user(1) }), [true, false, false, true, false, false]),
            (read(1, Place::Group(GROUP)), [true, false, false, false, false, false]),
            (Event::GroupUpdated(group()), members),
            (Event::GroupDeleted(group()), members),
            (Event::MemberAdded(member(2)), members),
            (Event::MemberRemoved(member(2)), members),
            (Event::UserDeleted(user(1)), [false; 6]),
            (Event::Acquainted([user(1), user(2)]), [false; 6]),
        ] {
            let audience = event.audience();
            let who = [(1, true), (2, true), (3, true), (1, false), (2, false), (3, false)];
            let told = who.map(|(n, inside)| audience.includes(user(n), |group| inside && group == GROUP));
            assert_eq!(told, expected, "{event:?}");
        }
    }

    /// One event of every kind. A new kind does not compile until it has a name here: list it below too.
    fn one_of_each() -> Vec<Event> {
        let name = |event: &Event| match event {
            Event::MessageCreated(_) => "created",
            Event::MessageUpdated(_) => "updated",
            Event::MessageDeleted { .. } => "deleted",
            Event::MessageSeen { .. } => "seen",
            Event::ConversationRead { .. } => "read",
            Event::GroupUpdated(_) => "group updated",
            Event::GroupDeleted(_) => "group deleted",
            Event::MemberAdded(_) => "member added",
            Event::MemberUpdated(_) => "member updated",
            Event::MemberRemoved(_) => "member removed",
            Event::SessionEnded { .. } => "session ended",
            Event::UserDeleted(_) => "user deleted",
            Event::Acquainted(_) => "acquainted",
        };
        let tombstone =
            Tombstone { id: message_id(1), conversation: conversation(1), seq: 1, update: 3, deleted_at: at(1) };
        let events = vec![
            said(Place::Group(GROUP)),
            Event::MessageUpdated(Message { update: 2, ..message(1) }),
            Event::MessageDeleted { tombstone, sender: user(1), place: Place::Broadcast },
            seen(Place::Group(GROUP)),
            read(1, Place::Group(GROUP)),
            Event::GroupUpdated(group()),
            Event::GroupDeleted(group()),
            Event::MemberAdded(member(2)),
            Event::MemberUpdated(member(2)),
            Event::MemberRemoved(member(2)),
            Event::SessionEnded { user: user(1), session: SessionId(Uuid::from_u128(5)) },
            Event::UserDeleted(user(1)),
            Event::Acquainted([user(1), user(2)]),
        ];
        let names: HashSet<_> = events.iter().map(name).collect();
        assert_eq!(names.len(), events.len(), "a kind is listed twice");
        events
    }

    #[test]
    fn every_kind_says_what_it_changes() {
        let here = Some(conversation(1));
        let group = Some(GROUP.conversation());
        let (joins, leaves) = (MembershipChange::Joins(GROUP, user(2)), MembershipChange::Leaves(GROUP, user(2)));
        // Conversation, number, whether it changes the group or its members, and who is in the group after it.
        let expected = [
            (here, Some(message(1).update), false, None),
            (here, Some(2), false, None),
            (here, Some(3), false, None),
            (here, None, false, None),
            (here, None, false, None),
            (group, None, true, None),
            (group, None, true, Some(MembershipChange::Ends(GROUP))),
            (group, None, true, Some(joins)),
            (group, None, true, None),
            (group, None, true, Some(leaves)),
            (None, None, false, None),
            (None, None, false, None),
            (None, None, false, None),
        ];
        let events = one_of_each();
        assert_eq!(events.len(), expected.len());
        for (event, expected) in events.iter().zip(expected) {
            let found = (event.conversation(), event.update(), event.changes_roster(), event.membership_change());
            assert_eq!(found, expected, "{event:?}");
            // A node gives an event of a conversation on by that conversation, any other by its kind.
            let reaches_nobody = event.audience() == Audience::Nobody;
            assert_eq!(reaches_nobody, event.conversation().is_none(), "{event:?}");
        }
    }
}
