//! `ConversationRepository`.

use crate::world::{World, at, fresh, limit, now, text};
use domain::conversations::{
    Activity, Conversation, ConversationCursor, ConversationFilter, ConversationRepository, Counterpart,
};
use domain::events::Revision;
use domain::groups::{GroupRepository, Role, Visibility};
use domain::messages::{MessageLog, MessageReader, NewMessage, Recipient, Update};
use domain::receipts::ReceiptRepository;
use domain::{ConversationId, UserId};
use test_support::{Backend, TestDb};

on_both!(
    ones_conversations_latest_first,
    the_last_message_is_the_newest_live_one,
    pages_go_on_behind_a_cursor,
    a_clock_that_jumps_back_does_not_reorder,
    the_list_follows_what_was_committed_and_no_clock,
    messages_of_one_transaction_come_in_their_order,
    rows_from_before_are_ordered_by_their_times_and_behind_what_is_new,
    nothing_happens_to_a_message_before_it_was_sent,
    groups_come_and_go_with_membership,
    every_cursor_is_a_place,
);

/// Counterpart whom, in short.
fn with(conversation: &Conversation) -> String {
    match &conversation.with {
        Counterpart::User(user) => user.username.to_string(),
        Counterpart::Group(view) => format!("#{}", view.group.name),
        Counterpart::Everybody => "*".to_owned(),
    }
}

async fn listed(world: &World, user: UserId) -> Vec<String> {
    world.conversations(user).await.iter().map(with).collect()
}

async fn ones_conversations_latest_first(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    assert_eq!(listed(&world, ada).await, [""; 0]);
    let tea = world.private_group("tea", ada, [bob]).await;
    world.group(eve, "public but not one's own", Visibility::Public).await;
    world.say(bob, Recipient::User(ada), "1").await;
    world.say(eve, Recipient::User(bob), "not ada's").await;
    assert_eq!(listed(&world, ada).await, ["bob", "#tea"]);
    let news = world.say(eve, Recipient::Everybody, "2").await;
    world.say(ada, Recipient::User(ada), "3").await;
    assert_eq!(listed(&world, ada).await, ["ada", "*", "bob", "#tea"]);
    let said = world.say(ada, Recipient::Group(tea), "4").await;
    let all = world.conversations(ada).await;
    assert_eq!(all.iter().map(with).collect::<Vec<_>>(), ["#tea", "ada", "*", "bob"]);
    let Counterpart::Group(view) = &all[0].with else { panic!("{:?}", all[0]) };
    assert_eq!((view.role, view.group.member_count, view.group.id), (Some(Role::Owner), 2, tea));
    assert_eq!((all[0].update.0, all[0].active_at, all[0].unseen.count), (1, said.created_at, 0));
    assert_eq!(all[0].last_message, Some(said));
    assert_eq!((all[2].id, all[2].unseen.count), (ConversationId::BROADCAST, 0));
    assert_eq!(all[2].last_message, Some(news));
    assert_eq!(all[3].unseen.count, 1);
    world.delete_user(bob).await;
    let all = world.conversations(ada).await;
    assert!(matches!(&all[3].with, Counterpart::User(user) if user.id == bob && user.deleted_at.is_some()));
}

async fn the_last_message_is_the_newest_live_one(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let first = world.say(ada, Recipient::User(bob), "1").await;
    let second = world.say(bob, Recipient::User(ada), "2").await;
    world.delete(bob, second.id, now()).await.unwrap();
    let all = world.conversations(ada).await;
    assert_eq!((&all[0].last_message, all[0].update.0), (&Some(first.clone()), 3));
    assert_eq!(all[0].active_at, second.created_at, "the place is that of the last message sent");
    world.delete(ada, first.id, now()).await.unwrap();
    assert_eq!(world.conversations(bob).await[0].last_message, None);
}

async fn pages_go_on_behind_a_cursor(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    // At moments that repeat: the list does not go by them.
    let moment = now();
    for n in 0..7 {
        let other = world.user(&format!("u{n}")).await;
        let draft = text(ada, Recipient::User(other), "x");
        world.append(NewMessage { at: if n % 2 == 0 { moment } else { now() }, ..draft }).await.unwrap();
    }
    let all = world.conversations(ada).await;
    assert!(all.is_sorted_by(|one, next| one.activity > next.activity));
    let names: Vec<_> = all.iter().map(with).collect();
    assert_eq!(names, ["u6", "u5", "u4", "u3", "u2", "u1", "u0"]);
    for size in 1..=8 {
        let (mut before, mut paged) = (None, Vec::new());
        loop {
            let page = ConversationRepository::list(&*world, ada, ConversationFilter::default(), before, limit(size))
                .await
                .unwrap();
            before = page.items.last().map(ConversationCursor::behind);
            paged.extend(page.items);
            assert_eq!(page.more, paged.len() < 7);
            if !page.more {
                break;
            }
        }
        assert_eq!(paged, all);
    }
    let nothing = Activity { revision: Revision(i64::MIN), nth: 0 };
    let behind_all = ConversationCursor { activity: nothing, id: all[0].id };
    assert_eq!(
        ConversationRepository::list(&*world, ada, ConversationFilter::default(), Some(behind_all), limit(1))
            .await
            .unwrap()
            .items,
        []
    );
}

