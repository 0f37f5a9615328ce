//! Passwords: their normal form, hashes from before it, and a server that is busy hashing.

use crate::harness::{Process, Server};
use api_actix::proxies::Proxies;
use domain::users::{NewUser, PasswordHash, UserRepository as _, Username};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use infra_diesel::{Store, StoreOptions};
use serde_json::{Value, json};
use std::num::NonZero;
use std::sync::Arc;

/// The same eight letters in either spelling.
const COMPOSED: &str = "pässwörd";
const DECOMPOSED: &str = "pa\u{308}sswo\u{308}rd";

fn login(name: &str, password: &str) -> Value {
    json!({ "username": name, "password": password })
}

#[actix_web::test]
async fn a_password_is_the_same_in_whichever_spelling_it_is_typed() {
    let server = Server::start().await;
    let anyone = server.anyone();
    for (number, (set, typed)) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)].into_iter().enumerate() {
        let names = [format!("ada{number}"), format!("bob{number}")];
        anyone.post("/signup", login(&names[0], set)).await.expect(201);
        let mut body = login(&names[1], set);
        body["email"] = json!(format!("{}@example.org", names[1]));
        anyone.post("/users", body).await.expect(201);
        for name in &names {
            anyone.post("/login", login(name, set)).await.expect(200);
            let user = anyone.post("/login", login(name, typed)).await.expect(200);
            let user = anyone.with_token(user["token"].as_str().unwrap());
            let change = json!({ "password": format!("{set} 2"), "current_password": typed });
            user.patch("/me", change).await.expect(200);
            anyone.post("/login", login(name, typed)).await.refused(401, None);
            anyone.post("/login", login(name, &format!("{typed} 2"))).await.expect(200);
            let end = |password: &str| json!({ "current_password": password });
            user.delete("/me", end("passwörd")).await.refused(403, Some("current_password"));
            user.delete("/me", end(&format!("{typed} 2"))).await.expect(204);
        }
    }
}

#[actix_web::test]
async fn how_long_a_password_is_is_that_of_its_normal_form() {
    let server = Server::start().await;
    let sign_up = async |name: &str, password: &str| server.anyone().post("/signup", login(name, password)).await;
    let fits = "e\u{301}".repeat(35);
    sign_up("ada", &fits).await.expect(201);
    server.anyone().post("/login", login("ada", &"é".repeat(35))).await.expect(200);
    for refused in ["e\u{301}".repeat(36), "e\u{301}".repeat(7), format!("{fits}\0"), "\u{958}".repeat(12)] {
        sign_up("bob", &refused).await.refused(400, Some("password"));
        // Nobody has it.
        if !refused.contains('\0') {
            server.anyone().post("/login", login("ada", &refused)).await.refused(401, None);
        }
    }
}

/// Makes users with hashes of what was typed, as they were made before there was a form for it.
async fn with_old_hashes(url: &str, users: &[(&str, &str)]) {
    let options = StoreOptions {
        policy: Arc::default(),
        events: Arc::new(domain::events::NoListeners),
        fatal: Arc::new(|why: &str| panic!("{why}")),
        pool_size: Some(1),
        allow_unsafe_durability: false,
    };
    let store = Store::open(url, options).await.unwrap();
    for (number, (name, password)) in users.iter().enumerate() {
        let user = NewUser {
            id: domain::UserId(uuid::Uuid::from_u128(number as u128 + 1)),
            username: Username::parse("username", name).unwrap(),
            email: None,
            password: Some(PasswordHash(bcrypt::non_truncating_hash(password, 4).unwrap())),
            at: domain::Timestamp::from_micros(1).unwrap(),
        };
        store.create(user).await.unwrap();
    }
    store.close().await;
}

#[actix_web::test]
async fn a_hash_that_is_older_than_the_form_goes_on_working_and_is_made_again() {
    let database = crate::harness::database();
    let directory = tempfile::tempdir().unwrap();
    let url = match &database {
        Some(database) => database.url().to_owned(),
        None => format!("sqlite://{}", directory.path().join("parlance.db").display()),
    };
    // The second could not be set today: of its normal form there are four letters.
    let short = "e\u{301}".repeat(4);
    with_old_hashes(&url, &[("ada", DECOMPOSED), ("bob", &short), ("eve", COMPOSED)]).await;
    let server = Process::start(directory.path(), &["serve"], &[("DATABASE_URL", &url)]);
    let log_in = async |name: &str, password: &str| server.client.post("/login", login(name, password)).await;
    log_in("eve", DECOMPOSED).await.expect(200);
    log_in("ada", COMPOSED).await.refused(401, None);
    log_in("ada", DECOMPOSED).await.expect(200);
    // From now on any keyboard will do.
    log_in("ada", COMPOSED).await.expect(200);
    log_in("ada", DECOMPOSED).await.expect(200);
    for _ in 0..2 {
        let bob = log_in("bob", &short).await.expect(200);
        let bob = server.client.with_token(bob["token"].as_str().unwrap());
        bob.patch("/me", json!({ "display_name": "Bob", "current_password": short })).await.expect(200);
    }
    log_in("bob", "éééé").await.refused(401, None);
}

#[actix_web::test]
async fn who_would_wait_long_for_a_hash_is_told_to_come_back() {
    // Some tenths of a second each.
    let server = Server::with(|config| config.bcrypt_cost = 13).await;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let logins = (0..cores * 20).map(|n| server.anyone().post("/login", login(&format!("nobody{n}"), "12345678")));
    let mut busy = 0;
    for answer in join_all(logins).await {
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            answer.refused(503, None);
            busy += 1;
        } else {
            answer.refused(401, None);
        }
    }
    assert_ne!(busy, 0);
    // Afterwards all is well.
    server.anyone().post("/login", login("nobody", "12345678")).await.refused(401, None);
}

/// Of one thread that hashes, one network with many accounts could take every turn.
#[actix_web::test]
async fn who_floods_the_server_with_right_logins_waits_behind_oneself() {
    const FLOOD: usize = 40;
    let server = Server::with(|config| {
        config.http.proxies = Proxies::parse("127.0.0.0/8").unwrap();
        config.bcrypt_cost = 9;
    })
    .await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let anyone = server.anyone();
    let log_in = async |address: &str, body| anyone.post_with("/login", &[("x-forwarded-for", address)], body).await;
    let mut flood: FuturesUnordered<_> = (0..FLOOD).map(|_| log_in("192.0.2.1", login("ada", &ada.password))).collect();
    // The first answer says that the others are in line.
    assert_eq!(flood.next().await.unwrap().status, 200);
    let login = log_in("192.0.2.2", login("bob", &bob.password));
    let mut answered = 1;
    let login = {
        let mut login = std::pin::pin!(login);
        loop {
            tokio::select! {
                login = &mut login => break login,
                Some(_) = flood.next() => answered += 1,
            }
        }
    };
    login.expect(200);
    assert!(answered < FLOOD / 2, "{answered} of the flood came first");
    while let Some(answer) = flood.next().await {
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }
}
