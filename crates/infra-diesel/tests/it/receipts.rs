//! `ReceiptRepository`: marking, and who has seen what.

use crate::world::{World, fresh, limit, now, refused};
use domain::events::Event;
use domain::groups::{Role, Visibility};
use domain::messages::{Destination, Message, Recipient};
use domain::receipts::{Receipt, ReceiptRepository};
use domain::users::{Change, DisplayName, ProfileChange, UserRepository};
use domain::{ConversationId, MessageId, SessionId, Timestamp, UserId};
use test_support::TestDb;

on_both!(
    a_message_is_seen_once_and_stays_seen,
    ones_own_message_is_a_no_op,
    reading_marks_all_up_to_a_place,
    reading_is_told_to_who_sent_what_was_read,
    reading_keeps_the_moment_of_what_was_seen_before,
    a_deleted_message_marks_a_place_and_nothing_else,
    marking_is_for_members_of_what_exists,
    receipts_name_the_living_and_not_the_sender,
    receipts_are_for_who_may_read,
    receipts_come_in_pages,
    the_broadcast_can_be_marked,
);

/// Who has seen the message, and when, as `viewer` is told.
async fn seen_by(world: &World, viewer: UserId, message: &Message) -> Vec<(UserId, Timestamp)> {
    let receipts = world.of_message(viewer, message.id, None, limit(200)).await.unwrap();
    assert!(!receipts.more);
    receipts.items.into_iter().map(|receipt| (receipt.user, receipt.seen_at)).collect()
}

async fn a_message_is_seen_once_and_stays_seen(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let (first, second) =
        (world.say(ada, Recipient::User(bob), "1").await, world.say(ada, Recipient::User(bob), "2").await);
    world.events.take();
    let when = now();
    world.mark_seen(bob, second.id, when).await.unwrap();
    let events = world.events.take();
    let [Event::MessageSeen { conversation, message, sender, reader, seen_at, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*conversation, *message, *sender), (second.conversation, second.id, ada));
    assert_eq!((*reader, *seen_at), (bob, when));
    // Again, by name or by reading up to it: no change, no event, the first moment stays.
    world.mark_seen(bob, second.id, now()).await.unwrap();
    assert_eq!(world.events.take(), []);
    world.mark_read(bob, second.conversation, second.id, now()).await.unwrap();
    world.mark_seen(bob, first.id, now()).await.unwrap();
    for viewer in [ada, bob] {
        assert_eq!(seen_by(&world, viewer, &second).await, [(bob, when)]);
    }
}

async fn ones_own_message_is_a_no_op(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "1").await;
    let note = world.say(ada, Recipient::User(ada), "note").await;
    world.events.take();
    for message in [&sent, &note] {
        world.mark_seen(ada, message.id, now()).await.unwrap();
        assert_eq!(seen_by(&world, ada, message).await, []);
    }
    assert_eq!(world.events.take(), []);
}

