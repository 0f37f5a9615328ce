//! `LiveReader`, and the contract of `EventPublisher`: after the commit, in order, with a cursor that misses nothing.

use crate::concurrency::all;
use crate::world::{Raw, World, limit, now, open, text};
use domain::events::{Committed, ConversationVersion, Event, EventPublisher, Revision};
use domain::groups::{GroupChange, GroupRepository, MemberRepository, Role, Visibility};
use domain::live::{Known, LiveReader, MissedIn, NodeReader};
use domain::messages::{Content, MessageLog, MessageReader, Recipient, Update};
use domain::users::ServerPolicy;
use domain::{ConversationId, UserId};
use std::sync::{Arc, Mutex};
use test_support::{Backend, TestDb};

on_both!(
    a_roster_is_ones_groups_and_living_contacts,
    what_was_missed_is_told_by_conversation,
    nothing_was_missed_where_nothing_happened,
    who_resumes_from_a_cursor_misses_nothing,
    a_change_of_groups_is_told,
    a_revision_of_the_future_or_of_another_database_is_none,
    revisions_go_on_after_a_restart,
    events_are_published_after_the_commit,
    events_of_a_conversation_come_in_the_order_of_its_counter,
    what_was_refused_is_not_published,
    a_writer_that_panics_ends_the_server,
    a_commit_of_which_nobody_knows_is_told_to_be_lost,
);

/// Whether nothing older may be in what is told as missed. On Postgres a transaction under way anywhere in the cluster,
/// another test's too, makes it reach back further.
fn exact(world: &World) -> bool {
    world.db.backend() == Backend::Sqlite
}

/// Holds what was missed against what has to be in it.
fn assert_told(world: &World, mut missed: Vec<MissedIn>, mut expected: Vec<MissedIn>) {
    missed.sort_by_key(|missed| missed.conversation);
    expected.sort_by_key(|missed| missed.conversation);
    if exact(world) {
        assert_eq!(missed, expected);
    }
    for wanted in expected {
        let told = missed.iter().find(|told| told.conversation == wanted.conversation);
        assert!(told.is_some_and(|told| told.after <= wanted.after && told.update == wanted.update), "{missed:?}");
    }
}

async fn here(world: &World, user: UserId) -> Revision {
    world.subscriptions(user).await.unwrap().at
}

async fn a_roster_is_ones_groups_and_living_contacts(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", bob, [ada]).await;
    let gone = world.private_group("gone", ada, [bob]).await;
    let left = world.private_group("left", bob, [ada]).await;
    world.group(bob, "public", Visibility::Public).await;
    let unanswered = world.user("unanswered").await;
    for other in [bob, eve] {
        world.say(other, Recipient::User(ada), "x").await;
        world.say(ada, Recipient::User(other), "x").await;
    }
    world.say(ada, Recipient::User(unanswered), "x").await;
    world.say(ada, Recipient::User(ada), "x").await;
    GroupRepository::delete(&*world, ada, gone, now()).await.unwrap();
    world.remove(ada, left, ada).await.unwrap();
    world.delete_user(eve).await;
    let subscriptions = world.subscriptions(ada).await.unwrap();
    let stands =
        world.past(tea.conversation(), Known::Version(ConversationVersion::NEW), vec![]).await.unwrap().unwrap().stands;
    assert_eq!((subscriptions.groups, subscriptions.contacts), (vec![(tea, stands)], vec![bob]));
    let nobody = world.subscriptions(UserId(crate::world::fresh())).await.unwrap();
    assert_eq!((nobody.groups, nobody.contacts), (vec![], vec![]));
}

async fn what_was_missed_is_told_by_conversation(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let old = world.say(ada, Recipient::User(bob), "1").await;
    world.say(ada, Recipient::User(eve), "not bob's").await;
    let second = world.say(ada, Recipient::User(bob), "2").await;
    for n in 3..=5 {
        world.say(ada, Recipient::User(bob), &n.to_string()).await;
    }
    world.edit(ada, second.id, Content::parse("edited").unwrap(), now()).await.unwrap();
    let since = here(&world, bob).await;
    world.say(ada, Recipient::User(eve), "not bob's either").await;
    world.say(ada, Recipient::User(bob), "7").await;
    world.delete(ada, old.id, now()).await.unwrap();
    world.say(eve, Recipient::Everybody, "news").await;
    let missed = world.missed(bob, since).await.unwrap().unwrap();
    assert!(!missed.memberships_changed || !exact(&world));
    let broadcast = MissedIn { conversation: ConversationId::BROADCAST, after: Update(0), update: Update(1) };
    let between = MissedIn { conversation: old.conversation, after: Update(6), update: Update(8) };
    assert_told(&world, missed.conversations, vec![broadcast, between]);
    let changes = world.changes(bob, old.conversation, Update(6), limit(50)).await.unwrap();
    assert_eq!(changes.entries.iter().map(|entry| entry.update().0).collect::<Vec<_>>(), [7, 8]);
}

