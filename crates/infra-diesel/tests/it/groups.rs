//! `GroupRepository`.

use crate::world::{World, fresh, limit, now, refused};
use domain::events::Event;
use domain::groups::{
    Description, Group, GroupChange, GroupName, GroupNamePrefix, GroupRepository, GroupView, MemberRepository, Role,
    Visibility,
};
use domain::messages::{MessageReader, Recipient, Update};
use domain::{GroupId, Page, UserId};
use test_support::TestDb;

on_both!(
    a_group_begins_with_its_owner,
    names_are_taken_among_live_groups_whatever_their_case,
    of_many_at_once_one_gets_the_name,
    private_groups_are_seen_by_their_members_only,
    lists_go_by_name_key_and_prefix,
    lists_go_on_after_a_deleted_group,
    a_list_does_not_tell_where_a_private_group_stands,
    who_is_in_charge_changes_the_group,
    a_deleted_group_is_gone_with_all_that_was_said,
);

fn name(text: &str) -> GroupName {
    GroupName::parse("name", text).unwrap()
}

fn rename(text: &str) -> GroupChange {
    GroupChange { name: Some(name(text)), ..GroupChange::default() }
}

fn names(page: &Page<GroupView>) -> Vec<&str> {
    page.items.iter().map(|view| view.group.name.as_str()).collect()
}

async fn list(
    world: &World,
    viewer: UserId,
    prefix: Option<&str>,
    after: Option<GroupId>,
    most: u64,
) -> Page<GroupView> {
    let prefix = prefix.map(|text| GroupNamePrefix::parse(text).unwrap());
    GroupRepository::list(&**world, viewer, prefix.as_ref(), after, limit(most)).await.unwrap()
}

async fn a_group_begins_with_its_owner(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.create_group(ada, "Tea  & Täa", Visibility::Public).await.unwrap();
    assert_eq!((group.member_count, group.created_at), (1, group.updated_at));
    let view = GroupRepository::find(&*world, ada, group.id).await.unwrap().unwrap();
    assert_eq!(view, GroupView { group: group.clone(), role: Some(Role::Owner) });
    assert_eq!(GroupRepository::find_by_name(&*world, ada, &name("tea  & tÄA").key()).await.unwrap().unwrap(), view);
    let members = MemberRepository::list(&*world, ada, group.id, None, limit(50)).await.unwrap().items;
    let [member] = &members[..] else { panic!("{members:?}") };
    assert_eq!((member.user, member.role, member.username.as_str()), (ada, Role::Owner, "ada"));
    assert_eq!(world.events.take(), [Event::MemberAdded(member.clone())]);
}

async fn names_are_taken_among_live_groups_whatever_their_case(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.group(ada, "Großes Tee", Visibility::Private).await;
    refused!(world.create_group(bob, "GROßES TEE", Visibility::Public).await, "Conflict(GroupNameTaken)");
    let other = world.group(bob, "other", Visibility::Private).await;
    refused!(
        GroupRepository::change(&*world, bob, other, rename("großes tee"), now()).await,
        "Conflict(GroupNameTaken)"
    );
    let own = GroupRepository::change(&*world, ada, group, rename("GROßES Tee"), now()).await.unwrap();
    assert_eq!(own.group.name.as_str(), "GROßES Tee");
    GroupRepository::delete(&*world, ada, group, now()).await.unwrap();
    GroupRepository::change(&*world, bob, other, rename("großes tee"), now()).await.unwrap();
    refused!(world.create_group(ada, "Großes Tee", Visibility::Public).await, "Conflict(GroupNameTaken)");
    world.group(ada, "other", Visibility::Public).await;
}

async fn of_many_at_once_one_gets_the_name(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let make = |name| world.create_group(ada, name, Visibility::Public);
    let outcomes = tokio::join!(make("tea"), make("Tea"), make("TEA"), make("tEA"), make("teA"), make("tEa"));
    let outcomes: [_; 6] = outcomes.into();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        refused!(outcome, "Conflict(GroupNameTaken)");
    }
}

