//! `parlance doctor`: a healthy server, and each fault.

use crate::harness::{Process, User};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use test_s3::S3;
use test_support::{Cluster, TestDb, run_sql};

/// What it found, by check, and its exit code.
struct Told {
    code: Option<i32>,
    findings: Value,
    text: String,
}

impl Told {
    fn by(directory: &Path, environment: &[(&str, &str)]) -> Self {
        let output = Process::run(directory, &["doctor", "--json"], environment);
        let text = String::from_utf8(output.stdout).unwrap();
        let findings: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(findings["ok"], output.status.code() == Some(0), "{findings}");
        let mut said = findings["checks"].as_array().unwrap().iter().map(|finding| finding["says"].as_str().unwrap());
        assert!(said.all(|said| !said.contains('\n')), "one line a check: {findings}");
        Self { code: output.status.code(), findings, text }
    }

    #[track_caller]
    fn says(&self, check: &str, verdict: &str, words: &str) {
        let checks = self.findings["checks"].as_array().unwrap();
        let found = checks.iter().find(|finding| finding["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no {check} in {}", self.text));
        assert_eq!(found["verdict"], verdict, "{found}");
        assert!(found["says"].as_str().unwrap().contains(words), "{found}");
        assert_eq!(self.code == Some(1), checks.iter().any(|finding| finding["verdict"] == "wrong"));
    }
}

/// A data directory of a server to which a user has uploaded; and the id of the file.
async fn place() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[]);
    let body = json!({ "username": "ada", "password": "correct horse" });
    server.client.post("/signup", body.clone()).await.expect(201);
    let login = server.client.post("/login", body).await.expect(200);
    let ada = User::new(&server.client, &login, "correct horse");
    let form = Form::new().part("file", Part::bytes(vec![7; 500]).file_name("a.bin"));
    let file = ada.form("/upload", form.text("receiver_id", ada.id.clone())).await;
    let file = if file.status == 201 || file.status == 200 { file.json() } else { panic!("{file}") };
    let id = file["file_id"].as_str().or(file["id"].as_str()).unwrap().to_owned();
    ada.send(&ada.id, "hello").await;
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    (directory, id)
}

fn blob(directory: &Path, id: &str) -> PathBuf {
    directory.join("data/uploads").join(&id[id.len() - 2..]).join(id)
}

#[actix_web::test]
async fn all_is_well_before_the_first_start_after_it_and_beside_a_server() {
    let empty = tempfile::tempdir().unwrap();
    let told = Told::by(empty.path(), &[]);
    assert_eq!(told.code, Some(0), "{}", told.text);
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "it only looks");

    let (directory, _) = place().await;
    let told = Told::by(directory.path(), &[]);
    for check in ["configuration", "secret", "data directory", "database", "durability", "migrations"] {
        told.says(check, "ok", "");
    }
    for (check, words) in [
        ("contents", "right"),
        ("names", "no two users"),
        ("clock", ""),
        ("uploads", "probe"),
        ("files", "every file"),
        ("port", "free"),
        ("nats", "not configured"),
    ] {
        told.says(check, "ok", words);
    }
    let secret = std::fs::read_to_string(directory.path().join("data/jwt-secret")).unwrap();
    assert!(!told.text.contains(&secret));
    let plain = Process::run(directory.path(), &["doctor"], &[]);
    let lines = String::from_utf8(plain.stdout).unwrap();
    assert!(lines.lines().count() > 10 && lines.starts_with("ok       configuration"), "{lines}");

    let server = Process::start(directory.path(), &[], &[]);
    let told = Told::by(directory.path(), &[("PARLANCE_LISTEN", server.client.address())]);
    told.says("port", "ok", "is ready");
    told.says("contents", "ok", "");
}