async fn reading_marks_all_up_to_a_place(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..5 {
        said.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    let of = said[0].conversation;
    world.events.take();
    let (first, second) = (now(), now());
    world.mark_read(bob, of, said[2].id, first).await.unwrap();
    let destination = Destination::Direct { receiver: ada };
    let read = |recipient| Event::ConversationRead {
        conversation: of,
        destination,
        recipient,
        reader: bob,
        up_to: said[2].id,
    };
    assert_eq!(world.events.take(), [read(bob), read(ada)]);
    assert_eq!(world.unseen_in(bob, of).await, 2);
    // Not down, and not again.
    for place in [0, 2] {
        world.mark_read(bob, of, said[place].id, now()).await.unwrap();
    }
    assert_eq!(world.events.take(), []);
    world.mark_read(bob, of, said[4].id, second).await.unwrap();
    for (message, when) in said.iter().zip([first, first, first, second, second]) {
        assert_eq!(seen_by(&world, ada, message).await, [(bob, when)]);
    }
    assert_eq!(world.unseen_in(bob, of).await, 0);
}

async fn reading_is_told_to_who_sent_what_was_read(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve, joe) =
        (world.user("ada").await, world.user("bob").await, world.user("eve").await, world.user("joe").await);
    let group = world.private_group("tea", ada, [bob, eve, joe]).await;
    let of = group.conversation();
    let said = |who, words: &'static str| world.say(who, Recipient::Group(group), words);
    let first = said(ada, "read before").await;
    world.mark_read(bob, of, first.id, now()).await.unwrap();
    let deleted = said(joe, "taken back").await;
    world.delete(joe, deleted.id, now()).await.unwrap();
    let of_eve = said(eve, "a").await;
    said(eve, "b").await;
    let own = said(bob, "one's own").await;
    said(ada, "not read yet").await;
    world.events.take();
    world.mark_read(bob, of, own.id, now()).await.unwrap();
    let read = |recipient, up_to: &Message| {
        let destination = Destination::Group(group);
        Event::ConversationRead { conversation: of, destination, recipient, reader: bob, up_to: up_to.id }
    };
    assert_eq!(world.events.take(), [read(bob, &own), read(eve, &own)]);
    assert_eq!(seen_by(&world, ada, &of_eve).await.len(), 1);

    // Everybody reads the broadcast: who sent it would be told by everybody.
    let all = world.say(ada, Recipient::Everybody, "all").await;
    world.events.take();
    world.mark_read(bob, all.conversation, all.id, now()).await.unwrap();
    assert!(matches!(&world.events.take()[..], [Event::ConversationRead { recipient, .. }] if *recipient == bob));
}

