//! Retries under an idempotency key.

use crate::append::a_file;
use crate::concurrency::all;
use crate::world::{World, draft, fresh, limit, now, refused, stored, text};
use domain::UserId;
use domain::files::{File, FileRepository, Sha256};
use domain::groups::Visibility;
use domain::messages::{
    Appended, Attachment, AttachmentKind, Caption, Content, IdempotencyKey, Message, MessageLog, NewBody, NewMessage,
    Recipient, Window,
};
use test_support::TestDb;

on_both!(
    a_retry_gives_the_message_and_stores_nothing,
    a_retry_gives_the_message_as_it_is_now,
    another_send_under_the_key_is_refused,
    keys_are_ones_own,
    a_refused_send_does_not_use_its_key_up,
    an_uploaded_file_is_compared_by_its_hash,
    many_retries_at_once_store_once,
    a_retry_into_a_group_one_has_left_is_not_found,
);

fn key(text: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::parse("client_id", text).unwrap())
}

fn keyed(draft: NewMessage) -> NewMessage {
    NewMessage { key: key("k"), ..draft }
}

fn replayed(outcome: domain::Result<Appended>) -> Message {
    match outcome.unwrap() {
        Appended::Duplicate(message) => message,
        Appended::Stored(message) => panic!("stored {message:?}"),
    }
}

async fn a_retry_gives_the_message_and_stores_nothing(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = stored(world.append(keyed(text(ada, Recipient::User(bob), "x"))).await);
    world.events.take();
    assert_eq!(replayed(world.append(keyed(text(ada, Recipient::User(bob), "x"))).await), sent);
    assert_eq!(world.events.take(), []);
    let world = world.reopened().await;
    assert_eq!(replayed(world.append(keyed(text(ada, Recipient::User(bob), "x"))).await), sent);
    assert_eq!(world.say(ada, Recipient::User(bob), "next").await.seq.0, 2);
}

async fn a_retry_gives_the_message_as_it_is_now(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let retry = || world.append(keyed(text(ada, Recipient::User(bob), "first")));
    let sent = stored(retry().await);
    for words in ["second", "third"] {
        let edited = world.edit(ada, sent.id, Content::parse(words).unwrap(), now()).await.unwrap();
        assert_eq!(replayed(retry().await), edited);
        // What it says now is not what it was sent with.
        refused!(world.append(keyed(text(ada, Recipient::User(bob), words))).await, "Conflict(KeyReused)");
    }
    world.delete(ada, sent.id, now()).await.unwrap();
    refused!(retry().await, "Conflict(KeyReused)");
}

async fn another_send_under_the_key_is_refused(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.group(ada, "tea", Visibility::Public).await;
    let to = Recipient::User(bob);
    let first = world.say(ada, to, "first").await;
    stored(world.append(keyed(text(ada, to, "x"))).await);
    let picture = a_file(ada, "image/png");
    FileRepository::create(&*world, picture.clone()).await.unwrap();
    let attached = Attachment::Stored { kind: AttachmentKind::Image, file: picture.id };
    for other in [
        text(ada, to, "y"),
        text(ada, Recipient::User(eve), "x"),
        text(ada, Recipient::Group(group), "x"),
        text(ada, Recipient::Everybody, "x"),
        NewMessage { reply_to: Some(first.id), ..text(ada, to, "x") },
        draft(ada, to, NewBody::Attachment(attached, Caption::parse("x").unwrap())),
    ] {
        refused!(world.append(keyed(other)).await, "Conflict(KeyReused)");
    }
    // What does not exist comes before what conflicts.
    refused!(world.append(keyed(text(ada, Recipient::User(UserId(fresh())), "x"))).await, "NotFound(User)");
    assert_eq!(world.conversations(eve).await.len(), 0);
}

async fn keys_are_ones_own(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    stored(world.append(keyed(text(ada, Recipient::User(bob), "x"))).await);
    stored(world.append(keyed(text(bob, Recipient::User(ada), "x"))).await);
    let upper = NewMessage { key: key("K"), ..text(ada, Recipient::User(bob), "x") };
    assert_eq!(stored(world.append(upper).await).seq.0, 3, "keys have a case");
}

async fn a_refused_send_does_not_use_its_key_up(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    refused!(world.append(keyed(text(ada, Recipient::User(UserId(fresh())), "x"))).await, "NotFound(User)");
    stored(world.append(keyed(text(ada, Recipient::User(bob), "x"))).await);
}

async fn an_uploaded_file_is_compared_by_its_hash(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let upload = |file| {
        let body = NewBody::Attachment(Attachment::Uploaded(file), Caption::parse("see").unwrap());
        keyed(draft(ada, Recipient::User(bob), body))
    };
    let sent = stored(world.append(upload(a_file(ada, "image/png"))).await);
    assert_eq!(replayed(world.append(upload(a_file(ada, "image/png"))).await), sent);
    let kept_otherwise = File { sha256: Sha256([1; 32]), ..a_file(ada, "image/png") };
    assert_eq!(replayed(world.append(upload(kept_otherwise)).await), sent);
    let other = File { sent_sha256: Sha256([1; 32]), ..a_file(ada, "image/png") };
    refused!(world.append(upload(other)).await, "Conflict(KeyReused)");
    assert_eq!(world.raw().number("SELECT count(*) FROM files"), 1);
}

async fn many_retries_at_once_store_once(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let outcomes = all((0..50).map(|_| world.append(keyed(text(ada, Recipient::User(bob), "x"))))).await;
    let (mut stores, mut ids) = (0, Vec::new());
    for outcome in outcomes {
        match outcome.unwrap() {
            Appended::Stored(message) => {
                stores += 1;
                ids.push(message.id);
            }
            Appended::Duplicate(message) => ids.push(message.id),
        }
    }
    ids.dedup();
    assert_eq!((stores, ids.len()), (1, 1));
    let page = world.page(ada, Recipient::User(bob), Window::Offset { offset: 0, limit: limit(50) }).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

async fn a_retry_into_a_group_one_has_left_is_not_found(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    let send = || world.append(keyed(text(bob, Recipient::Group(group), "x")));
    stored(send().await);
    world.remove(bob, group, bob).await.unwrap();
    refused!(send().await, "NotFound(Group)");
}