async fn private_groups_are_seen_by_their_members_only(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let secret = world.private_group("secret", ada, [bob]).await;
    let open = world.group(ada, "open", Visibility::Public).await;
    for (viewer, role) in [(ada, Some(Role::Owner)), (bob, Some(Role::Member)), (eve, None)] {
        let found = GroupRepository::find(&*world, viewer, secret).await.unwrap();
        assert_eq!(found.as_ref().and_then(|view| view.role), role);
        assert_eq!(found.is_some(), role.is_some());
        assert_eq!(GroupRepository::find_by_name(&*world, viewer, &name("secret").key()).await.unwrap(), found);
        assert!(GroupRepository::find(&*world, viewer, open).await.unwrap().is_some());
    }
    assert_eq!(names(&list(&world, bob, None, None, 50).await), ["open", "secret"]);
    assert_eq!(names(&list(&world, eve, None, None, 50).await), ["open"]);
    let as_reader = GroupRepository::find(&*world, eve, open).await.unwrap().unwrap();
    assert_eq!(as_reader.role, None);
    assert_eq!(GroupRepository::find(&*world, eve, GroupId(fresh())).await.unwrap(), None);
}

async fn lists_go_by_name_key_and_prefix(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for name in ["Zoo", "äpfel", "apple pie", "Apple", "apple-1", "_", "ÄRA", "b%", "bx"] {
        world.group(ada, name, Visibility::Public).await;
    }
    world.group(ada, "apple of ada", Visibility::Private).await;
    let all = list(&world, bob, None, None, 200).await;
    assert_eq!(names(&all), ["_", "Apple", "apple pie", "apple-1", "b%", "bx", "Zoo", "äpfel", "ÄRA"]);
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = list(&world, bob, None, after, 2).await;
        after = page.items.last().map(|view| view.group.id);
        paged.extend(page.items);
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, all.items);
    for (prefix, found) in [
        ("APPLE", &["Apple", "apple pie", "apple-1"][..]),
        ("apple ", &["apple pie"]),
        ("b%", &["b%"]),
        ("Ä", &["äpfel", "ÄRA"]),
        ("x", &[]),
    ] {
        assert_eq!(names(&list(&world, bob, Some(prefix), None, 50).await), found, "{prefix}");
    }
    let after = GroupRepository::find_by_name(&*world, bob, &name("apple").key()).await.unwrap().unwrap().group.id;
    let page = list(&world, bob, Some("apple"), Some(after), 1).await;
    assert_eq!((names(&page), page.more), (vec!["apple pie"], true));
}

async fn lists_go_on_after_a_deleted_group(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut groups = Vec::new();
    for name in ["a", "b", "c"] {
        groups.push(world.group(ada, name, Visibility::Public).await);
    }
    GroupRepository::delete(&*world, ada, groups[1], now()).await.unwrap();
    assert_eq!(names(&list(&world, ada, None, None, 50).await), ["a", "c"]);
    assert_eq!(names(&list(&world, ada, None, Some(groups[1]), 50).await), ["c"]);
    let nothing = GroupRepository::list(&*world, ada, None, Some(GroupId(fresh())), limit(50)).await;
    refused!(nothing, "NotFound(Group)");
    let bob = world.user("bob").await;
    let talk = world.say(ada, Recipient::User(bob), "x").await.conversation;
    let no_group = GroupRepository::list(&*world, ada, None, Some(GroupId(talk.0)), limit(50)).await;
    refused!(no_group, "NotFound(Group)");
}

