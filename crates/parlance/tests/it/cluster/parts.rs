//! What one node does to a message, the clients of the other receive whole, and their digest proves it.

use super::Nodes;
use crate::harness::{Process, User, ids};
use crate::live::client::Socket;
use crate::live::replica::Replica;
use crate::renewal;
use image::{ImageFormat, RgbImage};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

const LIKE: &str = "%F0%9F%91%8D";

/// Two users, each at the node of their number, and their sockets there.
struct Pair {
    users: [Vec<User>; 2],
    sockets: [Socket; 2],
    conversation: String,
}

impl Pair {
    /// After a first message.
    async fn of(nodes: &Nodes) -> (Self, String) {
        let users = [nodes.user("ada").await, nodes.user("bob").await];
        let sockets = [Socket::open(&users[0][0]).await, Socket::open(&users[1][1]).await];
        let first = users[0][0].send(&users[1][0].id, "hello").await;
        let conversation = users[0][1].get(&format!("/messages/{first}")).await.expect(200)["conversation_id"].take();
        let conversation = conversation.as_str().unwrap().to_owned();
        let mut pair = Self { users, sockets, conversation };
        pair.told("message.created").await;
        (pair, first)
    }

    /// The next event of both, with the digest that the other node gives.
    async fn told(&mut self, event: &str) -> Value {
        self.told_as(&[event]).await
    }

    /// The same, of several kinds.
    async fn told_as(&mut self, events: &[&str]) -> Value {
        let mut data = Vec::new();
        for (n, socket) in self.sockets.iter_mut().enumerate() {
            let mut frame = socket.next().await;
            assert!(events.iter().any(|event| frame["event"] == *event), "{frame}");
            let digest = self.users[n][1 - n].get(&format!("/conversations/{}/digest", self.conversation)).await;
            let digest = digest.expect(200);
            assert_eq!(frame["update"], digest["update"], "{frame}");
            assert_eq!(frame["digest"], digest["digest"].as_str().unwrap()[..16], "{frame}");
            data.push(frame["data"].take());
        }
        assert_eq!(data[0], data[1]);
        data.remove(0)
    }

    /// The message as each user reads it at the other node.
    async fn read(&self, id: &str) -> Value {
        let path = format!("/messages/{id}");
        let shown = self.users[0][1].get(&path).await.expect(200);
        assert_eq!(self.users[1][0].get(&path).await.expect(200), shown);
        shown
    }
}

async fn without_body(user: &User, method: &str, path: &str) {
    user.raw(method, path, &[], "").await.expect(204);
}

