//! `NodeReader`, and the versions that committed events come with: what several nodes over one database keep up by.

use crate::concurrency::{Servers, all};
use crate::sessions::begin;
use crate::world::{World, limit, now, text};
use domain::events::{Audience, Committed, ConversationVersion, Event, Revision};
use domain::groups::{GroupRepository, MemberRepository, Role, Visibility};
use domain::live::{Known, LiveReader, NodeReader};
use domain::messages::{Content, DigestReader, MessageLog, MessageReader, Recipient, Update};
use domain::receipts::ReceiptRepository;
use domain::sessions::SessionRepository;
use domain::{ConversationId, UserId};
use std::collections::HashMap;
use test_support::TestDb;

on_both!(
    heads_lead_from_one_to_the_next,
    what_changed_is_told_with_where_it_stands,
    the_past_leads_to_the_head,
    a_long_past_comes_in_pages,
    members_are_told_where_they_changed,
    a_change_of_members_that_was_overtaken_is_newer_all_the_same,
    ended_sessions_are_told,
);

/// What each commit did to one conversation: the version before, and after it.
fn steps(published: &[Committed]) -> HashMap<ConversationId, Vec<(ConversationVersion, ConversationVersion)>> {
    let mut steps: HashMap<_, Vec<_>> = HashMap::new();
    for committed in published {
        let mut by_conversation: HashMap<_, Vec<&Event>> = HashMap::new();
        for event in &committed.events {
            if let Some(of) = event.conversation() {
                by_conversation.entry(of).or_default().push(event);
            }
        }
        for (of, events) in by_conversation {
            let before = committed.versions.get(&of).unwrap_or_else(|| panic!("no version for {events:?}"));
            steps.entry(of).or_default().push((*before, before.after(events, committed.revision)));
        }
    }
    steps
}

async fn heads_lead_from_one_to_the_next(db: TestDb) {
    let servers = Servers::start(db).await;
    let world = &servers.world;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tea = world.group(ada, "tea", Visibility::Public).await;
    all((0..24).map(|n: usize| {
        let servers = &servers;
        async move {
            let store = servers.any(n);
            for turn in 0..4 {
                let to = if n.is_multiple_of(3) { Recipient::User(bob) } else { Recipient::Group(tea) };
                let sent = crate::world::stored(store.append(text(ada, to, "x")).await);
                match (n + turn) % 4 {
                    0 => drop(store.edit(ada, sent.id, Content::parse("y").unwrap().into(), now()).await.unwrap()),
                    1 => MessageLog::delete(store, ada, sent.id, now()).await.unwrap(),
                    // Sending joins.
                    2 => drop(store.append(text([bob, eve][n % 2], Recipient::Group(tea), "z")).await.unwrap()),
                    _ => drop(MemberRepository::remove(store, ada, tea, [bob, eve][n % 2], now()).await),
                }
                drop(servers.any(n + 1).mark_read(bob, sent.conversation, sent.id, now()).await);
            }
        }
    }))
    .await;
    GroupRepository::delete(&**world, ada, tea, now()).await.unwrap();
    let published: Vec<_> = servers.committed().into_iter().flatten().collect();
    let steps = steps(&published);
    assert_eq!(steps.len(), 2);
    for (of, mut steps) in steps {
        // What changes nothing has a place, too: right behind what led to it.
        steps.sort_by_key(|(before, after)| {
            (after.update.0, after.membership_revision, before.update.0, before.membership_revision)
        });
        let mut known = ConversationVersion::NEW;
        for (before, after) in steps {
            assert_eq!(before, known, "of {of}");
            known = after;
        }
        let past = world.past(of, Known::Version(known), vec![]).await.unwrap().unwrap();
        assert_eq!((past.version, past.events, past.members), (known, vec![], None), "the last one is where it stands");
    }
}

async fn a_change_of_members_that_was_overtaken_is_newer_all_the_same(db: TestDb) {
    let servers = Servers::start(db).await;
    let world = &servers.world;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    if world.db.backend() == test_support::Backend::Postgres {
        // As one does that began later and came to the group first.
        world.raw().run("UPDATE conversations SET roster_revision = roster_revision + 1000 WHERE kind = 'group'");
    }
    let before = world.past(tea.conversation(), Known::Before(Revision(0)), vec![]).await.unwrap().unwrap().stands;
    servers.committed();
    world.remove(ada, tea, bob).await.unwrap();
    let published: Vec<_> = servers.committed().into_iter().flatten().collect();
    let (told_before, after) = steps(&published)[&tea.conversation()][0];
    assert_eq!(told_before, before);
    assert!(after.is_at_least(&before) && !before.is_at_least(&after), "{before:?} {after:?}");
    let past = world.past(tea.conversation(), Known::Version(before), vec![ada, bob]).await.unwrap().unwrap();
    assert_eq!((past.version, past.members), (after, Some(vec![ada])));
}

async fn here(world: &World) -> Revision {
    world.subscriptions(UserId(uuid::Uuid::nil())).await.unwrap().at
}