#[actix_web::test]
async fn what_is_wrong_on_the_machine_is_told() {
    let (directory, _) = place().await;
    let told = Told::by(directory.path(), &[("PARLANCE_BCRYPT_COST", "99")]);
    told.says("configuration", "wrong", "PARLANCE_BCRYPT_COST");
    let file = directory.path().join("parlance.toml");
    std::fs::write(&file, "PARLANCE_LISTENS = 'x'\n").unwrap();
    Told::by(directory.path(), &[]).says("configuration", "wrong", "unknown key PARLANCE_LISTENS");
    std::fs::remove_file(file).unwrap();

    let guessed = "x".repeat(40);
    let told = Told::by(directory.path(), &[("PARLANCE_JWT_SECRET", &guessed)]);
    told.says("secret", "wrong", "easy to guess");
    assert!(!told.text.contains(&guessed));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let secret = directory.path().join("data/jwt-secret");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
        Told::by(directory.path(), &[]).says("secret", "wrong", "chmod 600");
    }
    // A file where a directory should be: not even root can write into it.
    std::fs::write(directory.path().join("file"), "x").unwrap();
    Told::by(directory.path(), &[("PARLANCE_DATA_DIR", "file")]).says("data directory", "wrong", "cannot be written");
    Told::by(directory.path(), &[("PARLANCE_FILES", "file://file")]).says("uploads", "wrong", "PARLANCE_FILES");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || other.accept().map(drop));
    Told::by(directory.path(), &[("PARLANCE_LISTEN", &address)]).says("port", "wrong", "another program");
    Told::by(directory.path(), &[("PARLANCE_LISTEN", "192.0.2.1:1")]).says("port", "wrong", "PARLANCE_LISTEN");
}

#[test]
fn a_bucket_is_looked_at_before_the_first_start() {
    let (s3, directory) = (S3::start(), tempfile::tempdir().unwrap());
    let told = |bucket: &str| {
        let settings: Vec<_> = s3.environment().into_iter().chain([("NO_PROXY".into(), "*".into())]).collect();
        let settings = settings.iter().map(|(name, value): &(String, String)| (name.as_str(), value.as_str()));
        Told::by(directory.path(), &settings.chain([("PARLANCE_FILES", bucket)]).collect::<Vec<_>>())
    };
    told(&format!("s3://{}/uploads", test_s3::BUCKET)).says("uploads", "ok", "stored, read and removed a probe");
    told("s3://another-bucket").says("uploads", "wrong", "does not exist");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it only looks");
}

#[actix_web::test]
async fn the_disks_of_database_and_uploads_are_looked_at_wherever_they_are() {
    let (directory, _) = place().await;
    let count = |told: &Told, check: &str| {
        told.findings["checks"].as_array().unwrap().iter().filter(|finding| finding["check"] == check).count()
    };
    // Both below the data directory: one disk.
    let told = Told::by(directory.path(), &[]);
    assert_eq!((count(&told, "fsync"), count(&told, "disk space")), (1, 1), "{}", told.text);

    std::fs::create_dir(directory.path().join("fast")).unwrap();
    std::fs::create_dir(directory.path().join("large")).unwrap();
    let elsewhere = [("DATABASE_URL", "sqlite://fast/chat.db"), ("PARLANCE_FILES", "file://large")];
    let told = Told::by(directory.path(), &elsewhere);
    told.says("database folder", "ok", "fast can be written to");
    told.says("uploads folder", "ok", "large can be written to");
    assert_eq!((count(&told, "fsync"), count(&told, "disk space")), (3, 3), "{}", told.text);

    // A file where a directory should be: not even root can write into it.
    std::fs::write(directory.path().join("file"), "x").unwrap();
    let told = Told::by(directory.path(), &[("DATABASE_URL", "sqlite://file/chat.db")]);
    told.says("database folder", "wrong", "file cannot be written to");
    // Data in Postgres is on no local disk.
    let told = Told::by(directory.path(), &[("DATABASE_URL", "postgres://127.0.0.1:1/parlance")]);
    assert_eq!(count(&told, "database folder"), 0);
}

