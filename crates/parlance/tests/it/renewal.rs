//! `POST /token`: sessions that last.

use crate::harness::{Client, Process, Server, User};
use crate::live::client::{Socket, soon};
use crate::retention::MovedClock;
use api_actix::limits::{Limit, Rate, Rates};
use domain::sessions::SessionLifetime;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A server whose clock the test moves.
async fn server() -> (Server, Arc<MovedClock>) {
    let clock = Arc::new(MovedClock::default());
    (Server::with(|config| config.clock = clock.clone()).await, clock)
}

/// A further session of the user: of its login, and its refresh token.
pub async fn log_in(client: &Client, user: &User) -> (User, String) {
    let body = json!({ "username": user.name, "password": user.password });
    let login = client.post("/login", body).await.expect(200);
    (User::new(client, &login, &user.password), refresh_token(&login))
}

pub fn refresh_token(answer: &Value) -> String {
    answer["refresh_token"].as_str().unwrap().to_owned()
}

pub async fn renew(client: &Client, token: &str) -> Value {
    client.post("/token", json!({ "refresh_token": token })).await.expect(200)
}

pub async fn is_refused(client: &Client, token: &str) {
    let refused = client.post("/token", json!({ "refresh_token": token })).await.refused(401, None);
    assert_eq!(refused["error"], "invalid token");
}

#[actix_web::test]
async fn a_session_is_renewed_and_its_earlier_tokens_stay_good() {
    let (server, clock) = server().await;
    let ada = server.user("ada").await;
    let body = json!({ "username": "ada", "password": ada.password });
    let login = server.anyone().post("/login", body).await.expect(200);
    assert_eq!(login["refresh_expires_in"], 2_592_000);
    let first = refresh_token(&login);
    assert!(first.starts_with("plr_"));
    let session = server.anyone().with_token(login["token"].as_str().unwrap());
    clock.0.store(600 * SECOND, Ordering::Relaxed);
    // A token beside it is not looked at.
    let answer =
        server.anyone().with_token("x").post("/token", json!({ "refresh_token": first, "more": 1 })).await.expect(200);
    let fields: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["expires_in", "refresh_expires_in", "refresh_token", "token", "token_type"]);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(86_400)));
    assert_eq!(answer["refresh_expires_in"], 2_592_000);
    assert_ne!(refresh_token(&answer), first);
    let renewed = server.anyone().with_token(answer["token"].as_str().unwrap());
    let sessions = renewed.get("/sessions").await.expect(200);
    assert_eq!(sessions.as_array().unwrap().len(), 2, "it is the same session");
    for client in [&session, &renewed] {
        let list = client.get("/sessions").await.expect(200);
        let current = list.as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
        let at = |name: &str| current[name].as_str().unwrap()[..26].parse::<chrono::NaiveDateTime>().unwrap();
        assert_eq!((at("last_seen_at") - at("created_at")).num_minutes(), 10);
    }
    for (body, field) in [
        (json!({}), "refresh_token"),
        (json!({ "refresh_token": null }), "refresh_token"),
        (json!({ "refresh_token": 5 }), "refresh_token"),
    ] {
        server.anyone().post("/token", body).await.refused(400, Some(field));
    }
    for other in ["", "plr_", "x", login["token"].as_str().unwrap(), &"é".repeat(9_000)] {
        is_refused(server.anyone(), other).await;
    }
    // A refresh token is good for nothing else.
    server.anyone().with_token(refresh_token(&answer)).get("/me").await.refused(401, None);
}

#[actix_web::test]
async fn a_lost_answer_is_given_again() {
    let (server, clock) = server().await;
    let ada = server.user("ada").await;
    let (_, first) = log_in(server.anyone(), &ada).await;
    // Two windows ask at once.
    let answers = join_all((0..5).map(|_| renew(server.anyone(), &first))).await;
    clock.0.store(50 * SECOND, Ordering::Relaxed);
    let again = renew(server.anyone(), &first).await;
    assert!(answers.iter().all(|answer| answer["refresh_token"] == again["refresh_token"]));
    let mut tokens: Vec<_> = answers.iter().chain([&again]).map(|answer| answer["token"].as_str().unwrap()).collect();
    for token in &tokens {
        server.anyone().with_token(*token).get("/me").await.expect(200);
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 6, "each has a token of its own");
    renew(server.anyone(), &refresh_token(&again)).await;
}

