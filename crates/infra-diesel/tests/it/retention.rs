//! `RetentionRepository`.

use crate::append::a_file;
use crate::concurrency::all;
use crate::world::{World, at, draft, fresh, limit, now, refused, stored, text};
use domain::context::Timestamp;
use domain::events::Event;
use domain::files::{File, FileRepository};
use domain::messages::{
    Attachment, AttachmentKind, Caption, ChangeEntry, IdempotencyKey, MessageLog, MessageReader, NewBody, NewMessage,
    Recipient, Update,
};
use domain::receipts::ReceiptRepository;
use domain::retention::RetentionRepository;
use domain::{ConversationId, FileId, UserId};
use infra_diesel::Store;
use test_support::{Backend, TestDb};

on_both!(
    what_is_too_old_becomes_tombstones_with_numbers_and_events,
    counts_marks_and_last_messages_stay_right,
    an_idempotency_key_of_what_expired_stays_used,
    only_what_is_due_is_found_and_no_tombstone_looked_at_again,
    what_the_clock_misdated_is_judged_by_its_own_date,
    deleted_groups_are_emptied_too,
    files_go_when_no_live_message_carries_them,
    a_file_on_its_way_into_a_message_is_not_withdrawn,
    two_nodes_at_once_delete_each_message_once,
);

/// Deletes everything sent before `cutoff`; how many messages that were.
async fn expire_all(world: &World, cutoff: Timestamp) -> usize {
    let (mut count, mut after) = (0, None);
    loop {
        let due = world.due(cutoff, after).await.unwrap();
        for of in due.conversations {
            loop {
                match world.expire(of, cutoff, now()).await.unwrap() {
                    0 => break,
                    more => count += more,
                }
            }
        }
        after = due.next;
        if after.is_none() {
            return count;
        }
    }
}

async fn healthy(world: &World) {
    assert_eq!(Store::check(world.db.url()).await.unwrap(), [""; 0]);
}

async fn what_is_too_old_becomes_tombstones_with_numbers_and_events(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut old = Vec::new();
    for n in 0..120 {
        old.push(world.say(ada, Recipient::User(bob), &format!("secret {n}")).await);
    }
    let cutoff = now();
    let young = world.say(bob, Recipient::User(ada), "young").await;
    world.events.take();
    assert_eq!(expire_all(&world, cutoff).await, 120);
    let deleted: Vec<_> = world
        .events
        .take()
        .into_iter()
        .map(|event| match event {
            Event::MessageDeleted { tombstone, sender, .. } => (tombstone.id, tombstone.update.0, sender),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<_> = old.iter().zip(122..).map(|(message, update)| (message.id, update, ada)).collect();
    assert_eq!(deleted, expected);
    // By the feed of changes, too; and the words are in no table any more.
    let feed = world.changes(bob, young.conversation, Update(121), limit(200)).await.unwrap();
    assert_eq!((feed.entries.len(), feed.update.0), (120, 241));
    assert!(feed.entries.iter().all(|entry| matches!(entry, ChangeEntry::Deleted(_))));
    assert_eq!(world.raw().number("SELECT count(*) FROM messages WHERE content <> ''"), 1);
    assert_eq!(MessageReader::find(&*world, bob, old[5].id).await.unwrap(), None);
    assert_eq!(expire_all(&world, cutoff).await, 0);
    healthy(&world).await;
}

async fn counts_marks_and_last_messages_stay_right(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..6 {
        said.push(world.say(ada, Recipient::User(bob), &n.to_string()).await);
    }
    let of = said[0].conversation;
    world.mark_seen(bob, said[4].id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, of).await, 5);
    assert_eq!(expire_all(&world, said[3].created_at).await, 3);
    assert_eq!(world.unseen_in(bob, of).await, 2);
    refused!(world.mark_seen(bob, said[0].id, now()).await, "NotFound(Message)");
    // A tombstone still marks a place.
    world.mark_read(bob, of, said[2].id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, of).await, 2);
    world.mark_read(bob, of, said[5].id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, of).await, 0);
    assert_eq!(expire_all(&world, now()).await, 3);
    let listed = world.conversations(bob).await;
    assert!(listed.len() == 1 && listed[0].last_message.is_none());
    let again = world.say(ada, Recipient::User(bob), "again").await;
    assert_eq!((again.seq.0, world.unseen_in(bob, of).await), (13, 1));
    healthy(&world).await;
}