async fn what_changed_is_told_with_where_it_stands(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    world.say(ada, Recipient::Group(tea), "old").await;
    let since = here(&world).await;
    let said = world.say(ada, Recipient::User(bob), "1").await;
    let all_told = world.say(bob, Recipient::Everybody, "2").await;
    world.remove(ada, tea, bob).await.unwrap();
    let changed = world.changed(since).await.unwrap();
    assert!(changed.at >= since);
    let told = |of: ConversationId| changed.conversations.iter().find(|changed| changed.conversation == of).unwrap();
    let direct = told(said.conversation);
    assert_eq!((direct.version.update.0, direct.version.membership_revision), (1, Revision(0)));
    let Audience::Users(pair) = direct.audience else { panic!("{direct:?}") };
    assert!(pair.contains(&ada) && pair.contains(&bob));
    assert_eq!(
        (told(all_told.conversation).audience, told(all_told.conversation).version.update.0),
        (Audience::Everybody, 1)
    );
    let group = told(tea.conversation());
    assert_eq!(group.audience, Audience::Members(tea));
    assert!(
        group.version.membership_revision >= since
            && group.version.messages_revision < group.version.membership_revision
    );
    for changed in &changed.conversations {
        let past = world.past(changed.conversation, Known::Version(changed.version), vec![]).await.unwrap().unwrap();
        assert_eq!((past.version, past.audience), (changed.version, changed.audience));
    }
}

async fn the_past_leads_to_the_head(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let to = Recipient::User(bob);
    let (first, second) = (world.say(ada, to, "1").await, world.say(ada, to, "2").await);
    let of = first.conversation;
    let known = world.past(of, Known::Version(ConversationVersion::NEW), vec![]).await.unwrap().unwrap().version;
    let since = here(&world).await;
    world.edit(ada, first.id, Content::parse("one").unwrap(), now()).await.unwrap();
    let third = world.say(bob, Recipient::User(ada), "3").await;
    world.delete(ada, second.id, now()).await.unwrap();
    for known in [Known::Version(known), Known::Before(since)] {
        let past = world.past(of, known, vec![]).await.unwrap().unwrap();
        let Known::Version(ConversationVersion { update: Update(2), .. }) = known else {
            // May reach back further.
            assert!(past.missed >= 3 && past.events.len() >= 3);
            continue;
        };
        let [Event::MessageUpdated(edited, None), Event::MessageCreated(sent, None), deleted] = &past.events[..] else {
            panic!("{past:?}")
        };
        assert_eq!((edited.id, edited.body.content()), (first.id, "one"));
        assert_eq!(*sent, third);
        let Event::MessageDeleted { tombstone, sender, destination, digest } = deleted else { panic!("{deleted:?}") };
        assert_eq!((tombstone.id, *sender, *destination), (second.id, ada, second.destination));
        // Only the present digest is known.
        assert_eq!(*digest, Some(world.sync_point(bob, of).await.unwrap().digest));
        assert_eq!((past.version.update.0, past.missed, past.more), (5, 3, false));
    }
    assert_eq!(world.past(ConversationId(crate::world::fresh()), Known::Version(known), vec![]).await.unwrap(), None);
}

async fn a_long_past_comes_in_pages(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = all((0..1_250).map(|_| world.append(text(ada, Recipient::User(bob), "x")))).await;
    let of = crate::world::stored(sent.into_iter().next().unwrap()).conversation;
    let (mut known, mut numbers) = (ConversationVersion::NEW, Vec::new());
    loop {
        let past = world.past(of, Known::Version(known), vec![]).await.unwrap().unwrap();
        numbers.extend(past.events.iter().filter_map(Event::update).map(|update| update.0));
        known = past.version;
        if !past.more {
            break;
        }
    }
    assert_eq!(numbers, (1..=1_250).collect::<Vec<_>>());
    assert_eq!(known.update.0, world.changes(ada, of, Update(1_250), limit(1)).await.unwrap().update.0);
}

async fn members_are_told_where_they_changed(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let tea = world.private_group("tea", ada, [bob]).await;
    let of = tea.conversation();
    let known = world.past(of, Known::Version(ConversationVersion::NEW), vec![]).await.unwrap().unwrap().version;
    let past = async |known| world.past(of, known, vec![ada, bob, eve]).await.unwrap().unwrap();
    assert_eq!(past(Known::Version(known)).await.members, None);
    world.add(ada, tea, eve, Role::Member).await.unwrap();
    world.remove(ada, tea, bob).await.unwrap();
    let mut members = past(Known::Version(known)).await.members.unwrap();
    members.sort();
    let mut expected = [ada, eve];
    expected.sort();
    assert_eq!(members, expected);
    let since = here(&world).await;
    GroupRepository::delete(&*world, ada, tea, now()).await.unwrap();
    assert_eq!(past(Known::Before(since)).await.members, Some(vec![]), "nobody is in what is gone");
}

async fn ended_sessions_are_told(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let (kept, ended, of_bob) = (begin(&world, ada).await.id, begin(&world, ada).await.id, begin(&world, bob).await.id);
    assert_eq!(NodeReader::ended(&*world, vec![kept, ended, of_bob]).await.unwrap(), []);
    world.end(ada, ended, now()).await.unwrap();
    world.delete_user(bob).await;
    assert_eq!(NodeReader::ended(&*world, vec![kept, ended, of_bob]).await.unwrap(), [ended, of_bob]);
}
