//! Restores, backups and first starts that are killed in the middle: the next run takes each up.

use crate::harness::{Process, User};
use reqwest::multipart::{Form, Part};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use test_support::TestDb;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[track_caller]
fn ends(directory: &Path, arguments: &[&str], environment: &[(&str, &str)], code: i32) -> String {
    let output = Process::run(directory, arguments, environment);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
    text(&output)
}

const FILES: u8 = 60;

/// A server's place with a backup `b.tar` of many files in it.
async fn backed_up() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[("PARLANCE_RATE_LIMITS", "off")]);
    let account = json!({ "username": "ada", "password": "correct horse" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let login = server.client.post("/login", account).await.expect(200);
    let ada = User::new(&server.client, &login, "correct horse");
    for n in 0..FILES {
        let form = Form::new().part("file", Part::bytes(vec![n; 100_000])).text("receiver_id", ada.id.clone());
        ada.form("/messages/upload", form).await.expect(201);
    }
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    ends(directory.path(), &["backup", "b.tar", "--with-secret"], &[], 0);
    directory
}

fn start(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let mut command = Process::command(directory, arguments, environment);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills it once that has come true, or lets it end.
fn kill_when(mut child: Child, mut comes_true: impl FnMut() -> bool) {
    while child.try_wait().unwrap().is_none() && !comes_true() {
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
}

/// How far a restore has come, by what it wrote down.
fn lines(place: &Path) -> usize {
    std::fs::read_to_string(place.join("data/.restoring/journal")).map_or(0, |text| text.lines().count())
}

async fn a_restore_that_was_killed_is_taken_up(environment: &[(&str, &str)]) {
    let origin = backed_up().await;
    let backup = origin.path().join("b.tar").display().to_string();
    for least in [0, 1, 2, 20, 62, 63] {
        let place = tempfile::tempdir().unwrap();
        let half = place.path().join("data/.restoring");
        let child = start(place.path(), &["restore", &backup], environment);
        kill_when(child, || half.exists() && lines(place.path()) >= least);
        if half.exists() && !lines_say_done(place.path()) {
            for arguments in [&["serve"][..], &["migrate"], &["user", "list"], &["backup", "c.tar"]] {
                let said = ends(place.path(), arguments, environment, 1);
                assert!(said.contains("restore"), "{least}: {said}");
            }
            let said = ends(place.path(), &["doctor"], environment, 1);
            assert!(said.contains("unfinished restore"), "{said}");
            ends(place.path(), &["restore", &backup], environment, 0);
        }
        let server = Process::start(place.path(), &[], environment);
        let account = json!({ "username": "ada", "password": "correct horse" });
        server.client.post("/login", account).await.expect(200);
        server.signal("TERM");
        assert_eq!(server.wait().0, Some(0));
        assert!(!half.exists());
        let said = ends(place.path(), &["doctor"], environment, 0);
        assert!(said.contains("every file has its bytes, and the store holds nothing else"), "{least}: {said}");
        if !environment.is_empty() {
            return;
        }
    }
}

/// Whether it had put the database in its place.
fn lines_say_done(place: &Path) -> bool {
    let journal = std::fs::read_to_string(place.join("data/.restoring/journal")).unwrap_or_default();
    journal.lines().any(|line| line == "done")
        || (journal.lines().any(|line| line == "placing") && place.join("data/parlance.db").exists())
}

#[actix_web::test]
async fn a_killed_restore_is_taken_up() {
    a_restore_that_was_killed_is_taken_up(&[]).await;
}

#[actix_web::test]
async fn a_killed_restore_into_postgres_is_taken_up() {
    let Some(database) = TestDb::empty_postgres() else { return };
    a_restore_that_was_killed_is_taken_up(&[("DATABASE_URL", database.url())]).await;
}

#[actix_web::test]
async fn what_a_killed_restore_stored_goes_where_another_backup_is_restored() {
    let origin = backed_up().await;
    let backup = origin.path().join("b.tar").display().to_string();
    let (empty, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ends(empty.path(), &["migrate"], &[], 0);
    ends(empty.path(), &["backup", "empty.tar"], &[], 0);
    kill_when(start(place.path(), &["restore", &backup], &[]), || lines(place.path()) >= 30);
    // Somebody's own, which no restore has put there.
    let own = place.path().join("data/uploads/57/01890a5d-ac96-774b-bcce-b302099a8057");
    std::fs::write(&own, "mine").unwrap();
    let other = empty.path().join("empty.tar").display().to_string();
    ends(place.path(), &["restore", &other], &[], 0);
    let said = ends(place.path(), &["doctor"], &[], 0);
    assert!(said.contains("1 blobs (4 bytes) and 0 other objects"), "{said}");
    assert!(own.exists());
}

#[actix_web::test]
async fn of_two_restores_at_once_one_is_refused() {
    let origin = backed_up().await;
    let backup = origin.path().join("b.tar").display().to_string();
    let place = tempfile::tempdir().unwrap();
    let both = [(); 2].map(|()| start(place.path(), &["restore", &backup], &[]));
    let codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    assert!(codes.contains(&0), "{codes:?}");
    assert!(codes.contains(&1), "{codes:?}");
    ends(place.path(), &["doctor"], &[], 0);
}

#[actix_web::test]
async fn a_killed_backup_is_in_nobodys_way() {
    let origin = backed_up().await;
    let left = origin.path().join(".c.tar.unfinished");
    kill_when(start(origin.path(), &["backup", "c.tar"], &[]), || left.join("parlance.db").exists());
    assert!(left.exists() || origin.path().join("c.tar").exists());
    if left.exists() {
        ends(origin.path(), &["backup", "c.tar"], &[], 0);
    }
    assert!(!left.exists() && origin.path().join("c.tar").exists());
    // One that goes on is nobody's leftover.
    std::fs::create_dir(origin.path().join(".d.tar.unfinished")).unwrap();
    let lock = std::fs::File::create(origin.path().join(".d.tar.unfinished/lock")).unwrap();
    lock.lock().unwrap();
    let said = ends(origin.path(), &["backup", "d.tar"], &[], 1);
    assert!(said.contains("another parlance"), "{said}");
    drop(lock);
    ends(origin.path(), &["backup", "d.tar"], &[], 0);
}

#[actix_web::test]
async fn a_first_start_that_was_killed_is_gone_on_with() {
    let place = tempfile::tempdir().unwrap();
    for round in 0..12 {
        // At another moment each time, of what a first start makes.
        let made = ["data", "data/parlance.db", "data/parlance.db-wal", "data/jwt-secret"][round % 4];
        if round % 4 == 0 {
            let _ = std::fs::remove_dir_all(place.path().join("data"));
        }
        kill_when(start(place.path(), &["serve"], &[]), || place.path().join(made).exists());
    }
    // As an earlier version could leave it.
    std::fs::write(place.path().join("data/jwt-secret"), "").unwrap();
    let server = Process::start(place.path(), &[], &[]);
    server.client.get("/ready").await.expect(200);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    assert_eq!(std::fs::metadata(place.path().join("data/jwt-secret")).unwrap().len(), 64);
}