#[actix_web::test]
async fn a_stolen_token_ends_the_session() {
    let (server, clock) = server().await;
    let ada = server.user("ada").await;
    for within_a_minute in [true, false] {
        let (session, first) = log_in(server.anyone(), &ada).await;
        let mut socket = Socket::open(&session).await;
        let answer = renew(server.anyone(), &first).await;
        let renewed = server.anyone().with_token(answer["token"].as_str().unwrap());
        let mut last = refresh_token(&answer);
        if within_a_minute {
            last = refresh_token(&renew(server.anyone(), &last).await);
        } else {
            clock.0.fetch_add(62 * SECOND, Ordering::Relaxed);
        }
        is_refused(server.anyone(), &first).await;
        assert_eq!(socket.closed().await, 4401);
        is_refused(server.anyone(), &last).await;
        for ended in [&*session, &renewed] {
            assert_eq!(ended.get("/me").await.refused(401, None)["error"], "invalid token");
        }
        // The other sessions go on.
        ada.get("/me").await.expect(200);
    }
}

#[actix_web::test]
async fn a_refresh_token_ends_with_its_session() {
    let (server, clock) = server().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let (session, token) = log_in(server.anyone(), &ada).await;
    session.post("/logout", json!({})).await.expect(204);
    is_refused(server.anyone(), &token).await;

    let (kept, token) = log_in(server.anyone(), &ada).await;
    let (_, other) = log_in(server.anyone(), &ada).await;
    let change = json!({ "password": "another password", "current_password": ada.password });
    kept.patch("/me", change).await.expect(200);
    is_refused(server.anyone(), &other).await;
    let token = refresh_token(&renew(server.anyone(), &token).await);

    // So long after its last use, and not after its login.
    clock.0.store(29 * DAY, Ordering::Relaxed);
    let token = refresh_token(&renew(server.anyone(), &token).await);
    clock.0.store(58 * DAY, Ordering::Relaxed);
    let answer = renew(server.anyone(), &token).await;
    let renewed = server.anyone().with_token(answer["token"].as_str().unwrap());
    assert_eq!(renewed.get("/sessions").await.expect(200).as_array().unwrap().len(), 1);
    clock.0.store(88 * DAY + SECOND, Ordering::Relaxed);
    is_refused(server.anyone(), &refresh_token(&answer)).await;

    let (ends, token) = log_in(server.anyone(), &bob).await;
    ends.delete_account().await;
    is_refused(server.anyone(), &token).await;
}

#[actix_web::test]
async fn the_operator_says_how_long_a_session_lasts_and_upkeep_forgets_it() {
    let clock = Arc::new(MovedClock::default());
    let server = Server::with(|config| {
        config.clock = clock.clone();
        config.upkeep_every = Duration::from_millis(20);
        config.policy.sessions = SessionLifetime::of_days(2).unwrap();
    })
    .await;
    let ada = server.user("ada").await;
    let body = json!({ "username": "ada", "password": ada.password });
    let login = server.anyone().post("/login", body).await.expect(200);
    assert_eq!(login["refresh_expires_in"], 172_800);
    clock.0.store(2 * DAY - 60 * SECOND, Ordering::Relaxed);
    let token = refresh_token(&renew(server.anyone(), &refresh_token(&login)).await);
    clock.0.store(4 * DAY, Ordering::Relaxed);
    is_refused(server.anyone(), &token).await;
    clock.0.store(20 * DAY, Ordering::Relaxed);
    // Ends what has expired, which the server remembers for two days more.
    let (again, _) = log_in(server.anyone(), &ada).await;
    clock.0.store(22 * DAY + 60 * SECOND, Ordering::Relaxed);
    let sessions = async || again.get("/me/export").await.expect(200)["sessions"].as_array().unwrap().len();
    soon("the old sessions to go", async { while sessions().await != 1 {} }).await;
}

