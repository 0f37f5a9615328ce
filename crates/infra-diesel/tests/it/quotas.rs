//! How many groups users may make, join and add others to: by whatever node they come.

use crate::concurrency::all;
use crate::world::{Raw, Recorder, World, fresh, now, open, refused, text};
use diesel::connection::SimpleConnection;
use domain::endings::EndingRepository;
use domain::groups::{
    Description, GroupName, GroupQuotas, GroupRepository, MemberRepository, NewGroup, NewMember, Role, Visibility,
};
use domain::messages::{MessageLog, Recipient};
use domain::users::ServerPolicy;
use domain::{Conflict, Error, GroupId};
use infra_diesel::Store;
use std::sync::Arc;
use test_support::{Backend, TestDb};

on_both!(
    who_has_made_enough_groups_deletes_or_hands_one_over_first,
    who_is_in_enough_groups_leaves_one_first,
    who_adds_pays_and_nobody_is_filled_up,
    of_many_at_once_on_all_nodes_none_is_let_in_beyond,
);

const QUOTAS: GroupQuotas = GroupQuotas { made: 2, joined: 3, added: 4, added_of_one: 2 };

fn policy() -> ServerPolicy {
    ServerPolicy { groups: QUOTAS, ..ServerPolicy::default() }
}

/// What is counted is what there is; a database from before it was counted comes to the same by its migration.
async fn counted_right(world: World) {
    let migration = match world.db.backend() {
        Backend::Sqlite => include_str!("../../../../migrations/sqlite/2026-11-26-000080_counters/up.sql"),
        Backend::Postgres => include_str!("../../../../migrations/postgres/2026-11-26-000080_counters/up.sql"),
    };
    let wrong = async |db: &TestDb| Store::check(db.url()).await.unwrap();
    let db = world.closed().await;
    assert_eq!(wrong(&db).await, Vec::<String>::new());
    let mut raw = Raw::open(&db);
    raw.run("UPDATE group_usage SET joined = joined + 1");
    assert!(wrong(&db).await[0].ends_with("users who have made, joined or added other than is counted"));
    raw.batch_execute(&format!("DROP TABLE group_usage; {migration}")).unwrap();
    assert_eq!(wrong(&db).await, Vec::<String>::new());
}

async fn who_has_made_enough_groups_deletes_or_hands_one_over_first(db: TestDb) {
    let world = World::with(db, policy()).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let first = world.group(ada, "1", Visibility::Private).await;
    let second = world.group(ada, "2", Visibility::Private).await;
    refused!(world.create_group(ada, "3", Visibility::Private).await, "Conflict(TooManyGroupsMade)");
    // It was another's group: what one is handed uses nothing up.
    world.add(ada, second, bob, Role::Member).await.unwrap();
    MemberRepository::change_role(&*world, ada, second, bob, Role::Owner, now()).await.unwrap();
    for name in ["b1", "b2"] {
        world.group(bob, name, Visibility::Private).await;
    }
    world.group(ada, "3", Visibility::Private).await;
    refused!(world.create_group(ada, "4", Visibility::Private).await, "Conflict(TooManyGroupsMade)");
    GroupRepository::delete(&*world, ada, first, now()).await.unwrap();
    world.group(ada, "4", Visibility::Private).await;
    // The name that is taken and one that is none are told as before.
    refused!(world.create_group(ada, "5", Visibility::Private).await, "Conflict(TooManyGroupsMade)");
    // An account that ends leaves its groups to others, or ends them.
    world.add(bob, second, ada, Role::Member).await.unwrap();
    world.delete_user(bob).await;
    counted_right(world).await;
}

async fn who_is_in_enough_groups_leaves_one_first(db: TestDb) {
    let world = World::with(db, policy()).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let mut open = Vec::new();
    for (owner, name) in [(ada, "1"), (ada, "2"), (eve, "3"), (eve, "4")] {
        open.push(world.group(owner, name, Visibility::Public).await);
    }
    world.add(bob, open[0], bob, Role::Member).await.unwrap();
    world.say(bob, Recipient::Group(open[1]), "joins").await;
    world.group(bob, "own", Visibility::Private).await;
    refused!(world.add(bob, open[2], bob, Role::Member).await, "Conflict(TooManyGroupsJoined)");
    refused!(world.append(text(bob, Recipient::Group(open[2]), "x")).await, "Conflict(TooManyGroupsJoined)");
    refused!(world.create_group(bob, "another", Visibility::Private).await, "Conflict(TooManyGroupsJoined)");
    // Who is in already goes on, and comes in again at no cost.
    world.say(bob, Recipient::Group(open[0]), "x").await;
    world.add(bob, open[0], bob, Role::Member).await.unwrap();
    // What others add one to is counted apart, and leaves room for oneself once one leaves.
    world.add(eve, open[2], bob, Role::Member).await.unwrap();
    world.remove(bob, open[0], bob).await.unwrap();
    world.say(bob, Recipient::Group(open[3]), "joins").await;
    refused!(world.append(text(bob, Recipient::Group(open[0]), "x")).await, "Conflict(TooManyGroupsJoined)");
    counted_right(world).await;
}

