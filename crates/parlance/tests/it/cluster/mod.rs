//! Several server processes over one Postgres, with NATS between them.

mod database;
mod events;
mod failures;
mod load;
mod parts;
mod search;
mod start;
mod tokens;

use crate::harness::{Process, SECRET, User};
use crate::live::client::soon;
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;
use test_support::{NatsServer, TestDb};

/// Nodes of one deployment.
struct Nodes {
    nodes: Vec<Option<(Process, TempDir)>>,
    nats: NatsServer,
    database: TestDb,
}

impl Nodes {
    /// `None` where there is no Postgres or no NATS.
    fn start(count: usize) -> Option<Self> {
        let (database, nats) = (TestDb::postgres()?, NatsServer::start()?);
        let mut nodes = Self { nodes: Vec::new(), nats, database };
        for _ in 0..count {
            nodes.add(&[]);
        }
        Some(nodes)
    }

    /// One more node, with these settings besides those of all.
    fn add(&mut self, settings: &[(&str, &str)]) {
        let directory = tempfile::tempdir().unwrap();
        let nats = self.nats.url();
        let mut environment = vec![
            ("DATABASE_URL", self.database.url()),
            ("PARLANCE_NATS_URL", &nats),
            ("PARLANCE_JWT_SECRET", SECRET),
            ("PARLANCE_RATE_LIMITS", "off"),
        ];
        environment.extend(settings);
        self.nodes.push(Some((Process::start(directory.path(), &["serve"], &environment), directory)));
    }

    /// Waits until all nodes are connected to NATS.
    async fn all_connected(&self) {
        for n in 0..self.nodes.len() {
            soon("NATS", async {
                // Polls, because a node announces this to no one.
                while !self.metrics(n).await.contains("parlance_nodes_connected 1") {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
            .await;
        }
    }

    /// What the node says of itself.
    async fn metrics(&self, n: usize) -> String {
        String::from_utf8(self.process(n).client.get("/metrics").await.body).unwrap()
    }

    fn process(&self, n: usize) -> &Process {
        &self.nodes[n % self.nodes.len()].as_ref().unwrap().0
    }

    /// As `kill -9` does.
    fn kill(&mut self, n: usize) {
        self.nodes[n] = None;
    }

    /// Signs up and logs in a user, and returns the user's client at every node.
    async fn user(&self, name: &str) -> Vec<User> {
        let account = json!({ "username": name, "password": "12345678" });
        let client = &self.process(0).client;
        client.post("/signup", account.clone()).await.expect(201);
        let user = User::new(client, &client.post("/login", account).await.expect(200), "12345678");
        (0..self.nodes.len()).map(|n| user.at(&self.process(n).client)).collect()
    }
}
