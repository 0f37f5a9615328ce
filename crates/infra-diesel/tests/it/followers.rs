//! The log as followers read it, and their positions.

use crate::world::{World, at};
use domain::events::Revision;
use domain::followers::{FollowerLog, FollowerName, Lease};
use domain::messages::{ChangeEntry, Recipient};
use test_support::TestDb;
use uuid::Uuid;

on_both!(
    a_follower_reads_every_change_once_in_the_order_of_commits,
    a_message_that_changed_again_is_read_as_it_is,
    one_process_leads_until_its_lease_lapses,
    a_position_only_its_leader_moves_and_only_forward,
);

const SEARCH: FollowerName = FollowerName::Search;

fn lease(leader: u128, lapses_at: i64) -> Lease {
    Lease { follower: SEARCH, leader: Uuid::from_u128(leader), lapses_at: at(lapses_at) }
}

/// The contents of the changes from there on, and where the reader is then.
async fn read(world: &World, from: Revision) -> (Vec<String>, Revision) {
    let (mut contents, mut from) = (Vec::new(), from);
    loop {
        let batch = world.changes(from).await.unwrap();
        assert!(batch.to >= from);
        from = batch.to;
        contents.extend(batch.changes.into_iter().map(|change| match change {
            ChangeEntry::Message(message) => message.body.content().to_owned(),
            ChangeEntry::Deleted(_) => "deleted".to_owned(),
        }));
        if !batch.more {
            return (contents, from);
        }
    }
}

/// Reads on until there are so many changes: on Postgres a transaction of another test may hold the reader back.
async fn read_so_many(world: &World, from: Revision, count: usize) -> (Vec<String>, Revision) {
    let (mut contents, mut from) = (Vec::new(), from);
    while contents.len() < count {
        let (more, to) = read(world, from).await;
        contents.extend(more);
        from = to;
        tokio::task::yield_now().await;
    }
    (contents, from)
}

/// Reads from there until it reads this, for the same reason. The watchdog of the tests ends it if it never does.
async fn until_read(world: &World, from: Revision, expected: &[&str]) {
    while read(world, from).await.0 != expected {
        tokio::task::yield_now().await;
    }
}

async fn a_follower_reads_every_change_once_in_the_order_of_commits(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "before").await;
    let begin = world.position(SEARCH).await.unwrap();
    assert_eq!(world.position(SEARCH).await.unwrap(), begin);
    let (before, begin) = read_so_many(&world, Revision(0), 1).await;
    assert_eq!(before, ["before"]);
    let mut said = Vec::new();
    for n in 0..1_100 {
        said.push(n.to_string());
    }
    for n in &said {
        world.say(ada, if n.len() > 2 { Recipient::Everybody } else { Recipient::User(bob) }, n).await;
    }
    let (first, next) = read_so_many(&world, begin, said.len()).await;
    assert_eq!(first, said);
    world.say(ada, Recipient::User(bob), "later").await;
    assert_eq!(read_so_many(&world, next, 1).await.0, ["later"]);
}

async fn a_message_that_changed_again_is_read_as_it_is(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let begin = world.position(SEARCH).await.unwrap();
    let (one, other) =
        (world.say(ada, Recipient::User(bob), "1").await, world.say(ada, Recipient::User(bob), "2").await);
    world.delete(ada, one.id, crate::world::now()).await.unwrap();
    until_read(&world, begin, &["2", "deleted"]).await;
    world.delete(ada, other.id, crate::world::now()).await.unwrap();
    until_read(&world, begin, &["deleted", "deleted"]).await;
}

async fn one_process_leads_until_its_lease_lapses(db: TestDb) {
    let world = World::new(db).await;
    world.position(SEARCH).await.unwrap();
    assert!(world.lead(lease(1, 100), at(50)).await.unwrap());
    assert!(!world.lead(lease(2, 200), at(99)).await.unwrap());
    assert!(world.lead(lease(1, 150), at(99)).await.unwrap());
    assert!(!world.lead(lease(2, 200), at(149)).await.unwrap());
    assert!(world.lead(lease(2, 200), at(150)).await.unwrap());
    assert!(!world.lead(lease(1, 300), at(151)).await.unwrap());
}

async fn a_position_only_its_leader_moves_and_only_forward(db: TestDb) {
    let world = World::new(db).await;
    let begin = world.position(SEARCH).await.unwrap();
    let later = Revision(begin.0 + 5);
    assert!(!world.advance(lease(1, 100), later).await.unwrap());
    assert!(world.lead(lease(1, 100), at(50)).await.unwrap());
    assert!(!world.advance(lease(2, 100), later).await.unwrap());
    assert!(world.advance(lease(1, 100), later).await.unwrap());
    assert!(!world.advance(lease(1, 100), begin).await.unwrap());
    assert_eq!(world.position(SEARCH).await.unwrap(), later);
}
