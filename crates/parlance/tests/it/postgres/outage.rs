//! The database goes away and comes back.

use crate::harness::{Answer, Process, Server, User};
use crate::live::client::{Socket, TIMEOUT, soon};
use domain::retention::Retention;
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};
use test_support::Cluster;

/// Nobody is to wait longer for an answer, whatever has become of the database: told where it was longer, and not
/// asserted, since the machine may be busy.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(3);
/// All is to be well that long after the database is back: told as well.
const RECOVERY: Duration = Duration::from_secs(5);

fn tell(what: &str, since: Instant, longest: Duration) {
    let took = since.elapsed();
    if took > longest {
        eprintln!("{what} took {took:?}, and {longest:?} is promised");
    }
}

async fn send(user: &User, to: &User, key: &str) -> Answer {
    let body = json!({ "receiver_id": to.id, "content": format!("message {key}"), "client_id": key });
    user.post("/messages", body).await
}

/// What everybody gets while the database is away.
async fn told(answer: impl Future<Output = Answer>) {
    let asked = Instant::now();
    let answer = soon("an answer", answer).await;
    tell("an answer", asked, MAX_ANSWER_TIME);
    assert!(answer.header("retry-after").is_some(), "{answer}");
    assert_eq!(answer.refused(503, None)["code"], "unavailable");
}

/// Reads, writes and readiness, many at once.
async fn everything_is_refused(server: &Server, users: &[User], round: usize) {
    let (ada, bob) = (&users[0], &users[1]);
    let sends = join_all((0..32).map(|n| {
        let user = &users[n % users.len()];
        async move { told(send(user, bob, &format!("{round}-{n}"))).await }
    }));
    let reads = join_all((0..32).map(|n| {
        let path = ["/users", "/conversations", "/broadcast/history", "/groups"][n % 4];
        told(ada.get(path))
    }));
    let account = json!({ "username": "new", "password": "12345678" });
    let writes = join_all((0..4).map(|_| told(server.anyone().post("/signup", account.clone()))));
    let ready = async {
        // The last answer holds for a moment.
        soon("a server that is not ready", async { while server.anyone().get("/ready").await.status == 200 {} }).await;
        told(server.anyone().get("/ready")).await;
    };
    futures_util::join!(sends, reads, writes, ready);
    server.anyone().get("/health").await.expect(200);
}

/// Waits until nothing is refused any more: many requests in a row, over all threads of the store.
async fn all_is_well_soon(server: &Server, users: &[User], since: Instant, round: usize) {
    for attempt in 0.. {
        let well =
            join_all((0..24).map(|n| {
                let (user, key) = (&users[n % users.len()], format!("{round}-after-{attempt}-{n}"));
                async move {
                    send(user, &users[1], &key).await.status == 201 && user.get("/conversations").await.status == 200
                }
            }));
        let ready = server.anyone().get("/ready").await.status == 200;
        if well.await.into_iter().all(|well| well) && ready {
            break;
        }
        assert!(since.elapsed() < TIMEOUT, "still refused after {:?}", since.elapsed());
    }
    tell("the recovery", since, RECOVERY);
}

