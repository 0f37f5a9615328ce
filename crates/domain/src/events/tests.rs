use super::*;
use crate::groups::{Description, GroupName, Role, Visibility};
use crate::messages::Seq;
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

fn said(destination: Destination) -> Event {
    Event::MessageCreated(Message { destination, ..message(1) }, None)
}

/// By user 2, told to a user.
fn read(recipient: u128, destination: Destination) -> Event {
    let (conversation, up_to) = (conversation(1), message_id(1));
    Event::ConversationRead { conversation, destination, recipient: user(recipient), reader: user(2), up_to }
}

/// By user 2.
fn view_change() -> Event {
    let destination = Destination::Group(GROUP);
    Event::SettingsChanged { conversation: conversation(1), destination, user: user(2), settings: Settings::default() }
}

fn seen(destination: Destination) -> Event {
    let (sender, reader) = (user(1), user(2));
    Event::MessageSeen {
        conversation: conversation(1),
        destination,
        message: message_id(1),
        sender,
        reader,
        seen_at: at(1),
    }
}

#[test]
fn of_two_transactions_the_second_to_change_a_group_is_newer_whichever_began_first() {
    let before =
        ConversationVersion { update: Update(7), messages_revision: Revision(90), membership_revision: Revision(101) };
    let change = [Event::MemberRemoved(member(2)), Event::MemberRemoved(member(3))];
    let after = before.after(&change, Revision(100));
    assert_eq!((after.update, after.membership_revision), (Update(7), Revision(102)));
    assert!(after.is_at_least(&before) && !before.is_at_least(&after));
    assert_eq!(before.after(&change, Revision(200)).membership_revision, Revision(200));
}

/// Who of: the sender 1, the receiver or reader 2, another 3; each in the group and not.
#[test]
fn events_go_to_those_they_concern() {
    let everybody = [true; 6];
    let members = [true, true, true, false, false, false];
    let the_two = [true, true, false, true, true, false];
    for (event, expected) in [
        (said(Destination::Direct { receiver: user(2) }), the_two),
        (said(Destination::Group(GROUP)), members),
        (said(Destination::Broadcast), everybody),
        (seen(Destination::Direct { receiver: user(2) }), the_two),
        // Who has left does not learn any more who reads.
        (seen(Destination::Group(GROUP)), [true, true, false, false, false, false]),
        (read(2, Destination::Group(GROUP)), [false, true, false, false, true, false]),
        (read(1, Destination::Direct { receiver: user(1) }), [true, false, false, true, false, false]),
        (read(1, Destination::Group(GROUP)), [true, false, false, false, false, false]),
        (Event::GroupUpdated(group()), members),
        (Event::GroupDeleted(group()), members),
        (Event::MemberAdded(member(2)), members),
        (Event::MemberRemoved(member(2)), members),
        (Event::UserDeleted(user(1)), [false; 6]),
        (Event::Acquainted([user(1), user(2)]), [false; 6]),
        (view_change(), [false, true, false, false, true, false]),
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
        Event::MessageCreated(..) => "created",
        Event::MessageUpdated(..) => "updated",
        Event::MessageDeleted { .. } => "deleted",
        Event::MessageSeen { .. } => "seen",
        Event::ConversationRead { .. } => "read",
        Event::SettingsChanged { .. } => "settings",
        Event::DraftChanged { .. } => "draft",
        Event::MarkedUnread { .. } => "unread",
        Event::GroupUpdated(_) => "group updated",
        Event::GroupDeleted(_) => "group deleted",
        Event::MemberAdded(_) => "member added",
        Event::MemberUpdated(_) => "member updated",
        Event::MemberRemoved(_) => "member removed",
        Event::SessionEnded { .. } => "session ended",
        Event::UserDeleted(_) => "user deleted",
        Event::Acquainted(_) => "acquainted",
    };
    let tombstone = Tombstone {
        id: message_id(1),
        conversation: conversation(1),
        seq: Seq(1),
        update: Update(3),
        deleted_at: at(1),
    };
    let destination = Destination::Group(GROUP);
    let events = vec![
        said(Destination::Group(GROUP)),
        Event::MessageUpdated(Message { update: Update(2), ..message(1) }, None),
        Event::MessageDeleted { tombstone, sender: user(1), destination: Destination::Broadcast, digest: None },
        seen(Destination::Group(GROUP)),
        read(1, Destination::Group(GROUP)),
        view_change(),
        Event::DraftChanged { conversation: conversation(1), destination, user: user(2), draft: None },
        Event::MarkedUnread { conversation: conversation(1), destination, user: user(2), from: message_id(1) },
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
        (here, Some(Update(2)), false, None),
        (here, Some(Update(3)), false, None),
        (here, None, false, None),
        (here, None, false, None),
        (here, None, false, None),
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
        let found = (event.conversation(), event.update(), event.changes_membership(), event.membership_change());
        assert_eq!(found, expected, "{event:?}");
        // A node gives an event of a conversation on by that conversation, any other by its kind.
        let reaches_nobody = event.audience() == Audience::Nobody;
        assert_eq!(reaches_nobody, event.conversation().is_none(), "{event:?}");
    }
}
