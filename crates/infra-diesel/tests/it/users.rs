//! `UserRepository`.

use crate::world::{World, at, delete_user, fresh, limit, now, refused};
use domain::events::Event;
use domain::groups::{GroupRepository, MemberRepository, Role, Visibility};
use domain::messages::{MessageReader, Recipient};
use domain::sessions::{Session, SessionRepository};
use domain::users::{
    Change, DELETED_USER, DisplayName, Email, NewUser, PasswordHash, ProfileChange, User, UserRepository, Username,
    UsernamePrefix,
};
use domain::{Conflict, Error, Forbidden, Page, SessionId, Unauthenticated, UserId};
use test_support::TestDb;

on_both!(
    a_user_is_found_as_created,
    names_and_emails_are_taken_whatever_their_case,
    the_name_is_told_where_both_are_taken,
    of_many_at_once_one_gets_the_name_and_one_the_email,
    lists_go_by_name_key_and_prefix,
    lists_go_on_after_a_deleted_user,
    a_change_changes_what_it_names_and_nothing_else,
    a_change_of_nobody_or_to_a_taken_email_is_refused,
    a_new_password_ends_the_other_sessions,
    a_deleted_user_is_forgotten_but_for_the_name,
    groups_of_a_deleted_owner_pass_to_the_heir_or_end,
    messages_outlive_their_sender,
    missing_users_are_those_nobody_ever_was,
);

fn name(text: &str) -> Username {
    Username::parse("username", text).unwrap()
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn prefix(text: &str) -> UsernamePrefix {
    UsernamePrefix::parse(text).unwrap()
}

fn names(page: &Page<User>) -> Vec<&str> {
    page.items.iter().map(|user| user.username.as_str()).collect()
}

async fn a_user_is_found_as_created(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("Ada.L", Some("Ada@Example.org")).await.unwrap();
    assert_eq!((ada.username.as_str(), ada.email.as_ref().unwrap().as_str()), ("Ada.L", "Ada@Example.org"));
    assert_eq!((&ada.display_name, ada.deleted_at, ada.created_at), (&None, None, ada.updated_at));
    let (id, at) = (UserId(fresh()), at(1_700_000_000_000_123));
    let new = NewUser { id, username: name("bob"), email: None, password: None, at };
    UserRepository::create(&*world, new).await.unwrap();
    let bob = UserRepository::find(&*world, id).await.unwrap().unwrap();
    assert_eq!(bob.created_at, at, "microseconds are kept");
    assert_eq!(UserRepository::find(&*world, ada.id).await.unwrap().unwrap(), ada);
    assert_eq!(UserRepository::find_by_name(&*world, &name("aDA.l")).await.unwrap().unwrap(), ada);
    for found in [world.credentials(ada.id).await, world.credentials_by_name(&name("ADA.L")).await] {
        let found = found.unwrap().unwrap();
        assert_eq!((found.user, found.password), (ada.clone(), Some(PasswordHash("hash of Ada.L".to_owned()))));
    }
    let nobody = UserId(fresh());
    assert_eq!(UserRepository::find(&*world, nobody).await.unwrap(), None);
    assert_eq!(UserRepository::find_by_name(&*world, &name("ada")).await.unwrap(), None);
    assert_eq!(world.credentials(nobody).await.unwrap(), None);
    assert_eq!(world.credentials_by_name(&name("nobody")).await.unwrap(), None);
}

async fn names_and_emails_are_taken_whatever_their_case(db: TestDb) {
    let world = World::new(db).await;
    world.create_user("ada", Some("straße@example.org")).await.unwrap();
    refused!(world.create_user("ADA", None).await, "Conflict(UsernameTaken)");
    refused!(world.create_user("bob", Some("STRAßE@Example.ORG")).await, "Conflict(EmailTaken)");
    // Whoever has no email has none in common.
    world.create_user("bob", None).await.unwrap();
    world.create_user("eve", None).await.unwrap();
}

async fn the_name_is_told_where_both_are_taken(db: TestDb) {
    let world = World::new(db).await;
    world.create_user("ada", Some("a@example.org")).await.unwrap();
    refused!(world.create_user("Ada", Some("A@example.org")).await, "Conflict(UsernameTaken)");
    let gone = world.user("gone").await;
    world.delete_user(gone).await;
    refused!(world.create_user("gone", Some("a@example.org")).await, "Conflict(UsernameTaken)");
}

async fn of_many_at_once_one_gets_the_name_and_one_the_email(db: TestDb) {
    let world = World::new(db).await;
    let outcomes = tokio::join!(
        world.create_user("Ada", None),
        world.create_user("aDa", None),
        world.create_user("adA", None),
        world.create_user("ada", None),
        world.create_user("ADa", None),
        world.create_user("AdA", None),
        world.create_user("aDA", None),
        world.create_user("ADA", None),
    );
    let outcomes: [_; 8] = outcomes.into();
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|outcome| matches!(outcome, Err(Error::Conflict(Conflict::UsernameTaken)))));
    let outcomes = tokio::join!(
        world.create_user("u1", Some("x@example.org")),
        world.create_user("u2", Some("X@example.org")),
        world.create_user("u3", Some("x@EXAMPLE.org")),
    );
    let outcomes: [_; 3] = outcomes.into();
    let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|outcome| matches!(outcome, Err(Error::Conflict(Conflict::EmailTaken)))));
}

