//! Copies that are cut off, go on, or find a difference.

use crate::concurrency::all;
use crate::schema::lines;
use crate::world::{Raw, World, contents, limit};
use domain::messages::{Cursor, Recipient, Window};
use domain::{ConversationId, UserId};
use infra_diesel::copy::{COLUMNS, CopyError, Report, TABLES, TargetState, copy, plan};
use infra_diesel::{OpenError, Store};
use std::panic::{AssertUnwindSafe, catch_unwind};
use test_support::{Backend, TestDb};

/// More than one batch.
const MESSAGES: usize = 2_500;

/// A database with a conversation of [`MESSAGES`] messages.
async fn filled(db: TestDb) -> (TestDb, [UserId; 2], ConversationId) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let said = all((0..MESSAGES).map(async |n| world.say(ada, Recipient::User(bob), &format!("{n} 🙂")).await)).await;
    (world.closed().await, [ada, bob], said[0].conversation)
}

/// An empty one of the other kind; `None` where there is no Postgres.
fn other(db: &TestDb) -> Option<TestDb> {
    match db.backend() {
        Backend::Sqlite => TestDb::empty_postgres(),
        Backend::Postgres => Some(TestDb::sqlite()),
    }
}

/// Copies until `rows` messages are there, as if the process had been killed then.
fn cut_off(from: &TestDb, to: &TestDb, rows: u64) {
    let cut = || {
        copy(from.url(), to.url(), |progress| {
            if progress.doing == "copying" && progress.table == "messages" {
                assert!(progress.rows < rows, "cut off");
            }
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(cut)).is_err());
}

fn finish(from: &TestDb, to: &TestDb) -> Report {
    copy(from.url(), to.url(), |_| ()).unwrap()
}

async fn a_copy_that_was_cut_off_goes_on_and_no_server_takes_it_before(db: TestDb) {
    let (db, [ada, bob], _) = filled(db).await;
    let Some(target) = other(&db) else { return };
    assert_eq!(plan(db.url(), target.url()).unwrap().target, TargetState::Empty);
    cut_off(&db, &target, 1);
    assert_eq!(plan(db.url(), target.url()).unwrap().target, TargetState::Begun);
    for rows in [2_000, 2_001] {
        cut_off(&db, &target, rows);
        assert!(matches!(Store::migrate(target.url()).await, Err(OpenError::UnfinishedCopy)));
    }
    let report = finish(&db, &target);
    assert!(report.is_same(), "{report:?}");
    assert_eq!(report.conversations, 2);
    let messages = report.tables.iter().find(|report| report.table == "messages").unwrap();
    assert_eq!(messages.from.0, MESSAGES as u64);

    let world = World::new(target).await;
    let newest = Window::Before { cursor: Cursor::Latest, limit: limit(3) };
    let page = world.page(bob, Recipient::User(ada), newest).await.unwrap();
    let seqs: Vec<_> = page.items.iter().map(|message| message.seq.0).collect();
    assert_eq!(seqs, [2_498, 2_499, 2_500]);
    assert!(contents(&page.items).iter().all(|content| content.ends_with(" 🙂")));
}

async fn a_copy_into_what_holds_something_else_is_refused(db: TestDb) {
    let (db, ..) = filled(db).await;
    let Some(target) = other(&db) else { return };
    cut_off(&db, &target, 1);
    let stranger = TestDb::sqlite();
    Store::migrate(stranger.url()).await.unwrap();
    assert!(matches!(copy(stranger.url(), target.url(), |_| ()), Err(CopyError::OtherCopy(_))));
    assert!(matches!(copy(target.url(), stranger.url(), |_| ()), Err(CopyError::UnfinishedSource)));
    assert!(finish(&db, &target).is_same());
    assert!(matches!(copy(stranger.url(), target.url(), |_| ()), Err(CopyError::NotEmpty)));
}

async fn a_difference_is_found_and_keeps_servers_away(db: TestDb) {
    let (db, _, of) = filled(db).await;
    let Some(target) = other(&db) else { return };
    cut_off(&db, &target, 2_000);
    Raw::open(&target).run("UPDATE messages SET content = content || ' ' WHERE seq = 7");
    let report = finish(&db, &target);
    assert_eq!(report.differing, [of]);
    let differing: Vec<_> = report.tables.iter().filter(|table| !table.is_same()).map(|table| table.table).collect();
    assert_eq!(differing, ["messages"]);
    assert!(matches!(Store::migrate(target.url()).await, Err(OpenError::UnfinishedCopy)));
    Raw::open(&target).run("DELETE FROM messages WHERE seq = 7");
    let report = finish(&db, &target);
    assert!(!report.is_same() && report.differing == [of], "{report:?}");
}

/// Cursors of live connections stay good: what is handed out by the copy is greater than anything before.
async fn revisions_go_on_in_the_copy(db: TestDb) {
    use domain::live::LiveReader;
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "1").await.conversation;
    let all_seen = world.subscriptions(bob).await.unwrap().at;
    let db = world.closed().await;
    let Some(target) = other(&db) else { return };
    assert!(finish(&db, &target).is_same());
    let world = World::new(target).await;
    let missed = async || world.missed(bob, all_seen).await.unwrap().unwrap();
    // What happens elsewhere in a cluster may hold a cursor of Postgres back, and so tell more than was missed.
    assert!(missed().await.conversations.len() <= 1);
    assert!(world.subscriptions(bob).await.unwrap().at > all_seen);
    world.say(ada, Recipient::User(bob), "2").await;
    let missed = missed().await.conversations.pop().unwrap();
    assert_eq!((missed.conversation, missed.update.0), (of, 2));
}

