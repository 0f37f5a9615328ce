//! Postgres: who waits for whom. What the database undoes so that others can go on is done again.

use crate::world::{Raw, World, text};
use domain::groups::{Role, Visibility};
use domain::messages::{MessageLog, Recipient};
use test_support::TestDb;

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// A database in which a deadlock is found soon: by default each takes a second.
fn impatient() -> Option<TestDb> {
    let db = TestDb::postgres()?;
    Raw::open(&db).run(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''200ms''', current_database()); END $$",
    );
    Some(db)
}

/// Somebody else's transaction holds the user and then wants the group, in which the user is just being taken.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_in_a_deadlock_is_served_all_the_same() {
    let Some(db) = impatient() else { return };
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    for n in 0..3 {
        let joins = world.user(&format!("joins-{n}")).await;
        let mut foreign = world.raw();
        foreign.run("BEGIN");
        foreign.run(&format!("UPDATE users SET updated_at = updated_at WHERE id = '{joins}'"));
        let asked = async {
            match n {
                0 => world.add(ada, group, joins, Role::Member).await.map(drop),
                1 => world.add(joins, group, joins, Role::Member).await.map(drop),
                _ => world.append(text(joins, Recipient::Group(group), "hello")).await.map(drop),
            }
        };
        let mut watch = world.raw();
        let circle = tokio::task::spawn_blocking(move || {
            while watch.number(WAITING) == 0 {
                std::thread::yield_now();
            }
            foreign.run(&format!("SELECT 1 FROM conversations WHERE id = '{group}' FOR UPDATE"));
            foreign.run("COMMIT");
        });
        let (told, closed) = tokio::join!(asked, circle);
        closed.unwrap();
        told.unwrap_or_else(|error| panic!("{n}: {error:?}"));
    }
    let members = format!("SELECT count(*) FROM members WHERE conversation_id = '{group}'");
    assert_eq!(world.raw().number(&members), 4);
    // Counted at the latest when a connection closes.
    let db = world.closed().await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let mut watch = Raw::open(&db);
    while watch.number(deadlocks) < 3 {
        tokio::task::yield_now().await;
    }
}