#[actix_web::test]
async fn every_part_of_a_message_crosses_with_its_digest() {
    let Some(nodes) = Nodes::start(2) else { return };
    let (mut pair, first) = Pair::of(&nodes).await;
    let [ada, bob] = pair.users.clone();
    let like = format!("/messages/{first}/reactions/{LIKE}");
    without_body(&bob[1], "PUT", &like).await;
    let told = pair.told("message.updated").await;
    assert_eq!(told["reactions"], json!([{ "emoji": "👍", "count": 1, "user_ids": [bob[0].id] }]));
    assert_eq!(pair.read(&first).await, told);
    without_body(&ada[0], "PUT", &like).await;
    assert_eq!(pair.told("message.updated").await["reactions"][0]["count"], 2);
    without_body(&bob[0], "DELETE", &like).await;
    assert_eq!(pair.told("message.updated").await["reactions"][0]["user_ids"], json!([ada[0].id]));

    without_body(&bob[1], "PUT", &format!("/messages/{first}/pin")).await;
    let told = pair.told("message.updated").await;
    assert_eq!((&told["pinned"]["by"], pair.read(&first).await), (&json!(bob[0].id), told.clone()));
    let pins = ada[0].get(&format!("/conversations/{}/pins", pair.conversation)).await.expect(200);
    assert_eq!(pins, json!([told]));

    ada[1].put(&format!("/messages/{first}"), json!({ "content": "hello, @bob" })).await.expect(200);
    let told = pair.told("message.updated").await;
    assert_eq!((&told["content"], &told["mentions"]), (&json!("hello, @bob"), &json!([bob[0].id])));
    for node in &bob {
        assert_eq!(ids(&node.get("/mentions").await.expect(200)), std::slice::from_ref(&first));
        let unseen = node.get(&format!("/messages/unseen/{}", bob[0].id)).await.expect(200);
        assert_eq!(unseen["direct_messages"][0]["unseen_mentions"], 1, "{unseen}");
    }
    for node in &ada {
        let versions = node.get(&format!("/messages/{first}/edits")).await.expect(200);
        assert_eq!([&versions[0]["content"], &versions[1]["content"]], ["hello", "hello, @bob"]);
    }

    let body = json!({ "receiver_id": ada[0].id, "content": "in the thread", "thread_id": first });
    let reply = bob[1].post("/messages", body).await.expect(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(pair.told("message.created").await["thread_id"], json!(first));
    assert_eq!(pair.read(&first).await["thread"]["replies"], 1);
    for node in [&ada[0], &ada[1], &bob[0]] {
        let thread = node.get(&format!("/messages/{reply}/thread")).await.expect(200);
        assert_eq!(ids(&thread), [first.clone(), reply.clone()]);
    }
    let body = json!({ "receiver_id": bob[0].id, "forward": reply });
    ada[0].post("/messages", body).await.expect(201);
    assert_eq!(pair.told("message.created").await["forwarded"]["sender"]["id"], json!(bob[0].id));

    without_body(&ada[0], "DELETE", &format!("/messages/{first}/pin")).await;
    assert!(pair.told("message.updated").await.get("pinned").is_none());
    ada[1].delete(&format!("/messages/{first}"), json!({})).await.expect(204);
    assert_eq!(pair.told("message.deleted").await["id"], json!(first));

    // What each node gives adds up to the digest that the frames told.
    for user in [&ada[0], &ada[1], &bob[0], &bob[1]] {
        let replica = Replica::load(user, &pair.conversation).await;
        let digest = user.get(&format!("/conversations/{}/digest", pair.conversation)).await.expect(200);
        assert_eq!(digest["digest"], replica.whole());
    }
}

#[actix_web::test]
async fn what_a_node_missed_while_nats_was_away_is_whole_too() {
    let Some(mut nodes) = Nodes::start(2) else { return };
    let (mut pair, first) = Pair::of(&nodes).await;
    let [ada, bob] = pair.users.clone();
    nodes.nats.kill();
    without_body(&bob[1], "PUT", &format!("/messages/{first}/reactions/{LIKE}")).await;
    // A node that reads again what it may have missed tells of a new message as it is by then.
    let changed = ["message.updated", "message.created"];
    let told = pair.told_as(&changed).await;
    assert_eq!(told["reactions"][0]["user_ids"], json!([bob[0].id]));
    without_body(&ada[0], "PUT", &format!("/messages/{first}/pin")).await;
    assert_eq!(pair.told_as(&changed).await["pinned"]["by"], json!(ada[0].id));
    let body = json!({ "receiver_id": ada[0].id, "content": "@ada", "thread_id": first });
    bob[1].post("/messages", body).await.expect(201);
    let told = pair.told("message.created").await;
    assert_eq!((&told["thread_id"], &told["mentions"]), (&json!(first), &json!([ada[0].id])));
}

#[actix_web::test]
async fn a_thumbnail_of_one_node_is_there_at_the_other() {
    let Some(mut nodes) = Nodes::start(0) else { return };
    let files = tempfile::tempdir().unwrap();
    let place = format!("file://{}", files.path().display());
    for _ in 0..2 {
        nodes.add(&[("PARLANCE_FILES", &place)]);
    }
    let ada = nodes.user("ada").await;
    let mut picture = std::io::Cursor::new(Vec::new());
    RgbImage::new(640, 400).write_to(&mut picture, ImageFormat::Png).unwrap();
    let form = Form::new().part("file", Part::bytes(picture.into_inner()).file_name("a.png"));
    let file = ada[0].form("/upload", form).await.expect(201);
    let url = file["thumbnails"]["320"].as_str().unwrap();
    // Both make it at once, or one finds what the other made: the same bytes.
    let (here, there) = tokio::join!(ada[0].get(url), ada[1].get(url));
    assert!(here.status == 200 && here.body == there.body, "{here} {there}");
    let size = image::load_from_memory(&there.body).unwrap();
    assert_eq!((size.width(), size.height()), (320, 200));
    let eve = nodes.user("eve").await;
    for node in &eve {
        node.get(url).await.refused(404, None);
    }
}

#[actix_web::test]
async fn a_session_is_renewed_at_whichever_node_is_asked() {
    let Some(nodes) = Nodes::start(2) else { return };
    let ada = nodes.user("ada").await;
    let clients = [0, 1].map(|n| nodes.process(n));
    let (session, mut refresh) = renewal::log_in(&clients[0].client, &ada[0]).await;
    for n in 1..6 {
        let Process { client, .. } = clients[n % 2];
        let answer = renewal::renew(client, &refresh).await;
        refresh = renewal::refresh_token(&answer);
        let token = answer["token"].as_str().unwrap();
        for process in clients {
            assert_eq!(process.client.with_token(token).get("/me").await.expect(200)["id"], json!(ada[0].id));
        }
    }
    session.get("/me").await.expect(200);
}
