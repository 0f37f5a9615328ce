//! How nodes connect to NATS, and which configurations they refuse.

use super::Nodes;
use crate::harness::{Process, SECRET};
use crate::live::client::{Socket, soon};
use serde_json::json;
use std::time::Duration;
use test_support::{NatsServer, TestDb};

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let nats = ("PARLANCE_NATS_URL", "nats://127.0.0.1:1");
    let postgres = ("DATABASE_URL", "postgres://nowhere.invalid/parlance");
    let secret = ("PARLANCE_JWT_SECRET", SECRET);
    for (settings, reason) in [
        (vec![nats, secret], "SQLite"),
        (vec![nats, postgres], "PARLANCE_JWT_SECRET"),
        (vec![("PARLANCE_NATS_URL", "127.0.0.1"), postgres, secret], "PARLANCE_NATS_URL"),
        (vec![nats, postgres, secret, ("PARLANCE_NATS_CERT", "a.pem")], "PARLANCE_NATS_KEY"),
    ] {
        let refused = Process::run(directory.path(), &["serve"], &settings);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(reason) && !said.contains(SECRET), "{said}");
    }
}

#[test]
fn credentials_that_are_not_there_are_refused() {
    let Some(database) = TestDb::postgres() else { return };
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("DATABASE_URL", database.url()),
        ("PARLANCE_NATS_URL", "nats://127.0.0.1:1"),
        ("PARLANCE_JWT_SECRET", SECRET),
        ("PARLANCE_NATS_CREDENTIALS", "nowhere.creds"),
    ];
    let refused = Process::run(directory.path(), &["serve"], &settings);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("PARLANCE_NATS_URL") && said.contains("credentials"), "{said}");
}

#[test]
fn the_doctor_tells_whether_nats_answers() {
    let (Some(database), Some(mut nats)) = (TestDb::postgres(), NatsServer::start()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let url = nats.url();
    let settings = [("DATABASE_URL", database.url()), ("PARLANCE_NATS_URL", &*url), ("PARLANCE_JWT_SECRET", SECRET)];
    let told = || {
        let told = Process::run(directory.path(), &["doctor"], &settings);
        String::from_utf8(told.stdout).unwrap().lines().find(|line| line.contains("nats")).unwrap().to_owned()
    };
    assert!(told().starts_with("ok"), "{}", told());
    nats.kill();
    assert!(told().starts_with("WRONG"), "{}", told());
}

#[actix_web::test]
async fn nodes_start_without_nats_and_find_it_later() {
    let Some(mut nodes) = Nodes::start(0) else { return };
    nodes.nats.kill();
    nodes.add(&[]);
    nodes.add(&[]);
    let (ada, bob) = (nodes.user("ada").await, nodes.user("bob").await);
    let mut there = Socket::open(&bob[1]).await;
    ada[0].send(&bob[0].id, "1").await;
    there.expect("message.created").await;
    nodes.nats.start_again();
    nodes.all_connected().await;
    ada[0].send(&bob[0].id, "2").await;
    there.expect("message.created").await;
}

#[actix_web::test]
async fn nats_with_tls_and_a_password_is_reached() {
    let (Some(database), Some(nats)) = (TestDb::postgres(), NatsServer::with_tls("ada", "p%ss word")) else { return };
    let mut nodes = Nodes { nodes: Vec::new(), nats, database };
    let url = format!("tls://ada:p%25ss%20word@localhost:{}", nodes.nats.port());
    let authority = nodes.nats.certificates().authority.display().to_string();
    for _ in 0..2 {
        nodes.add(&[("PARLANCE_NATS_URL", &url), ("PARLANCE_NATS_CA", &authority)]);
    }
    nodes.all_connected().await;
    let (ada, bob) = (nodes.user("ada").await, nodes.user("bob").await);
    let mut there = Socket::open(&bob[1]).await;
    ada[0].send(&bob[0].id, "1").await;
    there.expect("message.created").await;
    // A node without the authority's certificate does not connect; the server runs without NATS.
    let stranger = nodes.nats.certificates().stranger.display().to_string();
    nodes.add(&[("PARLANCE_NATS_URL", &url), ("PARLANCE_NATS_CA", &stranger)]);
    let text = nodes.metrics(2).await;
    assert!(text.contains("parlance_nodes_connected 0"), "{text}");
    let carol = nodes.user("carol").await;
    carol[2].get("/me").await.expect(200);
    carol[2].post("/dm/send", json!({ "to": "bob", "content": "late" })).await.expect(200);
    there.expect("message.created").await;
}

/// If no member of a group is connected anywhere, a node only needs to know that.
#[actix_web::test]
async fn what_concerns_nobody_holds_nothing_up() {
    let Some(nodes) = Nodes::start(2) else { return };
    let checks = async || {
        let text = nodes.metrics(1).await;
        let line = text.lines().find_map(|line| line.strip_prefix("parlance_nodes_checks_total "));
        line.map_or(0, |number| number.parse::<u64>().unwrap())
    };
    let (ada, bob) = (nodes.user("ada").await, nodes.user("bob").await);
    let group = ada[0].group("tea", "private").await;
    ada[0].add(&group, &bob[0], "member").await;
    ada[0].post("/messages", json!({ "group_id": group, "content": "x" })).await.expect(201);
    let before = checks().await;
    // Polls, because a node announces this to no one.
    soon("three comparisons with the database", async {
        while checks().await < before + 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
