//! The limits of connections.

use super::raw::Raw;
use crate::harness::Server;
use crate::live::client::soon;
use api_actix::proxies::Proxies;
use std::time::Duration;

#[actix_web::test]
async fn an_address_has_so_many_and_others_their_own() {
    let server = Server::with(|config| config.http.max_connections_per_address = 2).await;
    let anyone = server.anyone();
    let (mut one, mut two) = (Raw::to(anyone).await, Raw::to(anyone).await);
    one.is_kept().await;
    two.is_kept().await;
    for _ in 0..3 {
        let mut further = Raw::to(anyone).await;
        let answer = further.answer().await;
        assert_eq!((answer.status, answer.code()), (503, "unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("30"));
        assert!(answer.is_the_last());
        further.is_closed().await;
    }
    let mut other = Raw::from("127.0.0.2", anyone).await;
    other.is_kept().await;
    // However one ends, its place is free: closed, broken off in a head or a body, refused.
    drop(two);
    for sent in
        ["", "GET /", "POST /login HTTP/1.1\nhost: x\ncontent-length: 5\n\nx", "nonsense\n\n", "GET /ws HTTP/1.1\n"]
    {
        for _ in 0..5 {
            soon("a free place", async {
                loop {
                    let mut next = Raw::to(anyone).await;
                    next.send("GET /health HTTP/1.1\nhost: x\n\n").await;
                    if next.answer().await.status == 200 {
                        next.send(sent).await;
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
        }
    }
    one.is_kept().await;
}

#[actix_web::test]
async fn a_trusted_proxy_has_as_many_as_it_likes() {
    let server = Server::with(|config| {
        config.http.max_connections_per_address = 1;
        config.http.proxies = Proxies::parse("127.0.0.1").unwrap();
    })
    .await;
    let mut all = Vec::new();
    for _ in 0..5 {
        let mut connection = Raw::to(server.anyone()).await;
        connection.is_kept().await;
        all.push(connection);
    }
    let _only = {
        let mut only = Raw::from("127.0.0.2", server.anyone()).await;
        only.is_kept().await;
        only
    };
    assert_eq!(Raw::from("127.0.0.2", server.anyone()).await.answer().await.status, 503);
}
