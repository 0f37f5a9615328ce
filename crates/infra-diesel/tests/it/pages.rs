//! `MessageReader::page` and `find`.

use crate::world::{World, contents, fresh, limit, now, refused};
use domain::groups::Visibility;
use domain::messages::{Cursor, Message, MessageLog, MessageReader, Recipient, Window};
use domain::{ConversationId, GroupId, Limit, MessageId, UserId};
use test_support::TestDb;

on_both!(
    windows_are_what_a_plain_list_says,
    two_who_have_not_talked_have_an_empty_list,
    cursors_are_messages_of_this_conversation,
    pages_are_for_who_may_read,
    a_history_holds_a_thousand,
    what_was_said_with_a_deleted_user_stays,
);

fn before(cursor: Cursor, limit: Limit) -> Window {
    Window::Before { cursor, limit }
}

async fn windows_are_what_a_plain_list_says(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let to = Recipient::User(bob);
    let mut all: Vec<(Message, bool)> = Vec::new();
    for n in 0..12 {
        let message = world.say(ada, to, &n.to_string()).await;
        all.push((message, true));
        world.say(ada, Recipient::Everybody, "elsewhere").await;
    }
    for gone in [0, 4, 5, 11] {
        world.delete(ada, all[gone].0.id, now()).await.unwrap();
        all[gone].1 = false;
    }
    let live = |part: &[(Message, bool)]| -> Vec<Message> {
        part.iter().filter(|(_, live)| *live).map(|(message, _)| message.clone()).collect()
    };
    for size in [1_usize, 2, 3, 7, 8, 9, 50] {
        let most = limit(size as u64);
        for offset in 0..10 {
            let rest: Vec<_> = live(&all).into_iter().skip(offset).collect();
            let window = Window::Offset { offset: offset as u64, limit: most };
            let page = world.page(bob, Recipient::User(ada), window).await.unwrap();
            assert_eq!((page.items.len(), page.more), (rest.len().min(size), rest.len() > size));
            assert_eq!(page.items, rest[..page.items.len()]);
        }
        let places = all.iter().enumerate().map(|(index, (message, _))| (index, Cursor::Message(message.id)));
        for (index, cursor) in places.chain([(all.len(), Cursor::Latest)]) {
            let older = live(&all[..index]);
            let page = world.page(bob, Recipient::User(ada), before(cursor, most)).await.unwrap();
            assert_eq!((page.items.len(), page.more), (older.len().min(size), older.len() > size));
            assert_eq!(page.items, older[older.len() - page.items.len()..]);
            let Cursor::Message(cursor) = cursor else { continue };
            let newer = live(&all[index + 1..]);
            let page = world.page(ada, to, Window::After { cursor, limit: most }).await.unwrap();
            assert_eq!((page.items.len(), page.more), (newer.len().min(size), newer.len() > size));
            assert_eq!(page.items, newer[..page.items.len()]);
        }
    }
    let beyond = Window::Offset { offset: u64::MAX, limit: limit(1) };
    assert_eq!(world.page(ada, to, beyond).await.unwrap().items, []);
}

async fn two_who_have_not_talked_have_an_empty_list(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for window in [before(Cursor::Latest, limit(1)), Window::Offset { offset: 0, limit: limit(1) }] {
        let page = world.page(ada, Recipient::User(bob), window).await.unwrap();
        assert_eq!((page.items, page.more), (vec![], false));
    }
    let cursor = world.say(ada, Recipient::Everybody, "x").await.id;
    for window in [before(Cursor::Message(cursor), limit(1)), Window::After { cursor, limit: limit(1) }] {
        refused!(world.page(ada, Recipient::User(bob), window).await, "NotFound(Message)");
    }
}

async fn cursors_are_messages_of_this_conversation(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "here").await;
    let elsewhere = world.say(ada, Recipient::User(ada), "elsewhere").await.id;
    for nothing in [elsewhere, MessageId(fresh())] {
        let to = Recipient::User(bob);
        refused!(world.page(ada, to, before(Cursor::Message(nothing), limit(1))).await, "NotFound(Message)");
        refused!(world.page(ada, to, Window::After { cursor: nothing, limit: limit(1) }).await, "NotFound(Message)");
    }
}

async fn pages_are_for_who_may_read(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let secret = world.private_group("secret", ada, [bob]).await;
    let open = world.group(ada, "open", Visibility::Public).await;
    let in_secret = world.say(ada, Recipient::Group(secret), "secret").await;
    let in_open = world.say(ada, Recipient::Group(open), "open").await;
    let between = world.say(ada, Recipient::User(bob), "between").await;
    let window = before(Cursor::Latest, limit(50));
    let read = |viewer, of| world.page(viewer, of, window);
    assert_eq!(contents(&read(bob, Recipient::Group(secret)).await.unwrap().items), ["secret"]);
    refused!(read(eve, Recipient::Group(secret)).await, "NotFound(Group)");
    refused!(read(eve, Recipient::Group(GroupId(fresh()))).await, "NotFound(Group)");
    refused!(read(eve, Recipient::Group(GroupId(between.conversation.0))).await, "NotFound(Group)");
    // Nor is a conversation of another kind a group, for those who may read it.
    refused!(read(bob, Recipient::Group(GroupId(between.conversation.0))).await, "NotFound(Group)");
    refused!(read(bob, Recipient::Group(GroupId(ConversationId::BROADCAST.0))).await, "NotFound(Group)");
    refused!(read(eve, Recipient::User(UserId(fresh()))).await, "NotFound(User)");
    assert_eq!(contents(&read(eve, Recipient::Group(open)).await.unwrap().items), ["open"]);
    assert_eq!(read(eve, Recipient::User(ada)).await.unwrap().items, []);
    // A cursor that one may not see is no way in.
    let cursor = Cursor::Message(in_secret.id);
    refused!(world.page(eve, Recipient::Group(secret), before(cursor, limit(1))).await, "NotFound(Group)");
    for (viewer, message, found) in
        [(bob, &in_secret, true), (eve, &in_secret, false), (eve, &in_open, true), (eve, &between, false)]
    {
        let expected = found.then(|| message.clone());
        assert_eq!(MessageReader::find(&*world, viewer, message.id).await.unwrap(), expected);
    }
    assert_eq!(MessageReader::find(&*world, ada, MessageId(fresh())).await.unwrap(), None);
    assert_ne!(in_open.conversation, ConversationId::BROADCAST);
}

async fn a_history_holds_a_thousand(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let sends = (0..1_001).map(|n| world.append(crate::world::text(ada, Recipient::Everybody, &n.to_string())));
    crate::concurrency::all(sends).await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    let most = Limit::of_history(None).unwrap();
    let page = world.page(ada, Recipient::Everybody, before(Cursor::Latest, most)).await.unwrap();
    assert_eq!((page.items.len(), page.more), (1_000, true));
    assert!(page.items.iter().map(|message| message.seq.0).eq(2..=1_001));
}

async fn what_was_said_with_a_deleted_user_stays(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "x").await;
    world.delete_user(bob).await;
    let page = world.page(ada, Recipient::User(bob), before(Cursor::Latest, limit(1))).await.unwrap();
    assert_eq!(contents(&page.items), ["x"]);
}