/// The rows of a dump are of another cluster's transactions, which may be far ahead of this one's.
#[tokio::test]
async fn a_restored_dump_goes_on_behind_its_revisions() {
    use domain::live::LiveReader;
    let Some(db) = TestDb::postgres() else { return };
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "1").await;
    let mut raw = world.raw();
    raw.run("UPDATE conversations SET revision = 5000000000 WHERE revision > 0");
    raw.run("UPDATE messages SET revision = 5000000000");
    let world = world.reopened().await;
    let restored = world.subscriptions(bob).await.unwrap().at;
    assert!(restored.0 > 5_000_000_000);
    assert!(world.missed(bob, restored).await.unwrap().unwrap().conversations.is_empty());
    // Once and for all: the next start changes nothing.
    let starts = world.raw().number("SELECT starts FROM server");
    let world = world.reopened().await;
    assert_eq!(world.raw().number("SELECT starts FROM server"), starts);
    world.say(ada, Recipient::User(bob), "2").await;
    let missed = world.missed(bob, restored).await.unwrap().unwrap();
    assert_eq!(
        missed.conversations.iter().map(|missed| (missed.after.0, missed.update.0)).collect::<Vec<_>>(),
        [(1, 2)]
    );
}

on_both!(
    a_copy_that_was_cut_off_goes_on_and_no_server_takes_it_before,
    a_copy_into_what_holds_something_else_is_refused,
    a_difference_is_found_and_keeps_servers_away,
    revisions_go_on_in_the_copy,
    a_copy_holds_every_column_of_every_table,
);

/// What a copy left out would be lost, and the copy would still find both sides the same.
async fn a_copy_holds_every_column_of_every_table(db: TestDb) {
    let columns = match db.backend() {
        Backend::Sqlite => {
            "SELECT t.name || '.' || c.name AS line FROM pragma_table_info(t.name) c, sqlite_master t WHERE t.type = 'table'"
        }
        Backend::Postgres => {
            "SELECT table_name || '.' || column_name AS line FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let world = World::new(db).await;
    // Each database has its own: its migrations, where its server counts from, and how far its followers are.
    let is_own = |column: &String| {
        ["__diesel_schema_migrations.", "server.", "followers."].iter().any(|own| column.starts_with(own))
    };
    let mut there: Vec<String> = lines(&mut world.raw(), columns);
    there.retain(|column| !is_own(column));
    let copied =
        COLUMNS.iter().flat_map(|(table, columns)| columns.iter().map(move |column| format!("{table}.{column}")));
    let mut copied: Vec<String> = copied.collect();
    copied.sort();
    assert_eq!(copied, there);
    assert!(COLUMNS.iter().map(|(table, _)| table).eq(TABLES));
}
