//! A SQLite file under a running store: gone, replaced, damaged, its log grown; and stores that may not open one.

use crate::world::{Raw, Recorder, World, text};
use domain::messages::{MessageLog as _, Recipient};
use domain::users::{ServerPolicy, UserRepository as _};
use domain::{Error, Unavailable};
use futures_util::future::join_all;
use infra_diesel::{LockError, OpenError, Store, StoreOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use test_support::TestDb;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A store that tells of its end instead of ending the process.
async fn open(url: &str) -> (Result<Store, OpenError>, UnboundedReceiver<String>) {
    let (tell, told) = unbounded_channel();
    let options = StoreOptions {
        policy: Arc::new(ServerPolicy::default()),
        events: Arc::new(Recorder::default()),
        fatal: Arc::new(move |why: &str| drop(tell.send(why.to_owned()))),
        pool_size: Some(2),
        allow_unsafe_durability: false,
    };
    (Store::open(url, options).await, told)
}

/// Whoever waits longer waits for something broken.
async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), event).await.unwrap_or_else(|_| panic!("no {what}"))
}

struct Place {
    _directory: tempfile::TempDir,
    data: PathBuf,
    url: String,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let url = format!("sqlite://{}", data.join("parlance.db").display());
    Place { _directory: directory, data, url }
}

/// A way for a file to go away, and what is said of it.
type Way = (&'static str, fn(&Path), &'static str);

#[tokio::test]
async fn a_file_that_goes_away_ends_the_server_however_it_goes() {
    let ways: [Way; 7] = [
        ("folder removed", |data| std::fs::remove_dir_all(data).unwrap(), "is gone"),
        ("folder renamed", |data| std::fs::rename(data, data.with_extension("old")).unwrap(), "is gone"),
        ("file removed", |data| std::fs::remove_file(data.join("parlance.db")).unwrap(), "is gone"),
        ("file renamed", |data| std::fs::rename(data.join("parlance.db"), data.join("old.db")).unwrap(), "is gone"),
        ("file replaced", replace, "another file"),
        ("log removed", |data| std::fs::remove_file(data.join("parlance.db-wal")).unwrap(), "-wal is gone"),
        ("index removed", |data| std::fs::remove_file(data.join("parlance.db-shm")).unwrap(), "-shm is gone"),
    ];
    fn replace(data: &Path) {
        std::fs::copy(data.join("parlance.db"), data.join("new.db")).unwrap();
        std::fs::rename(data.join("new.db"), data.join("parlance.db")).unwrap();
    }
    let tried = ways.map(async |(name, go_away, words)| {
        let place = place();
        let (store, mut told) = open(&place.url).await;
        let store = store.unwrap();
        assert!(store.ready().await, "{name}");
        go_away(&place.data);
        let why = soon(name, told.recv()).await.unwrap();
        assert!(why.contains(words), "{name}: {why}");
    });
    join_all(tried).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_that_leads_elsewhere_ends_the_server() {
    let place = place();
    let (link, other) = (place.data.with_extension("link"), place.data.with_extension("other"));
    std::fs::create_dir(&place.data).unwrap();
    std::os::unix::fs::symlink(&place.data, &link).unwrap();
    let (store, mut told) = open(&format!("sqlite://{}", link.join("parlance.db").display())).await;
    let _store = store.unwrap();
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("parlance.db"), "").unwrap();
    std::os::unix::fs::symlink(&other, place.data.with_extension("new")).unwrap();
    std::fs::rename(place.data.with_extension("new"), &link).unwrap();
    let why = soon("end", told.recv()).await.unwrap();
    assert!(why.contains("another file"), "{why}");
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_no_log_and_gives_the_file_back() {
    let place = place();
    for _ in 0..2 {
        let (store, _told) = open(&place.url).await;
        let store = store.unwrap();
        assert!(matches!(open(&place.url).await.0, Err(OpenError::Lock(LockError::Held(_)))));
        assert!(store.ready().await);
        store.close().await;
        assert!(!place.data.join("parlance.db-wal").exists());
    }
}

/// Fills pages in the middle of a file, as a failing disk does.
fn overwrite(file: &Path, pages: std::ops::Range<u64>) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(pages.start * 4096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from((pages.end - pages.start) * 4096).unwrap()]).unwrap();
}

