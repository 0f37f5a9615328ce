//! Pipelined requests.

use super::raw::Raw;
use crate::harness::Server;
use tokio::io::AsyncWriteExt as _;

#[actix_web::test]
async fn each_is_answered_by_what_it_says_itself() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let me = format!("/me HTTP/1.1\nhost: x\nauthorization: Bearer {}\n\n", ada.token().unwrap());
    for next in [
        "HEAD /health HTTP/1.1\nhost: x\n\n",
        "GET /health HTTP/1.0\n\n",
        "POST /login HTTP/1.1\nhost: x\ncontent-length: 5\n\nhe",
    ] {
        let mut connection = Raw::to(server.anyone()).await;
        connection.send(&format!("GET {me}{next}")).await;
        let answer = connection.answer().await;
        assert!(answer.status == 200 && !answer.is_the_last(), "{next} {answer:?}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["username"], "ada", "{next}");
        if next.starts_with("HEAD") {
            continue;
        }
        if next.starts_with("POST") {
            connection.stream.write_all(b"llo").await.unwrap();
        }
        let answer = connection.answer().await;
        assert!(!answer.is_the_last(), "{next} {answer:?}");
        if next.contains("HTTP/1.0") {
            // Without a word: so it is with that version.
            connection.is_closed().await;
        }
    }
}

#[actix_web::test]
async fn however_many_they_are_each_is_answered() {
    const MANY: usize = 2000;
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    let one = "GET /health HTTP/1.1\nhost: x\n\nPOST /nowhere HTTP/1.1\nhost: x\ncontent-length: 5\n\nhello\n";
    connection.send(&one.repeat(MANY)).await;
    for at in 0..MANY {
        assert_eq!(connection.answer().await.status, 200, "{at}");
        assert_eq!(connection.answer().await.status, 404, "{at}");
    }
    connection.is_kept().await;
    // Nor is one forgotten whose client sends nothing more.
    connection.send(one).await;
    connection.half_close().await;
    assert_eq!((connection.answer().await.status, connection.answer().await.status), (200, 404));
    connection.is_closed().await;
}

#[actix_web::test]
async fn none_is_answered_behind_the_last() {
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    let health = "GET /health HTTP/1.1\nhost: x\n";
    connection.send(&format!("{health}connection: close\n\n{health}\n{health}\n")).await;
    assert!(connection.answer().await.is_the_last());
    connection.is_closed().await;
}

#[actix_web::test]
async fn a_name_of_a_header_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let mut connection = Raw::to(server.anyone()).await;
    let head = format!("GET /health HTTP/1.1\nhost: x\n{}: x\n\n", "a".repeat(70_000));
    assert_eq!(connection.ask(&head).await.status, 431);
}

/// The framework reuses response heads, with the HTTP version of an earlier request.
#[actix_web::test]
async fn old_clients_beside_it_end_no_other_connection() {
    let server = Server::start().await;
    let mut kept = Raw::to(server.anyone()).await;
    for _ in 0..5 {
        let mut old = Raw::to(server.anyone()).await;
        old.send("GET /health HTTP/1.0\n\n").await;
        assert_eq!(old.answer().await.status, 200);
        old.is_closed().await;
        kept.is_kept().await;
    }
}
