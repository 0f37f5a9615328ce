//! How long searches take while others send.

use super::Options;
use super::figures::{Fact, median};
use super::load::{Load, Script};
use super::population::{NOWHERE, TENTH};
use super::rows::{Row, searching};
use super::turn::WARM_UP;
use crate::http::Connection;
use crate::server::Server;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Who sends, and how often each: 500 messages a second.
const SENDERS: usize = 50;
const SENT: Duration = Duration::from_millis(100);
/// Who searches, and how often each: 80 searches a second.
const SEARCHERS: u64 = 8;
const SEARCHED: Duration = Duration::from_millis(100);
/// How long an index of any size may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Waits until the server has an index.
pub async fn until_indexed(server: &Server, tokens: &[String]) -> anyhow::Result<()> {
    let script = searching(NOWHERE, 0, tokens);
    let request = script.requests.first().context("nothing to ask")?;
    let (mut connection, begun) = (Connection::connect(server.address()).await?, Instant::now());
    loop {
        match connection.ask(request).await? {
            200 => break,
            503 => ensure!(begun.elapsed() < PATIENCE, "no index after {PATIENCE:?}"),
            status => anyhow::bail!("/search: {status}"),
        }
        // Polls, because the server tells nobody that its index is whole.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eprintln!("the index was there after {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Searches for a word in every tenth message, and for one in none, while 500 messages a second are sent.
pub async fn beside_sends(server: &Server, tokens: &[String], options: &Options) -> anyhow::Result<Fact> {
    let long = Duration::from_secs_f64(options.seconds);
    let mut turns: [Vec<[f64; 2]>; 2] = Default::default();
    for _ in 0..options.rounds {
        for (word, turns) in [TENTH, NOWHERE].into_iter().zip(&mut turns) {
            turns.push(measure(server, word, tokens, long).await?);
        }
    }
    let [tenth, nowhere] = turns.map(|turns| [0, 1].map(|n| median(turns.iter().map(|turn| turn[n]).collect())));
    let text = format!(
        "80 searches a second beside 500 sends a second: a word in every tenth message p50 {:.1} ms, p99 {:.1} ms; in \
         none p50 {:.1} ms, p99 {:.1} ms",
        tenth[0], tenth[1], nowhere[0], nowhere[1],
    );
    let value: Value = json!({ "tenth_ms": tenth, "nowhere_ms": nowhere });
    Ok(Fact { row: Row::Searching, text, value })
}

/// The median and the 99th of a hundred, in milliseconds.
async fn measure(server: &Server, word: &str, tokens: &[String], long: Duration) -> anyhow::Result<[f64; 2]> {
    let paced = |script: Script, every| Script { every: Some(every), ..script };
    let sends = Row::Send64.scripts(0, tokens).into_iter().take(SENDERS).map(|script| paced(script, SENT));
    let searches = (0..SEARCHERS).map(|n| paced(searching(word, n, tokens), SEARCHED));
    let sends = Load::start(server.address(), sends.collect())?;
    let searches = Load::start(server.address(), searches.collect())?;
    tokio::time::sleep(WARM_UP).await;
    searches.measure();
    tokio::time::sleep(long).await;
    let delays = searches.end()?;
    sends.end()?;
    Ok([delays.quantile(0.5), delays.quantile(0.99)])
}