#[actix_web::test]
async fn a_conversation_whose_digest_is_not_that_of_its_messages_is_named() {
    for database in [Some(TestDb::sqlite()), TestDb::postgres()].into_iter().flatten() {
        let directory = tempfile::tempdir().unwrap();
        let environment = [("DATABASE_URL", database.url())];
        let server = Process::start(directory.path(), &["serve"], &environment);
        let body = json!({ "username": "ada", "password": "correct horse" });
        server.client.post("/signup", body.clone()).await.expect(201);
        let ada = User::new(&server.client, &server.client.post("/login", body).await.expect(200), "correct horse");
        ada.send(&ada.id, "hello").await;
        let group = ada.group("ours", "private").await;
        ada.post("/messages", json!({ "group_id": group, "content": "hello" })).await.expect(201);
        server.signal("TERM");
        assert_eq!(server.wait().0, Some(0));
        Told::by(directory.path(), &environment).says("contents", "ok", "");
        for (change, back) in [
            // What a digest proves, changed behind its back; and the digest itself.
            (
                "UPDATE messages SET content = 'bye' WHERE content = 'hello' AND conversation_id IN (SELECT id FROM \
              conversations WHERE name = 'ours')",
                "UPDATE messages SET content = 'hello' WHERE content = 'bye'",
            ),
            (
                "UPDATE conversations SET message_count = 2 WHERE name = 'ours'",
                "UPDATE conversations SET message_count = 1 WHERE name = 'ours'",
            ),
        ] {
            run_sql(database.url(), change);
            let told = Told::by(directory.path(), &environment);
            assert_eq!(told.code, Some(1), "{}", told.text);
            told.says("contents", "wrong", &group);
            run_sql(database.url(), back);
            Told::by(directory.path(), &environment).says("contents", "ok", "");
        }
    }
}

#[actix_web::test]
async fn files_that_are_lost_altered_or_left_over_are_told() {
    let (directory, id) = place().await;
    let path = blob(directory.path(), &id);
    let bytes = std::fs::read(&path).unwrap();
    let orphan = "01890a5d-ac96-774b-bcce-b302099a8057";
    std::fs::write(blob(directory.path(), orphan), "left").unwrap();
    std::fs::write(directory.path().join("data/uploads/57/half#1"), "left").unwrap();
    Told::by(directory.path(), &[]).says("files", "warning", "1 blobs (4 bytes) and 1 other objects");
    std::fs::write(&path, "short").unwrap();
    Told::by(directory.path(), &[]).says("files", "wrong", "1 of another size");
    std::fs::remove_file(&path).unwrap();
    Told::by(directory.path(), &[]).says("files", "wrong", &id);
    std::fs::write(&path, bytes).unwrap();
    Told::by(directory.path(), &[]).says("files", "warning", "harmless");
}

#[actix_web::test]
async fn a_database_that_is_none_or_damaged_is_told() {
    let (origin, _) = place().await;
    let backup = origin.path().join("b.tar").display().to_string();
    let directory = tempfile::tempdir().unwrap();
    for (place, arguments) in [(&origin, ["backup", &backup]), (&directory, ["restore", &backup])] {
        assert_eq!(Process::run(place.path(), &arguments, &[]).status.code(), Some(0));
    }
    // A restored database is one file, without a log of writes beside it. All of its pages but the first are lost.
    let database = directory.path().join("data/parlance.db");
    let mut damaged = std::fs::read(&database).unwrap();
    damaged[4096..].fill(0xff);
    std::fs::write(&database, damaged).unwrap();
    let told = Told::by(directory.path(), &[]);
    assert_eq!(told.code, Some(1), "{}", told.text);
    std::fs::write(&database, "this is a letter to grandmother, and no database at all").unwrap();
    let told = Told::by(directory.path(), &[]);
    told.says("database", "wrong", "not a database");
}

#[test]
fn a_postgres_that_is_away_or_loses_answers_is_told_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let url = "postgres://parlance:hush@127.0.0.1:1/parlance";
    let told = Told::by(directory.path(), &[("DATABASE_URL", url)]);
    told.says("database", "wrong", "postgres://127.0.0.1:1/parlance");
    assert!(!told.text.contains("hush"));
    let Some(cluster) = Cluster::with("synchronous_commit = off") else { return };
    let url = cluster.url("postgres");
    let told = Told::by(directory.path(), &[("DATABASE_URL", &url)]);
    told.says("database", "ok", "Postgres");
    told.says("durability", "wrong", "synchronous_commit");
}
