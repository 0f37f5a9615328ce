//! `MessageLog::edit`, `MessageLog::delete`, and the change feed.

use crate::append::a_file;
use crate::world::{World, draft, fresh, limit, now, refused, stored};
use domain::events::Event;
use domain::groups::{MemberRepository, Role, Visibility};
use domain::messages::{
    Attachment, Caption, ChangeEntry, Content, Destination, Digest, Message, MessageLog, MessageReader, NewBody,
    Recipient, Seq, Tombstone, Update,
};
use domain::{ConversationId, MessageId};
use test_support::TestDb;

on_both!(
    an_edit_changes_the_words_and_takes_a_number,
    only_the_sender_edits_what_is_there,
    a_text_keeps_words_and_a_caption_may_lose_them,
    a_deleted_message_is_a_tombstone_without_words,
    the_sender_and_who_is_in_charge_delete,
    refused_changes_take_no_number,
    what_was_said_in_a_group_one_has_left,
    changes_come_in_order_of_update_each_as_it_is_now,
    changes_come_in_pages_that_miss_nothing,
    changes_are_for_who_may_read,
);

fn words(text: &str) -> Content {
    Content::parse(text).unwrap()
}

async fn an_edit_changes_the_words_and_takes_a_number(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "first").await;
    world.events.take();
    let when = now();
    let edited = world.edit(ada, sent.id, words("a|\"b\" 🙂"), when).await.unwrap();
    let expected = Message {
        body: sent.body.clone().with_content("a|\"b\" 🙂"),
        update: Update(2),
        updated_at: when,
        edited_at: Some(when),
        ..sent.clone()
    };
    assert_eq!(edited, expected);
    assert_eq!(MessageReader::find(&*world, bob, sent.id).await.unwrap().unwrap(), expected);
    let hash = Digest::of_message(sent.id, sent.seq, Update(2), Some("a|\"b\" 🙂"));
    assert_eq!(world.events.take(), [Event::MessageUpdated(expected, Some(hash.short()))]);
    let next = world.say(bob, Recipient::User(ada), "next").await;
    assert_eq!((next.seq.0, next.update.0), (3, 3));
}

async fn only_the_sender_edits_what_is_there(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let sent = world.say(ada, Recipient::User(bob), "x").await;
    refused!(world.edit(bob, sent.id, words("y"), now()).await, "Forbidden(NotTheSender)");
    refused!(world.edit(eve, sent.id, words("y"), now()).await, "NotFound(Message)");
    refused!(world.edit(ada, MessageId(fresh()), words("y"), now()).await, "NotFound(Message)");
    // Existence, then the form of the words, then the right.
    refused!(world.edit(eve, sent.id, words(" "), now()).await, "NotFound(Message)");
    let blank = world.edit(bob, sent.id, words(" "), now()).await;
    assert!(matches!(&blank, Err(domain::Error::Invalid(invalid)) if invalid.field == "content"), "{blank:?}");
    world.delete(ada, sent.id, now()).await.unwrap();
    refused!(world.edit(ada, sent.id, words("y"), now()).await, "NotFound(Message)");
}

async fn a_text_keeps_words_and_a_caption_may_lose_them(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "x").await;
    refused!(world.edit(ada, sent.id, words(" \n"), now()).await, "Invalid(content)");
    let file = a_file(ada, "image/png");
    let body = NewBody::Attachment(Attachment::Uploaded(file.clone()), Caption::parse("see").unwrap());
    let picture = stored(world.append(draft(ada, Recipient::User(bob), body)).await);
    let edited = world.edit(ada, picture.id, words(""), now()).await.unwrap();
    assert_eq!((edited.body.content(), edited.body.file()), ("", Some(&file)));
    assert_eq!(MessageReader::find(&*world, bob, picture.id).await.unwrap().unwrap(), edited);
}

async fn a_deleted_message_is_a_tombstone_without_words(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "secret").await;
    world.edit(ada, sent.id, words("secret too"), now()).await.unwrap();
    world.events.take();
    let deleted_at = now();
    world.delete(ada, sent.id, deleted_at).await.unwrap();
    let conversation = sent.conversation;
    let tombstone = Tombstone { id: sent.id, conversation, seq: Seq(1), update: Update(3), deleted_at };
    let destination = Destination::Direct { receiver: bob };
    let digest = Some(Digest::of_message(sent.id, sent.seq, Update(3), None).short());
    let event = Event::MessageDeleted { tombstone: tombstone.clone(), sender: ada, destination, digest };
    assert_eq!(world.events.take(), [event]);
    assert_eq!(MessageReader::find(&*world, bob, sent.id).await.unwrap(), None);
    let changes = world.changes(bob, conversation, Update(0), limit(50)).await.unwrap();
    assert_eq!(changes.entries, [ChangeEntry::Deleted(tombstone)]);
    assert_eq!(world.raw().number("SELECT count(*) FROM messages WHERE content <> '' OR sent_digest IS NOT NULL"), 0);
    refused!(world.delete(ada, sent.id, now()).await, "NotFound(Message)");
}