#[actix_web::test]
async fn while_the_database_is_away_all_is_refused_in_time_and_well_soon_after() {
    let Some(cluster) = Cluster::start() else { return };
    let server = Server::with(|config| config.database_url = cluster.url("postgres")).await;
    let mut users = Vec::new();
    for n in 0..6 {
        users.push(server.user(&format!("user{n}")).await);
    }
    all_is_well_soon(&server, &users, Instant::now(), 0).await;

    // Stopped in order, as for an upgrade; then silent: connections stay and nothing answers.
    for (round, go, come_back) in [
        (1, Cluster::stop as fn(&Cluster), Cluster::start_again as fn(&Cluster)),
        (2, Cluster::pause, Cluster::resume),
        (3, Cluster::crash_and_restart, |_| ()),
    ] {
        go(&cluster);
        if round != 3 {
            everything_is_refused(&server, &users, round).await;
            everything_is_refused(&server, &users, round + 10).await;
        }
        come_back(&cluster);
        all_is_well_soon(&server, &users, Instant::now(), round).await;
    }

    // What was unknown is settled by its key: stored once, now or before.
    for round in [1, 11, 2, 12] {
        for n in 0..32 {
            let again = send(&users[n % users.len()], &users[1], &format!("{round}-{n}")).await;
            assert!([200, 201].contains(&again.status), "{again}");
        }
    }
    let mut contents = Vec::new();
    for user in users.iter().filter(|user| user.id != users[1].id) {
        let history = user.get(&format!("/dm/history?user={}", users[1].name)).await.expect(200);
        let history = history.as_array().unwrap().clone();
        contents.extend(history.iter().map(|message| message["content"].as_str().unwrap().to_owned()));
    }
    for round in [1, 11, 2, 12] {
        for n in (0..32).filter(|n| n % users.len() != 1) {
            let sought = format!("message {round}-{n}");
            assert_eq!(contents.iter().filter(|content| **content == sought).count(), 1, "{sought}");
        }
    }
}

#[actix_web::test]
async fn a_server_whose_database_is_silent_ends_all_the_same() {
    let Some(cluster) = Cluster::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = Process::start(directory.path(), &[], &[("DATABASE_URL", &cluster.url("postgres"))]);
    let account = json!({ "username": "ada", "password": "12345678" });
    server.client.post("/signup", account.clone()).await.expect(201);
    let ada = User::new(&server.client, &server.client.post("/login", account).await.expect(200), "12345678");
    let message = json!({ "group_id": ada.group("ours", "private").await, "content": "hello" });
    ada.post("/messages", message.clone()).await.expect(201);
    cluster.pause();
    // The writer of the group has a connection, and waits for an answer from then on.
    ada.post("/messages", message).await.refused(503, None);
    server.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| server.wait());
    let (code, log) = soon("the end", ended).await.unwrap();
    cluster.resume();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the database did not close in time"), "{log}");
}

/// A message forty days ago.
fn age(cluster: &Cluster, message: &str) {
    cluster.run(&format!("UPDATE messages SET created_at = created_at - interval '40 days' WHERE id = '{message}'"));
}

#[actix_web::test]
async fn what_is_done_in_the_background_goes_on_after_an_outage() {
    let Some(cluster) = Cluster::start() else { return };
    let server = Server::with(|config| {
        config.database_url = cluster.url("postgres");
        config.retention = Some(Retention::of_days(30).unwrap());
        config.upkeep_every = Duration::from_millis(20);
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let mut users = Vec::new();
    for n in 0..3 {
        users.push(server.user(&format!("user{n}")).await);
    }
    for (round, go, come_back) in [
        (1, Cluster::stop as fn(&Cluster), Cluster::start_again as fn(&Cluster)),
        (2, Cluster::pause, Cluster::resume),
        (3, Cluster::become_standby, Cluster::promote),
    ] {
        let watcher = users.pop().unwrap();
        let old = users[0].send(&watcher.id, "soon old").await;
        go(&cluster);
        // Long enough for whatever is done in the background to meet it: it is done every 20 ms, and every 2 s.
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(3) {
            let answer = soon("an answer", send(&users[0], &users[0], "meanwhile")).await;
            assert_eq!(answer.status, 503, "{round}: {answer}");
        }
        come_back(&cluster);
        all_is_well_soon(&server, &users, Instant::now(), 20 + round).await;
        let mut socket = Socket::open(&watcher).await;
        // What is too old goes, and a session that ends elsewhere ends here.
        age(&cluster, &old);
        soon("what is too old to go", async { while users[0].get(&format!("/messages/{old}")).await.status != 404 {} })
            .await;
        let ended = Process::run(
            directory.path(),
            &["user", "disable", &watcher.name],
            &[("DATABASE_URL", &cluster.url("postgres"))],
        );
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(socket.drained().await, 4401, "{round}");
        users.push(server.user(&format!("user{}", round + 2)).await);
    }
}
