//! `parlance healthcheck`.

use crate::harness::Process;
use crate::live::client::soon;
use serde_json::json;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn check(directory: &TempDir, listen: &str) -> (Option<i32>, String) {
    let output = Process::run(directory.path(), &["healthcheck"], &[("PARLANCE_LISTEN", listen)]);
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

#[actix_web::test]
async fn it_says_whether_the_server_that_is_configured_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[("PARLANCE_LISTEN", "0.0.0.0:0")]);
    let port = server.client.address().rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "0.0.0.0", "localhost", "[::]"] {
        assert_eq!(check(&directory, &format!("{host}:{port}")), (Some(0), "ready\n".to_owned()), "{host}");
    }
    // By the file and by the flag, as every command.
    std::fs::write(directory.path().join("other.toml"), format!("PARLANCE_LISTEN = '127.0.0.1:{port}'\n")).unwrap();
    for more in [["--config", "other.toml"], ["--listen", &format!("127.0.0.1:{port}")]] {
        let mut command = Process::command(directory.path(), &[&["healthcheck"], &more[..]].concat(), &[]);
        let output = command.env_remove("PARLANCE_LISTEN").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    server.signal("KILL");
    server.wait();
    let (code, said) = check(&directory, &format!("127.0.0.1:{port}"));
    assert!(code == Some(1) && said.contains("nothing listens on 127.0.0.1"), "{said}");
}

#[test]
fn who_does_not_answer_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, said) = check(&directory, &silent.local_addr().unwrap().to_string());
    assert!(code == Some(1) && said.contains("does not answer"), "{said}");
    for listen in ["127.0.0.1:0", "nowhere"] {
        let (code, said) = check(&directory, listen);
        assert!(code == Some(1) && said.contains("PARLANCE_LISTEN"), "{said}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "it has made something");
}

/// The system's user `nobody`, because root may write files that are read-only.
const NOBODY: u32 = 65_534;

/// Runs the program as a user to whom file permissions apply.
fn command(place: &Path, arguments: &[&str]) -> Command {
    let command = Process::command(place, arguments, &[]);
    if place.metadata().unwrap().uid() != 0 && !place.join("parlance").exists() {
        return command;
    }
    // Where the program is, that user may not look.
    let program = place.join("parlance");
    if !program.exists() {
        std::fs::copy(command.get_program(), &program).unwrap();
        chown(place, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut other = Command::new(program);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    other.args(arguments).current_dir(place).stdin(Stdio::null()).uid(NOBODY).gid(NOBODY);
    other
}

#[actix_web::test]
async fn a_file_that_is_only_to_be_read_is_not_ready_until_it_is_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let server = Process::start_command(place, command(place, &[]));
    let listen = server.client.address().to_owned();
    let account = json!({ "username": "ada", "password": "12345678" });
    server.client.post("/signup", account).await.expect(201);
    assert_eq!(check(&directory, &listen).0, Some(0));
    let file = place.join("data/parlance.db");
    std::fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    soon("a server that is not ready", async { while server.client.get("/ready").await.status != 503 {} }).await;
    let (code, said) = check(&directory, &listen);
    assert!(code == Some(1) && said.contains("answers 503"), "{said}");
    server.client.get("/health").await.expect(200);
    let doctor = command(place, &["doctor"]).output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.code() == Some(1) && said.contains("takes no writes"), "{said}");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    soon("a server that is ready", async { while server.client.get("/ready").await.status != 200 {} }).await;
    assert_eq!(check(&directory, &listen).0, Some(0));

    // And none starts on one.
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    std::fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    let refused = command(place, &["serve"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("takes no writes"), "{said}");
}