async fn the_sender_and_who_is_in_charge_delete(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("tea", ada, [bob, eve]).await;
    let to = Recipient::Group(group);
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(world.say(bob, to, "x").await.id);
    }
    refused!(world.delete(eve, said[0], now()).await, "Forbidden(NotTheSenderNorModerator)");
    world.delete(ada, said[0], now()).await.unwrap();
    MemberRepository::change_role(&*world, ada, group, eve, Role::Admin, now()).await.unwrap();
    world.delete(eve, said[1], now()).await.unwrap();
    world.delete(bob, said[2], now()).await.unwrap();
    let direct = world.say(ada, Recipient::User(bob), "x").await.id;
    refused!(world.delete(bob, direct, now()).await, "Forbidden(NotTheSenderNorModerator)");
    refused!(world.delete(eve, direct, now()).await, "NotFound(Message)");
}

async fn refused_changes_take_no_number(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "x").await;
    world.events.take();
    refused!(world.edit(bob, sent.id, words("y"), now()).await, "Forbidden(NotTheSender)");
    refused!(world.edit(ada, sent.id, words(""), now()).await, "Invalid(content)");
    refused!(world.delete(bob, sent.id, now()).await, "Forbidden(NotTheSenderNorModerator)");
    assert_eq!(world.events.take(), []);
    assert_eq!(world.say(ada, Recipient::User(bob), "y").await.seq.0, 2);
}

async fn what_was_said_in_a_group_one_has_left(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for visibility in [Visibility::Private, Visibility::Public] {
        let group = world.group(ada, visibility.as_str(), visibility).await;
        world.add(ada, group, bob, Role::Member).await.unwrap();
        let (one, other) = (
            world.say(bob, Recipient::Group(group), "x").await.id,
            world.say(bob, Recipient::Group(group), "y").await.id,
        );
        world.remove(bob, group, bob).await.unwrap();
        let edit = world.edit(bob, one, words("z"), now()).await;
        let delete = world.delete(bob, other, now()).await;
        if visibility == Visibility::Private {
            refused!(edit, "NotFound(Message)");
            refused!(delete, "NotFound(Message)");
        } else {
            assert!(edit.is_ok() && delete.is_ok());
        }
    }
}

/// What the feed says in short: number, place, words (`None`: deleted).
fn in_short(entries: &[ChangeEntry]) -> Vec<(i64, i64, Option<&str>)> {
    let short = entries.iter().map(|entry| match entry {
        ChangeEntry::Message(message) => (message.update.0, message.seq.0, Some(message.body.content())),
        ChangeEntry::Deleted(tombstone) => (tombstone.update.0, tombstone.seq.0, None),
    });
    short.collect()
}

async fn changes_come_in_order_of_update_each_as_it_is_now(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    let of = ids[0].conversation;
    world.edit(ada, ids[0].id, words("1a"), now()).await.unwrap();
    world.delete(ada, ids[2].id, now()).await.unwrap();
    world.edit(ada, ids[0].id, words("1b"), now()).await.unwrap();
    world.say(bob, Recipient::User(ada), "5").await;
    let all = world.changes(bob, of, Update(0), limit(50)).await.unwrap();
    let expected = [(2, 2, Some("2")), (4, 4, Some("4")), (6, 3, None), (7, 1, Some("1b")), (8, 8, Some("5"))];
    assert_eq!((in_short(&all.entries), all.update.0, all.more), (expected.to_vec(), 8, false));
    for (index, (update, ..)) in expected.iter().enumerate() {
        let rest = world.changes(ada, of, Update(*update), limit(50)).await.unwrap();
        assert_eq!((in_short(&rest.entries), rest.update.0), (expected[index + 1..].to_vec(), 8));
    }
    for beyond in [8, 9, i64::MAX] {
        let nothing = world.changes(ada, of, Update(beyond), limit(50)).await.unwrap();
        assert_eq!((nothing.entries, nothing.update.0, nothing.more), (vec![], 8, false));
    }
}

async fn changes_come_in_pages_that_miss_nothing(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..12 {
        said.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    let of = said[0].conversation;
    for n in [3, 0, 7, 3, 11] {
        world.edit(ada, said[n].id, words("edited"), now()).await.unwrap();
    }
    for n in [5, 0] {
        world.delete(ada, said[n].id, now()).await.unwrap();
    }
    let all = world.changes(bob, of, Update(0), limit(50)).await.unwrap();
    assert_eq!(all.entries.len(), 12);
    for size in 1..=13 {
        let (mut after, mut paged) = (0, Vec::new());
        loop {
            let page = world.changes(bob, of, Update(after), limit(size)).await.unwrap();
            assert!(page.entries.len() <= size as usize);
            after = page.update.0;
            paged.extend(page.entries);
            assert_eq!(page.more, paged.len() < 12, "pages of {size}");
            if !page.more {
                break;
            }
        }
        assert_eq!((paged, after), (all.entries.clone(), all.update.0), "pages of {size}");
    }
}

async fn changes_are_for_who_may_read(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let direct = world.say(ada, Recipient::User(bob), "x").await.conversation;
    let secret = world.private_group("secret", ada, [bob]).await;
    let open = world.group(ada, "open", Visibility::Public).await;
    world.say(ada, Recipient::Everybody, "x").await;
    for (of, readers) in [
        (direct, &[ada, bob][..]),
        (secret.conversation(), &[ada, bob]),
        (open.conversation(), &[ada, bob, eve]),
        (ConversationId::BROADCAST, &[ada, bob, eve]),
        (ConversationId(fresh()), &[]),
    ] {
        for viewer in [ada, bob, eve] {
            let changes = world.changes(viewer, of, Update(0), limit(50)).await;
            if readers.contains(&viewer) {
                changes.unwrap();
            } else {
                refused!(changes, "NotFound(Conversation)");
            }
        }
    }
}
