//! The promise of a 201: after a crash of the server or of its database, the message is there once and unaltered.

use crate::harness::{Client, Process, User};
use crate::live::client::soon;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use test_support::{Cluster, TestDb};
use tokio::sync::watch;

/// How often there is a crash: five times unless `PARLANCE_TEST_ROUNDS` says otherwise.
fn rounds() -> usize {
    std::env::var("PARLANCE_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

/// How many senders there are, each to its own direct conversation and to the common group in turn.
const SENDERS: usize = 16;
/// How many answers are waited for before the crash, in the first round; later rounds wait a little longer, so that it
/// falls at different moments.
const ANSWERS: usize = 300;

/// What a sender was told, and what it was not.
#[derive(Default)]
struct Told {
    /// By key: the message as it was answered.
    sent: HashMap<String, Value>,
    /// Bodies by key, in flight when the server was killed: stored or not.
    unknown: BTreeMap<String, Value>,
}

/// What senders and the test know of each other.
#[derive(Default)]
struct Round {
    number: usize,
    /// How many answers there were.
    answered: watch::Sender<usize>,
    /// Whether it is enough.
    over: AtomicBool,
}

impl Round {
    /// Waits for so many answers more.
    async fn answers(&self, more: usize) {
        let mut answered = self.answered.subscribe();
        let enough = *answered.borrow() + more;
        soon("answers", answered.wait_for(|answered| *answered >= enough)).await.unwrap();
    }
}

/// Sends until the server is gone or the round is over. What is refused because the database is out of reach is sent
/// again, under its key, until it is answered.
async fn send(user: User, to: String, group: String, round: Arc<Round>) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        let key = format!("{}-{n}", round.number);
        let content = format!("{} says {key}: 🙂 | \"quoted\"\n{}", user.name, "x".repeat(n % 300));
        let mut body = json!({ "content": content, "client_id": key });
        let (field, target) = if n % 2 == 0 { ("receiver_id", &to) } else { ("group_id", &group) };
        body[field] = json!(target);
        let answer = loop {
            match user.request(Method::POST, "/messages").json(&body).send().await {
                Ok(answer) if [200, 201].contains(&answer.status().as_u16()) => {
                    break answer.json::<Value>().await.ok();
                }
                Ok(answer) if answer.status() == 503 => {}
                Ok(answer) => panic!("refused under load: {}", answer.status()),
                Err(_) => break None,
            }
        };
        let Some(message) = answer else {
            told.unknown.insert(key, body);
            break;
        };
        told.sent.insert(key, message);
        round.answered.send_modify(|answered| *answered += 1);
        if round.over.load(Ordering::Relaxed) {
            break;
        }
    }
    told
}

/// Everything in a conversation by the feed of its changes, in order; its numbers are dense.
async fn everything(user: &Client, conversation: &str) -> Vec<Value> {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let page =
            user.get(&format!("/conversations/{conversation}/changes?after={after}&limit=200")).await.expect(200);
        entries.extend(page["messages"].as_array().unwrap().iter().cloned());
        after = page["update"].as_i64().unwrap();
        if page["more"] == false {
            let numbers: Vec<_> = entries.iter().map(|entry| entry["update"].as_i64().unwrap()).collect();
            assert_eq!(numbers, (1..=after).collect::<Vec<_>>(), "a number is left out");
            return entries;
        }
    }
}

/// What crashes.
enum Crash<'a> {
    /// The server, and is started again.
    Server,
    /// The database below it.
    Database(&'a Arc<Cluster>),
}

#[actix_web::test]
async fn what_was_answered_survives_kill_dash_nine() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("data/parlance.db").display());
    what_was_answered_survives(&url, Crash::Server).await;
}

#[actix_web::test]
async fn what_was_answered_survives_kill_dash_nine_over_postgres() {
    let Some(database) = TestDb::postgres() else { return };
    what_was_answered_survives(database.url(), Crash::Server).await;
}

