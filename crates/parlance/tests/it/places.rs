//! Every command that uses a database, with what may already be there: a running server, an unfinished restore, a
//! database of a newer version, a file with two names.

use crate::harness::Process;
use serde_json::json;
use std::path::Path;
use std::process::Output;
use test_support::{TestDb, run_sql};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What makes any other version's database of one of ours.
const NEWER: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ('20990101000000')";

/// What a command has to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// In order.
    Well,
    /// By refusing, in these words.
    Refused(&'static str),
}

/// A place with a database in it, a backup beside it, and the commands that may be tried there.
struct DataPlace {
    directory: tempfile::TempDir,
}

/// All commands that touch a database. A server that starts after all would not end: it is refused a port.
const COMMANDS: [(&str, &[&str]); 8] = [
    // First: it changes nothing.
    ("doctor", &["doctor"]),
    ("serve", &["serve", "--listen", "192.0.2.1:1"]),
    ("migrate", &["migrate"]),
    ("user", &["user", "list"]),
    ("backup", &["backup", "new.tar"]),
    ("restore", &["restore", "old.tar"]),
    ("copy from", &["copy", "--from", "sqlite://data/parlance.db", "--to", "sqlite://copy.db"]),
    ("copy to", &["copy", "--from", "sqlite://other/parlance.db", "--to", "sqlite://data/parlance.db"]),
];

impl DataPlace {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        let server = Process::start(place.path(), &[], &[]);
        let account = json!({ "username": "ada", "password": "correct horse" });
        server.client.post("/signup", account).await.expect(201);
        server.signal("TERM");
        assert_eq!(server.wait().0, Some(0));
        for arguments in [&["backup", "old.tar"][..], &["migrate", "--data-dir", "other"]] {
            let made = Process::run(place.path(), arguments, &[]);
            assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        }
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path().join("data/parlance.db").display())
    }

    /// Tries every command.
    fn try_all(&self, situation: &str, expected: impl Fn(&str) -> Ends) {
        for (name, arguments) in COMMANDS {
            let output = Process::run(self.path(), arguments, &[]);
            let said = text(&output);
            match expected(name) {
                Ends::Well => assert_eq!(output.status.code(), Some(0), "{situation}, {name}: {said}"),
                Ends::Refused(words) => {
                    assert_eq!(output.status.code(), Some(1), "{situation}, {name}: {said}");
                    assert!(said.contains(words), "{situation}, {name}: {said}");
                }
            }
            let _ = std::fs::remove_file(self.path().join("new.tar"));
            for file in ["copy.db", "copy.db-wal", "copy.db-shm"] {
                let _ = std::fs::remove_file(self.path().join(file));
            }
        }
    }
}

#[actix_web::test]
async fn each_command_does_what_it_may_beside_a_running_server() {
    let place = DataPlace::new().await;
    let server = Process::start(place.path(), &[], &[]);
    place.try_all("a server runs", |command| match command {
        "backup" | "doctor" => Ends::Well,
        "restore" => Ends::Refused("already"),
        "user" => Ends::Refused("a server is running"),
        _ => Ends::Refused("another parlance is running"),
    });
    server.client.get("/ready").await.expect(200);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
}

#[actix_web::test]
async fn each_command_refuses_half_a_restore_but_the_restore() {
    let place = DataPlace::new().await;
    for file in ["parlance.db", "parlance.db-wal", "parlance.db-shm", "parlance.db.lock"] {
        let _ = std::fs::remove_file(place.path().join("data").join(file));
    }
    // As one leaves it that is killed early.
    std::fs::create_dir(place.path().join("data/.restoring")).unwrap();
    std::fs::write(place.path().join("data/.restoring/parlance.db"), "half").unwrap();
    place.try_all("half a restore", |command| match command {
        "restore" => Ends::Well,
        // It is there after the restore.
        "copy from" => Ends::Well,
        "copy to" => Ends::Refused("not empty"),
        "doctor" => Ends::Refused("unfinished restore"),
        _ => Ends::Refused(".restoring"),
    });
    assert!(!place.path().join("data/.restoring").exists());
    let server = Process::start(place.path(), &[], &[]);
    server.client.post("/login", json!({ "username": "ada", "password": "correct horse" })).await.expect(200);
    drop(server);
    std::fs::create_dir(place.path().join("data/.restoring")).unwrap();
    place.try_all("half a restore", |command| match command {
        "doctor" => Ends::Refused("unfinished restore"),
        "restore" => Ends::Refused("already"),
        _ if place.path().join("data/.restoring").exists() => Ends::Refused(".restoring"),
        "copy from" => Ends::Well,
        _ => Ends::Refused("not empty"),
    });
}

#[actix_web::test]
async fn each_command_refuses_a_database_of_a_newer_version() {
    let place = DataPlace::new().await;
    run_sql(&place.url(), NEWER);
    place.try_all("a newer version", |command| match command {
        "restore" => Ends::Refused("already"),
        _ => Ends::Refused("newer parlance"),
    });
    // Nothing was migrated or changed on the way.
    run_sql(&place.url(), "DELETE FROM __diesel_schema_migrations WHERE version = '20990101000000'");
    place.try_all("our own version", |command| match command {
        "restore" => Ends::Refused("already"),
        "copy to" => Ends::Refused("not empty"),
        "serve" => Ends::Refused("cannot listen"),
        _ => Ends::Well,
    });
}

