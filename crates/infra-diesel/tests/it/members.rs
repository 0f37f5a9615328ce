//! `MemberRepository`.

use crate::world::{World, fresh, limit, now, refused, text};
use domain::events::Event;
use domain::groups::{GroupRepository, Member, MemberRepository, Role, Visibility};
use domain::messages::{MessageLog, MessageReader, Recipient, Window};
use domain::{GroupId, UserId};
use test_support::{Backend, TestDb};

on_both!(
    a_member_is_added_once,
    what_does_not_exist_comes_before_what_one_may_not,
    what_was_said_before_one_joined_is_not_unseen,
    a_role_changes_and_a_group_changes_hands,
    roles_are_the_owners_to_change,
    a_member_goes_and_sees_nothing_anymore,
    the_last_one_takes_the_group_along,
    an_owner_hands_over_first,
    who_comes_back_begins_anew,
    members_are_listed_in_pages_to_who_may_see_the_group,
    who_is_deleted_is_in_no_group,
);

async fn roles(world: &World, viewer: UserId, group: GroupId) -> Vec<(String, Role)> {
    let members = MemberRepository::list(&**world, viewer, group, None, limit(200)).await.unwrap().items;
    let view = GroupRepository::find(&**world, viewer, group).await.unwrap().unwrap();
    assert_eq!(view.group.member_count, members.len() as u64);
    members.into_iter().map(|member| (member.username, member.role)).collect()
}

async fn a_member_is_added_once(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.group(ada, "tea", Visibility::Private).await;
    world.events.take();
    let member = world.add(ada, group, bob, Role::Admin).await.unwrap();
    assert_eq!((member.group, member.user, member.role), (group, bob, Role::Admin));
    assert_eq!((member.username.as_str(), member.created_at), ("bob", member.updated_at));
    assert_eq!(world.add(ada, group, bob, Role::Member).await.unwrap(), member, "who is in stays as one is");
    assert_eq!(world.events.take(), [Event::MemberAdded(member)]);
    assert_eq!(roles(&world, bob, group).await, [("ada".into(), Role::Owner), ("bob".into(), Role::Admin)]);
}

async fn what_does_not_exist_comes_before_what_one_may_not(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let gone = world.user("gone").await;
    world.delete_user(gone).await;
    let (secret, open) =
        (world.private_group("secret", ada, [bob]).await, world.group(ada, "open", Visibility::Public).await);
    let nobody = UserId(fresh());
    refused!(world.add(eve, secret, nobody, Role::Member).await, "NotFound(Group)");
    refused!(world.add(ada, GroupId(fresh()), eve, Role::Member).await, "NotFound(Group)");
    refused!(world.add(bob, secret, nobody, Role::Member).await, "NotFound(User)");
    refused!(world.add(ada, secret, gone, Role::Member).await, "NotFound(User)");
    refused!(world.add(bob, secret, eve, Role::Member).await, "Forbidden(NotAModerator)");
    refused!(world.add(eve, open, bob, Role::Member).await, "Forbidden(NotAModerator)");
    refused!(world.add(eve, open, eve, Role::Admin).await, "Forbidden(NotAModerator)");
    world.add(eve, open, eve, Role::Member).await.unwrap();
    let change =
        |actor, group, target| MemberRepository::change_role(&*world, actor, group, target, Role::Admin, now());
    refused!(change(eve, secret, nobody).await, "NotFound(Group)");
    refused!(change(bob, secret, nobody).await, "NotFound(Member)");
    refused!(change(bob, secret, ada).await, "Forbidden(NotTheOwner)");
    refused!(world.remove(eve, secret, nobody).await, "NotFound(Group)");
    refused!(world.remove(bob, secret, eve).await, "NotFound(Member)");
    refused!(world.remove(bob, secret, ada).await, "Forbidden(NotAModerator)");
    refused!(world.remove(bob, open, eve).await, "Forbidden(NotAModerator)");
    // Nothing of all this happened.
    assert_eq!(roles(&world, ada, secret).await, [("ada".into(), Role::Owner), ("bob".into(), Role::Member)]);
    assert_eq!(roles(&world, ada, open).await, [("ada".into(), Role::Owner), ("eve".into(), Role::Member)]);
}