#[tokio::test]
async fn a_damaged_file_takes_no_more_writes_and_the_server_is_not_ready() {
    let db = TestDb::sqlite();
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    let said = world.say(ada, Recipient::User(bob), "before").await;
    let db = world.closed().await;
    let path = PathBuf::from(db.url().strip_prefix("sqlite://").unwrap());
    let (store, mut told) = open(db.url()).await;
    let store = store.unwrap();
    assert!(store.ready().await);
    // All but the first page, which every connection reads when it opens.
    overwrite(&path, 1..std::fs::metadata(&path).unwrap().len() / 4096);
    // Whichever page is met first: nobody is told that it is a fault of ours, and no write is answered as stored.
    for _ in 0..3 {
        let read = domain::messages::MessageReader::find(&store, bob, said.id).await;
        assert!(matches!(read, Err(Error::Unavailable(Unavailable::StorageOutOfReach))), "{read:?}");
        let sent = store.append(text(ada, Recipient::User(bob), "after")).await;
        assert!(matches!(sent, Err(Error::Unavailable(Unavailable::StorageOutOfReach))), "{sent:?}");
        assert!(!store.ready().await);
    }
    assert!(store.credentials(ada).await.is_err());
    store.close().await;
    drop(store);
    assert!(told.try_recv().is_err(), "the process goes on, to say so");
    let opened = open(db.url()).await.0;
    assert!(matches!(opened, Err(OpenError::Damaged(_))), "{:?}", opened.err());
}

#[tokio::test]
async fn a_damaged_page_that_nobody_reads_is_found_at_the_next_start() {
    let db = TestDb::sqlite();
    let world = World::new(db).await;
    let (ada, bob) = (world.user("ada").await, world.user("bob").await);
    for n in 0..200 {
        world.say(ada, Recipient::User(bob), &format!("{n} {}", "x".repeat(1_000))).await;
    }
    let db = world.closed().await;
    let path = db.url().strip_prefix("sqlite://").unwrap();
    let pages = std::fs::metadata(path).unwrap().len() / 4096;
    overwrite(Path::new(path), pages / 2..pages / 2 + 15);
    let opened = open(db.url()).await.0;
    assert!(matches!(opened, Err(OpenError::Damaged(_))), "{:?}", opened.err());
    assert!(matches!(Store::migrate(db.url()).await, Err(OpenError::Damaged(_))));
}

#[tokio::test]
async fn the_log_shrinks_again_once_a_long_reader_is_gone() {
    const TOO_LARGE: u64 = 36 << 20;
    let world = World::new(TestDb::sqlite()).await;
    let ada = world.user("ada").await;
    let log = PathBuf::from(format!("{}-wal", world.db.url().strip_prefix("sqlite://").unwrap()));
    let size = || std::fs::metadata(&log).map_or(0, |found| found.len());
    let mut reader = world.raw();
    reader.run("BEGIN");
    reader.number("SELECT count(*) FROM users");
    let words = "🙂".repeat(4_000);
    while size() < TOO_LARGE {
        join_all((0..500).map(|_| world.append(text(ada, Recipient::User(ada), &words)))).await;
    }
    reader.run("ROLLBACK");
    // Nothing is written meanwhile.
    soon("smaller log", async {
        while size() >= TOO_LARGE {
            tokio::task::yield_now().await;
            world.ready().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_newer_or_half_restored_database_is_opened_by_nobody() {
    for db in [Some(TestDb::sqlite()), TestDb::postgres()].into_iter().flatten() {
        let db = World::new(db).await.closed().await;
        Raw::open(&db).run("INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000000')");
        let version = |opened: Option<OpenError>| matches!(opened, Some(OpenError::Newer(version)) if version == "20990101000000");
        assert!(version(open(db.url()).await.0.err()));
        assert!(version(Store::migrate(db.url()).await.err()));
    }
    let place = place();
    std::fs::create_dir_all(place.data.join(".restoring")).unwrap();
    assert!(matches!(open(&place.url).await.0, Err(OpenError::HalfRestored)));
    assert!(!place.data.join("parlance.db").exists());
}
