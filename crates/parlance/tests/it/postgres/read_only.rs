//! The database refuses writes, and accepts them again.

use crate::harness::{Process, Server, User};
use crate::live::client::TIMEOUT;
use serde_json::json;
use std::time::Instant;
use test_support::Cluster;

/// Sends until there is an answer of another status than this.
async fn until_not(status: u16, server: &Server, user: &User, what: &str) {
    let since = Instant::now();
    for attempt in 0.. {
        let sent = user.post("/messages", json!({ "receiver_id": user.id, "content": "x" })).await;
        let name = format!("{what}{attempt}");
        let account = json!({ "username": name, "password": "12345678" });
        let signed_up = server.anyone().post("/signup", account).await;
        let ready = server.anyone().get("/ready").await;
        for answer in [&sent, &signed_up, &ready] {
            assert!([200, 201, 503].contains(&answer.status), "{what}: {answer}");
            assert_eq!(answer.status == 503, answer.header("retry-after").is_some(), "{what}: {answer}");
        }
        if [sent, signed_up, ready].iter().all(|answer| answer.status != status) {
            return;
        }
        assert!(since.elapsed() < TIMEOUT, "{what}: still {status}");
    }
}

/// Only signs up: a writer that has nothing else to do.
async fn until_signed_up(server: &Server, what: &str) {
    let since = Instant::now();
    for attempt in 0.. {
        let account = json!({ "username": format!("{what}.{attempt}"), "password": "12345678" });
        let signed_up = server.anyone().post("/signup", account).await;
        if signed_up.status == 201 {
            return;
        }
        assert!(since.elapsed() < TIMEOUT, "{what}: {signed_up}");
    }
}

/// By a role's setting, of which only new sessions know.
fn role_reads_only(cluster: &Cluster) {
    cluster.run("ALTER ROLE postgres SET default_transaction_read_only = on");
    cluster.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parlance'");
}

fn role_writes(cluster: &Cluster) {
    cluster.run("SET transaction_read_only = off; ALTER ROLE postgres RESET default_transaction_read_only");
}

fn all_read_only(cluster: &Cluster) {
    cluster.run("ALTER SYSTEM SET default_transaction_read_only = on");
    cluster.run("SELECT pg_reload_conf()");
}

fn all_write(cluster: &Cluster) {
    cluster.run("ALTER SYSTEM RESET default_transaction_read_only");
    cluster.run("SELECT pg_reload_conf()");
}

#[actix_web::test]
async fn while_the_database_takes_no_writes_the_server_is_not_ready_and_reads_go_on() {
    let Some(cluster) = Cluster::start() else { return };
    let server = Server::with(|config| config.database_url = cluster.url("postgres")).await;
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let ran = Process::run(directory.path(), arguments, &[("DATABASE_URL", &cluster.url("postgres"))]);
        let said = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
        (ran.status.code(), said)
    };
    let ada = server.user("ada").await;
    until_not(503, &server, &ada, "first").await;
    for (what, refuse, take) in [
        ("all", all_read_only as fn(&Cluster), all_write as fn(&Cluster)),
        ("role", role_reads_only, role_writes),
        ("standby", Cluster::become_standby, Cluster::promote),
    ] {
        refuse(&cluster);
        until_not(200, &server, &ada, what).await;
        for path in ["/conversations", "/users", "/groups"] {
            let since = Instant::now();
            while ada.get(path).await.status != 200 {
                assert!(since.elapsed() < TIMEOUT, "{what}: {path} is refused");
            }
        }
        // It goes on to be refused, by every writer.
        for n in 0..8 {
            let account = json!({ "username": format!("never{n}"), "password": "12345678" });
            server.anyone().post("/signup", account).await.refused(503, None);
            server.anyone().get("/ready").await.refused(503, None);
        }
        for (command, words) in
            [("serve", "takes no writes"), ("migrate", "takes no writes"), ("doctor", "takes no writes")]
        {
            let (code, said) = run(&[command]);
            assert!(code == Some(1) && said.contains(words), "{what}: {command}: {said}");
        }
        // What only reads goes on.
        let (code, said) = run(&["backup", &format!("{what}.tar")]);
        assert!(code == Some(0) && said.contains("saved in"), "{what}: {said}");
        take(&cluster);
        until_signed_up(&server, what).await;
        until_not(503, &server, &ada, &format!("{what}-after")).await;
    }
}