async fn what_was_said_before_one_joined_is_not_unseen(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.group(ada, "tea", Visibility::Public).await;
    world.say(ada, Recipient::Group(group), "before").await;
    world.add(ada, group, bob, Role::Member).await.unwrap();
    assert_eq!(world.unseen_in(bob, group.conversation()).await, 0);
    world.say(ada, Recipient::Group(group), "after").await;
    assert_eq!(world.unseen_in(bob, group.conversation()).await, 1);
    // Joining by sending, too.
    world.say(eve, Recipient::Group(group), "hello").await;
    assert_eq!(world.unseen_in(eve, group.conversation()).await, 0);
    let page = world.page(bob, Recipient::Group(group), Window::Offset { offset: 0, limit: limit(50) }).await.unwrap();
    assert_eq!(crate::world::contents(&page.items), ["before", "after", "hello"]);
}

async fn a_role_changes_and_a_group_changes_hands(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    world.events.take();
    let when = now();
    let admin = MemberRepository::change_role(&*world, ada, group, bob, Role::Admin, when).await.unwrap();
    assert_eq!((admin.role, admin.updated_at), (Role::Admin, when));
    assert_ne!(admin.created_at, when);
    assert_eq!(world.events.take(), [Event::MemberUpdated(admin.clone())]);
    let same = MemberRepository::change_role(&*world, ada, group, bob, Role::Admin, now()).await.unwrap();
    assert_eq!((same, world.events.take()), (admin, vec![]));
    let owner = MemberRepository::change_role(&*world, ada, group, bob, Role::Owner, now()).await.unwrap();
    assert_eq!(owner.role, Role::Owner);
    assert_eq!(roles(&world, ada, group).await, [("ada".into(), Role::Admin), ("bob".into(), Role::Owner)]);
    let mut changed: Vec<_> = Vec::new();
    for committed in world.events.take() {
        if let Event::MemberUpdated(Member { user, role, .. }) = committed {
            changed.push((user, role));
        }
    }
    assert_eq!(changed, [(ada, Role::Admin), (bob, Role::Owner)]);
}

async fn roles_are_the_owners_to_change(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let group = world.private_group("tea", ada, [bob, eve]).await;
    let change = |actor, target, role| MemberRepository::change_role(&*world, actor, group, target, role, now());
    change(ada, bob, Role::Admin).await.unwrap();
    refused!(change(bob, eve, Role::Admin).await, "Forbidden(NotTheOwner)");
    refused!(change(bob, bob, Role::Member).await, "Forbidden(NotTheOwner)");
    for role in [Role::Owner, Role::Admin, Role::Member] {
        refused!(change(ada, ada, role).await, "Conflict(OwnRole)");
    }
    change(ada, bob, Role::Member).await.unwrap();
    let expected = [("ada".into(), Role::Owner), ("bob".into(), Role::Member), ("eve".into(), Role::Member)];
    assert_eq!(roles(&world, ada, group).await, expected);
}

async fn a_member_goes_and_sees_nothing_anymore(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    let own = world.say(bob, Recipient::Group(group), "mine").await;
    let member = MemberRepository::list(&*world, ada, group, Some(ada), limit(1)).await.unwrap().items.remove(0);
    world.events.take();
    world.remove(ada, group, bob).await.unwrap();
    assert_eq!(world.events.take(), [Event::MemberRemoved(member)]);
    assert_eq!(MessageReader::find(&*world, bob, own.id).await.unwrap(), None);
    assert_eq!(world.conversations(bob).await, []);
    let page = world.page(bob, Recipient::Group(group), Window::Offset { offset: 0, limit: limit(50) }).await;
    refused!(page, "NotFound(Group)");
    assert_eq!(roles(&world, ada, group).await, [("ada".into(), Role::Owner)]);
    refused!(world.remove(ada, group, bob).await, "NotFound(Member)");
}

async fn the_last_one_takes_the_group_along(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "tea", Visibility::Public).await;
    let whole = GroupRepository::find(&*world, ada, group).await.unwrap().unwrap().group;
    world.events.take();
    world.remove(ada, group, ada).await.unwrap();
    assert_eq!(world.events.take(), [Event::GroupDeleted(whole)]);
    assert_eq!(GroupRepository::find(&*world, ada, group).await.unwrap(), None);
    world.group(ada, "tea", Visibility::Public).await;
}

