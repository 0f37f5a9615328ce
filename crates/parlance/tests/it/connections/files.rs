//! The limit of open files: the server raises it, adjusts its connections to it, and survives when none are left.
#![cfg(target_os = "linux")]

use super::raw::Raw;
use crate::harness::{Client, Process, User};
use crate::live::client::soon;
use reqwest::multipart::{Form, Part};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::path::Path;

/// A server among whose files no more than so many may be open, as its parent set it.
fn started(directory: &Path, limits: &str, environment: &[(&str, &str)]) -> Process {
    Process::start_within(directory, limits, environment)
}

async fn signed_up(server: &Client, name: &str) -> User {
    let body = json!({ "username": name, "password": "12345678" });
    server.post("/signup", body.clone()).await.expect(201);
    User::new(server, &server.post("/login", body).await.expect(200), "12345678")
}

fn file() -> Form {
    Form::new().part("file", Part::bytes(vec![7; 1000]).file_name("x.bin"))
}

#[actix_web::test]
async fn the_soft_limit_is_raised_as_far_as_connections_need_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(directory.path(), "ulimit -Sn 128 && ulimit -Hn 2000", &[("PARLANCE_MAX_CONNECTIONS", "900")]);
    let mut all = Vec::new();
    for _ in 0..300 {
        let mut connection = Raw::to(&server.client).await;
        connection.is_kept().await;
        all.push(connection);
    }
    let ada = signed_up(&server.client, "ada").await;
    ada.form("/upload", file()).await.expect(201);
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    assert!(!log.contains("fewer connections"), "{log}");
}

#[actix_web::test]
async fn no_more_connections_are_taken_than_there_are_files_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(directory.path(), "ulimit -n 128", &[("PARLANCE_TRUSTED_PROXIES", "127.0.0.1")]);
    let ada = signed_up(&server.client, "ada").await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(Raw::to(&server.client).await);
    }
    // The server serves connected clients, files too; the others wait until there is room.
    for _ in 0..20 {
        let sent = ada.form("/upload", file()).await.expect(201);
        let path = sent["url"].as_str().unwrap();
        let path = path.find("/uploads").map_or(path, |at| &path[at..]);
        assert_eq!(ada.get(path).await.status, 200);
        ada.send(&ada.id, "x").await;
    }
    let mut last = idle.pop().unwrap();
    drop(idle);
    last.is_kept().await;
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches("fewer connections").count(), 1, "{log}");
    assert!(!log.contains(" ERROR "), "{log}");
}

#[actix_web::test]
async fn where_none_are_left_it_is_503_and_goes_on_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(directory.path(), "true", &[]);
    let pid = Pid::from_raw(server.id().try_into().unwrap()).unwrap();
    let set = |limit: u64| {
        let soft = Rlimit { current: Some(limit), maximum: None };
        let before = prlimit(Some(pid), Resource::Nofile, Rlimit { maximum: before_maximum(pid), ..soft }).unwrap();
        before.current.unwrap()
    };
    let ada = signed_up(&server.client, "ada").await;
    let stored = ada.form("/upload", file()).await.expect(201);
    let path = stored["url"].as_str().unwrap();
    let path = path[path.find("/uploads").unwrap()..].to_owned();
    // Those of the standard streams: what the server closes meanwhile makes no room.
    let before = set(3);
    for _ in 0..3 {
        ada.form("/upload", file()).await.refused(503, None);
        ada.get(&path).await.refused(503, None);
    }
    // Requests that need no file work as usual. A reader may first have to open the database, and new clients wait.
    ada.get("/health").await.expect(200);
    let own = ada.get("/me").await;
    if own.status != 200 {
        own.refused(503, None);
    }
    let mut further = Raw::to(&server.client).await;
    further.send("GET /health HTTP/1.1\nhost: x\n\n").await;
    set(before);
    soon("a connection that waited", further.answer()).await;
    further.is_kept().await;
    ada.form("/upload", file()).await.expect(201);
    assert_eq!(ada.get(&path).await.status, 200);
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("too many files are open"), "{log}");
}

fn before_maximum(pid: Pid) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().parse().ok()
}

#[actix_web::test]
async fn what_strangers_send_is_no_fault_of_ours_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let server = started(directory.path(), "true", &[("PARLANCE_MAX_CONNECTIONS", "100")]);
    let ada = signed_up(&server.client, "ada").await;
    let token = ada.token().unwrap();
    for sent in [
        "nonsense\n\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\n\n".to_owned(),
        "GET / HTTP/1.1\nhost: x\na b: c\n\n".to_owned(),
        "GET / HTTP/9.9\n\n".to_owned(),
        "GET / HTTP/1.1\nhost: x\nhost: y\n\n".to_owned(),
        "POST / HTTP/1.1\nhost: x\ncontent-length: x\n\n".to_owned(),
        "POST /login HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\nzzz\n".to_owned(),
        "POST /login HTTP/1.1\nhost: x\ncontent-length: 100\n\n{".to_owned(),
        format!("GET / HTTP/1.1\nhost: x\n{}", "a: b\n".repeat(40_000)),
        format!(
            "GET /ws HTTP/1.1\nhost: x\nconnection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nauthorization: Bearer {token}\n\n\u{1}\u{2}unmasked"
        ),
    ] {
        for _ in 0..3 {
            let mut connection = Raw::to(&server.client).await;
            // It may be refused before all is written.
            let _ = connection.try_send(&sent).await;
            connection.half_close().await;
            connection.reads_to_the_end().await;
        }
    }
    let text = String::from_utf8(server.client.get("/metrics").await.body).unwrap();
    let malformed = text.lines().find_map(|line| line.strip_prefix("parlance_http_malformed_total "));
    assert!(malformed.is_some_and(|count| count.parse::<u32>().unwrap() >= 3 * 6), "{malformed:?}");
    server.signal("TERM");
    let (code, log) = soon("the end", async { server.wait() }).await;
    assert_eq!(code, Some(0));
    assert!(!log.contains(" ERROR ") && !log.contains(" WARN "), "{log}");
}

#[test]
fn doctor_says_how_many_files_there_are() {
    for (limits, connections, verdict, words) in [
        ("ulimit -n 128", "100", "warning", "64 connections"),
        ("ulimit -Sn 128 && ulimit -Hn 2000", "100", "ok", "enough for 100"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Process::command_within(
            directory.path(),
            limits,
            &["doctor", "--json"],
            &[("PARLANCE_MAX_CONNECTIONS", connections)],
        );
        let told: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let found = told["checks"].as_array().unwrap().iter().find(|finding| finding["check"] == "open files").unwrap();
        assert_eq!(found["verdict"], verdict, "{found}");
        assert!(found["says"].as_str().unwrap().contains(words), "{found}");
    }
}