async fn a_clock_that_jumps_back_does_not_reorder(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let late = world.say(ada, Recipient::User(bob), "late").await;
    let draft = text(ada, Recipient::User(bob), "early");
    world.append(NewMessage { at: at(1_000_001), ..draft }).await.unwrap();
    let all = world.conversations(ada).await;
    assert_eq!(all[0].last_message.as_ref().unwrap().body.content(), "early");
    assert_eq!(all[0].active_at, late.created_at);
    assert_eq!(all[0].last_message.as_ref().unwrap().created_at, at(1_000_001));
}

async fn groups_come_and_go_with_membership(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let tea = world.private_group("tea", ada, []).await;
    world.say(ada, Recipient::User(bob), "x").await;
    let joined = world.add(ada, tea, bob, Role::Member).await.unwrap();
    let all = world.conversations(bob).await;
    assert_eq!((with(&all[0]), all[0].active_at), ("#tea".to_owned(), joined.created_at));
    assert_eq!((&all[0].last_message, all[0].update.0), (&None, 0));
    world.remove(ada, tea, bob).await.unwrap();
    assert_eq!(listed(&world, bob).await, ["ada"]);
    GroupRepository::delete(&*world, ada, tea, now()).await.unwrap();
    assert_eq!(listed(&world, ada).await, ["bob"]);
}

async fn every_cursor_is_a_place(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "x").await;
    for (place, found) in [
        ("-9223372036854775808.0", 0),
        ("-1.9223372036854775807", 0),
        ("0.-9223372036854775808", 0),
        ("9223372036854775807.9223372036854775807", 1),
    ] {
        let cursor = ConversationCursor::parse(&format!("{place}.{}", ConversationId(fresh()))).unwrap();
        let page = ConversationRepository::list(&*world, ada, ConversationFilter::default(), Some(cursor), limit(9))
            .await
            .unwrap();
        assert_eq!(page.items.len(), found, "{place}");
    }
}

async fn the_list_follows_what_was_committed_and_no_clock(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut others = Vec::new();
    for n in 0..4 {
        others.push(world.user(&format!("u{n}")).await);
    }
    // Set back by ever more: a day, a year, to the beginning.
    let said = async |other: UserId, micros: i64| {
        let draft = text(ada, Recipient::User(other), "x");
        world.append(NewMessage { at: at(micros), ..draft }).await.unwrap();
    };
    for (n, micros) in [(0, 1_700_000_000_000_000), (1, 1_699_913_600_000_000), (2, 1_668_000_000_000_000), (3, 1)] {
        said(others[n], micros).await;
    }
    assert_eq!(listed(&world, ada).await, ["u3", "u2", "u1", "u0"]);
    // A group without a message by when one joined, as committed, too.
    let tea = world.private_group("tea", others[0], []).await;
    let early = domain::groups::NewMember::new(tea, ada, Role::Member).unwrap();
    domain::groups::MemberRepository::add(&*world, others[0], early, at(2)).await.unwrap();
    assert_eq!(listed(&world, ada).await, ["#tea", "u3", "u2", "u1", "u0"]);
    // A cursor stays where it is while what is above moves, whatever the clock does.
    let page = ConversationRepository::list(&*world, ada, ConversationFilter::default(), None, limit(3)).await.unwrap();
    let behind = page.items.last().map(ConversationCursor::behind);
    said(others[2], 5).await;
    said(others[1], 1_900_000_000_000_000).await;
    said(others[3], 4).await;
    let rest = ConversationRepository::list(&*world, ada, ConversationFilter::default(), behind, limit(3))
        .await
        .unwrap()
        .items;
    assert_eq!(rest.iter().map(with).collect::<Vec<_>>(), ["u0"]);
    let now = ["u3", "u1", "u2", "#tea", "u0"];
    assert_eq!(listed(&world, ada).await, now);
    // Neither what is edited, deleted or read moves a conversation, nor a restart.
    let last = world.conversations(ada).await.remove(2).last_message.unwrap();
    world.mark_read(others[2], last.conversation, last.id, crate::world::now()).await.unwrap();
    world.edit(ada, last.id, domain::messages::Content::parse("y").unwrap(), crate::world::now()).await.unwrap();
    world.delete(ada, last.id, crate::world::now()).await.unwrap();
    let world = world.reopened().await;
    assert_eq!(listed(&world, ada).await, now);
    let draft = text(ada, Recipient::User(others[0]), "x");
    world.append(NewMessage { at: at(3), ..draft }).await.unwrap();
    assert_eq!(listed(&world, ada).await, ["u0", "u3", "u1", "u2", "#tea"]);
}

