//! `ReceiptRepository::unseen`: the counts, and what they cost.

use crate::plans::{heard, listen, plan};
use crate::world::{World, now};
use diesel::connection::SimpleConnection;
use domain::groups::GroupRepository;
use domain::messages::Recipient;
use domain::receipts::{ReceiptRepository, Unseen, UnseenCount};
use domain::users::DELETED_USER;
use domain::{ConversationId, UserId};
use std::time::{Duration, Instant};
use test_support::{Backend, TestDb};

on_both!(
    counts_leave_out_ones_own_the_deleted_and_the_broadcast,
    counts_are_by_the_other_user_and_by_group,
    counts_follow_marks_in_any_order,
    asking_does_not_change_the_answer,
    counting_costs_what_is_unseen_and_not_what_was_said,
);

fn exactly(count: u64) -> UnseenCount {
    UnseenCount { count, more: false, mentions: 0 }
}

async fn counts_leave_out_ones_own_the_deleted_and_the_broadcast(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let first = world.say(ada, Recipient::User(bob), "1").await;
    world.say(bob, Recipient::User(ada), "2").await;
    let third = world.say(ada, Recipient::User(bob), "3").await;
    world.say(ada, Recipient::Everybody, "x").await;
    world.say(ada, Recipient::User(ada), "note").await;
    let of = first.conversation;
    assert_eq!((world.unseen_in(bob, of).await, world.unseen_in(ada, of).await), (2, 1));
    world.delete(ada, first.id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, of).await, 1);
    world.delete(ada, third.id, now()).await.unwrap();
    assert_eq!(world.unseen(bob).await.unwrap(), Unseen::default());
    assert_eq!(world.unseen(ada).await.unwrap().total(), exactly(1));
    assert_eq!(world.unseen(UserId(crate::world::fresh())).await.unwrap(), Unseen::default());
}

async fn counts_are_by_the_other_user_and_by_group(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let (tea, coffee) =
        (world.private_group("Tea", ada, [bob]).await, world.private_group("Coffee", ada, [bob, eve]).await);
    for (sender, recipient, times) in [
        (ada, Recipient::User(bob), 2),
        (eve, Recipient::User(bob), 1),
        (ada, Recipient::Group(tea), 3),
        (eve, Recipient::Group(coffee), 1),
        (ada, Recipient::Group(coffee), 1),
    ] {
        for _ in 0..times {
            world.say(sender, recipient, "x").await;
        }
    }
    let mut unseen = world.unseen(bob).await.unwrap();
    unseen.direct.sort_by_key(|(.., count)| count.count);
    unseen.groups.sort_by_key(|(.., count)| count.count);
    assert_eq!(unseen.direct, [(eve, "eve".to_owned(), exactly(1)), (ada, "ada".to_owned(), exactly(2))]);
    assert_eq!(unseen.groups, [(coffee, "Coffee".to_owned(), exactly(2)), (tea, "Tea".to_owned(), exactly(3))]);
    assert_eq!(unseen.total(), exactly(8));
    world.delete_user(eve).await;
    GroupRepository::delete(&*world, ada, tea, now()).await.unwrap();
    let unseen = world.unseen(bob).await.unwrap();
    assert!(unseen.direct.contains(&(eve, DELETED_USER.to_owned(), exactly(1))), "what one has not seen stays so");
    assert_eq!(unseen.groups, [(coffee, "Coffee".to_owned(), exactly(2))]);
    world.remove(bob, coffee, bob).await.unwrap();
    assert_eq!(world.unseen(bob).await.unwrap().groups, []);
}

async fn counts_follow_marks_in_any_order(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let mut said = Vec::new();
    for n in 0..9 {
        said.push(
            world
                .say(if n % 4 == 3 { bob } else { ada }, Recipient::User(if n % 4 == 3 { ada } else { bob }), "x")
                .await,
        );
    }
    let of = said[0].conversation;
    let mut left = 7;
    assert_eq!(world.unseen_in(bob, of).await, left);
    for n in [4, 8, 0, 2, 1, 6, 5] {
        world.mark_seen(bob, said[n].id, now()).await.unwrap();
        left -= 1;
        assert_eq!(world.unseen_in(bob, of).await, left);
    }
    // All is seen: the watermark has moved up to the last, so that the next count has nothing to walk over.
    let watermark = "SELECT count(*) FROM members WHERE read_up_to = 9";
    assert_eq!(world.raw().number(watermark), 1);
    world.say(ada, Recipient::User(bob), "new").await;
    assert_eq!(world.unseen_in(bob, of).await, 1);
}

