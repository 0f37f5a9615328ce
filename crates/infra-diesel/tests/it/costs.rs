//! What reads cost, in steps of SQLite's virtual machine: no clock tells, and no other load disturbs. How Postgres goes
//! about the same statements is looked at in `plans`.

use crate::world::{World, limit, refused, text};
use diesel::connection::SimpleConnection;
use domain::conversations::{ConversationFilter, ConversationRepository};
use domain::groups::{GroupNamePrefix, GroupRepository, MemberRepository, Role, Visibility};
use domain::live::{LiveReader, MAX_MISSED_IN_ONE};
use domain::messages::{Cursor, MessageLog, MessageReader, Recipient, Update, Window};
use domain::receipts::{ReceiptRepository, UnseenCount};
use domain::users::{UserRepository, UsernamePrefix};
use domain::{ConversationId, GroupId, MessageId, Result, UserId};
use test_support::TestDb;
use uuid::Uuid;

/// How many of everything there are.
const MANY: i64 = 100_000;

/// How many thousands of steps a read takes.
async fn steps<T>(world: &World, read: impl Future<Output = Result<T>>) -> u64 {
    let before = world.read_steps();
    read.await.unwrap();
    world.read_steps() - before
}

/// The id of the one with that number.
fn id(space: u128, number: i64) -> Uuid {
    Uuid::from_u128((space << 64) | u128::from(number.unsigned_abs()))
}

/// The same in SQL, of the number `i`.
fn sql_id(space: u128) -> String {
    format!("unhex(printf('%016x%016x', {space}, i))")
}

/// The numbers up to `many`, as `n(i)`.
fn numbers(from: i64, many: i64) -> String {
    format!("WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {many})")
}

/// Fills a conversation, which has one message, up to [`MANY`] of the same sender.
fn fill(world: &World, of: ConversationId, sender: UserId) {
    let fill = format!(
        "INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, created_at, updated_at, \"update\", revision) \
         {} SELECT x'{of}', i, {}, x'{sender}', 'text', 'x', 1, 1, i, 1 FROM n; \
         UPDATE conversations SET \"update\" = {MANY}, last_seq = {MANY} WHERE id = x'{of}'",
        numbers(2, MANY),
        sql_id(7),
        of = of.0.simple(),
        sender = sender.0.simple(),
    );
    world.raw().batch_execute(&fill).unwrap();
}

/// Many users, `r000001` and so on.
fn populate(world: &World, many: i64) {
    let fill = format!(
        "INSERT INTO users (id, username, username_key, role, created_at, updated_at) {} \
         SELECT {}, printf('r%06d', i), printf('r%06d', i), 'member', 1, 1 FROM n",
        numbers(1, many),
        sql_id(8),
    );
    world.raw().batch_execute(&fill).unwrap();
}

#[tokio::test]
async fn a_page_costs_what_it_gives_wherever_it_begins() {
    let world = World::new(TestDb::sqlite()).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "x").await.conversation;
    fill(&world, of, ada);
    let cursor = |number| MessageId(id(7, number));
    for number in [2, MANY / 2, MANY - 20] {
        for window in [
            Window::After { cursor: cursor(number), limit: limit(10) },
            Window::Before { cursor: Cursor::Message(cursor(number)), limit: limit(10) },
            Window::Before { cursor: Cursor::Latest, limit: limit(10) },
            Window::Offset { offset: 0, limit: limit(10) },
        ] {
            let cost =
                steps(&world, MessageReader::page(&*world, bob, Recipient::User(ada), window.into(), None)).await;
            assert!(cost <= 3, "{cost} for {window:?}");
        }
        let cost = steps(&world, world.changes(bob, of, Update(number), limit(10))).await;
        assert!(cost <= 3, "{cost} for the changes after {number}");
    }
    // Even the furthest offset is walked to once; beyond it, cursors lead.
    let furthest = Window::from_oldest(domain::messages::MAX_OFFSET, limit(10)).unwrap();
    let cost = steps(&world, MessageReader::page(&*world, bob, Recipient::User(ada), furthest.into(), None)).await;
    assert!(cost <= 500, "{cost} for {furthest:?}");
}

