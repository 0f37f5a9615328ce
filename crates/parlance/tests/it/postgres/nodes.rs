//! Several servers on one database.

use super::serve;
use crate::harness::User;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Barrier;
use test_support::TestDb;

/// How many write at once, half of them at each server.
const WRITERS: usize = 32;
/// How many messages each of them sends.
const EACH: usize = 12;

#[actix_web::test]
async fn the_numbers_of_two_servers_are_dense_and_in_the_order_of_commit() {
    let Some(database) = TestDb::postgres() else { return };
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let servers = directories.each_ref().map(|directory| serve(directory.path(), database.url()));
    let mut users = Vec::new();
    for n in 0..WRITERS {
        let account = json!({ "username": format!("user{n}"), "password": "12345678" });
        servers[0].client.post("/signup", account.clone()).await.expect(201);
        let login = servers[0].client.post("/login", account).await.expect(200);
        // A login counts on every node.
        users.push(User::new(&servers[n % 2].client, &login, "12345678"));
    }
    let groups = [users[0].group("one", "public").await, users[1].group("two", "public").await];

    let sent = join_all(users.iter().enumerate().map(|(n, user)| {
        let groups = &groups;
        async move {
            let mut numbers = Vec::new();
            for k in 0..EACH {
                let body = json!({ "group_id": groups[(n + k) % 2], "content": format!("{n} {k}") });
                numbers.push(user.post("/messages", body).await.expect(201)["update"].as_i64().unwrap());
            }
            numbers
        }
    }))
    .await;
    for numbers in &sent {
        // Who has an answer sends the next: the order of commit is the order of the numbers.
        let of_group = |parity| numbers.iter().skip(parity).step_by(2).copied().collect::<Vec<_>>();
        assert!([0, 1].map(of_group).iter().all(|numbers| numbers.is_sorted()), "{numbers:?}");
    }
    for group in &groups {
        let at_each = join_all([&users[0], &users[1]].map(|user| everything(user, group))).await;
        let updates: Vec<_> = at_each[0].iter().map(|message| message["update"].as_i64().unwrap()).collect();
        assert_eq!(updates, (1..=(WRITERS * EACH / 2) as i64).collect::<Vec<_>>());
        assert_eq!(at_each[0], at_each[1]);
    }
}

async fn everything(user: &User, group: &str) -> Vec<Value> {
    let (mut messages, mut after) = (Vec::new(), 0);
    loop {
        let page = user.get(&format!("/conversations/{group}/changes?after={after}&limit=200")).await.expect(200);
        messages.extend(page["messages"].as_array().unwrap().iter().cloned());
        after = page["update"].as_i64().unwrap();
        if page["more"] == false {
            return messages;
        }
    }
}

#[test]
fn five_servers_start_at_once_on_an_empty_database() {
    let Some(database) = TestDb::empty_postgres() else { return };
    let (url, together) = (database.url(), &Barrier::new(5));
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(move || {
                let directory = tempfile::tempdir().unwrap();
                together.wait();
                let server = serve(directory.path(), url);
                server.signal("TERM");
                assert_eq!(server.wait().0, Some(0));
            });
        }
    });
}