async fn an_owner_hands_over_first(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    refused!(world.remove(ada, group, ada).await, "Conflict(OwnerMustHandOver)");
    MemberRepository::change_role(&*world, ada, group, bob, Role::Owner, now()).await.unwrap();
    refused!(world.remove(ada, group, bob).await, "Forbidden(NotTheOwner)");
    world.remove(ada, group, ada).await.unwrap();
    assert_eq!(roles(&world, bob, group).await, [("bob".into(), Role::Owner)]);
}

async fn who_comes_back_begins_anew(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("tea", ada, [bob]).await;
    world.say(ada, Recipient::Group(group), "one").await;
    world.remove(bob, group, bob).await.unwrap();
    world.say(ada, Recipient::Group(group), "two").await;
    world.add(ada, group, bob, Role::Member).await.unwrap();
    assert_eq!(world.unseen_in(bob, group.conversation()).await, 0);
    world.say(ada, Recipient::Group(group), "three").await;
    assert_eq!(world.unseen_in(bob, group.conversation()).await, 1);
}

async fn members_are_listed_in_pages_to_who_may_see_the_group(db: TestDb) {
    let world = World::new(db).await;
    let (zoe, ada, bob) = (world.user("Zoe").await, world.user("ada").await, world.user("B_b").await);
    let eve = world.user("eve").await;
    let group = world.private_group("tea", zoe, [ada, bob]).await;
    let list = |viewer, after, most| MemberRepository::list(&*world, viewer, group, after, limit(most));
    let page = list(ada, None, 2).await.unwrap();
    let names = |page: &domain::Page<Member>| -> Vec<_> { page.items.iter().map(|m| m.username.clone()).collect() };
    assert_eq!((names(&page), page.more), (vec!["Zoe".to_owned(), "ada".to_owned()], true));
    let page = list(ada, Some(ada), 2).await.unwrap();
    assert_eq!((names(&page), page.more), (vec!["B_b".to_owned()], false));
    // The place of one who is not in, or deleted, is one too.
    assert_eq!(list(ada, Some(eve), 2).await.unwrap().items, []);
    world.delete_user(ada).await;
    assert_eq!(names(&list(bob, Some(ada), 50).await.unwrap()), ["B_b"]);
    refused!(list(bob, Some(UserId(fresh())), 50).await, "NotFound(User)");
    refused!(list(eve, None, 50).await, "NotFound(Group)");
    let talk = world.say(eve, Recipient::User(bob), "x").await.conversation;
    let no_group = MemberRepository::list(&*world, eve, GroupId(talk.0), None, limit(50)).await;
    refused!(no_group, "NotFound(Group)");
}

async fn who_is_deleted_is_in_no_group(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob, eve) = (world.user("ada").await, world.user("bob").await, world.user("eve").await);
    let open = world.group(ada, "open", Visibility::Public).await;
    world.delete_user(bob).await;
    refused!(world.create_group(bob, "x", Visibility::Private).await, "Unauthenticated(InvalidToken)");
    refused!(world.add(ada, open, bob, Role::Member).await, "NotFound(User)");
    refused!(world.add(bob, open, bob, Role::Member).await, "Unauthenticated(InvalidToken)");
    let joins = text(bob, Recipient::Group(open), "x");
    refused!(world.append(joins).await, "Unauthenticated(InvalidToken)");

    // Another server is at it, and is not done.
    if world.db.backend() == Backend::Postgres {
        for n in 0..3 {
            let gone = if n == 2 { eve } else { world.user(&format!("gone-{n}")).await };
            let mut other = world.raw();
            other.run("BEGIN");
            other.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{gone}'"));
            let answered = std::cell::Cell::new(false);
            let asked = async {
                let outcome = match n {
                    0 => world.create_group(gone, "y", Visibility::Private).await.map(drop),
                    1 => world.add(gone, open, gone, Role::Member).await.map(drop),
                    _ => world.append(text(gone, Recipient::Group(open), "x")).await.map(drop),
                };
                answered.set(true);
                outcome
            };
            let commit = async {
                let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                             AND wait_event_type = 'Lock'";
                let mut watch = world.raw();
                while watch.number(waits) == 0 && !answered.get() {
                    tokio::task::yield_now().await;
                }
                other.run("COMMIT");
            };
            let (told, ()) = tokio::join!(asked, commit);
            refused!(told, "Unauthenticated(InvalidToken)");
        }
    }
    let dead = "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE u.deleted_at IS NOT NULL";
    assert_eq!(world.raw().number(dead), 0);
}
