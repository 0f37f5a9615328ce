//! What accounts and groups leave behind, and that nobody sees it.

use crate::world::{World, limit, now, refused};
use domain::endings::{Ended, EndingRepository};
use domain::events::{Event, Revision};
use domain::groups::{GroupRepository, MemberRepository, Role, Visibility};
use domain::live::LiveReader;
use domain::messages::{Recipient, Window};
use domain::users::{PasswordHash, UserRepository};
use domain::{GroupId, UserId};
use infra_diesel::Store;
use test_support::TestDb;

on_both!(
    an_account_that_ended_is_in_no_group_before_it_has_left_all,
    groups_of_an_account_are_left_a_few_at_a_time_and_a_start_goes_on,
    a_large_group_ends_at_once_and_its_members_go_a_few_at_a_time,
    what_was_unanswered_is_acquainted_once_answered_and_stays_so,
);

/// Ends the account, and leaves its groups as they are.
async fn end(world: &World, user: UserId) {
    let proven = Some(PasswordHash("hash of gone".to_owned()));
    UserRepository::delete(&**world, user, proven, now()).await.unwrap();
}

async fn names(world: &World, viewer: UserId, group: GroupId) -> Vec<(String, Role)> {
    let page = MemberRepository::list(&**world, viewer, group, None, limit(50)).await.unwrap();
    page.items.into_iter().map(|member| (member.username, member.role)).collect()
}

/// Nothing is wrong with the database, by what `doctor` looks at.
async fn is_sound(world: &World) {
    assert_eq!(Store::check(world.db.url()).await.unwrap(), [""; 0]);
}

async fn an_account_that_ended_is_in_no_group_before_it_has_left_all(db: TestDb) {
    let world = World::new(db).await;
    let (gone, ada, bob) = (world.user("gone").await, world.user("ada").await, world.user("bob").await);
    let owned = world.private_group("owned", gone, [ada, bob]).await;
    let alone = world.private_group("alone", ada, [gone]).await;
    world.events.take();
    end(&world, gone).await;
    assert_eq!(world.events.take(), [Event::UserDeleted(gone)]);
    assert_eq!(world.unfinished().await.unwrap(), [Ended::Account(gone)]);
    is_sound(&world).await;
    // It is no member to anybody.
    assert_eq!(names(&world, ada, alone).await, [("ada".to_owned(), Role::Owner)]);
    let change = MemberRepository::change_role(&*world, ada, alone, gone, Role::Owner, now()).await;
    refused!(change, "NotFound(Member)");
    refused!(world.remove(ada, alone, gone).await, "NotFound(Member)");
    refused!(world.add(ada, alone, gone, Role::Member).await, "NotFound(User)");
    // Who is left alone takes the group along.
    world.remove(ada, alone, ada).await.unwrap();
    assert_eq!(GroupRepository::find(&*world, ada, alone).await.unwrap(), None);
    // What it owned passes to the next owner, and goes on until then.
    world.say(bob, Recipient::Group(owned), "still here").await;
    while world.tidy(Ended::Account(gone), now()).await.unwrap() {}
    let expected = [("ada".to_owned(), Role::Owner), ("bob".to_owned(), Role::Member)];
    assert_eq!(names(&world, bob, owned).await, expected);
    assert_eq!(GroupRepository::find(&*world, bob, owned).await.unwrap().unwrap().group.member_count, 2);
    assert!(world.unfinished().await.unwrap().is_empty());
    is_sound(&world).await;
}

async fn groups_of_an_account_are_left_a_few_at_a_time_and_a_start_goes_on(db: TestDb) {
    let world = World::new(db).await;
    let (gone, ada) = (world.user("gone").await, world.user("ada").await);
    let mut groups = Vec::new();
    for n in 0..45 {
        groups.push(world.private_group(&format!("g{n}"), gone, [ada]).await);
    }
    end(&world, gone).await;
    assert!(world.tidy(Ended::Account(gone), now()).await.unwrap());
    is_sound(&world).await;
    let owned = "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE m.role = 'owner' \
                 AND u.deleted_at IS NOT NULL";
    assert_eq!(world.raw().number(owned), 25, "so many at once, and no more");
    // The server stops here, and another one starts.
    let world = world.reopened().await;
    assert_eq!(world.unfinished().await.unwrap(), [Ended::Account(gone)]);
    let mut steps = 0;
    while world.tidy(Ended::Account(gone), now()).await.unwrap() {
        steps += 1;
    }
    assert_eq!((steps, world.raw().number(owned)), (2, 0));
    for group in groups {
        assert_eq!(names(&world, ada, group).await, [("ada".to_owned(), Role::Owner)]);
    }
    assert!(world.unfinished().await.unwrap().is_empty());
    assert!(!world.tidy(Ended::Account(gone), now()).await.unwrap(), "again is nothing new");
    is_sound(&world).await;
}

