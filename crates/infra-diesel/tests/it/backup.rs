//! Databases saved beside their servers, and what can be told of them.

use crate::append::a_file;
use crate::world::{Raw, World};
use domain::files::FileRepository;
use domain::messages::Recipient;
use infra_diesel::backup::{self, BackupError};
use infra_diesel::{Inspection, Store};
use test_support::{Backend, TestDb};

on_both!(
    a_database_is_saved_while_its_server_runs,
    what_a_newer_version_has_made_is_told_and_not_restored,
    nothing_is_put_where_something_is,
    what_a_database_is_like_is_told,
);

/// A place for a file.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("saved.db");
    (directory, file)
}

async fn a_database_is_saved_while_its_server_runs(db: TestDb) {
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let file = a_file(ada, "application/pdf");
    FileRepository::create(&*world, file.clone()).await.unwrap();
    world.say(ada, Recipient::User(bob), "before").await;
    let (_directory, saved) = place();
    backup::save(world.db.url(), &saved, |_| ()).unwrap();
    world.say(ada, Recipient::User(bob), "after").await;
    let url = format!("sqlite://{}", saved.display());
    assert_eq!(backup::files(&url).unwrap(), [file]);
    let counts = backup::counts(&url).unwrap();
    let count = |table: &str| counts.iter().find(|(name, _)| *name == table).unwrap().1;
    assert_eq!((count("users"), count("messages")), (2, 1));
    assert_eq!(Store::check(&url).await.unwrap(), Vec::<String>::new());
    // What is there already is not written over.
    assert!(backup::save(world.db.url(), &saved, |_| ()).is_err());
}

async fn what_a_newer_version_has_made_is_told_and_not_restored(db: TestDb) {
    let world = World::new(db).await;
    world.user("ada").await;
    let (_directory, saved) = place();
    backup::save(world.db.url(), &saved, |_| ()).unwrap();
    backup::prepare(&saved).unwrap();
    let later = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000000')";
    let saved_db = diesel::Connection::establish(&saved.display().to_string()).map(Raw::Sqlite);
    saved_db.unwrap().run(later);
    assert!(matches!(backup::prepare(&saved), Err(BackupError::Newer(version)) if version == "20990101000000"));
    world.raw().run(later);
    let found = Store::inspect(world.db.url()).await.unwrap().unwrap();
    assert_eq!(found.unknown, ["20990101000000"]);
}

async fn nothing_is_put_where_something_is(db: TestDb) {
    let world = World::new(db).await;
    world.user("ada").await;
    let (_directory, saved) = place();
    backup::save(world.db.url(), &saved, |_| ()).unwrap();
    backup::prepare(&saved).unwrap();
    let db = world.closed().await;
    assert!(matches!(backup::must_be_empty(db.url(), None), Err(BackupError::Exists(_))));
    assert!(backup::put_in_place(&saved, db.url(), |_| ()).is_err());
    assert!(saved.exists());
    let empty = match db.backend() {
        Backend::Sqlite => Some(TestDb::sqlite()),
        Backend::Postgres => TestDb::empty_postgres(),
    };
    let Some(empty) = empty else { return };
    backup::must_be_empty(empty.url(), None).unwrap();
    backup::put_in_place(&saved, empty.url(), |_| ()).unwrap();
    let world = World::new(empty).await;
    assert_eq!(backup::counts(world.db.url()).unwrap()[0], ("users", 1));
}

async fn what_a_database_is_like_is_told(db: TestDb) {
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let said = world.say(ada, Recipient::Everybody, "hello").await;
    let backend = world.db.backend();
    let found = Store::inspect(world.db.url()).await.unwrap().unwrap();
    assert!(found.takes_writes);
    let Inspection {
        version,
        unsafe_settings,
        other_language,
        is_older,
        unknown,
        is_unfinished,
        now,
        newest,
        believed,
        ..
    } = found;
    assert!(version.starts_with(if backend == Backend::Sqlite { "SQLite 3." } else { "Postgres " }), "{version}");
    assert_eq!(other_language, None);
    assert_eq!((unsafe_settings, is_older, unknown, is_unfinished), (Vec::new(), false, Vec::new(), false));
    assert_eq!((newest, believed), (Some(said.created_at), None));
    assert_eq!(now.is_some(), backend == Backend::Postgres);
    let db = world.closed().await;
    Raw::open(&db).run(
        "DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
    );
    assert!(Store::inspect(db.url()).await.unwrap().unwrap().is_older);
    let (_directory, empty) = place();
    std::fs::write(&empty, "").unwrap();
    let found = Store::inspect(&format!("sqlite://{}", empty.display())).await.unwrap().unwrap();
    assert!(found.is_older && found.unknown.is_empty());
    assert_eq!(Store::inspect("sqlite:///nowhere/at/all.db").await.unwrap(), None);
}
