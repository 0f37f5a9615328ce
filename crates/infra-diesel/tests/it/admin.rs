//! `AdminRepository`.

use crate::world::{World, fresh, limit, now, only_boss_broadcasts, refused};
use domain::admin::{Action, Actor, AdminCommand, AdminRepository, AuditTarget};
use domain::events::Event;
use domain::groups::{GroupRepository, Visibility};
use domain::messages::Recipient;
use domain::sessions::{Session, SessionRepository};
use domain::users::{NewUser, PasswordHash, UserRepository, UserRole, Username, UsernamePrefix};
use domain::{Access, Caller, GroupId, Result, SessionId, UserId};
use test_support::{Backend, TestDb};

on_both!(
    a_disabled_user_has_no_session_and_gets_none_until_enabled,
    what_changes_nothing_is_not_recorded,
    only_an_admin_of_this_moment_acts,
    a_group_ends_as_by_its_owner,
    accounts_are_listed_with_when_they_were_last_seen,
    the_record_is_numbered_and_read_from_its_end,
    measures_at_once_are_numbered_without_a_gap,
    the_command_line_makes_admins_and_sets_passwords,
    the_record_is_copied,
);

/// In whose world `boss` is an admin by configuration.
async fn world(db: TestDb) -> (World, Actor) {
    let world = World::with(db, only_boss_broadcasts()).await;
    let boss = world.user("boss").await;
    (world, admin(boss))
}

fn admin(user: UserId) -> Actor {
    Actor::Admin(Caller { user, session: SessionId(fresh()), admin: true, access: Access::Login })
}

async fn session(world: &World, user: UserId) -> Result<SessionId> {
    let session = Session::begin(SessionId(fresh()), user, None, now());
    world.begin_session(session.clone()).await.map(|()| session.id)
}

/// The record's actions, newest first.
async fn recorded(world: &World) -> Vec<Action> {
    world.audit(None, limit(200)).await.unwrap().items.into_iter().map(|entry| entry.action).collect()
}

async fn a_disabled_user_has_no_session_and_gets_none_until_enabled(db: TestDb) {
    let (world, boss) = world(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sessions = [session(&world, ada).await.unwrap(), session(&world, ada).await.unwrap()];
    let bobs = session(&world, bob).await.unwrap();
    world.live(sessions[0]).await.unwrap().unwrap();
    world.events.take();
    world.execute(boss, AdminCommand::Disable(ada), now()).await.unwrap();

    let mut ended: Vec<_> = world.events.take();
    ended.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(ended, sessions.map(|session| Event::SessionEnded { user: ada, session }));
    for session in sessions {
        assert_eq!(world.live(session).await.unwrap(), None);
    }
    assert!(world.live(bobs).await.unwrap().is_some());
    // The password was compared before the account was disabled: too late.
    refused!(session(&world, ada).await, "Unauthenticated(InvalidCredentials)");
    // To others nothing has changed.
    world.say(bob, Recipient::User(ada), "still there?").await;
    assert!(UserRepository::find(&*world, ada).await.unwrap().unwrap().disabled_at.is_some());
    assert_eq!(UserRepository::list(&*world, None, None, limit(9)).await.unwrap().items.len(), 3);

    world.execute(boss, AdminCommand::Enable(ada), now()).await.unwrap();
    assert_eq!(world.live(sessions[1]).await.unwrap(), None, "what was ended stays ended");
    let again = session(&world, ada).await.unwrap();
    assert!(world.live(again).await.unwrap().is_some());
    assert_eq!(recorded(&world).await, [Action::UserEnabled, Action::UserDisabled]);

    world.events.take();
    world.execute(boss, AdminCommand::EndSessions(ada), now()).await.unwrap();
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: again }]);
    assert!(session(&world, ada).await.is_ok());
}

async fn what_changes_nothing_is_not_recorded(db: TestDb) {
    let (world, boss) = world(db).await;
    let ada = world.user("ada").await;
    for command in
        [AdminCommand::Enable(ada), AdminCommand::SetRole(ada, UserRole::Member), AdminCommand::EndSessions(ada)]
    {
        world.execute(boss, command, now()).await.unwrap();
    }
    for _ in 0..2 {
        world.execute(boss, AdminCommand::Disable(ada), now()).await.unwrap();
    }
    assert_eq!(recorded(&world).await, [Action::UserDisabled]);
    let gone = world.user("gone").await;
    world.delete_user(gone).await;
    for nobody in [gone, UserId(fresh())] {
        for command in [AdminCommand::Disable(nobody), AdminCommand::EndSessions(nobody), AdminCommand::Enable(nobody)]
        {
            refused!(world.execute(boss, command, now()).await, "NotFound(User)");
        }
    }
    refused!(world.execute(boss, AdminCommand::DeleteGroup(GroupId(fresh())), now()).await, "NotFound(Group)");
    assert_eq!(recorded(&world).await.len(), 1);
}