async fn messages_of_one_transaction_come_in_their_order(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut others = Vec::new();
    for n in 0..12 {
        others.push(world.user(&format!("u{n:02}")).await);
    }
    // Asked for at once, they share transactions. To which conversation which goes first is turned around the second
    // time.
    for round in 0..2 {
        let sends = (0..12).map(|n| {
            let n = if round == 0 { n } else { 11 - n };
            world.append(text(ada, Recipient::User(others[n]), "x"))
        });
        crate::concurrency::all(sends).await.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        // Postgres has two writers, which are at it at once: of each, what it wrote comes in its order.
        let order: Vec<_> = world.conversations(ada).await;
        assert!(order.is_sorted_by(|one, next| one.activity > next.activity));
        if world.db.backend() == Backend::Sqlite {
            let mut names: Vec<_> = order.iter().map(with).collect();
            if round == 0 {
                names.reverse();
            }
            assert!(names.is_sorted(), "{names:?}");
        }
    }
}

async fn rows_from_before_are_ordered_by_their_times_and_behind_what_is_new(db: TestDb) {
    use diesel::connection::SimpleConnection;
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut others = Vec::new();
    for n in 0..3 {
        others.push(world.user(&format!("u{n}")).await);
        world.say(ada, Recipient::User(others[n]), "x").await;
    }
    let tea = world.private_group("tea", ada, []).await;
    let folder = match world.db.backend() {
        Backend::Sqlite => "sqlite",
        Backend::Postgres => "postgres",
    };
    let db = world.closed().await;
    let mut raw = crate::world::Raw::open(&db);
    let time = |seconds: i64| match db.backend() {
        Backend::Sqlite => format!("{}", seconds * 1_000_000),
        Backend::Postgres => format!("to_timestamp({seconds})"),
    };
    let migration = |name: &str| {
        let path = format!("../../migrations/{folder}/2026-11-26-000050_activity/{name}.sql");
        std::fs::read_to_string(path).unwrap()
    };
    raw.batch_execute(&migration("down")).unwrap();
    for (other, seconds) in others.iter().zip([1_500_000_030, 1_500_000_010, 1_500_000_020]) {
        let id = match db.backend() {
            Backend::Sqlite => format!("x'{}'", other.0.simple()),
            Backend::Postgres => format!("'{}'", other.0),
        };
        let set = format!(
            "UPDATE conversations SET active_at = {} WHERE kind = 'direct' AND (first_user = {id} OR second_user = {id})",
            time(seconds)
        );
        raw.run(&set);
    }
    raw.run(&format!("UPDATE members SET joined_at = {} WHERE role = 'owner'", time(1_500_000_015)));
    raw.batch_execute(&migration("up")).unwrap();
    drop(raw);
    let world = World::new(db).await;
    assert_eq!(listed(&world, ada).await, ["u0", "u2", "#tea", "u1"]);
    let draft = text(ada, Recipient::Group(tea), "x");
    world.append(NewMessage { at: at(1), ..draft }).await.unwrap();
    assert_eq!(listed(&world, ada).await, ["#tea", "u0", "u2", "u1"]);
}

async fn nothing_happens_to_a_message_before_it_was_sent(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let said = world.say(ada, Recipient::User(bob), "x").await;
    let edit = |words: &str, when| world.edit(ada, said.id, domain::messages::Content::parse(words).unwrap(), when);
    let edited = edit("y", at(1)).await.unwrap();
    assert_eq!((edited.updated_at, edited.edited_at), (said.created_at, Some(said.created_at)));
    let later = now();
    edit("z", later).await.unwrap();
    // Nor before what happened to it last.
    let again = edit("again", at(1)).await.unwrap();
    assert_eq!((again.updated_at, again.edited_at), (later, Some(later)));
    world.mark_seen(bob, said.id, at(1)).await.unwrap();
    let seen = world.of_message(ada, said.id, None, limit(9)).await.unwrap().items;
    assert_eq!(seen[0].seen_at, said.created_at);
    let next = world.say(ada, Recipient::User(bob), "next").await;
    world.mark_read(bob, next.conversation, next.id, at(1)).await.unwrap();
    let seen = world.of_message(ada, next.id, None, limit(9)).await.unwrap().items;
    assert_eq!(seen[0].seen_at, next.created_at);
    world.delete(ada, said.id, at(1)).await.unwrap();
    let changes = world.changes(bob, said.conversation, Update(0), limit(9)).await.unwrap();
    let deleted = changes.entries.iter().find_map(|entry| match entry {
        domain::messages::ChangeEntry::Deleted(tombstone) => Some(tombstone.deleted_at),
        domain::messages::ChangeEntry::Message(_) => None,
    });
    assert_eq!(deleted, Some(later));
}