async fn lists_go_by_name_key_and_prefix(db: TestDb) {
    let world = World::new(db).await;
    // By code point of the key: '-' and '.' before digits before '_' before letters, whatever the collation of the
    // server.
    for name in ["bob", "a_z", "Abe", "a-z", "ABC", "a.z", "a1", "zed", "abd"] {
        world.user(name).await;
    }
    let all = UserRepository::list(&*world, None, None, limit(200)).await.unwrap();
    assert_eq!(names(&all), ["a-z", "a.z", "a1", "a_z", "ABC", "abd", "Abe", "bob", "zed"]);
    assert!(!all.more);
    let mut paged: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let page = UserRepository::list(&*world, None, after, limit(2)).await.unwrap();
        paged.extend(page.items.iter().map(|user| user.username.to_string()));
        after = page.items.last().map(|user| user.id);
        assert_eq!(page.more, paged.len() < 9);
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, names(&all));
    for (text, found) in
        [("aB", &["ABC", "abd", "Abe"][..]), ("a_", &["a_z"]), ("%", &[]), ("é", &[]), ("", &names(&all))]
    {
        let page = UserRepository::list(&*world, Some(&prefix(text)), None, limit(200)).await.unwrap();
        assert_eq!(names(&page), found, "{text}");
    }
    let after = UserRepository::find_by_name(&*world, &name("abc")).await.unwrap().unwrap().id;
    let page = UserRepository::list(&*world, Some(&prefix("ab")), Some(after), limit(1)).await.unwrap();
    assert_eq!((names(&page), page.more), (vec!["abd"], true));
}

async fn lists_go_on_after_a_deleted_user(db: TestDb) {
    let world = World::new(db).await;
    world.user("ada").await;
    let bob = world.user("bob").await;
    world.user("eve").await;
    world.delete_user(bob).await;
    let all = UserRepository::list(&*world, None, None, limit(50)).await.unwrap();
    assert_eq!(names(&all), ["ada", "eve"]);
    let rest = UserRepository::list(&*world, None, Some(bob), limit(50)).await.unwrap();
    assert_eq!(names(&rest), ["eve"]);
    refused!(UserRepository::list(&*world, None, Some(UserId(fresh())), limit(50)).await, "NotFound(User)");
}

async fn a_change_changes_what_it_names_and_nothing_else(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("ada", Some("a@example.org")).await.unwrap();
    let keep = SessionId(fresh());
    let (first, second) = (now(), now());
    let called = DisplayName::parse("Ada 🙂").unwrap();
    let change = ProfileChange { display_name: Change::Set(called.clone()), ..ProfileChange::default() };
    let changed = UserRepository::change(&*world, ada.id, change, keep, first).await.unwrap();
    assert_eq!(changed, User { display_name: Some(called.clone()), updated_at: first, ..ada.clone() });
    let change = ProfileChange { email: Change::Set(email("B@example.org")), ..ProfileChange::default() };
    let changed = UserRepository::change(&*world, ada.id, change, keep, second).await.unwrap();
    let email = Some(email("B@example.org"));
    assert_eq!(changed, User { display_name: Some(called), email, updated_at: second, ..ada.clone() });
    let same = UserRepository::change(&*world, ada.id, ProfileChange::default(), keep, now()).await.unwrap();
    assert_eq!(same, changed);
    assert_eq!(UserRepository::find(&*world, ada.id).await.unwrap().unwrap(), changed);
    // The old address is free, one's own in another case no conflict.
    world.create_user("bob", Some("a@example.org")).await.unwrap();
    let change =
        ProfileChange { email: Change::Set(Email::parse("b@EXAMPLE.org").unwrap()), ..ProfileChange::default() };
    UserRepository::change(&*world, ada.id, change, keep, now()).await.unwrap();
    // What is taken back is free for others.
    let (third, change) =
        (now(), ProfileChange { email: Change::Clear, display_name: Change::Clear, ..ProfileChange::default() });
    for _ in 0..2 {
        let cleared = UserRepository::change(&*world, ada.id, change.clone(), keep, third).await.unwrap();
        assert_eq!(cleared, User { display_name: None, email: None, updated_at: third, ..ada.clone() });
    }
    world.create_user("eve", Some("b@example.org")).await.unwrap();
}

