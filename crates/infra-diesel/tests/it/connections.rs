//! Connections that go while nobody uses them, as after a restart of Postgres or by a proxy that tidies up.

use crate::world::{World, limit};
use domain::groups::Visibility;
use domain::users::UserRepository;
use futures_util::future::join_all;
use infra_diesel::{OpenError, Store, UnfitPostgres};
use test_support::TestDb;

#[tokio::test]
async fn a_connection_that_went_meanwhile_fails_no_request() {
    let Some(db) = TestDb::postgres() else { return };
    let world = World::new(db).await;
    let ada = world.user("ada").await;
    let mut raw = world.raw();
    for round in 0..5 {
        // As many as use every connection, of readers and writers.
        let reads = join_all((0..16).map(|_| UserRepository::find(&*world, ada)));
        let lists = join_all((0..16).map(|_| UserRepository::list(&*world, None, None, limit(10))));
        let writes = join_all((0..16).map(|n| {
            let name = format!("group{round}-{n}");
            let world = &world;
            async move { world.create_group(ada, &name, Visibility::Public).await }
        }));
        let (reads, lists, writes) = tokio::join!(reads, lists, writes);
        assert!(reads.iter().all(|read| matches!(read, Ok(Some(_)))), "{reads:?}");
        assert!(lists.iter().all(Result::is_ok), "{lists:?}");
        assert!(writes.iter().all(Result::is_ok), "{writes:?}");
        raw.run(
            "DO $$ DECLARE other int; BEGIN \
               FOR other IN SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND backend_type = 'client backend' AND pid <> pg_backend_pid() LOOP PERFORM pg_terminate_backend(other); END LOOP; \
               WHILE EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' \
                   AND pid <> pg_backend_pid()) \
                 LOOP PERFORM pg_stat_clear_snapshot(); END LOOP; END $$",
        );
    }
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_character_is_refused() {
    let Some(db) = TestDb::postgres() else { return };
    let mut raw = crate::world::Raw::open(&db);
    let name = db.url().rsplit('/').next().unwrap().split('?').next().unwrap();
    let latin = format!("{name}_latin");
    raw.run(&format!("CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"));
    let url = db.url().replace(name, &latin);
    let refused = Store::migrate(&url).await.unwrap_err();
    assert!(
        matches!(&refused, OpenError::Unfit(UnfitPostgres::NotUtf8(encoding)) if encoding == "LATIN1"),
        "{refused}"
    );
    raw.run(&format!("DROP DATABASE {latin}"));
}
