//! Request bodies, read by a handler or not: each has an end, and no other request suffers.

use super::raw::Raw;
use crate::harness::Server;
use crate::live::client::soon;
use api_actix::limits::{Limit, Rate, Rates};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Short, so that the end of what never ends is soon seen.
const LINGER: Duration = Duration::from_millis(200);

/// Requests whose handler does not read the body, or not to its end.
const UNREAD: &[(&str, &str, u16)] = &[
    ("POST", "/nowhere", 404),
    ("GET", "/nowhere", 404),
    ("POST", "/messages", 401),
    ("POST", "/upload", 401),
    ("POST", "/messages/upload", 401),
    ("DELETE", "/me", 401),
    ("GET", "/me", 401),
    ("POST", "/health", 405),
    ("BREW", "/messages", 405),
    ("GET", "/health", 200),
    ("HEAD", "/health", 200),
    ("GET", "/ready", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/", 200),
    ("GET", "/assets/css/base.css", 200),
    ("GET", "/docs", 200),
    ("GET", "/docs/index.html", 404),
    ("GET", "/ws", 426),
    ("POST", "/ws", 405),
    ("GET", "/events", 401),
];

/// Sends a byte now and then, until the server no longer accepts it.
async fn drips(connection: &mut Raw, piece: &str) {
    soon("the end of a connection", async {
        while connection.stream.write_all(piece.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[actix_web::test]
async fn one_that_nobody_reads_ends_soon_whatever_was_answered() {
    let server = Server::with(|config| config.http.deadlines.linger = LINGER).await;
    let ask = async |method: &str, path: &str, status: u16, framing: &str, piece: &str| {
        let mut connection = Raw::to(server.anyone()).await;
        connection.send(&format!("{method} {path} HTTP/1.1\nhost: x\n{framing}\n")).await;
        connection.stream.write_all(piece.as_bytes()).await.unwrap();
        let answer = if method == "HEAD" { connection.ask("").await } else { connection.answer().await };
        let (expected, found) = (status, answer.status);
        let redirected = path == "/docs" && matches!(found, 301..=308);
        assert!(found == expected || redirected || path.starts_with("/docs/"), "{method} {path} {answer:?}");
        assert!(answer.is_the_last(), "{method} {path} {framing}");
        drips(&mut connection, piece).await;
    };
    let all = UNREAD.iter().filter(|(method, ..)| *method != "HEAD").flat_map(|(method, path, status)| {
        [
            ask(method, path, *status, "transfer-encoding: chunked\n", "1\r\nx\r\n"),
            ask(method, path, *status, "content-length: 1000000\n", "x"),
            ask(method, path, *status, "content-length: 9000000000000000000\n", "x"),
        ]
    });
    futures_util::future::join_all(all).await;
}

#[actix_web::test]
async fn one_that_is_refused_before_its_end_ends_soon() {
    let limited = Rates::off().with(Limit::SignUps, Rate::parse("1/h").unwrap());
    let server = Server::with(|config| {
        config.http.deadlines.linger = LINGER;
        config.http.rates = limited;
    })
    .await;
    let ada = server.user("ada").await;
    let bearer = format!("authorization: Bearer {}\n", ada.token().unwrap());
    let large = format!("10001\r\n{}\r\n", "x".repeat(0x10001));
    let form = "content-type: multipart/form-data; boundary=x\n";
    for (path, more, piece, status) in [
        ("/signup", String::new(), "1\r\nx\r\n", 429),
        ("/login", String::new(), &large, 413),
        ("/messages", bearer.clone(), &large, 413),
        ("/messages", format!("{bearer}{form}"), "1\r\nx\r\n", 415),
        ("/upload", bearer.clone(), "1\r\nx\r\n", 415),
        ("/messages/zzz/seen", bearer.clone(), &large, 413),
    ] {
        let mut connection = Raw::to(server.anyone()).await;
        connection.send(&format!("POST {path} HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n{more}\n")).await;
        connection.stream.write_all(piece.as_bytes()).await.unwrap();
        let answer = connection.answer().await;
        assert!(answer.status == status || path.contains("zzz"), "{path} {answer:?}");
        assert!(answer.is_the_last(), "{path}");
        drips(&mut connection, "1\r\nx\r\n").await;
    }
}

#[actix_web::test]
async fn one_without_an_end_is_not_swallowed() {
    // As if the time never came: what counts is how much is taken.
    let server = Server::with(|config| config.http.deadlines.linger = Duration::from_secs(3600)).await;
    for (framing, piece) in [
        ("transfer-encoding: chunked\n", format!("4000\r\n{}\r\n", "x".repeat(0x4000))),
        ("content-length: 9000000000000000000\n", "x".repeat(0x4000)),
    ] {
        let mut connection = Raw::to(server.anyone()).await;
        connection.send(&format!("POST /nowhere HTTP/1.1\nhost: x\n{framing}\n")).await;
        let mut taken = 0;
        const FAR_TOO_MUCH: usize = 64 * 1024 * 1024;
        // The test cannot observe the moment at which the server stops reading.
        while taken < FAR_TOO_MUCH {
            let write = connection.stream.write_all(piece.as_bytes());
            match tokio::time::timeout(Duration::from_secs(2), write).await {
                Ok(Ok(())) => taken += piece.len(),
                _ => break,
            }
        }
        assert!(taken < FAR_TOO_MUCH, "{framing}");
        assert_eq!(connection.answer().await.status, 404);
    }
}

#[actix_web::test]
async fn one_that_came_whole_leaves_the_connection() {
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    for (method, path, status) in UNREAD {
        if path.starts_with("/docs") || *method == "HEAD" {
            continue;
        }
        for (framing, body) in [
            ("content-length: 5\n", "hello"),
            ("transfer-encoding: chunked\n", "5\nhello\n0\n\n"),
            ("transfer-encoding: chunked\n", "5;with=extension\nhello\n0\ntrailer: x\n\n"),
        ] {
            let head = format!("{method} {path} HTTP/1.1\nhost: x\n{framing}\n");
            // Together with the head, and with another request behind it.
            connection.send(&format!("{head}{body}GET /health HTTP/1.1\nhost: x\n\n")).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, *status, "{method} {path}");
            assert!(!answer.is_the_last(), "{method} {path} {framing}");
            assert_eq!(connection.answer().await.body, br#"{"status":"ok"}"#, "{method} {path} {framing}");
            // A little later, as many clients do.
            connection.send(&head).await;
            tokio::task::yield_now().await;
            let answer = connection.ask(body).await;
            assert_eq!(answer.status, *status, "{method} {path}");
            connection.is_kept().await;
        }
    }
}

#[actix_web::test]
async fn who_waits_to_be_asked_for_it_is_asked() {
    let server = Server::with(|config| config.http.deadlines.linger = LINGER).await;
    let mut connection = Raw::to(server.anyone()).await;
    for (path, status) in [("/login", 400), ("/nowhere", 404), ("/messages", 401)] {
        let head = format!("POST {path} HTTP/1.1\nhost: x\nexpect: 100-continue\ncontent-length: 1\n\n");
        assert_eq!(connection.ask(&head).await.status, 100, "{path}");
        assert_eq!(connection.ask("{").await.status, status, "{path}");
        connection.is_kept().await;
    }
    // A client that then sends nothing still gets its answer.
    let head = "POST /nowhere HTTP/1.1\nhost: x\nexpect: 100-continue\ncontent-length: 1\n\n";
    assert_eq!(connection.ask(head).await.status, 100);
    let answer = connection.answer().await;
    assert!(answer.status == 404 && answer.is_the_last(), "{answer:?}");
    connection.is_closed().await;
}

#[actix_web::test]
async fn one_that_is_no_body_is_refused_once() {
    let server = Server::start().await;
    for body in [
        format!("1;{}\nx\n0\n\n", "e".repeat(100_000)),
        format!("{}0\n\n", format!("1;{}\nx\n", "e".repeat(200)).repeat(100)),
        format!("0\n{}\n", "t: x\n".repeat(5_000)),
        "x\n".to_owned(),
        "1\nxx\n0\n\n".to_owned(),
        "fffffffffffffffff\nx\n".to_owned(),
    ] {
        let mut connection = Raw::to(server.anyone()).await;
        let request = format!("POST /login HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\n{body}");
        // It may be refused before it was written.
        let _ = connection.stream.write_all(request.replace('\n', "\r\n").as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request".to_owned()), "{body:.20}");
        connection.is_closed().await;
    }
}

#[actix_web::test]
async fn one_that_is_read_has_a_deadline() {
    let server = Server::with(|config| {
        config.http.deadlines.linger = LINGER;
        config.http.deadlines.body = LINGER;
    })
    .await;
    let ada = server.user("ada").await;
    let bearer = format!("authorization: Bearer {}\n", ada.token().unwrap());
    let form = "content-type: multipart/form-data; boundary=b\n";
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    for (path, more, body) in
        [("/login", "", "{"), ("/messages", &*bearer, "{"), ("/upload", &format!("{bearer}{form}"), part)]
    {
        for (framing, begin, piece) in [
            ("transfer-encoding: chunked\n", format!("{:x}\r\n{body}\r\n", body.len()), "1\r\n \r\n"),
            ("content-length: 60000\n", body.to_owned(), " "),
        ] {
            let mut connection = Raw::to(server.anyone()).await;
            connection.send(&format!("POST {path} HTTP/1.1\nhost: x\n{framing}{more}\n")).await;
            connection.stream.write_all(begin.as_bytes()).await.unwrap();
            let answer = connection.answer().await;
            assert_eq!(answer.status, 400, "{path} {answer:?}");
            assert!(String::from_utf8_lossy(&answer.body).contains("too slowly") && answer.is_the_last(), "{answer:?}");
            drips(&mut connection, piece).await;
        }
    }
}

#[actix_web::test]
async fn who_is_idle_is_cut_off() {
    let server = Server::with(|config| config.http.deadlines.idle = LINGER).await;
    let mut connection = Raw::to(server.anyone()).await;
    connection.is_kept().await;
    connection.is_closed().await;
}

#[actix_web::test]
async fn a_slow_head_ends_the_connection_be_it_the_first_or_not() {
    let server = Server::with(|config| config.http.deadlines.head = Duration::from_secs(2)).await;
    let mut connection = Raw::to(server.anyone()).await;
    connection.send("GET /health HTTP/1.1\nhost:").await;
    assert_eq!(connection.answer().await.status, 408);
    connection.is_closed().await;
    let mut connection = Raw::to(server.anyone()).await;
    connection.is_kept().await;
    connection.send("GET /health HTTP/1.1\n").await;
    drips(&mut connection, "a: b\r\n").await;
    connection.is_closed().await;
}

#[actix_web::test]
async fn a_name_of_a_header_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    let head = format!("GET /health HTTP/1.1\nhost: x\n{}: x\n\n", "a".repeat(70_000));
    assert_eq!(connection.ask(&head).await.status, 431);
}

/// An end with unread bytes would be a reset, which takes the answer from the client.
#[actix_web::test]
async fn whose_request_is_refused_hears_it_though_it_goes_on_sending() {
    let server = Server::start().await;
    let long = format!("GET /health HTTP/1.1\nhost: x\nlong: {}", "a".repeat(700_000));
    let bad = format!("GET /health HTTP/1.1\nhost: x\nhost : y\n\n{}", "a".repeat(700_000));
    for (sent, status) in [(&long, 431), (&bad, 400)] {
        let mut connection = Raw::to(server.anyone()).await;
        let (head, rest) = sent.split_at(sent.len() / 2);
        connection.send(head).await;
        assert_eq!(connection.answer().await.status, status);
        connection.send(rest).await;
        connection.ends_by_itself().await;
    }
}
