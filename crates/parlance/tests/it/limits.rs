//! Every rate limit on every route, and whose address counts behind proxies.

use crate::harness::{Answer, Client, NOWHERE, Server, User};
use crate::live::client::{Socket, fault, soon};
use api_actix::limits::{Limit, Rate, Rates};
use api_actix::proxies::Proxies;
use api_actix::routes::ROUTES;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// A server with these limits and no others, which believes this machine's `X-Forwarded-For`. Rates by the hour give no
/// token back while a test runs.
async fn limited(rates: &[(Limit, &str)]) -> Server {
    let rate = |rates: Rates, (limit, text): &(Limit, &str)| rates.with(*limit, Rate::parse(text).unwrap());
    let rates = rates.iter().fold(Rates::off(), rate);
    Server::with(|config| {
        config.http.rates = rates;
        config.http.proxies = Proxies::parse("127.0.0.0/8").unwrap();
    })
    .await
}

/// Refused, and for how long.
#[track_caller]
fn wait(answer: Answer) -> u32 {
    let seconds = answer.header("retry-after").map(|seconds| seconds.parse().unwrap());
    answer.refused(429, None);
    seconds.unwrap()
}

fn form(receiver: Option<&str>) -> Form {
    let form = Form::new().part("file", Part::bytes(b"x".to_vec()).file_name("x"));
    receiver.iter().fold(form, |form, id| form.text("receiver_id", (*id).to_owned()))
}

async fn log_in(anyone: &Client, address: &str, name: &str, password: &str) -> Answer {
    let body = json!({ "username": name, "password": password });
    anyone.post_with("/login", &[("x-forwarded-for", address)], body).await
}

#[actix_web::test]
async fn sends_are_counted_for_the_user_by_every_door() {
    let server = limited(&[(Limit::Sends, "6/h")]).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let again = server.log_in("ada", &ada.password).await;
    ada.post("/group/create", json!({ "group": "club" })).await.expect(201);
    let mut socket = Socket::open(&ada).await;
    let by_id = json!({ "receiver_id": bob.id, "content": "x" });
    ada.post("/messages", by_id.clone()).await.expect(201);
    again.post("/dm/send", json!({ "to": "bob", "content": "x" })).await.expect(200);
    ada.post("/group/send", json!({ "group": "club", "content": "x" })).await.expect(200);
    ada.post("/broadcast/send", json!({ "content": "x" })).await.expect(200);
    ada.form("/messages/upload", form(Some(&bob.id))).await.expect(201);
    assert_eq!(socket.op("send", by_id.clone()).await["ok"], true);

    for door in ["/messages", "/dm/send", "/group/send", "/broadcast/send"] {
        // Before its form is looked at, however it is.
        assert!((1..=600).contains(&wait(ada.post(door, json!({ "content": 5 })).await)), "{door}");
        wait(again.raw("POST", door, &[], "{").await);
    }
    wait(ada.form("/messages/upload", form(Some(&bob.id))).await);
    let refused = socket.op("send", by_id.clone()).await;
    assert_eq!(fault(&refused), ("rate_limited".to_owned(), None));
    assert!((1..=600).contains(&refused["error"]["retry_after"].as_u64().unwrap()), "{refused}");
    // No other limit is hit, and no other user.
    ada.form("/upload", form(None)).await.expect(201);
    ada.get("/me").await.expect(200);
    bob.post("/messages", json!({ "receiver_id": ada.id, "content": "x" })).await.expect(201);
    let sent = ada.get(&format!("/messages?receiver_id={}", bob.id)).await.expect(200);
    assert_eq!(sent.as_array().unwrap().len(), 5, "what was refused is not stored");
}

#[actix_web::test]
async fn uploads_are_counted_for_the_user_by_both_doors() {
    let server = limited(&[(Limit::Uploads, "2/h"), (Limit::Sends, "2/h")]).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    ada.form("/upload", form(None)).await.expect(201);
    ada.form("/messages/upload", form(Some(&bob.id))).await.expect(201);
    for _ in 0..3 {
        wait(ada.form("/upload", form(None)).await);
        wait(ada.form("/messages/upload", form(Some(&bob.id))).await);
    }
    // The message that was not uploaded was no send.
    ada.send(&bob.id, "x").await;
    wait(ada.post("/messages", json!({ "receiver_id": bob.id, "content": "x" })).await);
    bob.form("/upload", form(None)).await.expect(201);
}