async fn a_large_group_ends_at_once_and_its_members_go_a_few_at_a_time(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "large", Visibility::Private).await;
    let other = world.group(ada, "other", Visibility::Private).await;
    let mut last = ada;
    for n in 0..210 {
        last = world.user(&format!("u{n}")).await;
        world.add(ada, group, last, Role::Member).await.unwrap();
    }
    world.add(ada, other, last, Role::Member).await.unwrap();
    let before = world.subscriptions(last).await.unwrap();
    assert_eq!(before.groups.len(), 2);
    world.events.take();
    GroupRepository::delete(&*world, ada, group, now()).await.unwrap();
    assert_eq!(world.events.take().len(), 1);
    let rows = format!("SELECT count(*) FROM members WHERE conversation_id = {}", literal(&world, group));
    assert_eq!(world.raw().number(&rows), 11);
    assert_eq!(world.unfinished().await.unwrap(), [Ended::Group(group)]);
    is_sound(&world).await;
    // Nobody sees what is left: the list, the roster, the page, the nodes.
    let after = world.subscriptions(last).await.unwrap();
    assert_eq!(after.groups.iter().map(|(group, _)| *group).collect::<Vec<_>>(), [other]);
    let page = world.page(last, Recipient::Group(group), Window::Offset { offset: 0, limit: limit(50) }).await;
    refused!(page, "NotFound(Group)");
    let told = async |world: &World, since: Revision| {
        world.missed(last, since).await.unwrap().is_some_and(|missed| missed.memberships_changed)
    };
    // On Postgres the moment lies before whatever another test has under way in the same cluster.
    let exact = world.db.backend() == test_support::Backend::Sqlite;
    assert!(told(&world, before.at).await && !(exact && told(&world, after.at).await));
    assert!(!world.tidy(Ended::Group(group), now()).await.unwrap());
    assert_eq!(world.raw().number(&rows), 0);
    // Who was away when it ended is told, and who knew it already is not told again.
    assert!(told(&world, before.at).await && !(exact && told(&world, after.at).await));
    assert!(world.unfinished().await.unwrap().is_empty());
    is_sound(&world).await;
}

fn literal(world: &World, group: GroupId) -> String {
    match world.db.backend() {
        test_support::Backend::Sqlite => format!("x'{}'", group.0.simple()),
        test_support::Backend::Postgres => format!("'{group}'"),
    }
}

async fn what_was_unanswered_is_acquainted_once_answered_and_stays_so(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let told = async |one, other| {
        let stand = world.acquaintance(one, other).await.unwrap();
        assert_eq!(stand, world.acquaintance(other, one).await.unwrap());
        stand.are_told_of_each_other()
    };
    let acquainted = || world.events.take().into_iter().filter(|event| matches!(event, Event::Acquainted(_))).count();
    assert!(!told(ada, bob).await);
    let first = world.say(ada, Recipient::User(bob), "hello").await;
    world.say(ada, Recipient::User(bob), "anybody?").await;
    assert!(!told(ada, bob).await && acquainted() == 0, "what a stranger writes gives that stranger nothing");
    assert!(
        world.subscriptions(ada).await.unwrap().contacts.is_empty()
            && world.subscriptions(bob).await.unwrap().contacts.is_empty()
    );
    let answer = world.say(bob, Recipient::User(ada), "yes").await;
    assert_eq!(acquainted(), 1);
    assert!(told(ada, bob).await);
    assert_eq!(world.acquaintance(ada, bob).await.unwrap().conversation, Some(first.conversation));
    assert_eq!(
        (world.subscriptions(ada).await.unwrap().contacts, world.subscriptions(bob).await.unwrap().contacts),
        (vec![bob], vec![ada])
    );
    // What was deleted since was written all the same.
    world.delete(bob, answer.id, now()).await.unwrap();
    world.say(bob, Recipient::User(ada), "again").await;
    assert!(told(ada, bob).await && acquainted() == 0);
    // A group that both are in, as long as both are.
    let group = world.private_group("tea", eve, [ada]).await;
    assert!(told(ada, eve).await && !told(bob, eve).await);
    world.remove(ada, group, ada).await.unwrap();
    assert!(!told(ada, eve).await);
    let other = world.private_group("cake", eve, [ada]).await;
    GroupRepository::delete(&*world, eve, other, now()).await.unwrap();
    assert!(!told(ada, eve).await);
    // Saved messages are no talk with oneself.
    world.say(eve, Recipient::User(eve), "note").await;
    assert_eq!(acquainted(), 0);
    assert!(world.subscriptions(eve).await.unwrap().contacts.is_empty());
}