async fn asking_does_not_change_the_answer(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let of = world.say(bob, Recipient::User(ada), "own").await.conversation;
    let gone = world.say(ada, Recipient::User(bob), "gone").await;
    world.delete(ada, gone.id, now()).await.unwrap();
    let seen = world.say(ada, Recipient::User(bob), "seen").await;
    let open = world.say(ada, Recipient::User(bob), "open").await;
    for _ in 0..3 {
        assert_eq!(world.unseen_in(bob, of).await, 2);
    }
    world.mark_seen(bob, seen.id, now()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.unseen_in(bob, of).await, 1);
    }
    world.say(ada, Recipient::User(bob), "next").await;
    assert_eq!(world.unseen_in(bob, of).await, 2);
    world.mark_read(bob, of, open.id, now()).await.unwrap();
    assert_eq!(world.unseen_in(bob, of).await, 1);
}

/// `said` messages of ada to bob, of which bob has read all but the last hundred.
async fn talk(world: &World, name: &str, said: i64) -> (UserId, ConversationId) {
    let (ada, bob) = (world.user(&format!("{name}-a")).await, world.user(&format!("{name}-b")).await);
    let first = world.say(ada, Recipient::User(bob), "x").await;
    // Through the store this would take a minute.
    let fill = match world.db.backend() {
        Backend::Sqlite => format!(
            "INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, created_at, updated_at, \"update\", \
             revision) WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {said}) \
             SELECT m.conversation_id, i, randomblob(16), m.sender_id, 'text', 'x', 1, 1, i, 1 FROM n, messages m \
             WHERE m.id = x'{0}'; UPDATE conversations SET \"update\" = {said}, last_seq = {said} \
             WHERE id = x'{1}';",
            first.id.0.simple(),
            first.conversation.0.simple(),
        ),
        Backend::Postgres => format!(
            "INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, created_at, updated_at, \"update\", \
             revision) SELECT m.conversation_id, i, gen_random_uuid(), m.sender_id, 'text', 'x', 'epoch', 'epoch', i, 1 \
             FROM generate_series(2, {said}) i, messages m WHERE m.id = '{0}'; \
             UPDATE conversations SET \"update\" = {said}, last_seq = {said} WHERE id = '{1}'; ANALYZE;",
            first.id, first.conversation,
        ),
    };
    world.raw().batch_execute(&fill).unwrap();
    let window =
        domain::messages::Window::Offset { offset: (said - 101).unsigned_abs(), limit: crate::world::limit(1) };
    let up_to = world.page(bob, Recipient::User(ada), window).await.unwrap().items.remove(0);
    world.mark_read(bob, first.conversation, up_to.id, now()).await.unwrap();
    (bob, first.conversation)
}

/// The fastest of many: what it takes when nothing else is in the way.
async fn cost(world: &World, user: UserId) -> Duration {
    let mut fastest = Duration::MAX;
    for _ in 0..60 {
        let begun = Instant::now();
        assert_eq!(world.unseen(user).await.unwrap().total(), exactly(100));
        fastest = fastest.min(begun.elapsed());
    }
    fastest
}

/// The steps of the count's plan that look for messages: each begins behind the watermark.
fn assert_begins_behind_the_watermark(world: &World, counting: &str) {
    let mut conn = world.raw();
    if world.db.backend() == Backend::Postgres {
        conn.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").unwrap();
    }
    let steps = plan(&mut conn, counting);
    let (table, begins) = match world.db.backend() {
        Backend::Sqlite => ("SEARCH m ", "seq>?"),
        Backend::Postgres => (" on messages m", "(seq >"),
    };
    let looks: Vec<_> = (0..steps.len()).filter(|at| steps[*at].contains(table)).collect();
    assert_eq!(looks.len(), 1, "one walk finds both the count and the first unseen: {steps:#?}");
    for at in looks {
        // Postgres says it in a line below.
        let begun = |step: &String| step.contains(begins) && (step.contains("SEARCH") || step.contains("Index Cond"));
        assert!(steps[at..].iter().take(5).any(begun), "{steps:#?}");
    }
}

async fn counting_costs_what_is_unseen_and_not_what_was_said(db: TestDb) {
    listen(&db);
    let world = World::new(db).await;
    let (short, _) = talk(&world, "short", 1_000).await;
    let (long, talk_of_long) = talk(&world, "long", 100_000).await;
    let watermark = "SELECT count(*) FROM members WHERE read_up_to = 99900";
    assert_eq!(world.raw().number(watermark), 1, "of {talk_of_long}");
    let (short, long) = (cost(&world, short).await, cost(&world, long).await);
    let heard = heard(&world.db);
    let counting = heard.iter().find(|sql| sql.contains("AS marked")).unwrap();
    assert_begins_behind_the_watermark(&world, counting);
    // To walk over all of it would take a hundred times as long; how busy the machine is is not to be seen from here.
    eprintln!("{short:?} with 1,000 messages, {long:?} with 100,000");
}