#[actix_web::test]
async fn sign_ups_are_counted_for_the_address() {
    let server = limited(&[(Limit::SignUps, "2/h")]).await;
    let anyone = server.anyone();
    let sign_up =
        async |address: &str, path: &str, body| anyone.post_with(path, &[("x-forwarded-for", address)], body).await;
    let account =
        |name: &str| json!({ "username": name, "password": "12345678", "email": format!("{name}@example.org") });
    sign_up("192.0.2.1", "/signup", account("ada")).await.expect(201);
    sign_up("192.0.2.1", "/users", account("bob")).await.expect(201);
    for path in ["/signup", "/users"] {
        let error = sign_up("192.0.2.1", path, json!({ "username": 5 })).await.refused(429, None);
        assert!(error["error"].as_str().unwrap().starts_with("too many sign-ups: try again in "), "{error}");
    }
    sign_up("192.0.2.2", "/signup", account("eve")).await.expect(201);
    // Of IPv6, one has a whole /64.
    sign_up("2001:db8::1", "/signup", json!({})).await.refused(400, None);
    sign_up("2001:db8::2", "/signup", json!({})).await.refused(400, None);
    wait(sign_up("2001:db8::3", "/signup", account("joe")).await);
    sign_up("2001:db8:0:1::3", "/signup", account("joe")).await.expect(201);
    log_in(anyone, "192.0.2.1", "ada", "12345678").await.expect(200);
}

#[actix_web::test]
async fn failed_logins_are_counted_for_the_account_be_there_one_or_not() {
    let server = limited(&[(Limit::FailedLoginsOfAccount, "3/h")]).await;
    let (ada, anyone) = (server.user("ada").await, server.anyone());
    for _ in 0..10 {
        log_in(anyone, "192.0.2.1", "ada", &ada.password).await.expect(200);
    }
    for name in ["ada", "nobody", "no name at all!"] {
        for (address, name) in [("192.0.2.1", name), ("192.0.2.2", &name.to_uppercase()), ("192.0.2.3", name)] {
            let error = log_in(anyone, address, name, "wrong password").await.refused(401, None);
            assert_eq!(error["error"], "invalid credentials");
        }
        for password in ["wrong password", &ada.password] {
            let answer = log_in(anyone, "192.0.2.4", name, password).await;
            let (seconds, error) = (answer.header("retry-after").unwrap().to_owned(), answer.refused(429, None));
            assert_eq!(error["error"], format!("too many failed logins: try again in {seconds} s"), "{name}");
        }
    }
    // Who is in stays in, and others come in.
    ada.get("/me").await.expect(200);
    server.user("bob").await;
}

#[actix_web::test]
async fn right_logins_are_counted_for_the_account_and_a_stranger_takes_none_of_them() {
    let server = limited(&[(Limit::LoginsOfAccount, "5/h")]).await;
    let (ada, anyone) = (server.user("ada").await, server.anyone());
    // A client that does not know the password locks no user out.
    for _ in 0..20 {
        log_in(anyone, "192.0.2.1", "ada", "wrong password").await.refused(401, None);
    }
    // The first was the harness'.
    for (number, name) in ["ada", "ADA", "ada", "Ada"].into_iter().enumerate() {
        log_in(anyone, &format!("192.0.2.{number}"), name, &ada.password).await.expect(200);
    }
    // Whatever the password is by then, and wherever it is typed.
    for password in [&ada.password, "wrong password"] {
        let answer = log_in(anyone, "192.0.2.9", "ada", password).await;
        let (seconds, error) = (answer.header("retry-after").unwrap().to_owned(), answer.refused(429, None));
        assert_eq!(error["error"], format!("too many logins: try again in {seconds} s"));
    }
    assert_eq!(ada.get("/sessions").await.expect(200).as_array().unwrap().len(), 5);
    // Who is in stays in, and others come in.
    ada.get("/me").await.expect(200);
    server.user("bob").await;
}