async fn only_an_admin_of_this_moment_acts(db: TestDb) {
    let (world, boss) = world(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let disable = || AdminCommand::Disable(bob);
    refused!(world.execute(admin(ada), disable(), now()).await, "Forbidden(NotAnAdmin)");
    // Who is no admin does not learn who exists.
    refused!(world.execute(admin(ada), AdminCommand::Disable(UserId(fresh())), now()).await, "Forbidden(NotAnAdmin)");
    world.execute(Actor::CommandLine, AdminCommand::SetRole(ada, UserRole::Admin), now()).await.unwrap();
    world.execute(admin(ada), disable(), now()).await.unwrap();
    refused!(world.execute(admin(ada), AdminCommand::Disable(ada), now()).await, "Conflict(OwnAccount)");
    world.execute(boss, AdminCommand::Disable(ada), now()).await.unwrap();
    refused!(world.execute(admin(ada), AdminCommand::Enable(bob), now()).await, "Forbidden(NotAnAdmin)");
    let expected = [Action::UserDisabled, Action::UserDisabled, Action::UserMadeAdmin];
    assert_eq!(recorded(&world).await, expected);
}

async fn a_group_ends_as_by_its_owner(db: TestDb) {
    let (world, boss) = world(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let group = world.private_group("Secret", ada, [bob]).await;
    world.say(ada, Recipient::Group(group), "psst").await;
    world.events.take();
    world.execute(boss, AdminCommand::DeleteGroup(group), now()).await.unwrap();
    assert!(matches!(&world.events.take()[..], [Event::GroupDeleted(gone)] if gone.id == group));
    assert!(GroupRepository::find(&*world, ada, group).await.unwrap().is_none());
    assert!(world.conversations(bob).await.is_empty());
    refused!(world.execute(boss, AdminCommand::DeleteGroup(group), now()).await, "NotFound(Group)");
    // Its name is free, and the record knows what it was called.
    world.group(bob, "secret", Visibility::Public).await;
    let entries = world.audit(None, limit(9)).await.unwrap().items;
    let AuditTarget::Group(id, name) = &entries[0].target else { panic!("{entries:?}") };
    assert_eq!((*id, name.as_str(), entries.len()), (group, "Secret", 1));
}

async fn accounts_are_listed_with_when_they_were_last_seen(db: TestDb) {
    let (world, boss) = world(db).await;
    let ada = world.user("ada").await;
    world.create_user("Bob", Some("bob@example.org")).await.unwrap();
    let gone = world.user("adrian").await;
    world.delete_user(gone).await;
    let first = session(&world, ada).await.unwrap();
    session(&world, ada).await.unwrap();
    let used = now();
    world.touch(ada, first, used).await.unwrap();
    world.execute(boss, AdminCommand::Disable(ada), now()).await.unwrap();

    let page = world.accounts(None, None, limit(2)).await.unwrap();
    let shown: Vec<_> =
        page.items.iter().map(|account| (account.user.username.as_str(), account.last_seen_at)).collect();
    assert_eq!((shown, page.more), (vec![("ada", Some(used)), ("Bob", None)], true));
    assert!(page.items[0].user.disabled_at.is_some() && page.items[1].user.email.is_some());
    let rest = world.accounts(None, Some(page.items[1].user.id), limit(2)).await.unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
    let prefix = UsernamePrefix::parse("AD").unwrap();
    assert_eq!(world.accounts(Some(&prefix), None, limit(9)).await.unwrap().items.len(), 1);
    refused!(world.accounts(None, Some(UserId(fresh())), limit(9)).await, "NotFound(User)");
    assert_eq!(world.account(ada).await.unwrap().unwrap(), page.items[0]);
    assert_eq!(world.account(gone).await.unwrap(), None);
}

async fn the_record_is_numbered_and_read_from_its_end(db: TestDb) {
    let (world, boss) = world(db).await;
    let ada = world.user("ada").await;
    let times: Vec<_> = (0..5).map(|_| now()).collect();
    for (n, at) in times.iter().enumerate() {
        let command = if n % 2 == 0 { AdminCommand::Disable(ada) } else { AdminCommand::Enable(ada) };
        let actor = if n == 4 { Actor::CommandLine } else { boss };
        world.execute(actor, command, *at).await.unwrap();
    }
    let newest = world.audit(None, limit(2)).await.unwrap();
    assert_eq!(newest.items.iter().map(|entry| entry.number).collect::<Vec<_>>(), [5, 4]);
    assert!(newest.more);
    let (last, before) = (&newest.items[0], &newest.items[1]);
    assert_eq!((last.actor.as_ref(), last.action, last.at), (None, Action::UserDisabled, times[4]));
    assert_eq!(before.actor.as_ref().unwrap().username, "boss");
    assert!(matches!(&before.target, AuditTarget::User(user) if user.username == "ada"));
    let rest = world.audit(Some(4), limit(9)).await.unwrap();
    assert_eq!((rest.items.iter().map(|entry| entry.number).collect::<Vec<_>>(), rest.more), (vec![3, 2, 1], false));
    // Who leaves is shown as everywhere.
    world.delete_user(ada).await;
    let entry = world.audit(None, limit(1)).await.unwrap().items.remove(0);
    assert!(matches!(entry.target, AuditTarget::User(user) if user.username == "deleted user"));
}

async fn measures_at_once_are_numbered_without_a_gap(db: TestDb) {
    let (world, boss) = world(db).await;
    let mut users = Vec::new();
    for n in 0..12 {
        users.push(world.user(&format!("user{n}")).await);
    }
    let done = crate::concurrency::all(
        users.iter().map(async |user| world.execute(boss, AdminCommand::Disable(*user), now()).await),
    );
    assert!(done.await.iter().all(Result::is_ok));
    let numbers: Vec<_> = world.audit(None, limit(50)).await.unwrap().items.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=12).rev().collect::<Vec<_>>());
}