#[actix_web::test]
async fn what_was_answered_survives_a_crash_of_postgres() {
    let Some(cluster) = Cluster::start().map(Arc::new) else { return };
    what_was_answered_survives(&cluster.patient_url("postgres"), Crash::Database(&cluster)).await;
}

async fn what_was_answered_survives(url: &str, crash: Crash<'_>) {
    let directory = tempfile::tempdir().unwrap();
    let environment = [("PARLANCE_RATE_LIMITS", "off"), ("DATABASE_URL", url)];
    let mut process = Process::start(directory.path(), &[], &environment);
    let mut people = Vec::new();
    for n in 0..=SENDERS {
        let (name, password) = (format!("user{n}"), "correct horse");
        let body = json!({ "username": name, "password": password });
        process.client.post("/signup", body.clone()).await.expect(201);
        let login = process.client.post("/login", body).await.expect(200);
        people.push(User::new(&process.client, &login, password));
    }
    let group = people[0].group("everybody", "private").await;
    for person in &people[1..] {
        people[0].add(&group, person, "member").await;
    }

    let mut told: Vec<Told> = (0..SENDERS).map(|_| Told::default()).collect();
    for round in 0..rounds() {
        let round = Arc::new(Round { number: round, ..Round::default() });
        let senders: Vec<_> = (0..SENDERS)
            .map(|n| {
                let (user, to) = (people[n].clone(), people[n + 1].id.clone());
                actix_web::rt::spawn(send(user, to, group.clone(), round.clone()))
            })
            .collect();
        round.answers(ANSWERS + round.number * 37).await;
        match crash {
            Crash::Server => process.signal("KILL"),
            Crash::Database(cluster) => {
                let cluster = Arc::clone(cluster);
                actix_web::rt::task::spawn_blocking(move || cluster.crash_and_restart()).await.unwrap();
                round.answers(ANSWERS / 3).await;
                round.over.store(true, Ordering::Relaxed);
            }
        }
        for (sender, told) in join_all(senders).await.into_iter().zip(&mut told) {
            let new = sender.unwrap();
            told.sent.extend(new.sent);
            told.unknown.extend(new.unknown);
        }
        if let Crash::Server = crash {
            process.wait();
            process = Process::start(directory.path(), &[], &environment);
            people = people.iter().map(|person| person.at(&process.client)).collect();
        }

        // A retry under the same key decides unknown cases: afterwards the message is stored.
        for (n, told) in told.iter_mut().enumerate() {
            for (key, body) in std::mem::take(&mut told.unknown) {
                let answer = people[n].request(Method::POST, "/messages").json(&body).send().await.unwrap();
                assert!([200, 201].contains(&answer.status().as_u16()), "{}", answer.status());
                told.sent.insert(key, answer.json().await.unwrap());
            }
        }
    }

    let mut stored: HashMap<String, Value> = HashMap::new();
    let conversations = people.iter().map(|person| person.get("/conversations?limit=200"));
    let mut seen = std::collections::HashSet::new();
    for (person, list) in people.iter().zip(join_all(conversations).await) {
        for conversation in list.expect(200).as_array().unwrap() {
            let id = conversation["id"].as_str().unwrap().to_owned();
            if seen.insert(id.clone()) {
                for message in everything(person, &id).await {
                    let id = message["id"].as_str().unwrap().to_owned();
                    assert!(stored.insert(id, message).is_none(), "a message is there twice");
                }
            }
        }
    }
    let mut answered = 0;
    for message in told.iter().flat_map(|told| told.sent.values()) {
        assert_eq!(stored.get(message["id"].as_str().unwrap()), Some(message));
        answered += 1;
    }
    assert_eq!(stored.len(), answered, "something is stored that nobody sent, or twice");
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
    assert_eq!(infra_diesel::Store::check(url).await.unwrap(), Vec::<String>::new());
}