async fn who_adds_pays_and_nobody_is_filled_up(db: TestDb) {
    let world = World::with(db, policy()).await;
    let victim = world.user("victim").await;
    // One and the same gets no further than its share.
    let (eve, mal) = (world.user("eve").await, world.user("mal").await);
    let owners = [eve, mal];
    let mut groups = Vec::new();
    for (n, owner) in owners.into_iter().enumerate() {
        for m in 0..2 {
            groups.push(world.group(owner, &format!("{n} {m}"), Visibility::Private).await);
        }
    }
    let third = world.group(victim, "lent", Visibility::Private).await;
    world.add(victim, third, eve, Role::Admin).await.unwrap();
    world.add(eve, groups[0], victim, Role::Member).await.unwrap();
    world.add(eve, groups[1], victim, Role::Member).await.unwrap();
    world.add(mal, groups[2], eve, Role::Admin).await.unwrap();
    refused!(world.add(eve, groups[2], victim, Role::Member).await, "Conflict(AddedTooOften)");
    // Another may, as far as others together may.
    world.add(mal, groups[2], victim, Role::Member).await.unwrap();
    refused!(world.add(mal, groups[3], victim, Role::Member).await, "Conflict(AddedTooOften)");
    // None of it is the victim's own quota.
    world.group(victim, "mine", Visibility::Private).await;
    // Who leaves makes room; again is nothing new.
    world.add(eve, groups[0], victim, Role::Member).await.unwrap();
    world.remove(victim, groups[0], victim).await.unwrap();
    world.add(mal, groups[3], victim, Role::Member).await.unwrap();
    // Eve has one of others in still, and may have four.
    for n in 0..3 {
        let other = world.user(&format!("u{n}")).await;
        world.add(eve, groups[0], other, Role::Member).await.unwrap();
    }
    let other = world.user("one-more").await;
    refused!(world.add(eve, groups[0], other, Role::Member).await, "Conflict(TooManyAdded)");
    GroupRepository::delete(&*world, eve, groups[1], now()).await.unwrap();
    world.add(eve, groups[0], other, Role::Member).await.unwrap();
    assert!(world.unfinished().await.unwrap().is_empty());
    counted_right(world).await;
}

async fn of_many_at_once_on_all_nodes_none_is_let_in_beyond(db: TestDb) {
    let world = World::with(db, policy()).await;
    let second = match world.db.backend() {
        Backend::Postgres => Some(open(&world.db, policy(), Arc::new(Recorder::default())).await),
        Backend::Sqlite => None,
    };
    let any = |n: usize| -> &Store {
        match &second {
            Some(second) if n.is_multiple_of(2) => second,
            _ => &world,
        }
    };
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let mut open = Vec::new();
    for n in 0..8 {
        let owner = world.user(&format!("owner-{n}")).await;
        open.push((owner, world.group(owner, &format!("open {n}"), Visibility::Public).await));
    }
    let made = all((0..8).map(|n| {
        let name = GroupName::parse("name", &format!("made {n}")).unwrap();
        let (id, description) = (GroupId(fresh()), Description::none());
        let new = NewGroup { id, name, description, visibility: Visibility::Private, owner: ada, at: now() };
        GroupRepository::create(any(n), new)
    }));
    let joined = all((0..8).map(|n| {
        let group = open[n].1;
        async move {
            if n < 4 {
                let new = NewMember::new(group, bob, Role::Member).unwrap();
                MemberRepository::add(any(n), bob, new, now()).await.map(drop)
            } else {
                any(n).append(text(bob, Recipient::Group(group), "joins")).await.map(drop)
            }
        }
    }));
    let added = all((0..8).map(|n| {
        let (owner, group) = open[n];
        MemberRepository::add(any(n), owner, NewMember::new(group, eve, Role::Member).unwrap(), now())
    }));
    let (made, joined, added) = tokio::join!(made, joined, added);
    let let_in = |outcomes: Vec<domain::Result<()>>, conflict: Conflict| {
        let (let_in, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(domain::Result::is_ok);
        let as_told = |outcome: &domain::Result<()>| matches!(outcome, Err(Error::Conflict(told)) if *told == conflict);
        assert!(refused.iter().all(as_told), "{refused:?}");
        let_in.len()
    };
    assert_eq!(let_in(made.into_iter().map(|made| made.map(drop)).collect(), Conflict::TooManyGroupsMade), 2);
    assert_eq!(let_in(joined, Conflict::TooManyGroupsJoined), 3);
    assert_eq!(let_in(added.into_iter().map(|added| added.map(drop)).collect(), Conflict::AddedTooOften), 3);
    if let Some(second) = second {
        second.close().await;
    }
    counted_right(world).await;
}
