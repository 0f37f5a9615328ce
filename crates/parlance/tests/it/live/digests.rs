//! Digests: in lists, feeds and frames, by their route, and by `verify`.

use super::client::{Socket, request};
use super::faults::FaultyProxy;
use super::replica::Replica;
use crate::harness::{Client, NOWHERE, Server, User};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The conversation that the caller was in last.
async fn newest(user: &User) -> Value {
    user.get("/conversations").await.expect(200)[0].take()
}

/// Three messages, one of them edited and one deleted: five numbers.
async fn said(ada: &User, bob: &User) -> String {
    let first = ada.send(&bob.id, "one").await;
    let second = bob.send(&ada.id, "two 🙂").await;
    ada.put(&format!("/messages/{first}"), json!({ "content": "uno" })).await.expect(200);
    ada.send(&bob.id, "three").await;
    bob.delete(&format!("/messages/{second}"), json!({})).await.expect(204);
    newest(ada).await["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_client_computes_the_same_from_what_it_reads() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = said(&ada, &bob).await;
    let replica = Replica::load(&bob, &of).await;
    assert_eq!(newest(&bob).await["digest"], replica.short());
    let whole = bob.get(&format!("/conversations/{of}/digest")).await.expect(200);
    assert_eq!(whole, json!({ "update": 5, "from": 1, "to": 5, "messages": 3, "digest": replica.whole() }));
    let beyond = bob.get(&format!("/conversations/{of}/digest?from=1&to=99")).await.expect(200);
    assert_eq!(beyond, whole);
    let part = bob.get(&format!("/conversations/{of}/digest?from=3&to=3")).await.expect(200);
    assert_eq!(part, json!({ "update": 5, "from": 3, "to": 3, "messages": 0, "digest": "0".repeat(64) }));
    for (query, field) in [("from=4&to=3", "from"), ("from=6", "from"), ("from=x", "from"), ("to=-1", "to")] {
        bob.get(&format!("/conversations/{of}/digest?{query}")).await.refused(400, Some(field));
    }
}

#[actix_web::test]
async fn digests_are_for_who_may_read() {
    let server = Server::start().await;
    let (ada, bob, eve) = (server.user("ada").await, server.user("bob").await, server.user("eve").await);
    let of = said(&ada, &bob).await;
    let mut socket = Socket::open(&eve).await;
    for hidden in [of.as_str(), NOWHERE] {
        eve.get(&format!("/conversations/{hidden}/digest")).await.refused(404, None);
        let claim = json!({ "conversation_id": hidden, "update": 1, "digest": "0".repeat(16) });
        assert_eq!(socket.refused("verify", claim).await, ("not_found".to_owned(), None));
    }
    // The form comes before existence.
    eve.get(&format!("/conversations/{of}/digest?from=2&to=1")).await.refused(400, Some("from"));
    let group = ada.group("open", "public").await;
    let open = eve.get(&format!("/conversations/{group}/digest")).await.expect(200);
    assert_eq!(open, json!({ "update": 0, "from": 1, "to": 0, "messages": 0, "digest": "0".repeat(64) }));
}

#[actix_web::test]
async fn every_live_frame_of_a_change_has_the_digest_as_of_it() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = said(&ada, &bob).await;
    let mut replica = Replica::load(&bob, &of).await;
    let mut socket = Socket::open(&bob).await;
    let cursor = socket.cursor.clone();
    let sent = ada.send(&bob.id, "live").await;
    ada.put(&format!("/messages/{sent}"), json!({ "content": "still alive" })).await.expect(200);
    ada.send(&bob.id, "another").await;
    ada.delete(&format!("/messages/{sent}"), json!({})).await.expect(204);
    for event in ["message.created", "message.updated", "message.created", "message.deleted"] {
        let frame = socket.next_of_messages().await;
        assert_eq!((frame["event"].as_str(), replica.take(&frame)), (Some(event), Some(true)), "{frame}");
    }
    // Typing and receipts take no number.
    ada.send(&bob.id, "read me").await;
    let frame = socket.next_of_messages().await;
    assert_eq!(replica.take(&frame), Some(true));
    bob.post(&format!("/messages/{}/seen", frame["data"]["id"].as_str().unwrap()), json!({})).await.expect(200);
    let seen = socket.next_of_messages().await;
    assert!(seen["event"] == "message.seen" && seen.get("digest").is_none(), "{seen}");
    // Of what is replayed, only the newest.
    let mut resumed = Socket::since(&bob, &cursor).await;
    loop {
        let frame = resumed.next_of_messages().await;
        let is_present = frame["update"] == replica.update;
        assert_eq!(frame["digest"].as_str(), is_present.then(|| replica.short()).as_deref(), "{frame}");
        if is_present {
            break;
        }
    }
}

