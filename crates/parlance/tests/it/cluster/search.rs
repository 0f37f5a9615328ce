//! A search gives the same at every node, right after the answer to a send.

use super::Nodes;
use serde_json::json;

#[actix_web::test]
async fn what_one_node_answered_every_node_finds() {
    let Some(nodes) = Nodes::start(2) else { return };
    let (ada, bob) = (nodes.user("ada").await, nodes.user("bob").await);
    for n in 0..40 {
        let body = json!({ "receiver_id": bob[0].id, "content": format!("needle {n}") });
        let sent = ada[n % 2].post("/messages", body).await.expect(201);
        for bob in &bob {
            let found = bob.get("/search?q=needle&limit=50").await.expect(200);
            assert_eq!(found.as_array().unwrap().len(), n + 1);
            assert_eq!(found[0]["message"]["id"], sent["id"]);
        }
    }
    let found = |at: usize| bob[at].get("/search?q=needle%203");
    assert_eq!(found(0).await.expect(200), found(1).await.expect(200));
}