#[actix_web::test]
async fn what_was_committed_before_a_crash_is_answered_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &[], &[]);
    let body = json!({ "username": "ada", "password": "12345678" });
    process.client.post("/signup", body.clone()).await.expect(201);
    let login = process.client.post("/login", body).await.expect(200);
    let answer = renew(&process.client, &refresh_token(&login)).await;
    process.signal("KILL");
    process.wait();
    let process = Process::start(directory.path(), &[], &[]);
    let again = renew(&process.client, &refresh_token(&login)).await;
    assert_eq!(again["refresh_token"], answer["refresh_token"]);
    renew(&process.client, &refresh_token(&again)).await;
}

/// All bytes of the files of a directory.
fn bytes_in(directory: &Path) -> Vec<Vec<u8>> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap()).collect()
}

#[actix_web::test]
async fn neither_the_database_nor_a_backup_has_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path(), &[], &[]);
    let body = json!({ "username": "ada", "password": "12345678" });
    process.client.post("/signup", body.clone()).await.expect(201);
    let login = process.client.post("/login", body).await.expect(200);
    let mut tokens = vec![refresh_token(&login)];
    for _ in 0..3 {
        let answer = renew(&process.client, tokens.last().unwrap()).await;
        tokens.push(refresh_token(&answer));
    }
    let output = Process::run(directory.path(), &["backup", "backup.tar"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    process.signal("TERM");
    assert_eq!(process.wait().0, Some(0));
    let mut files = bytes_in(directory.path());
    files.extend(bytes_in(&directory.path().join("data")));
    assert!(files.len() >= 3, "the backup, the database and the secret");
    for token in &tokens {
        let tag = &token.as_bytes()[token.len() - 64..];
        let raw: Vec<u8> =
            tag.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        for file in &files {
            for secret in [tag, &raw[..]] {
                assert!(!file.windows(secret.len()).any(|window| window == secret));
            }
        }
    }
}

#[actix_web::test]
async fn a_renewal_counts_among_other_requests_of_its_address_and_among_no_logins() {
    let rates = |limits: &[(Limit, &str)]| {
        limits.iter().fold(Rates::off(), |rates, (limit, text)| rates.with(*limit, Rate::parse(text).unwrap()))
    };
    // Logins are few here, and a renewal is none.
    let few = rates(&[(Limit::LoginsOfAccount, "2/h"), (Limit::FailedLoginsOfAddress, "1/h")]);
    let server = Server::with(|config| config.http.rates = few).await;
    let ada = server.user("ada").await;
    let (_, mut refresh) = log_in(server.anyone(), &ada).await;
    for _ in 0..5 {
        refresh = refresh_token(&renew(server.anyone(), &refresh).await);
    }

    let server = Server::with(|config| config.http.rates = rates(&[(Limit::Requests, "7/h")])).await;
    let ada = server.user("ada").await;
    let (session, first) = log_in(server.anyone(), &ada).await;
    let mut told = Vec::new();
    let mut refresh = first;
    let refused = loop {
        let answer = server.anyone().post("/token", json!({ "refresh_token": refresh })).await;
        if answer.status == 429 {
            break answer;
        }
        refresh = refresh_token(&answer.expect(200));
        told.push(refresh.clone());
        assert!(told.len() < 8);
    };
    assert!(refused.header("retry-after").is_some() && !told.is_empty());
    refused.refused(429, None);
    // By the address, so that wrong ones count too, and a user with a token of their own has tokens left.
    server.anyone().post("/token", json!({ "refresh_token": "plr_x" })).await.refused(429, None);
    session.get("/me").await.expect(200);
    assert_eq!(server.anyone().get("/health").await.status, 200);
}