#[actix_web::test]
async fn failed_logins_are_counted_for_the_address() {
    let server = limited(&[(Limit::FailedLoginsOfAddress, "3/h")]).await;
    let ada = server.user("ada").await;
    let anyone = server.anyone();
    for name in ["a1", "a2", "a3"] {
        log_in(anyone, "192.0.2.1", name, "wrong password").await.refused(401, None);
    }
    wait(log_in(anyone, "192.0.2.1", "ada", &ada.password).await);
    // What stands before the address that the proxy wrote is the client's own invention.
    wait(log_in(anyone, "203.0.113.5, 192.0.2.1", "ada", &ada.password).await);
    wait(log_in(anyone, "203.0.113.5, 192.0.2.1, 127.0.0.9", "ada", &ada.password).await);
    log_in(anyone, "192.0.2.1, 192.0.2.2", "ada", &ada.password).await.expect(200);
}

#[actix_web::test]
async fn who_is_no_trusted_proxy_is_not_believed() {
    let server = Server::with(|config| {
        config.http.rates = Rates::off().with(Limit::FailedLoginsOfAddress, Rate::parse("3/h").unwrap());
    })
    .await;
    for number in 0..3 {
        log_in(server.anyone(), &format!("192.0.2.{number}"), "nobody", "wrong password").await.refused(401, None);
    }
    wait(log_in(server.anyone(), "192.0.2.9", "nobody", "wrong password").await);
}

#[actix_web::test]
async fn the_passwords_of_who_has_a_token_are_counted_too() {
    let server = limited(&[(Limit::FailedLoginsOfAccount, "2/h")]).await;
    let ada = server.user("ada").await;
    let change = |current: &str| json!({ "password": "a new password", "current_password": current });
    for _ in 0..5 {
        ada.patch("/me", json!({ "display_name": "Ada" })).await.expect(200);
        ada.patch("/me", json!({ "password": "a new password" })).await.refused(400, Some("current_password"));
    }
    ada.patch("/me", change("wrong password")).await.refused(403, Some("current_password"));
    ada.delete("/me", json!({ "current_password": "wrong password" })).await.refused(403, Some("current_password"));
    wait(ada.patch("/me", change(&ada.password)).await);
    wait(ada.delete("/me", json!({ "current_password": ada.password })).await);
    // A thief of the token does not keep the owner from logging in.
    server.log_in("ada", &ada.password).await.get("/me").await.expect(200);
}

#[actix_web::test]
async fn other_requests_are_counted_for_the_user_or_else_for_the_address() {
    let server = limited(&[(Limit::Requests, "5/h")]).await;
    let anyone = server.anyone();
    let ada = server.user("ada").await;
    let ask =
        async |who: &Client, address: &str, path: &str| who.raw("GET", path, &[("x-forwarded-for", address)], "").await;
    for number in 0..5 {
        ask(&ada, &format!("192.0.2.{number}"), "/me").await.expect(200);
    }
    assert!(wait(ask(&ada, "192.0.2.1", "/me").await) <= 720);
    wait(ask(&ada, "192.0.2.1", "/users?limit=x").await);
    // Without a good token the address pays; with one it does not matter how busy the address is.
    for token in ["x.y.z", "", "x.y.z", "x.y.z", ""] {
        let who = if token.is_empty() { anyone.clone() } else { anyone.with_token(token) };
        ask(&who, "192.0.2.1", "/me").await.refused(401, None);
    }
    wait(ask(anyone, "192.0.2.1", "/me").await);
    wait(ask(&anyone.with_token("x.y.z"), "192.0.2.1", "/users").await);
    wait(ask(anyone, "192.0.2.1", "/openapi.json").await);
    wait(log_in(anyone, "192.0.2.1", "ada", &ada.password).await);
    let login = log_in(anyone, "192.0.2.2", "bob", "12345678").await;
    login.refused(401, None);
    // What watches over the server is never refused.
    for path in ["/health", "/ready", "/metrics"] {
        for _ in 0..10 {
            assert_eq!(anyone.get(path).await.status, 200);
        }
    }
}

#[actix_web::test]
async fn a_token_that_was_logged_out_takes_nothing_from_its_user() {
    let server = limited(&[(Limit::Requests, "5/h")]).await;
    let ada = server.user("ada").await;
    let stolen = server.log_in("ada", &ada.password).await;
    stolen.post("/logout", json!({})).await.expect(204);
    for _ in 0..5 {
        stolen.get("/me").await.refused(401, None);
    }
    for _ in 0..5 {
        wait(stolen.get("/me").await);
    }
    for _ in 0..4 {
        ada.get("/me").await.expect(200);
    }
    wait(ada.get("/me").await);
}

