//! `DigestReader`, the digests that a migration leaves open, and finding those that are wrong.

use crate::world::{Raw, World, now, refused};
use domain::groups::Visibility;
use domain::messages::{
    Content, Digest, DigestRange, DigestReader, Message, RangeDigest, Recipient, SyncPoint, Update,
};
use domain::{ConversationId, UserId};
use infra_diesel::backup::{self, BackupError};
use infra_diesel::{Store, copy};
use test_support::TestDb;

on_both!(
    a_digest_is_the_sum_of_the_hashes_of_messages,
    a_range_has_bounds,
    digests_are_for_who_may_read,
    old_messages_get_their_digests_at_the_next_start,
    a_wrong_digest_is_found_with_its_conversation,
    a_database_with_a_wrong_digest_is_neither_saved_nor_copied,
);

fn range(from: Option<u64>, to: Option<u64>) -> DigestRange {
    DigestRange::parse(from, to).unwrap()
}

async fn whole(world: &World, viewer: UserId, of: ConversationId) -> RangeDigest {
    world.range_digest(viewer, of, range(None, None)).await.unwrap()
}

fn hash(message: &Message, update: i64, content: Option<&str>) -> Digest {
    Digest::of_message(message.id, message.seq, Update(update), content)
}

async fn a_digest_is_the_sum_of_the_hashes_of_messages(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let one = world.say(ada, Recipient::User(bob), "one").await;
    let two = world.say(bob, Recipient::User(ada), "two 🙂").await;
    let of = one.conversation;
    world.edit(ada, one.id, Content::parse("uno").unwrap(), now()).await.unwrap();
    let three = world.say(ada, Recipient::User(bob), "three").await;
    world.delete(bob, two.id, now()).await.unwrap();
    let (one, two, three) = (hash(&one, 3, Some("uno")), hash(&two, 5, None), hash(&three, 4, Some("three")));
    let found = whole(&world, bob, of).await;
    assert_eq!((found.update, found.messages, found.digest), (Update(5), 3, one.plus(two).plus(three)));
    assert_eq!((found.span.from.0, found.span.to.0), (1, 5));
    for (from, to, messages, expected) in
        [(1, 1, 1, one), (2, 2, 1, two), (1, 3, 2, one.plus(two)), (3, 3, 0, Digest::ZERO), (2, 9, 2, two.plus(three))]
    {
        let found = world.range_digest(ada, of, range(Some(from), Some(to))).await.unwrap();
        assert_eq!((found.messages, found.digest), (messages, expected), "{from} to {to}");
    }
    let point = world.sync_point(ada, of).await.unwrap();
    assert_eq!(point, SyncPoint { update: Update(5), digest: found.digest.short() });
    assert_eq!(world.conversations(ada).await[0].digest, point.digest);
}

async fn a_range_has_bounds(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let empty = world.private_group("tea", ada, []).await.conversation();
    let found = whole(&world, ada, empty).await;
    assert_eq!((found.update.0, found.messages, found.digest), (0, 0, Digest::ZERO));
    let of = world.say(ada, Recipient::User(ada), "note").await.conversation;
    let beyond = world.range_digest(ada, of, range(Some(1), Some(5_000_000))).await.unwrap();
    assert_eq!(beyond, whole(&world, ada, of).await);
    refused!(world.range_digest(ada, of, range(Some(2), None)).await, "Invalid(from)");
    // The whole of a long conversation is there; too long a part of it is not.
    world.raw().run("UPDATE conversations SET \"update\" = 200000 WHERE kind = 'direct'");
    assert_eq!(whole(&world, ada, of).await.messages, 1);
    refused!(world.range_digest(ada, of, range(None, Some(100_001))).await, "Invalid(to)");
    world.range_digest(ada, of, range(None, Some(100_000))).await.unwrap();
}

async fn digests_are_for_who_may_read(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let direct = world.say(ada, Recipient::User(bob), "x").await.conversation;
    let private = world.private_group("tea", ada, [bob]).await.conversation();
    let public = world.group(ada, "open", Visibility::Public).await.conversation();
    let nowhere = ConversationId(crate::world::fresh());
    for of in [direct, private, nowhere] {
        // Existence comes before the end of the range.
        for range in [range(None, None), range(Some(7), None)] {
            refused!(world.range_digest(eve, of, range).await, "NotFound(Conversation)");
        }
        refused!(world.sync_point(eve, of).await, "NotFound(Conversation)");
    }
    for of in [public, ConversationId::BROADCAST] {
        whole(&world, eve, of).await;
        world.sync_point(eve, of).await.unwrap();
    }
}

/// As a migration leaves it.
fn forget(raw: &mut Raw, which: &str) {
    raw.run(&format!("UPDATE conversations SET digest = '', message_count = 0 WHERE last_seq > 0 AND {which}"));
    raw.run("UPDATE server SET digest_form = 0");
}

async fn old_messages_get_their_digests_at_the_next_start(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut known = Vec::new();
    for other in [ada, bob] {
        let first = world.say(ada, Recipient::User(other), "1").await;
        world.say(ada, Recipient::User(other), "2").await;
        world.delete(ada, first.id, now()).await.unwrap();
        known.push((first.conversation, whole(&world, ada, first.conversation).await));
    }
    // A start may have been cut off behind some of them.
    for which in ["1 = 1", "first_user = second_user"] {
        forget(&mut world.raw(), which);
        assert!(Store::inspect(world.db.url()).await.unwrap().unwrap().is_older);
    }
    let world = world.reopened().await;
    for (of, before) in known {
        assert_eq!(whole(&world, ada, of).await, before);
    }
    assert!(!Store::inspect(world.db.url()).await.unwrap().unwrap().is_older);
    assert_eq!(Store::check(world.db.url()).await.unwrap(), [""; 0]);
}

/// A conversation whose text somebody has changed behind the server's back.
async fn tampered(db: TestDb) -> (World, ConversationId) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(ada), "note").await;
    let of = world.say(ada, Recipient::User(bob), "true").await.conversation;
    assert_eq!(Store::check(world.db.url()).await.unwrap(), [""; 0]);
    world.raw().run("UPDATE messages SET content = 'false' WHERE content = 'true'");
    (world, of)
}

async fn a_wrong_digest_is_found_with_its_conversation(db: TestDb) {
    let (world, of) = tampered(db).await;
    let expected = format!("the digest of conversation {of} is not that of its messages");
    assert_eq!(Store::check(world.db.url()).await.unwrap(), [expected]);
}

async fn a_database_with_a_wrong_digest_is_neither_saved_nor_copied(db: TestDb) {
    let (world, of) = tampered(db).await;
    let directory = tempfile::tempdir().unwrap();
    match backup::save(world.db.url(), &directory.path().join("saved.db"), |_| ()) {
        Err(BackupError::Differs(differs)) => assert_eq!(differs, of),
        other => panic!("{other:?}"),
    }
    let db = world.closed().await;
    let target = TestDb::sqlite();
    let report = copy::copy(db.url(), target.url(), |_| ()).unwrap();
    assert!(!report.is_same() && report.differing == [of], "{report:?}");
}
