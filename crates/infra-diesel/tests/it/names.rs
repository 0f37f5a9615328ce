//! Names whatever their spelling, and keys that an earlier version stored in another form.

use crate::world::{Raw, World, limit, now};
use domain::groups::{GroupNameKey, GroupNamePrefix, GroupRepository, Visibility};
use domain::users::{UserRepository, Username};
use domain::{GroupId, NAME_FORM, UserId};
use infra_diesel::{Doubled, Store, backup, copy};
use test_support::{Backend, TestDb};

on_both!(
    names_are_found_whatever_their_spelling,
    keys_of_another_form_are_made_anew,
    names_that_have_become_one_stay_two,
    keys_are_made_anew_once,
    what_nobody_made_anew_is_told,
);

async fn find(store: &Store, viewer: UserId, typed: &str) -> Option<GroupId> {
    let name = GroupNameKey::looked_up(typed).unwrap();
    GroupRepository::find_by_name(store, viewer, &name).await.unwrap().map(|view| view.group.id)
}

/// As an earlier version left it: no form of keys is noted.
fn forget(raw: &mut Raw) {
    raw.run("UPDATE server SET name_form = 0");
}

fn set_group(raw: &mut Raw, id: GroupId, name: &str, key: &str) {
    let id = match raw {
        Raw::Sqlite(_) => format!("x'{}'", id.0.simple()),
        Raw::Postgres(_) => format!("'{}'", id.0),
    };
    raw.run(&format!("UPDATE conversations SET name = '{name}', name_key = '{key}' WHERE id = {id}"));
}

async fn names_are_found_whatever_their_spelling(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("Ada", Some("ada@exämple.org")).await.unwrap().id;
    let cafe = world.group(ada, "Café 👩\u{200d}💻", Visibility::Private).await;
    for typed in ["Cafe\u{301} 👩\u{200d}💻", "CAFÉ 👩💻", "ｃａｆé 👩💻"] {
        assert_eq!(find(&world, ada, typed).await, Some(cafe), "{typed}");
        let prefix: String = typed.chars().take(5).collect();
        let prefix = GroupNamePrefix::parse(&prefix).unwrap();
        let listed = GroupRepository::list(&*world, ada, Some(&prefix), None, limit(10)).await.unwrap().items;
        assert_eq!(listed.iter().map(|view| view.group.id).collect::<Vec<_>>(), [cafe], "{typed}");
    }
    assert!(world.create_group(ada, "CAFE\u{301} 👩💻", Visibility::Public).await.is_err());
    let typed = Username::looked_up("to", "ａｄａ").unwrap();
    assert_eq!(UserRepository::find_by_name(&*world, &typed).await.unwrap().unwrap().id, ada);
    for address in ["ADA@EXA\u{308}MPLE.org", "ada@xn--exmple-cua.org"] {
        assert!(world.create_user("other", Some(address)).await.is_err(), "{address}");
    }
}

async fn keys_of_another_form_are_made_anew(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.create_user("ada", Some("ada@example.org")).await.unwrap().id;
    let groups = [("Cafe\u{301}", "cafe\u{301}"), ("ﬁsh", "fish"), ("Ｔｅａ", "ｔｅａ")];
    let mut ids = Vec::new();
    for (name, _) in groups {
        ids.push(world.group(ada, name, Visibility::Private).await);
    }
    let gone = world.group(ada, "Gone", Visibility::Private).await;
    GroupRepository::delete(&*world, ada, gone, now()).await.unwrap();
    let mut raw = world.raw();
    for ((name, key), id) in groups.iter().zip(&ids) {
        set_group(&mut raw, *id, name, key);
    }
    set_group(&mut raw, gone, "ＧＯＮＥ", "ｇｏｎｅ");
    raw.run("UPDATE users SET email = 'ada@exämple.org', email_key = 'ada@exämple.org'");
    forget(&mut raw);
    // Until that is done the database is not one of this version: nothing else takes it.
    assert!(Store::inspect(world.db.url()).await.unwrap().unwrap().is_older);
    drop(raw);
    let world = world.reopened().await;
    for (typed, id) in ["CAFÉ", "FISH", "tea"].into_iter().zip(&ids) {
        assert_eq!(find(&world, ada, typed).await, Some(*id), "{typed}");
    }
    assert!(world.create_user("bob", Some("ada@xn--exmple-cua.org")).await.is_err());
    assert_eq!(world.raw().number("SELECT count(*) AS n FROM conversations WHERE name_key = 'gone'"), 1);
    assert_eq!(Store::check(world.db.url()).await.unwrap(), Vec::<String>::new());
    assert_eq!(Store::doubled_names(world.db.url()).await.unwrap(), Doubled::default());
}

