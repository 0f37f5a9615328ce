//! How long a server takes from its start to its first answer.

use super::figures::{Fact, median};
use super::population::{Kind, id};
use super::rows::Row;
use super::serve;
use super::stock::{Database, Stock};
use crate::http::{Connection, request};
use anyhow::ensure;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// How many starts.
const STARTS: usize = 5;

/// On a database that was closed, up to the newest page of a conversation.
pub async fn on_filled(binary: &Path, database: &Database, messages: u64, tokens: &[String]) -> anyhow::Result<Fact> {
    let path = format!("/messages?group_id={}&before=latest", id(Kind::Conversation, 0));
    let (mut health, mut page) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let begun = Instant::now();
        let server = serve(binary, database, &[]).await?;
        let mut connection = Connection::connect(server.address()).await?;
        ensure!(connection.ask(&request("GET", "/health", None, None)).await? == 200, "no health");
        health.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(connection.ask(&request("GET", &path, Some(&tokens[0]), None)).await? == 200, "no page");
        page.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(connection);
        server.terminate().await?;
    }
    let (health, page) = (median(health), median(page));
    let text = format!("{health:.0} ms to /health, {page:.0} ms to a page");
    let value = json!({ "messages": messages, "health_ms": health, "page_ms": page });
    Ok(Fact { row: Row::Start, text, value })
}

/// On a database with no tables yet.
pub async fn on_nothing(binary: &Path, stock: &Stock) -> anyhow::Result<Fact> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let database = stock.empty()?;
        let begun = Instant::now();
        let server = serve(binary, &database, &[]).await?;
        let mut connection = Connection::connect(server.address()).await?;
        ensure!(connection.ask(&request("GET", "/health", None, None)).await? == 200, "no health");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(connection);
        server.terminate().await?;
    }
    let time = median(times);
    let text = format!("{time:.0} ms to /health, all tables made on the way");
    Ok(Fact { row: Row::Start, text, value: json!({ "health_ms": time }) })
}