async fn an_idempotency_key_of_what_expired_stays_used(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let file = a_file(ada, "application/pdf");
    FileRepository::create(&*world, file.clone()).await.unwrap();
    let keyed = |draft: NewMessage| NewMessage { key: Some(IdempotencyKey::parse("key", "k1").unwrap()), ..draft };
    let send = || keyed(NewMessage { sender: ada, ..carrying(ada, bob, &file) });
    stored(world.append(send()).await);
    expire_all(&world, now()).await;
    sweep_files(&world, now()).await;
    assert_eq!(known_files(&world), 0);
    // What it carried is gone; the retry is told that the key was used, not that something is broken.
    refused!(world.append(send()).await, "Conflict(KeyReused)");
    refused!(world.append(keyed(text(ada, Recipient::User(bob), "other"))).await, "Conflict(KeyReused)");
    healthy(&world).await;
}

async fn only_what_is_due_is_found_and_no_tombstone_looked_at_again(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let direct = world.say(ada, Recipient::User(bob), "old").await.conversation;
    let cutoff = now();
    let young = world.say(ada, Recipient::User(ada), "young").await.conversation;
    world.say(ada, Recipient::User(bob), "young").await;
    assert_eq!(world.due(cutoff, None).await.unwrap().conversations, [direct]);
    assert_eq!(world.due(cutoff, Some(ConversationId(uuid::Uuid::max()))).await.unwrap().conversations, []);
    assert_eq!(world.expire(young, cutoff, now()).await.unwrap(), 0);
    assert_eq!(world.expire(direct, cutoff, now()).await.unwrap(), 1);
    assert_eq!(world.expire(ConversationId(fresh()), cutoff, now()).await.unwrap(), 0);
    assert_eq!(world.due(cutoff, None).await.unwrap().conversations, []);
    let marks = "SELECT count(*) FROM conversations WHERE expired_up_to = 1 AND last_seq = 2";
    assert_eq!(world.raw().number(marks), 1);
}

async fn what_the_clock_misdated_is_judged_by_its_own_date(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let say =
        async |at: Timestamp| stored(world.append(NewMessage { at, ..text(ada, Recipient::User(bob), "x") }).await);
    let future = say(at(9_000_000_000_000_000)).await;
    let old = say(now()).await;
    let cutoff = now();
    let young = say(now()).await;
    let past = say(at(1)).await;
    assert_eq!(expire_all(&world, cutoff).await, 2);
    for (message, lives) in [(future, true), (old, false), (young, true), (past, false)] {
        assert_eq!(MessageReader::find(&*world, ada, message.id).await.unwrap().is_some(), lives);
    }
    healthy(&world).await;
}

async fn deleted_groups_are_emptied_too(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.private_group("gone", ada, []).await;
    world.say(ada, Recipient::Group(group), "still on disk").await;
    world.say(ada, Recipient::Everybody, "to all").await;
    domain::groups::GroupRepository::delete(&*world, ada, group, now()).await.unwrap();
    assert_eq!(expire_all(&world, now()).await, 2);
    assert_eq!(world.raw().number("SELECT count(*) FROM messages WHERE content <> ''"), 0);
    healthy(&world).await;
}

fn carrying(sender: UserId, to: UserId, file: &File) -> NewMessage {
    let attachment = Attachment::Stored { kind: AttachmentKind::File, file: file.id };
    draft(sender, Recipient::User(to), NewBody::Attachment(attachment, Caption::none()))
}

