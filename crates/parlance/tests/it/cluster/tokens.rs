//! A token that one node ends is good for nothing at the others.

use super::Nodes;
use crate::live::client::{Socket, soon};
use crate::tokens::token;
use serde_json::json;

#[actix_web::test]
async fn a_token_ends_at_every_node() {
    let Some(nodes) = Nodes::start(2) else { return };
    nodes.all_connected().await;
    let ada = nodes.user("ada").await;
    let (program, made) = token(&ada[0], json!({ "name": "x" })).await;
    let there = program.at(&nodes.process(1).client);
    let mut socket = Socket::open(&there).await;
    there.get("/me").await.expect(200);
    ada[0].delete(&format!("/tokens/{}", made["id"].as_str().unwrap()), json!({})).await.expect(204);
    assert_eq!(socket.drained().await, 4401);
    there.get("/me").await.refused(401, None);
    program.get("/me").await.refused(401, None);

    // By the password, too; without NATS the node finds out by itself.
    let (program, _) = token(&ada[1], json!({ "name": "y" })).await;
    let here = program.at(&nodes.process(0).client);
    let mut socket = Socket::open(&here).await;
    let change = json!({ "password": "another password", "current_password": "12345678" });
    ada[1].patch("/me", change).await.expect(200);
    assert_eq!(socket.drained().await, 4401);
    soon("the end of the token", async { while here.get("/me").await.status != 401 {} }).await;
}