async fn nothing_was_missed_where_nothing_happened(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.private_group("tea", ada, [bob]).await;
    world.say(ada, Recipient::User(bob), "1").await;
    world.say(ada, Recipient::Everybody, "1").await;
    world.events.take_committed();
    world.say(ada, Recipient::User(bob), "2").await;
    let cursor = world.events.take_committed().pop().unwrap().cursor;
    for since in [here(&world, bob).await, cursor] {
        let missed = world.missed(bob, since).await.unwrap().unwrap();
        assert!(!missed.memberships_changed || !exact(&world), "{missed:?}");
        assert_told(&world, missed.conversations, vec![]);
    }
}

/// What is told from a cursor on is everything that came after it.
async fn who_resumes_from_a_cursor_misses_nothing(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..12 {
        let message = world.say(ada, Recipient::User(bob), "x").await;
        if n % 3 == 1 {
            world.edit(ada, message.id, Content::parse("y").unwrap(), now()).await.unwrap();
        }
        if n % 4 == 3 {
            world.delete(ada, message.id, now()).await.unwrap();
        }
        said.push(message);
    }
    let committed = world.events.take_committed();
    let last = said.last().unwrap();
    let mut last_cursor = Revision(i64::MIN);
    for Committed { events, cursor, .. } in committed {
        assert!(cursor >= last_cursor, "cursors do not go back");
        last_cursor = cursor;
        let Some(given) = events.last().and_then(number) else { continue };
        let missed = world.missed(bob, cursor).await.unwrap().unwrap();
        let after = missed.conversations.iter().find(|missed| missed.conversation == last.conversation);
        let total = world.changes(bob, last.conversation, Update(0), limit(200)).await.unwrap().update.0;
        match after {
            Some(missed) => {
                assert!(missed.after <= Update(given) && missed.update.0 == total, "{missed:?} after {given}")
            }
            None => assert_eq!(given, total),
        }
    }
}

/// The number an event took, if it is one of a message.
fn number(event: &Event) -> Option<i64> {
    match event {
        Event::MessageCreated(message, _) | Event::MessageUpdated(message, _) => Some(message.update.0),
        Event::MessageDeleted { tombstone, .. } => Some(tombstone.update.0),
        _ => None,
    }
}

async fn a_change_of_groups_is_told(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    let changed = async |user, since| world.missed(user, since).await.unwrap().unwrap().memberships_changed;
    let since = here(&world, bob).await;
    assert!(!changed(bob, since).await || !exact(&world));
    world.add(ada, tea, eve, Role::Member).await.unwrap();
    assert!(changed(bob, since).await && changed(eve, since).await);

    let since = here(&world, bob).await;
    MemberRepository::change_role(&*world, ada, tea, eve, Role::Admin, now()).await.unwrap();
    assert!(changed(bob, since).await);

    let since = here(&world, bob).await;
    let change = GroupChange { visibility: Some(Visibility::Public), ..GroupChange::default() };
    GroupRepository::change(&*world, ada, tea, change, now()).await.unwrap();
    assert!(changed(bob, since).await);

    let since = here(&world, bob).await;
    world.remove(ada, tea, bob).await.unwrap();
    assert!(changed(bob, since).await, "who was removed is told");
    assert!(changed(eve, since).await);

    let since = here(&world, eve).await;
    GroupRepository::delete(&*world, ada, tea, now()).await.unwrap();
    assert!(changed(eve, since).await);
    assert!(!changed(bob, since).await || !exact(&world), "what one is not in is none of one's business");

    let since = here(&world, bob).await;
    world.group(bob, "new", Visibility::Private).await;
    assert!(changed(bob, since).await);
    assert!(!changed(eve, since).await || !exact(&world));
}

async fn a_revision_of_the_future_or_of_another_database_is_none(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    assert_eq!(world.missed(ada, Revision(i64::MAX)).await.unwrap(), None);
    assert_eq!(world.missed(ada, Revision(0)).await.unwrap(), None);
    // Of two databases one knows no cursor of the other, in whichever order they were made.
    if let Some(other) = another(world.db.backend()) {
        let other = World::new(other).await;
        let user = other.user("ada").await;
        let (here, there) = (world.subscriptions(ada).await.unwrap().at, other.subscriptions(user).await.unwrap().at);
        assert_eq!(world.missed(ada, there).await.unwrap(), None, "{here:?} {there:?}");
        assert_eq!(other.missed(user, here).await.unwrap(), None, "{here:?} {there:?}");
    }
    assert_eq!(world.missed(ada, Revision(i64::MIN)).await.unwrap(), None);
    assert!(world.missed(ada, here(&world, ada).await).await.unwrap().is_some());
}

async fn revisions_go_on_after_a_restart(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "1").await.conversation;
    let since = here(&world, bob).await;
    let world = world.reopened().await;
    assert!(here(&world, bob).await >= since);
    world.say(ada, Recipient::User(bob), "2").await;
    let missed = world.missed(bob, since).await.unwrap().unwrap();
    assert_told(&world, missed.conversations, vec![MissedIn { conversation: of, after: Update(1), update: Update(2) }]);
}