/// Withdraws and forgets all files that are due, as if their blobs were removed in between.
async fn sweep_files(world: &World, cutoff: Timestamp) -> Vec<FileId> {
    let mut all = Vec::new();
    loop {
        let files = world.withdraw_files(cutoff, now()).await.unwrap();
        if files.is_empty() {
            return all;
        }
        all.extend(files.iter().copied());
        world.forget_files(files).await.unwrap();
    }
}

fn known_files(world: &World) -> i64 {
    world.raw().number("SELECT count(*) FROM files")
}

async fn files_go_when_no_live_message_carries_them(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let [unsent, sent, resent] = [(); 3].map(|()| a_file(ada, "application/pdf"));
    for file in [&unsent, &sent, &resent] {
        FileRepository::create(&*world, file.clone()).await.unwrap();
    }
    for file in [&sent, &resent] {
        stored(world.append(carrying(ada, bob, file)).await);
    }
    let cutoff = now();
    stored(world.append(carrying(ada, bob, &resent)).await);
    let young = a_file(ada, "application/pdf");
    FileRepository::create(&*world, young.clone()).await.unwrap();
    assert_eq!(world.withdraw_files(cutoff, now()).await.unwrap(), [unsent.id]);
    expire_all(&world, cutoff).await;

    // Withdrawn is out of reach at once, and found again until it is forgotten.
    let withdrawn = world.withdraw_files(cutoff, now()).await.unwrap();
    assert_eq!(withdrawn, [unsent.id, sent.id]);
    assert_eq!(FileRepository::find(&*world, ada, unsent.id).await.unwrap(), None);
    refused!(world.append(carrying(ada, bob, &unsent)).await, "NotFound(File)");
    assert_eq!(sweep_files(&world, cutoff).await, withdrawn);
    assert_eq!(known_files(&world), 2);
    for file in [&resent, &young] {
        assert!(FileRepository::find(&*world, ada, file.id).await.unwrap().is_some());
    }
    // Twice is once; and what was not withdrawn is not forgotten.
    world.forget_files(vec![sent.id, young.id]).await.unwrap();
    assert_eq!(known_files(&world), 2);
    let tombstones = "SELECT count(*) FROM messages WHERE type = 'file' AND file_id IS NULL";
    assert_eq!(world.raw().number(tombstones), 1);
    healthy(&world).await;
}

async fn a_file_on_its_way_into_a_message_is_not_withdrawn(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for _ in 0..20 {
        let file = a_file(ada, "application/pdf");
        FileRepository::create(&*world, file.clone()).await.unwrap();
        let sending = world.append(carrying(ada, bob, &file));
        let withdrawing = world.withdraw_files(now(), now());
        let (sent, withdrawn) = tokio::join!(sending, withdrawing);
        let withdrawn = withdrawn.unwrap().contains(&file.id);
        // Exactly one of the two had it.
        assert_ne!(sent.is_ok(), withdrawn, "{sent:?}");
    }
}

async fn two_nodes_at_once_delete_each_message_once(db: TestDb) {
    let two = db.backend() == Backend::Postgres;
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for n in 0..230 {
        world.say(ada, Recipient::User(bob), &n.to_string()).await;
    }
    let other =
        if two { Some(crate::world::open(&world.db, Default::default(), world.events.clone()).await) } else { None };
    let cutoff = now();
    let of = world.due(cutoff, None).await.unwrap().conversations.remove(0);
    let stores: [&Store; 2] = [&world, other.as_ref().unwrap_or(&world)];
    let counts = all(stores.map(async |store| {
        let mut count = 0;
        loop {
            match store.expire(of, cutoff, now()).await.unwrap() {
                0 => return count,
                more => count += more,
            }
        }
    }))
    .await;
    assert_eq!(counts.iter().sum::<usize>(), 230);
    assert_eq!(world.raw().number("SELECT \"update\" FROM conversations WHERE kind = 'direct'"), 460);
    healthy(&world).await;
}
