//! The counter of a conversation: every change takes the next number without gaps, under any load.

use crate::harness::{Server, User};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// How much the load test sends: `PARLANCE_TEST_SCALE=full` is what the server promises, the default what a test can
/// take its time for.
struct Scale {
    messages: usize,
    connections: usize,
    conversations: usize,
}

impl Scale {
    fn asked() -> Self {
        if std::env::var("PARLANCE_TEST_SCALE").is_ok_and(|scale| scale == "full") {
            Self { messages: 20_000, connections: 256, conversations: 200 }
        } else {
            Self { messages: 2_000, connections: 64, conversations: 50 }
        }
    }
}

/// What a conversation is now, by its feed of changes from the beginning.
async fn state(user: &User, conversation: &str) -> (Vec<Value>, i64) {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let page =
            user.get(&format!("/conversations/{conversation}/changes?after={after}&limit=200")).await.expect(200);
        entries.extend(page["messages"].as_array().unwrap().iter().cloned());
        after = page["update"].as_i64().unwrap();
        if page["more"] == false {
            return (entries, after);
        }
    }
}

#[actix_web::test]
async fn every_change_takes_the_next_number() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let other = ada.group("other", "private").await;
    let sent = ada.post("/messages", json!({"receiver_id": bob.id, "content": "x"})).await.expect(201);
    let conversation = sent["conversation_id"].as_str().unwrap();
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    assert_eq!((&sent["seq"], &sent["update"]), (&json!(1), &json!(1)));
    assert_eq!(ada.put(&path, json!({"content": "y"})).await.expect(200)["update"], 2);
    // Neither refusals, nor what is read, nor what happens elsewhere takes a number.
    bob.put(&path, json!({"content": "z"})).await.refused(403, None);
    bob.post(&format!("{path}/seen"), json!({})).await.expect(200);
    ada.post("/messages", json!({"group_id": other, "content": "x"})).await.expect(201);
    assert_eq!(ada.put(&path, json!({"content": "z"})).await.expect(200)["update"], 3);
    ada.delete(&path, json!({})).await.expect(204);
    let next = bob.post("/messages", json!({"receiver_id": ada.id, "content": "x"})).await.expect(201);
    assert_eq!((&next["seq"], &next["update"]), (&json!(5), &json!(5)));
    let (entries, update) = state(&ada, conversation).await;
    let updates: Vec<_> = entries.iter().map(|entry| entry["update"].as_i64().unwrap()).collect();
    assert_eq!((updates, update), (vec![4, 5], 5));
}

#[actix_web::test]
async fn sends_edits_and_deletions_at_once_leave_no_gap() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (mut ids, mut conversation) = (Vec::new(), String::new());
    for _ in 0..20 {
        let sent = ada.post("/messages", json!({"receiver_id": bob.id, "content": "x"})).await.expect(201);
        ids.push(sent["id"].as_str().unwrap().to_owned());
        conversation = sent["conversation_id"].as_str().unwrap().to_owned();
    }
    let change = async |n: usize| {
        let path = format!("/messages/{}", ids[n]);
        match n % 3 {
            0 => ada.put(&path, json!({"content": "y"})).await.expect(200)["update"].as_i64(),
            1 => {
                ada.delete(&path, json!({})).await.expect(204);
                None
            }
            _ => {
                let answer = json!({"receiver_id": ada.id, "content": "x"});
                bob.post("/messages", answer).await.expect(201)["update"].as_i64()
            }
        }
    };
    let answered: HashSet<i64> = join_all((0..20).map(change)).await.into_iter().flatten().collect();
    let (entries, update) = state(&bob, &conversation).await;
    assert_eq!(update, 40);
    // Every one of the numbers 21 to 40 is some message's last change.
    let updates: HashSet<i64> = entries.iter().map(|entry| entry["update"].as_i64().unwrap()).collect();
    assert!((21..=40).all(|number| updates.contains(&number)), "{updates:?}");
    assert!(answered.is_subset(&updates));
    assert_eq!(entries.len(), 26);
}

/// Somewhere to send to, and who may.
struct Target {
    body: Value,
    sender: usize,
}

#[actix_web::test]
async fn under_load_every_message_is_stored_once_and_the_counters_are_dense() {
    let scale = Scale::asked();
    let server = Server::start().await;
    // Half of the conversations are groups of all, half are pairs; fifteen users make 105 pairs.
    let mut users = Vec::new();
    for n in 0..15 {
        users.push(server.user(&format!("user{n}")).await);
    }
    let mut targets = Vec::new();
    let pairs = (0..users.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    for (one, other) in pairs.take(scale.conversations / 2) {
        let to = |n: usize| json!({"receiver_id": users[n].id});
        targets.push([Target { body: to(other), sender: one }, Target { body: to(one), sender: other }]);
    }
    for n in targets.len()..scale.conversations {
        let group = users[n % 15].group(&format!("group {n}"), "public").await;
        let by = |sender| Target { body: json!({"group_id": group}), sender };
        targets.push([by(n % 15), by((n + 1) % 15)]);
    }

    let connection = async |worker: usize| {
        let mut answers = Vec::new();
        for n in (worker..scale.messages).step_by(scale.connections) {
            // Neighbours go to different conversations, and every conversation gets messages of every connection.
            let target = &targets[(n + n / scale.conversations) % scale.conversations][n % 2];
            let mut body = target.body.clone();
            body["content"] = json!(format!("message {n} | \"🙂\""));
            answers.push(users[target.sender].post("/messages", body).await.expect(201));
        }
        answers
    };
    let answers: Vec<Value> = join_all((0..scale.connections).map(connection)).await.into_iter().flatten().collect();
    assert_eq!(answers.len(), scale.messages);

    let by_id: HashMap<&str, &Value> = answers.iter().map(|answer| (answer["id"].as_str().unwrap(), answer)).collect();
    let mut stored = 0;
    for targets in &targets {
        let user = &users[targets[0].sender];
        let place = targets[0].body.as_object().unwrap().iter().next().unwrap();
        let newest =
            user.get(&format!("/messages?{}={}&limit=1", place.0, place.1.as_str().unwrap())).await.expect(200);
        let (entries, update) = state(user, newest[0]["conversation_id"].as_str().unwrap()).await;
        let updates: Vec<i64> = entries.iter().map(|entry| entry["update"].as_i64().unwrap()).collect();
        assert_eq!(updates, (1..=update).collect::<Vec<_>>());
        stored += entries.len();
        for entry in &entries {
            assert_eq!(by_id.get(entry["id"].as_str().unwrap()), Some(&entry));
        }
    }
    assert_eq!(stored, scale.messages);
    let contents: HashSet<&str> = answers.iter().map(|answer| answer["content"].as_str().unwrap()).collect();
    assert_eq!(contents.len(), scale.messages);
}