#[actix_web::test]
async fn a_client_asks_whether_it_has_everything() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = said(&ada, &bob).await;
    let checks = async |result: &str| {
        let text = String::from_utf8(ada.get("/metrics").await.body).unwrap();
        let series = format!("parlance_sync_checks_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0.0, |count| count.parse::<f64>().unwrap())
    };
    let before = (checks("ok").await, checks("conflict").await);
    let replica = Replica::load(&bob, &of).await;
    let mut socket = Socket::open(&bob).await;
    let claim = |update: i64, digest: &str| json!({ "conversation_id": of, "update": update, "digest": digest });
    let same = socket.op("verify", claim(5, &replica.short())).await;
    assert_eq!((&same["ok"], same.get("data")), (&json!(true), None), "{same}");
    let past = socket.op("verify", claim(4, "0123456789abcdef")).await;
    assert_eq!(past["ok"], true);
    assert_eq!(past["data"], json!({ "update": 5, "digest": replica.short() }));
    let differs = socket.refused("verify", claim(5, "0123456789abcdef")).await;
    assert_eq!(differs, ("conflict".to_owned(), None));
    // Other tests of this process count too.
    assert!(checks("ok").await >= before.0 + 2.0 && checks("conflict").await >= before.1 + 1.0);
    let invalid = |field: &str| ("invalid_request".to_owned(), Some(field.to_owned()));
    assert_eq!(socket.refused("verify", claim(6, &replica.short())).await, invalid("update"));
    assert_eq!(socket.refused("verify", claim(-1, &replica.short())).await, invalid("update"));
    for digest in ["", "0123456789ABCDEF", &replica.whole()] {
        assert_eq!(socket.refused("verify", claim(5, digest)).await, invalid("digest"));
    }
    for missing in ["conversation_id", "update", "digest"] {
        let mut claim = claim(5, &replica.short());
        claim.as_object_mut().unwrap().remove(missing);
        assert_eq!(socket.refused("verify", claim).await, invalid(missing));
    }
}

#[actix_web::test]
async fn a_client_behind_a_network_that_loses_doubles_and_swaps_frames_repairs_itself() {
    let server = Server::start().await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let of = said(&ada, &bob).await;
    let proxy = FaultyProxy::start(ada.address(), 7).await;
    let behind = Client::new(format!("http://{}", proxy.address)).with_token(bob.token().unwrap());
    let bearer = format!("Bearer {}", bob.token().unwrap());
    let mut socket = Socket::connect(request(&behind, "/ws", &[("authorization", &bearer)])).await;
    let mut replica = Replica::load(&bob, &of).await;
    let mut sent = Vec::new();
    for n in 0..60 {
        let id = ada.send(&bob.id, &format!("{n}")).await;
        match n % 5 {
            1 => drop(ada.put(&format!("/messages/{id}"), json!({ "content": format!("{n}!") })).await.expect(200)),
            3 => drop(ada.delete(&format!("/messages/{id}"), json!({})).await.expect(204)),
            _ => {}
        }
        sent.push(id);
        // Any reply comes behind the events so far, as far as they come.
        socket.op("nothing", json!({})).await;
        while let Some(frame) = socket.arrived() {
            replica.take_or_repair(&bob, &frame).await;
        }
    }
    replica.prove(&bob, &mut socket).await;
    let done = [&proxy.done.lost, &proxy.done.doubled, &proxy.done.swapped].map(|count| count.load(Ordering::Relaxed));
    assert!(done.iter().all(|count| *count > 0) && replica.repairs > 0, "{done:?}, {} repairs", replica.repairs);
    let there = Replica::load(&ada, &of).await;
    assert_eq!((there.contents(), there.whole()), (replica.contents(), replica.whole()));
}