/// Looks, when it is told of something, whether others can see it already.
struct Witness {
    others: Mutex<Raw>,
    found: Mutex<Vec<i64>>,
}

impl EventPublisher for Witness {
    fn publish(&self, committed: Committed) {
        let mut others = self.others.lock().unwrap();
        for event in &committed.events {
            if let Event::MessageCreated(message, _) = event {
                let last = "SELECT max(seq) FROM messages WHERE content = 'witnessed'";
                let found = others.number(last) - message.seq.0;
                self.found.lock().unwrap().push(found);
            }
        }
    }

    fn lost(&self) {}
}

async fn events_are_published_after_the_commit(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let db = world.closed().await;
    let witness = Arc::new(Witness { others: Mutex::new(Raw::open(&db)), found: Mutex::default() });
    let store = open(&db, ServerPolicy::default(), witness.clone()).await;
    for _ in 0..5 {
        store.append(text(ada, Recipient::User(bob), "witnessed")).await.unwrap();
    }
    assert_eq!(*witness.found.lock().unwrap(), [0; 5], "the newest that others see is the one just published");
}

async fn events_of_a_conversation_come_in_the_order_of_its_counter(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    world.events.take();
    let recipients = [Recipient::User(bob), Recipient::Group(group), Recipient::Everybody];
    all((0..150).map(|n| {
        let world = &world;
        async move {
            let sent = world.say(ada, recipients[n % 3], "x").await;
            if n % 2 == 0 {
                world.edit(ada, sent.id, Content::parse("y").unwrap(), now()).await.unwrap();
            }
            if n % 5 == 0 {
                world.delete(ada, sent.id, now()).await.unwrap();
            }
        }
    }))
    .await;
    let mut last = std::collections::HashMap::new();
    for event in world.events.take() {
        let of = match &event {
            Event::MessageCreated(message, _) | Event::MessageUpdated(message, _) => message.conversation,
            Event::MessageDeleted { tombstone, .. } => tombstone.conversation,
            other => panic!("{other:?}"),
        };
        let last = last.entry(of).or_insert(0);
        assert_eq!(number(&event), Some(*last + 1));
        *last += 1;
    }
    assert_eq!(last.into_values().collect::<Vec<_>>(), [85, 85, 85]);
}

async fn what_was_refused_is_not_published(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    world.events.take();
    world.append(text(ada, Recipient::User(UserId(crate::world::fresh())), "x")).await.unwrap_err();
    world.remove(ada, tea, ada).await.unwrap_err();
    world.add(bob, tea, bob, Role::Member).await.unwrap_err();
    world.create_group(bob, "TEA", Visibility::Public).await.unwrap_err();
    assert_eq!(world.events.take_committed(), []);
}

struct Panics;

impl EventPublisher for Panics {
    fn publish(&self, _: Committed) {
        panic!("while an event is published");
    }

    fn lost(&self) {}
}

async fn a_writer_that_panics_ends_the_server(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let db = world.closed().await;
    let (tell, told) = std::sync::mpsc::channel();
    let options = infra_diesel::StoreOptions {
        policy: Arc::default(),
        events: Arc::new(Panics),
        fatal: Arc::new(move |why: &str| tell.send(why.to_owned()).unwrap()),
        pool_size: Some(1),
        allow_unsafe_durability: false,
    };
    let store = infra_diesel::Store::open(db.url(), options).await.unwrap();
    store.append(text(ada, Recipient::User(bob), "x")).await.unwrap_err();
    let why = told.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
    assert!(why.contains("a writer panicked"), "{why}");
}

async fn a_commit_of_which_nobody_knows_is_told_to_be_lost(db: TestDb) {
    let world = World::new(db).await;
    if world.db.backend() == Backend::Sqlite {
        // There, the process ends.
        return;
    }
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "before").await;
    world.events.take();
    let mut raw = world.raw();
    raw.run(
        "CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
    );
    raw.run(
        "CREATE CONSTRAINT TRIGGER at_the_commit AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION cut_off()",
    );
    let unknown = world.append(text(ada, Recipient::User(bob), "who knows")).await;
    assert!(matches!(unknown, Err(domain::Error::Unavailable(_))), "{unknown:?}");
    assert_eq!((world.events.lost(), world.events.take()), (1, vec![]));
    raw.run("DROP TRIGGER at_the_commit ON messages");
    world.say(ada, Recipient::User(bob), "after").await;
    assert_eq!((world.events.lost(), world.events.take().len()), (1, 1));
}

/// A database made apart from all others: those of Postgres are copies of one.
fn another(backend: Backend) -> Option<TestDb> {
    match backend {
        Backend::Sqlite => Some(TestDb::sqlite()),
        Backend::Postgres => TestDb::empty_postgres(),
    }
}
