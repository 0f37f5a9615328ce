//! The subjects on which a node publishes. There is one for every group and every user, so that a node receives only
//! what its clients need.

use crate::local::interest::Subject;
use domain::UserId;
use domain::events::{Audience, Event};
use domain::messages::Destination;

impl Subject {
    /// The subject's name in NATS.
    pub fn name(self, prefix: &str) -> String {
        match self {
            Self::Group(group) => format!("{prefix}.group.{group}"),
            Self::User(user) => format!("{prefix}.user.{user}"),
            Self::Everybody => format!("{prefix}.everybody"),
            Self::Presence => format!("{prefix}.presence"),
        }
    }
}

/// The subjects that reach an audience.
pub fn subjects(audience: Audience) -> Vec<Subject> {
    match audience {
        Audience::Users([one, other]) if one == other => vec![Subject::User(one)],
        Audience::Users(users) => users.map(Subject::User).into(),
        Audience::Members(group) | Audience::MembersAmong(group, _) => vec![Subject::Group(group)],
        Audience::Everybody => vec![Subject::Everybody],
        Audience::Nobody => Vec::new(),
    }
}

/// The subjects that reach every node that has to act on one of the events.
pub fn concerned<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<Subject> {
    let mut concerned = Vec::new();
    for event in events {
        concerned.extend(subjects(event.audience()));
        match event {
            Event::SessionEnded { user, .. } | Event::UserDeleted(user) => concerned.push(Subject::User(*user)),
            Event::Acquainted(users) => concerned.extend(users.map(Subject::User)),
            // The new member's node need not subscribe to the group yet.
            Event::MemberAdded(member) => concerned.push(Subject::User(member.user)),
            Event::MessageCreated(..)
            | Event::MessageUpdated(..)
            | Event::MessageDeleted { .. }
            | Event::MessageSeen { .. }
            | Event::ConversationRead { .. }
            | Event::SettingsChanged { .. }
            | Event::DraftChanged { .. }
            | Event::MarkedUnread { .. }
            | Event::GroupUpdated(_)
            | Event::GroupDeleted(_)
            | Event::MemberUpdated(_)
            | Event::MemberRemoved(_) => {}
        }
    }
    concerned.sort_unstable();
    concerned.dedup();
    concerned
}

/// All users to whom the conversation of the event is of interest. They may be more than the audience of the event: a
/// receipt concerns one or two users of a group, a draft one.
pub fn conversation_audience(event: &Event) -> Audience {
    let of = |destination: Destination, author: UserId| match destination {
        Destination::Direct { receiver } => Audience::Users([author, receiver]),
        Destination::Group(group) => Audience::Members(group),
        Destination::Broadcast => Audience::Everybody,
    };
    match event {
        Event::MessageCreated(message, _) | Event::MessageUpdated(message, _) => {
            of(message.destination, message.sender.id)
        }
        Event::MessageDeleted { sender, destination, .. } | Event::MessageSeen { sender, destination, .. } => {
            of(*destination, *sender)
        }
        Event::ConversationRead { reader, destination, .. } => of(*destination, *reader),
        Event::SettingsChanged { user, destination, .. }
        | Event::DraftChanged { user, destination, .. }
        | Event::MarkedUnread { user, destination, .. } => of(*destination, *user),
        Event::GroupUpdated(group) | Event::GroupDeleted(group) => Audience::Members(group.id),
        Event::MemberAdded(member) | Event::MemberUpdated(member) | Event::MemberRemoved(member) => {
            Audience::Members(member.group)
        }
        Event::SessionEnded { .. } | Event::UserDeleted(_) | Event::Acquainted(_) => Audience::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ConversationId, GroupId, MessageId};
    use uuid::Uuid;

    const GROUP: GroupId = GroupId(Uuid::from_u128(7));

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    /// User 1 read, and `recipient` is told.
    fn read(recipient: u128, destination: Destination) -> Event {
        let (conversation, up_to) = (ConversationId(GROUP.0), MessageId(Uuid::from_u128(9)));
        Event::ConversationRead { conversation, destination, recipient: user(recipient), reader: user(1), up_to }
    }

    #[test]
    fn a_read_receipt_that_one_user_is_told_of_has_the_whole_conversation_as_its_audience() {
        let direct = Destination::Direct { receiver: user(2) };
        for (destination, expected) in [
            (Destination::Group(GROUP), Audience::Members(GROUP)),
            (direct, Audience::Users([user(1), user(2)])),
            (Destination::Broadcast, Audience::Everybody),
        ] {
            // The reader's own devices are told first.
            for recipient in [1, 2] {
                assert_eq!(
                    conversation_audience(&read(recipient, destination)),
                    expected,
                    "{recipient} {destination:?}"
                );
            }
        }
        assert_eq!(read(1, Destination::Group(GROUP)).audience(), Audience::Users([user(1), user(1)]));
    }
}