async fn a_change_of_nobody_or_to_a_taken_email_is_refused(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("ada", Some("a@example.org")).await.unwrap().id;
    let bob = world.create_user("bob", Some("b@example.org")).await.unwrap();
    let keep = SessionId(fresh());
    let taken = || ProfileChange {
        email: Change::Set(email("A@example.org")),
        display_name: Change::Set(DisplayName::parse("x").unwrap()),
        password: Some(PasswordHash("new".to_owned())),
        proven: Some(PasswordHash("hash of bob".to_owned())),
    };
    refused!(UserRepository::change(&*world, bob.id, taken(), keep, now()).await, "Conflict(EmailTaken)");
    assert_eq!(UserRepository::find(&*world, bob.id).await.unwrap().unwrap(), bob, "a refused change changes nothing");
    world.delete_user(ada).await;
    for nobody in [ada, UserId(fresh())] {
        let change = ProfileChange { display_name: taken().display_name, ..ProfileChange::default() };
        refused!(UserRepository::change(&*world, nobody, change, keep, now()).await, "NotFound(User)");
        refused!(
            UserRepository::change(&*world, nobody, ProfileChange::default(), keep, now()).await,
            "NotFound(User)"
        );
    }
}

async fn a_new_password_ends_the_other_sessions(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let begin = async |user| {
        let session = Session::begin(SessionId(fresh()), user, None, now());
        world.begin_session(session.clone()).await.unwrap();
        session.id
    };
    let (kept, other, anothers) = (begin(ada).await, begin(ada).await, begin(bob).await);
    // Also one that is remembered.
    world.live(other).await.unwrap().unwrap();
    world.events.take();
    let change = |proven: &str| ProfileChange {
        password: Some(PasswordHash("new".to_owned())),
        proven: Some(PasswordHash(proven.to_owned())),
        ..ProfileChange::default()
    };
    // Of two who change it at once, the second has proven a password that is none any more.
    UserRepository::change(&*world, ada, change("hash of ada"), kept, now()).await.unwrap();
    let refused = UserRepository::change(&*world, ada, change("hash of ada"), kept, now()).await;
    assert!(matches!(refused, Err(Error::Forbidden(Forbidden::WrongCurrentPassword))), "{refused:?}");
    // As has who was logging in meanwhile.
    let late = Session::begin(SessionId(fresh()), ada, None, now());
    let refused = SessionRepository::create(&*world, late, Some(PasswordHash("hash of ada".to_owned()))).await;
    assert!(matches!(refused, Err(Error::Unauthenticated(Unauthenticated::InvalidCredentials))), "{refused:?}");
    let old = Some(PasswordHash("hash of ada".to_owned()));
    let refused = UserRepository::delete(&*world, ada, old, now()).await;
    assert!(matches!(refused, Err(Error::Forbidden(Forbidden::WrongCurrentPassword))), "{refused:?}");
    assert_eq!(world.live(other).await.unwrap(), None);
    assert!(world.live(kept).await.unwrap().is_some() && world.live(anothers).await.unwrap().is_some());
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: other }]);
    let hash = world.credentials(ada).await.unwrap().unwrap().password;
    assert_eq!(hash, Some(PasswordHash("new".to_owned())));
}