#[actix_web::test]
async fn each_command_refuses_a_postgres_of_a_newer_version() {
    let Some(database) = TestDb::postgres() else { return };
    let directory = tempfile::tempdir().unwrap();
    run_sql(database.url(), NEWER);
    let environment = [("DATABASE_URL", database.url())];
    let to = ["copy", "--from", "sqlite://other/parlance.db", "--to", database.url()];
    let from = ["copy", "--from", database.url(), "--to", "sqlite://copy.db"];
    let made = Process::run(directory.path(), &["migrate", "--data-dir", "other"], &[]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let commands: [&[&str]; 7] =
        [&["serve"], &["migrate"], &["user", "list"], &["backup", "b.tar"], &["doctor"], &from, &to];
    for arguments in commands {
        let output = Process::run(directory.path(), arguments, &environment);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains("newer parlance"), "{arguments:?}: {}", text(&output));
    }
}

#[cfg(unix)]
#[actix_web::test]
async fn each_command_finds_the_server_by_whatever_name_the_file_has() {
    use std::os::unix::fs::symlink;
    let place = DataPlace::new().await;
    let at = |name: &str| place.path().join(name);
    symlink(at("data"), at("folder")).unwrap();
    symlink(at("data/parlance.db"), at("link.db")).unwrap();
    std::fs::create_dir(at("mounted")).unwrap();
    let server = Process::start(place.path(), &[], &[]);
    let absolute = at("data/parlance.db");
    for name in ["link.db", "folder/parlance.db", "./data/../data//parlance.db", absolute.to_str().unwrap()] {
        let url = format!("sqlite://{name}");
        for (command, arguments) in [
            ("serve", &["serve", "--listen", "192.0.2.1:1"][..]),
            ("migrate", &["migrate"]),
            ("user", &["user", "list"]),
        ] {
            let output = Process::run(place.path(), arguments, &[("DATABASE_URL", &url)]);
            assert_eq!(output.status.code(), Some(1), "{name}, {command}: {}", text(&output));
            assert!(text(&output).contains("running on"), "{name}, {command}: {}", text(&output));
        }
        for arguments in
            [["--from", &url, "--to", "sqlite://copy.db"], ["--from", "sqlite://other/parlance.db", "--to", &url]]
        {
            let output = Process::run(place.path(), &[&["copy"][..], &arguments].concat(), &[]);
            assert!(text(&output).contains("running on"), "{name}: {}", text(&output));
        }
        // What only reads goes on.
        let backup = Process::run(place.path(), &["backup", "new.tar"], &[("DATABASE_URL", &url)]);
        assert_eq!(backup.status.code(), Some(0), "{name}: {}", text(&backup));
        std::fs::remove_file(at("new.tar")).unwrap();
    }
    // The file's own lock: its place is another one, with another file beside it.
    match Mount::bind(&absolute, &at("mounted/parlance.db")) {
        Some(_mount) => {
            let output = Process::run(place.path(), &["migrate"], &[("DATABASE_URL", "sqlite://mounted/parlance.db")]);
            assert!(text(&output).contains("running on"), "bind mount: {}", text(&output));
        }
        None => eprintln!("LEFT OUT: this system lets nobody mount a file"),
    }
    let url = "sqlite://file:data/parlance.db";
    let output = Process::run(place.path(), &["migrate"], &[("DATABASE_URL", url)]);
    assert!(text(&output).contains("DATABASE_URL: must name a file"), "{}", text(&output));
    let output = Process::run(place.path(), &["copy", "--from", url, "--to", "sqlite://copy.db"], &[]);
    assert!(text(&output).contains("must begin with"), "{}", text(&output));
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));

    std::fs::hard_link(&absolute, at("other.db")).unwrap();
    for url in ["sqlite://other.db", "sqlite://data/parlance.db", "sqlite://link.db"] {
        for arguments in
            [&["serve"][..], &["migrate"], &["user", "list"], &["copy", "--from", url, "--to", "sqlite://copy.db"]]
        {
            let output = Process::run(place.path(), arguments, &[("DATABASE_URL", url)]);
            assert_eq!(output.status.code(), Some(1), "{url}: {}", text(&output));
            assert!(text(&output).contains("hard links"), "{url}: {}", text(&output));
        }
    }
}

/// Something mounted, until it is dropped.
pub struct Mount(std::path::PathBuf);

impl Mount {
    fn by(arguments: &[&std::ffi::OsStr], at: &Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount").args(arguments).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    /// A file in another place; `None` where the system does not allow it.
    pub fn bind(file: &Path, at: &Path) -> Option<Self> {
        std::fs::write(at, "").unwrap();
        Self::by(&["--bind".as_ref(), file.as_os_str()], at)
    }

    /// A disk of so many MiB of memory; `None` where the system does not allow it.
    pub fn small_disk(megabytes: u32, at: &Path) -> Option<Self> {
        let size = format!("size={megabytes}m");
        Self::by(&["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), size.as_ref(), "tmpfs".as_ref()], at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let gone = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(gone.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