async fn reading_keeps_the_moment_of_what_was_seen_before(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..7 {
        said.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    let (single, all) = (now(), now());
    for n in [2, 3, 5] {
        world.mark_seen(bob, said[n].id, single).await.unwrap();
    }
    assert_eq!(world.unseen_in(bob, said[0].conversation).await, 4);
    world.mark_read(bob, said[0].conversation, said[6].id, all).await.unwrap();
    for (message, when) in said.iter().zip([all, all, single, single, all, single, all]) {
        assert_eq!(seen_by(&world, ada, message).await, [(bob, when)], "{}", message.seq.0);
    }
}

async fn a_deleted_message_marks_a_place_and_nothing_else(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..3 {
        said.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    world.delete(ada, said[1].id, now()).await.unwrap();
    refused!(world.mark_seen(bob, said[1].id, now()).await, "NotFound(Message)");
    refused!(world.of_message(ada, said[1].id, None, limit(9)).await, "NotFound(Message)");
    assert_eq!(world.unseen_in(bob, said[0].conversation).await, 2);
    world.mark_read(bob, said[0].conversation, said[1].id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, said[0].conversation).await, 1);
}

async fn marking_is_for_members_of_what_exists(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let secret = world.private_group("secret", ada, [bob]).await;
    let open = world.group(ada, "open", Visibility::Public).await;
    let in_secret = world.say(ada, Recipient::Group(secret), "x").await;
    let in_open = world.say(ada, Recipient::Group(open), "x").await;
    let direct = world.say(ada, Recipient::User(bob), "x").await;
    world.events.take();
    for hidden in [&in_secret, &direct] {
        refused!(world.mark_seen(eve, hidden.id, now()).await, "NotFound(Message)");
        refused!(world.mark_read(eve, hidden.conversation, hidden.id, now()).await, "NotFound(Conversation)");
    }
    refused!(world.mark_seen(eve, in_open.id, now()).await, "Forbidden(NotAMember)");
    refused!(world.mark_read(eve, in_open.conversation, in_open.id, now()).await, "Forbidden(NotAMember)");
    // What does not exist comes before what one may not.
    refused!(world.mark_read(eve, in_open.conversation, direct.id, now()).await, "NotFound(Message)");
    refused!(world.mark_seen(bob, MessageId(fresh()), now()).await, "NotFound(Message)");
    refused!(world.mark_read(bob, ConversationId(fresh()), direct.id, now()).await, "NotFound(Conversation)");
    for no_message_of_it in [in_open.id, MessageId(fresh())] {
        refused!(world.mark_read(bob, direct.conversation, no_message_of_it, now()).await, "NotFound(Message)");
    }
    assert_eq!(world.events.take(), []);
    world.remove(bob, secret, bob).await.unwrap();
    refused!(world.mark_seen(bob, in_secret.id, now()).await, "NotFound(Message)");
}

async fn receipts_name_the_living_and_not_the_sender(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("tea", ada, [bob, eve]).await;
    let sent = world.say(ada, Recipient::Group(group), "x").await;
    let next = world.say(bob, Recipient::Group(group), "y").await;
    let change =
        ProfileChange { display_name: Change::Set(DisplayName::parse("E.").unwrap()), ..ProfileChange::default() };
    UserRepository::change(&*world, eve, change, SessionId(fresh()), now()).await.unwrap();
    let (first, second) = (now(), now());
    world.mark_read(eve, group.conversation(), next.id, first).await.unwrap();
    world.mark_seen(bob, sent.id, second).await.unwrap();
    world.mark_read(ada, group.conversation(), next.id, second).await.unwrap();
    let receipts = world.of_message(bob, sent.id, None, limit(9)).await.unwrap().items;
    let expected = [
        Receipt { user: bob, username: "bob".to_owned(), seen_at: second },
        Receipt { user: eve, username: "eve".to_owned(), seen_at: first },
    ];
    assert_eq!(receipts, expected);
    assert_eq!(seen_by(&world, bob, &next).await, [(ada, second), (eve, first)]);
    world.delete_user(eve).await;
    assert_eq!(seen_by(&world, bob, &sent).await, [(bob, second)]);
    // Who has left has seen it all the same.
    world.remove(bob, group, bob).await.unwrap();
    assert_eq!(seen_by(&world, ada, &sent).await, [(bob, second)]);
}

async fn receipts_are_for_who_may_read(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let secret = world.private_group("secret", ada, [bob]).await;
    let open = world.group(ada, "open", Visibility::Public).await;
    world.add(ada, open, bob, Role::Member).await.unwrap();
    let in_secret = world.say(ada, Recipient::Group(secret), "x").await;
    let in_open = world.say(ada, Recipient::Group(open), "x").await;
    for message in [&in_secret, &in_open] {
        world.mark_seen(bob, message.id, now()).await.unwrap();
    }
    refused!(world.of_message(eve, in_secret.id, None, limit(9)).await, "NotFound(Message)");
    refused!(world.of_message(eve, MessageId(fresh()), None, limit(9)).await, "NotFound(Message)");
    assert_eq!(seen_by(&world, eve, &in_open).await.len(), 1);
}

async fn the_broadcast_can_be_marked(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::Everybody, "x").await;
    let next = world.say(ada, Recipient::Everybody, "y").await;
    let when = now();
    world.mark_seen(bob, sent.id, when).await.unwrap();
    assert_eq!(seen_by(&world, ada, &sent).await, [(bob, when)]);
    world.mark_read(bob, ConversationId::BROADCAST, next.id, when).await.unwrap();
    assert_eq!(seen_by(&world, ada, &next).await, [(bob, when)]);
    assert_eq!(world.unseen_in(bob, ConversationId::BROADCAST).await, 0);
}

async fn receipts_come_in_pages(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    let said = world.say(ada, Recipient::Group(group), "hello").await;
    // In the order of their ids, whenever they saw it.
    let (early, late) = (crate::world::at(1_900_000_000_000_000), crate::world::at(1_900_000_000_000_001));
    let mut readers = Vec::new();
    for (n, when) in [late, early, early].into_iter().enumerate() {
        let reader = world.user(&format!("reader{n}")).await;
        world.add(reader, group, reader, Role::Member).await.unwrap();
        readers.push((when, reader));
    }
    let more = world.say(ada, Recipient::Group(group), "more").await;
    for (when, reader) in &readers {
        world.mark_read(*reader, said.conversation, more.id, *when).await.unwrap();
    }
    let blind = world.user("blind").await;
    refused!(world.of_message(ada, more.id, Some(blind), limit(1)).await, "NotFound(User)");
    readers.sort_by_key(|(_, reader)| *reader);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = world.of_message(ada, more.id, after, limit(1)).await.unwrap();
        assert_eq!(page.items.len(), 1);
        listed.push((page.items[0].seen_at, page.items[0].user));
        after = Some(page.items[0].user);
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, readers);
    assert_eq!(world.of_message(ada, more.id, after, limit(1)).await.unwrap().items, []);
}