async fn a_list_does_not_tell_where_a_private_group_stands(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let secret = world.private_group("m", ada, [bob]).await;
    for name in ["a", "z"] {
        world.group(ada, name, Visibility::Public).await;
    }
    assert_eq!(names(&list(&world, bob, None, Some(secret), 50).await), ["z"]);
    let behind = async |viewer| GroupRepository::list(&*world, viewer, None, Some(secret), limit(50)).await;
    refused!(behind(eve).await, "NotFound(Group)");
    world.remove(bob, secret, bob).await.unwrap();
    refused!(behind(bob).await, "NotFound(Group)");
    GroupRepository::delete(&*world, ada, secret, now()).await.unwrap();
    for viewer in [ada, eve] {
        refused!(behind(viewer).await, "NotFound(Group)");
    }
}

async fn who_is_in_charge_changes_the_group(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("tea", ada, [bob]).await;
    world.events.take();
    let before = GroupRepository::find(&*world, ada, group).await.unwrap().unwrap();
    refused!(GroupRepository::change(&*world, bob, group, rename("x"), now()).await, "Forbidden(NotAModerator)");
    refused!(GroupRepository::change(&*world, eve, group, rename("x"), now()).await, "NotFound(Group)");
    refused!(GroupRepository::change(&*world, ada, GroupId(fresh()), rename("x"), now()).await, "NotFound(Group)");
    let nothing = GroupRepository::change(&*world, ada, group, GroupChange::default(), now()).await.unwrap();
    assert_eq!((nothing, world.events.take()), (before.clone(), vec![]));
    let (first, second) = (now(), now());
    let description = Description::parse("of leaves").unwrap();
    let change = GroupChange { description: Some(description.clone()), ..GroupChange::default() };
    let described = GroupRepository::change(&*world, ada, group, change, first).await.unwrap();
    assert_eq!(described.group, Group { description, updated_at: first, ..before.group });
    let change = GroupChange { visibility: Some(Visibility::Public), ..rename("Coffee") };
    let renamed = GroupRepository::change(&*world, ada, group, change, second).await.unwrap();
    let expected =
        Group { name: name("Coffee"), visibility: Visibility::Public, updated_at: second, ..described.group.clone() };
    assert_eq!(renamed, GroupView { group: expected.clone(), role: Some(Role::Owner) });
    assert_eq!(GroupRepository::find(&*world, ada, group).await.unwrap().unwrap(), renamed);
    assert_eq!(world.events.take(), [Event::GroupUpdated(described.group), Event::GroupUpdated(expected)]);
    // A reader of what is public now may know that it exists.
    refused!(GroupRepository::change(&*world, eve, group, rename("x"), now()).await, "Forbidden(NotAModerator)");
}

async fn a_deleted_group_is_gone_with_all_that_was_said(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("tea", ada, [bob]).await;
    let sent = world.say(ada, Recipient::Group(group), "x").await;
    let whole = GroupRepository::find(&*world, ada, group).await.unwrap().unwrap().group;
    refused!(GroupRepository::delete(&*world, bob, group, now()).await, "Forbidden(NotTheOwner)");
    refused!(GroupRepository::delete(&*world, eve, group, now()).await, "NotFound(Group)");
    world.events.take();
    GroupRepository::delete(&*world, ada, group, now()).await.unwrap();
    assert_eq!(world.events.take(), [Event::GroupDeleted(whole)]);
    for viewer in [ada, bob] {
        assert_eq!(GroupRepository::find(&*world, viewer, group).await.unwrap(), None);
        assert_eq!(GroupRepository::find_by_name(&*world, viewer, &name("tea").key()).await.unwrap(), None);
        assert_eq!(MessageReader::find(&*world, viewer, sent.id).await.unwrap(), None);
        assert_eq!(world.conversations(viewer).await, []);
        let changes = world.changes(viewer, group.conversation(), Update(0), limit(50)).await;
        refused!(changes, "NotFound(Conversation)");
        assert_eq!(world.unseen_in(viewer, group.conversation()).await, 0);
    }
    refused!(GroupRepository::delete(&*world, ada, group, now()).await, "NotFound(Group)");
    refused!(MemberRepository::list(&*world, ada, group, None, limit(50)).await, "NotFound(Group)");
}