#[tokio::test]
async fn lists_go_on_where_they_were_left() {
    let world = World::new(TestDb::sqlite()).await;
    let ada = world.user("ada").await;
    populate(&world, MANY);
    let fill = format!(
        "INSERT INTO conversations (id, kind, name, name_key, description, visibility, created_at, updated_at) {} \
         SELECT {}, 'group', printf('g%06d', i), printf('g%06d', i), '', 'public', 1, 1 FROM n",
        numbers(1, MANY),
        sql_id(9),
    );
    world.raw().batch_execute(&fill).unwrap();
    let (users, groups) = (UsernamePrefix::parse("r").unwrap(), GroupNamePrefix::parse("g").unwrap());
    for number in [1, MANY / 2, MANY - 20] {
        for prefix in [None, Some(&users)] {
            let read = UserRepository::list(&*world, prefix, Some(UserId(id(8, number))), limit(10));
            let cost = steps(&world, read).await;
            assert!(cost <= 3, "{cost} for the users behind {number}");
        }
        for prefix in [None, Some(&groups)] {
            let read = GroupRepository::list(&*world, ada, prefix, Some(GroupId(id(9, number))), limit(10));
            let cost = steps(&world, read).await;
            assert!(cost <= 3, "{cost} for the groups behind {number}");
        }
    }
}

#[tokio::test]
async fn members_are_listed_from_where_the_list_was_left() {
    let world = World::new(TestDb::sqlite()).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    populate(&world, MANY);
    let fill = format!(
        "INSERT INTO members (conversation_id, user_id, role, joined_at, updated_at) {} \
         SELECT x'{}', {}, 'member', 1, 1 FROM n",
        numbers(1, MANY),
        group.0.simple(),
        sql_id(8),
    );
    world.raw().batch_execute(&fill).unwrap();
    for after in [None, Some(1), Some(MANY / 2), Some(MANY - 20)] {
        let read = MemberRepository::list(&*world, ada, group, after.map(|number| UserId(id(8, number))), limit(10));
        let cost = steps(&world, read).await;
        assert!(cost <= 3, "{cost} for the members behind {after:?}");
    }
}

#[tokio::test]
async fn counting_stops_and_says_so() {
    let world = World::new(TestDb::sqlite()).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "x").await.conversation;
    fill(&world, of, ada);
    assert_eq!(world.count_in(bob, of).await, UnseenCount { count: 1_000, more: true, mentions: 0 });
    let cost = steps(&world, world.unseen(bob)).await;
    assert!(cost <= 100, "{cost} for the counts");
    let cost =
        steps(&world, ConversationRepository::list(&*world, bob, ConversationFilter::default(), None, limit(10))).await;
    assert!(cost <= 100, "{cost} for the list");
    // Exact up to where it stops.
    let read_up_to = |number| world.mark_read(bob, of, MessageId(id(7, number)), crate::world::now());
    for (left, count, more) in [(1_001, 1_000, true), (1_000, 1_000, false), (999, 999, false), (0, 0, false)] {
        read_up_to(MANY - left).await.unwrap();
        assert_eq!(world.count_in(bob, of).await, UnseenCount { count, more, mentions: 0 }, "{left}");
    }
}

#[tokio::test]
async fn what_was_missed_is_looked_for_no_further_back_than_it_is_replayed() {
    let world = World::new(TestDb::sqlite()).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "x").await.conversation;
    fill(&world, of, ada);
    let since = world.subscriptions(bob).await.unwrap().at;
    let begins = async |after: i64, update: i64| {
        let before = world.read_steps();
        let missed = world.missed(bob, since).await.unwrap().unwrap();
        let conversations: Vec<_> = missed.conversations.iter().map(|part| (part.after.0, part.update.0)).collect();
        assert_eq!(conversations, [(after, update)]);
        world.read_steps() - before
    };
    let all = format!(
        "UPDATE messages SET revision = {since}; UPDATE conversations SET revision = {since} \
         WHERE id = x'{}'",
        of.0.simple(),
        since = since.0
    );
    world.raw().batch_execute(&all).unwrap();
    let cost = begins(MANY - MAX_MISSED_IN_ONE - 1, MANY).await;
    assert!(cost <= 3, "{cost} for everything sent");
    // All of it deleted since, but the last that was sent.
    let deleted = format!(
        "UPDATE messages SET \"update\" = seq + {MANY} - 1, content = '', deleted_at = 1 WHERE seq > 1; \
         UPDATE messages SET revision = 1 WHERE seq = 1; UPDATE conversations SET \"update\" = 2 * {MANY} - 1"
    );
    world.raw().batch_execute(&deleted).unwrap();
    let cost = begins(2 * MANY - MAX_MISSED_IN_ONE - 2, 2 * MANY - 1).await;
    assert!(cost <= 3, "{cost} for everything deleted");
    // What was deleted before is not walked over.
    let few = format!("UPDATE messages SET revision = 1 WHERE \"update\" < 2 * {MANY} - 10");
    world.raw().batch_execute(&few).unwrap();
    let cost = begins(2 * MANY - 11, 2 * MANY - 1).await;
    assert!(cost <= 3, "{cost} for a few");
}

