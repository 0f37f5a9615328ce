//! The program as an operator uses it: `--help`, errors at start, the one line of output, shutdown.

use crate::harness::Process;
use parlance::config::KEYS;
use serde_json::json;
use std::process::Output;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn help_and_version_are_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let help = Process::run(directory.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(KEYS.iter().all(|key| text(&help).contains(key.name)));
    for arguments in [&["serve", "--help"][..], &["migrate", "--help"], &["--version"], &["serve", "--version"]] {
        assert_eq!(Process::run(directory.path(), arguments, &[]).status.code(), Some(0), "{arguments:?}");
    }
    for wrong in [&["dance"][..], &["--nothing"], &["serve", "twice"]] {
        assert_eq!(Process::run(directory.path(), wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_bad_value_is_refused_at_start_with_its_keys_name() {
    let directory = tempfile::tempdir().unwrap();
    for (key, value) in [
        ("PARLANCE_BCRYPT_COST", "3"),
        ("PARLANCE_JWT_SECRET", "hush-hush-hush-hush-hush-hush-3"),
        ("PARLANCE_NATS_URL", "nats://127.0.0.1"),
        ("PARLANCE_LISTEN", "nowhere"),
        ("PARLANCE_LISTEN", "192.0.2.1:1"),
    ] {
        let refused = Process::run(directory.path(), &["serve"], &[(key, value)]);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains(key) && !text(&refused).contains("hush"), "{}", text(&refused));
    }
}

#[test]
fn migrating_makes_the_database_and_says_so_once() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::run(directory.path(), &["migrate"], &[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert!(text(&first).contains("applied "), "{}", text(&first));
    assert!(directory.path().join("data/parlance.db").is_file());
    let second = Process::run(directory.path(), &["migrate"], &[]);
    assert_eq!((second.status.code(), text(&second).trim()), (Some(0), "nothing to do"));
}

#[actix_web::test]
async fn it_serves_on_a_free_port_keeps_its_secret_and_ends_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let admins = [("PARLANCE_ADMINS", "boss,ada")];
    let server = Process::start(directory.path(), &[], &admins);
    assert_eq!(server.printed.len(), 1);
    let account = json!({ "username": "ada", "password": "12345678" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let login = server.client.post("/login", account).await.expect(200);
    let second = Process::run(directory.path(), &["serve"], &[]);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    // Passwords and tokens are in no log; who is to be an admin and does not exist is told.
    let token = login["token"].as_str().unwrap();
    assert!(!log.contains("12345678") && !log.contains(token), "{log}");
    assert!(log.contains("boss"), "{log}");

    // The secret was kept: the token is good after a restart.
    let server = Process::start(directory.path(), &["serve"], &admins);
    server.client.with_token(token).get("/me").await.expect(200);
    server.signal("INT");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("\"ada\"") && log.contains("boss"), "{log}");
}

#[actix_web::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &["serve"], &[]);
    let body = json!({ "username": "ada", "password": "12345678" }).to_string();
    let (head, tail) = body.split_at(10);
    let mut connection = TcpStream::connect(server.client.address()).await.unwrap();
    let mut idle = TcpStream::connect(server.client.address()).await.unwrap();
    // It is one of the server's own by the time that it has answered something.
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let request =
        format!("POST /signup HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(request.as_bytes()).await.unwrap();
    // The handler has asked for the body: the request is under way.
    let mut told = [0; 25];
    connection.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    server.signal("TERM");
    // Readiness probes see that the server is stopping.
    loop {
        match reqwest::get(format!("http://{}/ready", server.client.address())).await {
            Ok(answer) if answer.status() == 200 => {}
            Ok(answer) => break assert_eq!(answer.status(), 503),
            // On a busy machine it may be too late for that.
            Err(error) => break eprintln!("{error}"),
        }
    }
    connection.write_all(tail.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.contains("user registered"), "{answer}");
    // Then idle connections are closed.
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
}

#[actix_web::test]
async fn the_file_of_the_working_directory_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("parlance.toml"), "PARLANCE_BROADCAST = 'admins'\n").unwrap();
    let server = Process::start(directory.path(), &["serve"], &[]);
    let account = json!({ "username": "ada", "password": "12345678" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let login = server.client.post("/login", account).await.expect(200);
    let ada = server.client.with_token(login["token"].as_str().unwrap());
    ada.post("/broadcast/send", json!({ "content": "x" })).await.refused(403, None);
}

#[test]
fn a_reader_that_goes_away_is_told_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = ("sqlite://data/parlance.db", "sqlite://copy.db");
    for arguments in [
        &["migrate"][..],
        &["migrate"],
        &["completions", "bash"],
        &["openapi"],
        &["doctor"],
        &["doctor", "--json"],
        &["user", "list"],
        &["copy", "--from", old, "--to", new, "--dry-run"],
        &["copy", "--from", old, "--to", new],
        &["backup", "b.tar"],
        &["restore", "b.tar", "--data-dir", "other"],
        &["demo", "--no-serve"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Process::command(directory.path(), arguments, &[]).stdout(writer).output().unwrap();
        let said = text(&ended);
        assert!(
            said.lines().last().unwrap().starts_with("parlance: standard output is closed"),
            "{arguments:?} {said}"
        );
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn every_shell_has_its_completions() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Process::run(directory.path(), &["completions", shell], &[]);
        assert_eq!(script.status.code(), Some(0), "{}", text(&script));
        assert!(text(&script).contains("doctor") && text(&script).contains("data-dir"), "{shell}");
    }
    assert_eq!(Process::run(directory.path(), &["completions", "abacus"], &[]).status.code(), Some(2));
}