async fn a_deleted_user_is_forgotten_but_for_the_name(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("ada", Some("a@example.org")).await.unwrap().id;
    let change =
        ProfileChange { display_name: Change::Set(DisplayName::parse("A").unwrap()), ..ProfileChange::default() };
    UserRepository::change(&*world, ada, change, SessionId(fresh()), now()).await.unwrap();
    let session = Session::begin(SessionId(fresh()), ada, None, now());
    world.begin_session(session.clone()).await.unwrap();
    world.live(session.id).await.unwrap().unwrap();
    world.events.take();
    let when = now();
    delete_user(&world, ada, when).await.unwrap();
    assert_eq!(world.events.take(), [Event::SessionEnded { user: ada, session: session.id }, Event::UserDeleted(ada)]);
    let found = UserRepository::find(&*world, ada).await.unwrap().unwrap();
    assert_eq!((found.deleted_at, found.email.clone(), found.display_name.clone()), (Some(when), None, None));
    assert_eq!(found.profile().username, DELETED_USER);
    assert_eq!(world.live(session.id).await.unwrap(), None);
    assert_eq!(UserRepository::find_by_name(&*world, &name("ada")).await.unwrap(), None);
    assert_eq!(world.credentials_by_name(&name("ada")).await.unwrap(), None);
    assert_eq!(world.credentials(ada).await.unwrap(), None);
    assert_eq!(world.raw().number("SELECT count(*) FROM users WHERE password_hash IS NOT NULL"), 0);
    refused!(world.create_user("ADA", None).await, "Conflict(UsernameTaken)");
    world.create_user("bob", Some("a@example.org")).await.unwrap();
    refused!(delete_user(&world, ada, now()).await, "NotFound(User)");
    refused!(delete_user(&world, UserId(fresh()), now()).await, "NotFound(User)");
}

async fn groups_of_a_deleted_owner_pass_to_the_heir_or_end(db: TestDb) {
    let world = World::new(db).await;
    let mut people = Vec::new();
    for name in ["owner", "early", "late", "admin1", "admin2", "outsider"] {
        people.push(world.user(name).await);
    }
    let [owner, early, late, admin1, admin2, outsider] = people[..] else { unreachable!() };
    let alone = world.group(owner, "alone", Visibility::Private).await;
    let members = world.private_group("members", owner, [early, late]).await;
    let admins = world.private_group("admins", owner, [early]).await;
    world.add(owner, admins, admin1, Role::Admin).await.unwrap();
    world.add(owner, admins, admin2, Role::Admin).await.unwrap();
    let guest = world.private_group("guest", early, [owner, late]).await;
    world.events.take();
    world.delete_user(owner).await;
    // The name of a group that ended is free.
    world.group(outsider, "ALONE", Visibility::Private).await;
    assert_eq!(GroupRepository::find(&*world, owner, alone).await.unwrap(), None);
    for (group, viewer, expected) in [
        (members, early, &[(early, Role::Owner), (late, Role::Member)][..]),
        (admins, early, &[(admin1, Role::Owner), (admin2, Role::Admin), (early, Role::Member)]),
        (guest, early, &[(early, Role::Owner), (late, Role::Member)]),
    ] {
        let found = MemberRepository::list(&*world, viewer, group, None, limit(50)).await.unwrap();
        let found: Vec<_> = found.items.iter().map(|member| (member.user, member.role)).collect();
        let mut expected = expected.to_vec();
        expected.sort_by_key(|(user, _)| *user);
        assert_eq!(found, expected);
        let view = GroupRepository::find(&*world, viewer, group).await.unwrap().unwrap();
        assert_eq!(view.group.member_count, expected.len() as u64);
    }
    let events = world.events.take();
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    assert_eq!(count(|event| matches!(event, Event::GroupDeleted(group) if group.name.as_str() == "alone")), 1);
    assert_eq!(count(|event| matches!(event, Event::MemberUpdated(member) if member.role == Role::Owner)), 2);
    assert_eq!(count(|event| matches!(event, Event::MemberRemoved(_))), 3);
    assert_eq!(count(|event| matches!(event, Event::UserDeleted(_))), 1);
}

async fn messages_outlive_their_sender(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let sent = world.say(ada, Recipient::User(bob), "still here").await;
    world.delete_user(ada).await;
    let found = MessageReader::find(&*world, bob, sent.id).await.unwrap().unwrap();
    assert_eq!((found.body.content(), found.sender.username.as_str()), ("still here", DELETED_USER));
    assert_eq!(found.sender.display_name, DELETED_USER);
}

async fn missing_users_are_those_nobody_ever_was(db: TestDb) {
    let world = World::new(db).await;
    world.user("Ada").await;
    let bob = world.user("bob").await;
    world.delete_user(bob).await;
    let asked = ["ada", "bob", "eve"].map(str::to_owned).to_vec();
    assert_eq!(world.missing_users(asked).await.unwrap(), ["eve"]);
}