#[tokio::test]
async fn what_one_wrote_oneself_is_walked_over_once() {
    let world = World::new(TestDb::sqlite()).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(ada, Recipient::User(bob), "x").await.conversation;
    fill(&world, of, ada);
    world.say(bob, Recipient::User(ada), "y").await;
    assert_eq!(world.count_in(ada, of).await, UnseenCount { count: 1, more: false, mentions: 0 });
    // The watermark was moved up by what nobody waited for: what comes after it in the writer's queue is done later.
    world.append(text(bob, Recipient::User(ada), "z")).await.unwrap();
    for _ in 0..2 {
        let cost =
            steps(&world, ConversationRepository::list(&*world, ada, ConversationFilter::default(), None, limit(10)))
                .await;
        assert!(cost <= 3, "{cost}");
    }
    assert_eq!(world.count_in(ada, of).await, UnseenCount { count: 2, more: false, mentions: 0 });
}

#[tokio::test]
async fn who_has_seen_a_message_is_listed_reader_by_reader() {
    const READERS: i64 = 3_000;
    let world = World::new(TestDb::sqlite()).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    let said = world.say(ada, Recipient::Group(group), "x").await;
    populate(&world, MANY);
    let fill = format!(
        "INSERT INTO receipts (conversation_id, user_id, seq, from_seq, seen_at) {} \
         SELECT x'{}', {}, 1, 0, {READERS} - i FROM n",
        numbers(1, READERS),
        group.0.simple(),
        sql_id(8),
    );
    world.raw().batch_execute(&fill).unwrap();
    let (mut after, mut listed, mut dearest) = (None, Vec::new(), 0);
    loop {
        let before = world.read_steps();
        let page = world.of_message(ada, said.id, after, limit(100)).await.unwrap();
        dearest = dearest.max(world.read_steps() - before);
        after = page.items.last().map(|receipt| receipt.user);
        listed.extend(page.items.into_iter().map(|receipt| receipt.user));
        if !page.more {
            break;
        }
    }
    assert!(listed.into_iter().eq((1..=READERS).map(|number| UserId(id(8, number)))));
    assert!(dearest <= 40, "{dearest} for a page of the readers");
}

#[tokio::test]
async fn who_is_refused_for_having_enough_costs_the_writer_nothing_for_what_there_is() {
    const ADDED: i64 = 20_000;
    const GROUPS: i64 = 5_000;
    let world = World::new(TestDb::sqlite()).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let (large, small) =
        (world.group(ada, "large", Visibility::Public).await, world.group(eve, "small", Visibility::Public).await);
    populate(&world, ADDED);
    let [ada_id, bob_id, eve_id] = [ada, bob, eve].map(|user| format!("x'{}'", user.0.simple()));
    let (users, groups) = (sql_id(8), sql_id(9));
    let into_members = "INSERT INTO members (conversation_id, user_id, role, joined_at, updated_at, added_by)";
    let fill = format!(
        "{into_members} {} SELECT x'{}', {users}, 'member', 1, 1, {ada_id} FROM n; \
         INSERT INTO conversations (id, kind, name, name_key, description, visibility, created_at, updated_at) {} \
         SELECT {groups}, 'group', printf('g%06d', i), printf('g%06d', i), '', 'public', 1, 1 FROM n; \
         {into_members} {} SELECT {groups}, {bob_id}, 'member', 1, 1, {users} FROM n; \
         {into_members} {} SELECT {groups}, {eve_id}, 'member', 1, 1, {eve_id} FROM n; \
         INSERT OR REPLACE INTO group_usage (user_id, made, joined, added, added_by_others) \
         VALUES ({ada_id}, 1, 1, {ADDED}, 0), ({bob_id}, 0, 0, 0, {GROUPS}), ({eve_id}, 1, {GROUPS}, 0, 0)",
        numbers(1, ADDED),
        large.0.simple(),
        numbers(1, GROUPS),
        numbers(1, GROUPS),
        numbers(1, GROUPS),
    );
    world.raw().batch_execute(&fill).unwrap();
    let before = world.write_steps();
    for _ in 0..3 {
        refused!(world.add(ada, large, bob, Role::Member).await, "Conflict(TooManyAdded)");
        refused!(world.add(eve, small, bob, Role::Member).await, "Conflict(AddedTooOften)");
        refused!(world.create_group(eve, "further", Visibility::Private).await, "Conflict(TooManyGroupsJoined)");
        refused!(world.add(eve, large, eve, Role::Member).await, "Conflict(TooManyGroupsJoined)");
    }
    let cost = world.write_steps() - before;
    assert!(cost <= 12, "{cost} for twelve");
}