/// Four groups whose names have become one, the second of them with the key that it loses; one that has the name that
/// the first number would make; a deleted one, which is in nobody's way; and two users with one address.
async fn doubled(db: TestDb) -> (World, UserId, Vec<GroupId>, UserId) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "Café (2)", "gone"] {
        ids.push(world.group(ada, name, Visibility::Private).await);
    }
    GroupRepository::delete(&*world, ada, ids[5], now()).await.unwrap();
    let mut raw = world.raw();
    set_group(&mut raw, ids[0], "Cafe\u{301}", "cafe\u{301}");
    set_group(&mut raw, ids[1], "Café", "café");
    set_group(&mut raw, ids[2], "Ｃafé", "ｃafé");
    set_group(&mut raw, ids[3], "Ｃafe\u{301}", "ｃafe\u{301}");
    set_group(&mut raw, ids[5], "CAFE\u{301}", "cafe\u{301}");
    world.create_user("older", Some("x@exämple.org")).await.unwrap();
    raw.run("UPDATE users SET email_key = 'x@exämple.org' WHERE username = 'older'");
    let younger = world.create_user("younger", Some("x@xn--exmple-cua.org")).await.unwrap().id;
    forget(&mut raw);
    (world, ada, ids, younger)
}

async fn are_two(world: &World, ada: UserId, ids: &[GroupId], younger: UserId) {
    for (typed, id) in [("café", 0), ("CAFÉ (3)", 1), ("café (4)", 2), ("café (5)", 3), ("café (2)", 4)] {
        assert_eq!(find(world, ada, typed).await, Some(ids[id]), "{typed}");
    }
    let second = GroupRepository::find(&**world, ada, ids[1]).await.unwrap().unwrap().group;
    assert_eq!(second.name.as_str(), "Café (3)");
    let user = UserRepository::find(&**world, younger).await.unwrap().unwrap();
    assert_eq!(user.email.unwrap().as_str(), "x@xn--exmple-cua.org");
    assert_eq!(Store::check(world.db.url()).await.unwrap(), Vec::<String>::new());
    let doubled = Store::doubled_names(world.db.url()).await.unwrap();
    assert_eq!(doubled, Doubled { addresses: vec![younger], groups: ids[1..4].to_vec() });
}

async fn names_that_have_become_one_stay_two(db: TestDb) {
    let (world, ada, ids, younger) = doubled(db).await;
    let (directory, old) = (tempfile::tempdir().unwrap(), world.db.backend());
    if old == Backend::Sqlite {
        // A backup of an earlier version.
        world.raw().run(&format!("VACUUM INTO '{}'", directory.path().join("old.db").display()));
    }
    let world = world.reopened().await;
    are_two(&world, ada, &ids, younger).await;
    // Nothing changes where it is done once more.
    forget(&mut world.raw());
    let world = world.reopened().await;
    are_two(&world, ada, &ids, younger).await;
    let db = world.closed().await;
    if old == Backend::Sqlite {
        let restored = directory.path().join("old.db");
        backup::prepare(&restored).unwrap();
        let found = Store::doubled_names(&format!("sqlite://{}", restored.display())).await.unwrap();
        assert_eq!(found, Doubled { addresses: vec![younger], groups: ids[1..4].to_vec() });
        let target = TestDb::sqlite();
        assert!(copy::copy(db.url(), target.url(), |_| ()).unwrap().is_same());
        are_two(&World::new(target).await, ada, &ids, younger).await;
    }
}

async fn keys_are_made_anew_once(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "Tea", Visibility::Private).await;
    let mut raw = world.raw();
    assert_eq!(raw.number("SELECT name_form AS n FROM server"), NAME_FORM);
    set_group(&mut raw, group, "Tea", "other");
    drop(raw);
    let world = world.reopened().await;
    assert_eq!(find(&world, ada, "other").await, Some(group), "a start does not look at all names");
    forget(&mut world.raw());
    assert_eq!(find(&*world.reopened().await, ada, "tea").await, Some(group));
}

async fn what_nobody_made_anew_is_told(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let group = world.group(ada, "Cafe\u{301}", Visibility::Private).await;
    set_group(&mut world.raw(), group, "Cafe\u{301}", "cafe\u{301}");
    let faults = Store::check(world.db.url()).await.unwrap();
    assert_eq!(faults, ["1 names that are not found by what they are"]);
    forget(&mut world.raw());
    let db = world.closed().await;
    let refused = copy::copy(db.url(), TestDb::sqlite().url(), |_| ());
    assert!(matches!(refused, Err(copy::CopyError::NotMigrated)));
}
