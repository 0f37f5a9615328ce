//! Postgres: who waits for whom. What the database undoes so that others can go on is done again.

use crate::concurrency::all;
use crate::world::{Raw, Recorder, World, delete_user, now, open, text};
use domain::Error;
use domain::groups::{GroupRepository, MemberRepository, NewMember, Role, Visibility};
use domain::messages::{MessageLog, Recipient};
use domain::users::ServerPolicy;
use infra_diesel::Store;
use std::sync::Arc;
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
    let mut joined = 1;
    for n in 0..3 {
        // Whoever of the two looks last is undone, and on a busy machine that may be the other. Then once more.
        let mut was_undone = false;
        for round in 0..50 {
            let joins = world.user(&format!("joins-{n}-{round}")).await;
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
                let is_served =
                    foreign.try_run(&format!("SELECT 1 FROM conversations WHERE id = '{group}' FOR UPDATE"));
                foreign.run("ROLLBACK");
                is_served
            });
            let (told, is_served) = tokio::join!(asked, circle);
            told.unwrap_or_else(|error| panic!("{n}: {error:?}"));
            joined += 1;
            if is_served.unwrap() {
                was_undone = true;
                break;
            }
        }
        assert!(was_undone, "{n}: the server was never the one to be undone");
    }
    let members = format!("SELECT count(*) FROM members WHERE conversation_id = '{group}'");
    assert_eq!(world.raw().number(&members), joined);
    // Counted at the latest when a connection closes.
    let db = world.closed().await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let mut watch = Raw::open(&db);
    while watch.number(deadlocks) < 3 {
        tokio::task::yield_now().await;
    }
}

/// Accounts end while their groups are changed from several servers in every way there is: nobody waits in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_end_among_changes_of_their_groups_without_a_deadlock() {
    let Some(db) = impatient() else { return };
    let world = World::new(db).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(open(&world.db, ServerPolicy::default(), Arc::new(Recorder::default())).await);
    }
    let nodes: Vec<&Store> = std::iter::once(&*world).chain(&others).collect();
    let mut people = Vec::new();
    for n in 0..12 {
        people.push(world.user(&format!("p{n}")).await);
    }
    let mut groups = Vec::new();
    for n in 0..12 {
        let group = world.group(people[n], &format!("g{n}"), Visibility::Public).await;
        for m in 1..8 {
            world.add(people[n], group, people[(n + m) % 12], Role::Admin).await.unwrap();
        }
        groups.push(group);
    }
    // What is refused, since somebody else was first, is none of this test's business; a deadlock is seen by the count.
    let acts = all((0..nodes.len() * 4).map(|worker| {
        let (node, people, groups) = (nodes[worker % nodes.len()], &people, &groups);
        async move {
            for n in 0..60 {
                let pick = worker * 31 + n * 7;
                let (group, actor, target) = (groups[pick % 12], people[(pick / 3) % 12], people[(pick / 5) % 12]);
                let outcome = match (worker + n) % 7 {
                    0 => node.add(actor, NewMember::new(group, target, Role::Member).unwrap(), now()).await.map(drop),
                    1 => MemberRepository::remove(node, actor, group, target, now()).await,
                    2 => MemberRepository::remove(node, actor, group, actor, now()).await,
                    3 => node.change_role(actor, group, target, Role::Owner, now()).await.map(drop),
                    4 => node.append(text(target, Recipient::Group(group), "hello")).await.map(drop),
                    5 if n > 40 => GroupRepository::delete(node, actor, group, now()).await,
                    _ => node.change_role(actor, group, target, Role::Admin, now()).await.map(drop),
                };
                assert!(!matches!(outcome, Err(Error::Unavailable(_) | Error::Internal(_))), "{outcome:?}");
            }
        }
    }));
    let ends = all((0..6).map(|n| {
        let (node, who) = (nodes[n % nodes.len()], people[n * 2]);
        async move {
            for _ in 0..n * 8 {
                tokio::task::yield_now().await;
            }
            delete_user(node, who, now()).await.unwrap();
        }
    }));
    tokio::join!(acts, ends);
    for other in others {
        other.close().await;
    }
    let db = world.closed().await;
    assert_eq!(Store::check(db.url()).await.unwrap(), [""; 0]);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(Raw::open(&db).number(deadlocks), 0);
}