#[actix_web::test]
async fn operations_are_counted_but_for_pings() {
    let server = limited(&[(Limit::Requests, "4/h")]).await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let message = bob.send(&ada.id, "x").await;
    // The upgrade is a request, too.
    let mut socket = Socket::open(&ada).await;
    let typing = json!({ "receiver_id": bob.id });
    assert_eq!(socket.op("seen", json!({ "message_id": message })).await["ok"], true);
    assert_eq!(socket.op("typing", typing.clone()).await["ok"], true);
    assert_eq!(socket.refused("dance", json!({})).await.0, "invalid_request");
    for (op, data) in [("seen", json!({ "message_id": message })), ("typing", typing), ("dance", json!({}))] {
        let refused = socket.op(op, data).await;
        assert_eq!(fault(&refused), ("rate_limited".to_owned(), None), "{op}");
        assert!((1..=900).contains(&refused["error"]["retry_after"].as_u64().unwrap()), "{refused}");
    }
    // Neither is what cannot even be read, or is no text.
    socket.send("{").await;
    socket.send_message(Message::binary(vec![0])).await.unwrap();
    for _ in 0..2 {
        let refused = socket.answer(&Value::Null).await;
        assert_eq!(fault(&refused).0, "rate_limited");
        assert!(refused["error"]["retry_after"].as_u64().unwrap() >= 1, "{refused}");
    }
    for _ in 0..10 {
        socket.send(r#"{"op":"ping"}"#).await;
    }
    let mut pongs = 0;
    while pongs < 10 {
        pongs += u32::from(socket.next().await["event"] == "pong");
    }
    assert_eq!(socket.op("send", json!({ "receiver_id": bob.id, "content": "x" })).await["ok"], true);
    wait(ada.get("/me").await);
}

#[actix_web::test]
async fn frames_of_whatever_kind_are_counted_and_who_sends_too_many_is_cut_off() {
    let server = limited(&[(Limit::Frames, "20/h")]).await;
    let part = |data, fin| Message::Frame(Frame::message(Vec::new(), OpCode::Data(data), fin));
    for (name, first, then) in [
        ("ping", None, Message::Ping(b"x".as_slice().into())),
        ("pong", None, Message::Pong(b"".as_slice().into())),
        ("text-ping", None, Message::text(r#"{"op":"ping"}"#)),
        ("broken", None, Message::text("{")),
        ("nothing", None, Message::text("")),
        ("unknown", None, Message::text(r#"{"op":"dance"}"#)),
        ("binary", None, Message::binary(b"x".as_slice())),
        ("parts", Some(part(Data::Text, false)), part(Data::Continue, false)),
    ] {
        let mut socket = Socket::open(&server.user(name).await).await;
        if let Some(first) = first {
            socket.send_message(first).await.unwrap();
        }
        for _ in 0..15 {
            socket.send_message(then.clone()).await.unwrap();
        }
        socket.send_message(Message::Ping(b"still there".as_slice().into())).await.unwrap();
        socket.until(|message| matches!(message, Message::Pong(told) if &told[..] == b"still there")).await;
        for _ in 0..10 {
            // It may be cut off by now.
            let _ = socket.send_message(then.clone()).await;
        }
        assert_eq!(socket.drained().await, 1008, "{name}");
    }
}

#[actix_web::test]
async fn every_route_has_a_limit_but_those_that_watch() {
    let all = Limit::ALL.map(|limit| (limit, "1/h"));
    let server = limited(&all).await;
    let upgrade =
        [("upgrade", "websocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
    let (mut number, mut free) = (0, Vec::new());
    for (method, path) in ROUTES {
        number += 1;
        let address = format!("192.0.2.{number}");
        let filled = path.replace("{path:.*}", "x").replace("{file}", "index.html").replace("{name}", "x");
        let filled = filled.replace("{id}", NOWHERE).replace("{user_id}", NOWHERE);
        let mut headers = vec![("x-forwarded-for", &*address)];
        if *path == "/ws" {
            headers.extend(upgrade);
            headers.push(("connection", "upgrade"));
        }
        let method = method.to_uppercase();
        let mut refused = false;
        for _ in 0..3 {
            refused = refused || server.anyone().raw(&method, &filled, &headers, "").await.status == 429;
        }
        if !refused {
            free.push(*path);
        }
    }
    assert_eq!(free, ["/health", "/ready", "/metrics"]);
}

#[actix_web::test]
async fn refusals_are_counted_by_limit() {
    let server = limited(&[(Limit::Sends, "1/h"), (Limit::SignUps, "1/h")]).await;
    let ada = server.user("ada").await;
    let count = async |limit: &str| {
        let text = String::from_utf8(server.anyone().get("/metrics").await.body).unwrap();
        let series = format!("parlance_rate_limited_total{{limit=\"{limit}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok());
        value.unwrap_or_else(|| panic!("no {series}"))
    };
    let before = (count("sends").await, count("sign_ups").await);
    ada.send(&ada.id, "x").await;
    wait(ada.post("/messages", json!({})).await);
    wait(server.anyone().post("/signup", json!({})).await);
    // Other tests of this process count too.
    assert!(count("sends").await > before.0 && count("sign_ups").await > before.1);
    let others = [
        "uploads",
        "searches",
        "requests",
        "frames",
        "failed_logins_account",
        "failed_logins_address",
        "logins_account",
    ];
    for limit in others.into_iter().chain(["sockets", "connections"]) {
        count(limit).await;
    }
}

#[actix_web::test]
async fn who_comes_through_a_proxy_on_this_machine_is_not_near() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    assert_eq!(server.anyone().get("/metrics").await.status, 200);
    let port = server.anyone().address().rsplit_once(':').unwrap().1;
    for host in [&format!("localhost:{port}"), "127.0.0.1", "[::1]:8080"] {
        assert_eq!(server.anyone().raw("GET", "/metrics", &[("host", host)], "").await.status, 200, "{host}");
    }
    // The page of another host in a browser on this machine, and what nginx sends unless it is told otherwise.
    for host in ["evil.example.org", &format!("evil.example.org:{port}"), "backend", "chat.example.org"] {
        server.anyone().raw("GET", "/metrics", &[("host", host)], "").await.refused(401, None);
        ada.raw("GET", "/metrics", &[("host", host)], "").await.refused(403, None);
    }
    let mut nginx = TcpStream::connect(server.anyone().address()).await.unwrap();
    let asked = format!("GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    nginx.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = String::new();
    nginx.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 401 "), "{answer}");
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-proto", "x-forwarded-host"] {
        let forwarded = [(header, "127.0.0.1")];
        server.anyone().raw("GET", "/metrics", &forwarded, "").await.refused(401, None);
        ada.raw("GET", "/metrics", &forwarded, "").await.refused(403, None);
    }
}

/// Sockets of a user, as the operator sets them.
#[actix_web::test]
async fn a_user_has_so_many_sockets() {
    let server = Server::with(|config| config.live.max_per_user = 1).await;
    let (ada, bob): (User, User) = (server.user("ada").await, server.user("bob").await);
    let _first = Socket::open(&ada).await;
    assert_eq!(wait(ada.get("/events").await), 30);
    let _other = Socket::open(&bob).await;
}

/// Sends a request over a connection that is kept, and waits for the answer.
async fn answered(connection: &mut TcpStream) {
    connection.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(br#"{"status":"ok"}"#) {
        let length = connection.read(&mut piece).await.unwrap();
        assert_ne!(length, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
    }
}

#[actix_web::test]
async fn there_are_so_many_connections_and_further_ones_wait() {
    let server = Server::with(|config| config.http.max_connections = 1).await;
    let address = server.anyone().address();
    // One a worker, and a worker a core.
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut taken = Vec::new();
    for _ in 0..workers {
        let mut connection = TcpStream::connect(address).await.unwrap();
        answered(&mut connection).await;
        taken.push(connection);
    }
    let mut further = TcpStream::connect(address).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(300), answered(&mut further)).await;
    assert!(waited.is_err(), "it was answered beside the others");
    drop(taken);
    soon("a place", answered(&mut further)).await;
}
