//! A connection pooler in front of the database.

use super::serve;
use crate::harness::{Process, User};
use crate::live::client::{TIMEOUT, soon};
use serde_json::json;
use std::path::Path;
use std::time::Instant;
use test_support::{Cluster, PgBouncer};

fn run(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Process::run(directory, arguments, &[("PARLANCE_LISTEN", "192.0.2.1:1")]);
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_pooler_that_keeps_no_sessions_is_refused_in_words_that_help() {
    let (Some(cluster), directory) = (Cluster::start(), tempfile::tempdir().unwrap()) else { return };
    for settings in [
        "pool_mode = transaction",
        "pool_mode = statement",
        // Whoever asks in turn gets the same session each time, and nobody else's.
        "pool_mode = transaction\ndefault_pool_size = 1",
        // Each gets the one that was given back first.
        "pool_mode = transaction\nserver_round_robin = 1",
        // What was set goes with the transaction.
        "pool_mode = transaction\nserver_reset_query_always = 1",
        "pool_mode = transaction\nserver_reset_query_always = 1\ndefault_pool_size = 1",
    ] {
        for idle in [0, 1, 2, 3] {
            let Some(pooler) = PgBouncer::before(&cluster, settings) else { return };
            pooler.leave_idle(idle);
            let (code, said) = run(directory.path(), &["serve", "--database-url", &pooler.url("postgres")]);
            assert!(code == Some(1) && said.contains("pool_mode to session"), "{settings}, {idle} idle: {said}");
            assert!(!said.contains("internal error"), "{said}");
        }
    }
}

#[test]
fn no_command_takes_a_pooler_that_keeps_no_sessions() {
    let (Some(cluster), directory) = (Cluster::start(), tempfile::tempdir().unwrap()) else { return };
    let Some(pooler) = PgBouncer::before(&cluster, "pool_mode = transaction") else { return };
    let url = &pooler.url("postgres");
    let file = format!("sqlite://{}", directory.path().join("x.db").display());
    assert_eq!(run(directory.path(), &["migrate", "--database-url", &file]).0, Some(0));
    for arguments in [
        &["migrate", "--database-url", url][..],
        &["doctor", "--database-url", url],
        &["user", "list", "--database-url", url],
        &["backup", "x.tar", "--database-url", url],
        &["copy", "--from", &file, "--to", url],
        &["copy", "--from", &file, "--to", url, "--dry-run"],
        &["copy", "--from", url, "--to", &file],
    ] {
        let (code, said) = run(directory.path(), arguments);
        assert!(code == Some(1) && said.contains("pool_mode to session"), "{arguments:?}: {said}");
    }
    // Nothing was left behind: not so much as the table of the migrations.
    cluster.run("DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public'); END $$");
}

#[actix_web::test]
async fn a_pooler_that_keeps_sessions_is_as_good_as_none() {
    let (Some(cluster), directory) = (Cluster::start(), tempfile::tempdir().unwrap()) else { return };
    let Some(pooler) = PgBouncer::before(&cluster, "pool_mode = session\nquery_wait_timeout = 3") else { return };
    let url = pooler.url("postgres");
    let server = serve(directory.path(), &url);
    let account = json!({ "username": "ada", "password": "12345678" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let ada = User::new(&server.client, &server.client.post("/login", account).await.expect(200), "12345678");
    let mut sent = vec![ada.send(&ada.id, "before").await];
    server.client.get("/ready").await.expect(200);

    // As without one: the database is started again under the server's feet, and while it is away that is told.
    for (go, come_back) in
        [(Cluster::stop as fn(&Cluster), Cluster::start_again as fn(&Cluster)), (Cluster::crash_and_restart, |_| ())]
    {
        go(&cluster);
        let body = json!({ "receiver_id": ada.id, "content": "meanwhile", "client_id": sent.len().to_string() });
        for _ in 0..8 {
            let answer = soon("an answer", ada.post("/messages", body.clone())).await;
            assert!([200, 201, 503].contains(&answer.status), "{answer}");
            let read = soon("an answer", ada.get("/conversations")).await;
            assert!([200, 503].contains(&read.status), "{read}");
        }
        come_back(&cluster);
        let since = Instant::now();
        let id = loop {
            let answer = ada.post("/messages", body.clone()).await;
            let ready = ada.get("/ready").await;
            let well = [200, 201].contains(&answer.status) && ready.status == 200;
            assert!(well || [answer.status, ready.status].contains(&503), "{answer} {ready}");
            if well {
                let status = answer.status;
                break answer.expect(status)["id"].as_str().unwrap().to_owned();
            }
            assert!(since.elapsed() < TIMEOUT, "{answer} {ready}");
        };
        sent.push(id);
    }
    let kept = ada.get(&format!("/messages?receiver_id={}", ada.id)).await.expect(200);
    let kept: Vec<_> = kept.as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert_eq!(kept, sent);

    // The server is seen through it by who must have the database alone.
    let file = format!("sqlite://{}", directory.path().join("copy.db").display());
    let (code, said) = run(directory.path(), &["copy", "--from", &url, "--to", &file]);
    assert!(code == Some(1) && said.contains("connected to the source"), "{said}");
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    let (code, said) = run(directory.path(), &["copy", "--from", &url, "--to", &file]);
    assert!(code == Some(0) && said.contains(" 0 differ"), "{said}");
}

#[test]
fn a_pooler_without_room_for_two_sessions_is_refused_before_long() {
    let (Some(cluster), directory) = (Cluster::start(), tempfile::tempdir().unwrap()) else { return };
    let Some(pooler) = PgBouncer::before(&cluster, "pool_mode = session\ndefault_pool_size = 1") else { return };
    let (code, said) = run(directory.path(), &["serve", "--database-url", &pooler.url("postgres")]);
    assert!(code == Some(1) && said.contains("default_pool_size"), "{said}");
}
