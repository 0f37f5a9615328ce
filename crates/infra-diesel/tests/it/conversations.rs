//! `ConversationRepository`.

use crate::world::{World, at, fresh, limit, now, text};
use domain::conversations::{Conversation, ConversationCursor, ConversationRepository, With};
use domain::groups::{GroupRepository, Role, Visibility};
use domain::messages::{Draft, MessageLog, Recipient};
use domain::{ConversationId, UserId};
use test_support::TestDb;

on_both!(
    ones_conversations_latest_first,
    the_last_message_is_the_newest_live_one,
    pages_go_on_behind_a_cursor,
    a_clock_that_jumps_back_does_not_reorder,
    groups_come_and_go_with_membership,
    every_cursor_is_a_place,
);

/// With whom, in short.
fn with(conversation: &Conversation) -> String {
    match &conversation.with {
        With::User(user) => user.username.to_string(),
        With::Group(view) => format!("#{}", view.group.name),
        With::Everybody => "*".to_owned(),
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
    let With::Group(view) = &all[0].with else { panic!("{:?}", all[0]) };
    assert_eq!((view.role, view.group.member_count, view.group.id), (Some(Role::Owner), 2, tea));
    assert_eq!((all[0].update, all[0].active_at, all[0].unseen), (1, said.created_at, 0));
    assert_eq!(all[0].last_message, Some(said));
    assert_eq!((all[2].id, all[2].unseen), (ConversationId::BROADCAST, 0));
    assert_eq!(all[2].last_message, Some(news));
    assert_eq!(all[3].unseen, 1);
    world.delete_user(bob).await;
    let all = world.conversations(ada).await;
    assert!(matches!(&all[3].with, With::User(user) if user.id == bob && user.deleted_at.is_some()));
}

async fn the_last_message_is_the_newest_live_one(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let first = world.say(ada, Recipient::User(bob), "1").await;
    let second = world.say(bob, Recipient::User(ada), "2").await;
    world.delete(bob, second.id, now()).await.unwrap();
    let all = world.conversations(ada).await;
    assert_eq!((&all[0].last_message, all[0].update), (&Some(first.clone()), 3));
    assert_eq!(all[0].active_at, second.created_at, "the place is that of the last message sent");
    world.delete(ada, first.id, now()).await.unwrap();
    assert_eq!(world.conversations(bob).await[0].last_message, None);
}

async fn pages_go_on_behind_a_cursor(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    // Several at the same moment, so that the id decides between them.
    let moment = now();
    for n in 0..7 {
        let other = world.user(&format!("u{n}")).await;
        let draft = text(ada, Recipient::User(other), "x");
        world.append(Draft { at: if n % 2 == 0 { moment } else { now() }, ..draft }).await.unwrap();
    }
    let all = world.conversations(ada).await;
    assert!(all.is_sorted_by(|one, next| (one.active_at, one.id) > (next.active_at, next.id)));
    for size in 1..=8 {
        let (mut before, mut paged) = (None, Vec::new());
        loop {
            let page = ConversationRepository::list(&*world, ada, before, limit(size)).await.unwrap();
            before = page.items.last().map(ConversationCursor::behind);
            paged.extend(page.items);
            assert_eq!(page.more, paged.len() < 7);
            if !page.more {
                break;
            }
        }
        assert_eq!(paged, all);
    }
    let behind_all = ConversationCursor { active_at: at(0), id: all[0].id };
    assert_eq!(ConversationRepository::list(&*world, ada, Some(behind_all), limit(1)).await.unwrap().items, []);
}

async fn a_clock_that_jumps_back_does_not_reorder(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let late = world.say(ada, Recipient::User(bob), "late").await;
    let draft = text(ada, Recipient::User(bob), "early");
    world.append(Draft { at: at(1_000_001), ..draft }).await.unwrap();
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
    assert_eq!((&all[0].last_message, all[0].update), (&None, 0));
    world.remove(ada, tea, bob).await.unwrap();
    assert_eq!(listed(&world, bob).await, ["ada"]);
    GroupRepository::delete(&*world, ada, tea, now()).await.unwrap();
    assert_eq!(listed(&world, ada).await, ["bob"]);
}

async fn every_cursor_is_a_place(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    world.say(ada, Recipient::User(bob), "x").await;
    for (micros, found) in [("-62135596800000000", 0), ("-1", 0), ("8210266876799999999", 1)] {
        let cursor = ConversationCursor::parse(&format!("{micros}.{}", ConversationId(fresh()))).unwrap();
        let page = ConversationRepository::list(&*world, ada, Some(cursor), limit(9)).await.unwrap();
        assert_eq!(page.items.len(), found, "{micros}");
    }
    // Postgres knows no such time.
    ConversationCursor::parse(&format!("-300000000000000000.{}", ConversationId(fresh()))).unwrap_err();
}