async fn the_command_line_makes_admins_and_sets_passwords(db: TestDb) {
    let world = World::new(db).await;
    let new = |name: &str| NewUser {
        id: UserId(fresh()),
        username: Username::parse("username", name).unwrap(),
        email: None,
        password: Some(PasswordHash("first".to_owned())),
        at: now(),
    };
    let ada = new("ada");
    let id = ada.id;
    world.execute(Actor::CommandLine, AdminCommand::CreateUser(ada, UserRole::Admin), now()).await.unwrap();
    assert_eq!(UserRepository::find(&*world, id).await.unwrap().unwrap().role, UserRole::Admin);
    let again = world.execute(Actor::CommandLine, AdminCommand::CreateUser(new("ADA"), UserRole::Member), now()).await;
    refused!(again, "Conflict(UsernameTaken)");

    let open = session(&world, id).await.unwrap();
    let second = PasswordHash("second".to_owned());
    world.execute(Actor::CommandLine, AdminCommand::SetPassword(id, second.clone()), now()).await.unwrap();
    assert_eq!(world.credentials(id).await.unwrap().unwrap().password, Some(second));
    assert_eq!(world.live(open).await.unwrap(), None);
    world.execute(Actor::CommandLine, AdminCommand::SetRole(id, UserRole::Member), now()).await.unwrap();
    assert_eq!(recorded(&world).await, [Action::UserMadeMember, Action::PasswordSet, Action::UserCreated]);
    assert!(world.audit(None, limit(9)).await.unwrap().items.iter().all(|entry| entry.actor.is_none()));
}

async fn the_record_is_copied(db: TestDb) {
    let target = match db.backend() {
        Backend::Sqlite => TestDb::empty_postgres(),
        Backend::Postgres => Some(TestDb::sqlite()),
    };
    let Some(target) = target else { return };
    let (world, boss) = world(db).await;
    let ada = world.user("ada").await;
    world.execute(boss, AdminCommand::Disable(ada), now()).await.unwrap();
    let group = world.group(ada, "ours", Visibility::Private).await;
    world.execute(boss, AdminCommand::DeleteGroup(group), now()).await.unwrap();
    let before = world.audit(None, limit(9)).await.unwrap();
    let db = world.closed().await;
    assert!(infra_diesel::copy::copy(db.url(), target.url(), |_| ()).unwrap().is_same());
    let world = World::with(target, only_boss_broadcasts()).await;
    assert_eq!(world.audit(None, limit(9)).await.unwrap(), before);
    refused!(session(&world, ada).await, "Unauthenticated(InvalidCredentials)");
    assert_eq!(infra_diesel::Store::check(world.db.url()).await.unwrap(), [""; 0]);
}
