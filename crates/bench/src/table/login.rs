//! What logins do to everybody else: each hashes a password, which is meant to be slow.

use super::figures::{Fact, median};
use super::load::{Load, Script};
use super::rows::Row;
use super::stock::Database;
use super::turn::WARM_UP;
use super::{Options, serve};
use crate::http::{Connection, request};
use crate::server::Server;
use anyhow::ensure;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many log in at once, and how often they do. The server takes as many as it can hash in two seconds, and tells
/// the others to come again: there is always a password being hashed.
const AT_ONCE: usize = 50;
const EVERY: Duration = Duration::from_secs(2);
/// What a server hashes with if not told otherwise.
const COST: &str = "10";
/// Who asks for `/health`, and how often each.
const PROBES: usize = 8;
const PROBED: Duration = Duration::from_millis(20);

/// Sends from 64 connections and a few requests for `/health`, with logins and without in turn.
pub async fn beside_sends(
    binary: &Path,
    database: &Database,
    tokens: &[String],
    options: &Options,
) -> anyhow::Result<Fact> {
    let server = serve(binary, database, &[("PARLANCE_BCRYPT_COST", COST)]).await?;
    let mut connection = Connection::connect(server.address()).await?;
    let body = |n| json!({ "username": format!("late{n}"), "password": "password" }).to_string();
    for n in 0..AT_ONCE {
        let status = connection.ask(&request("POST", "/signup", None, Some(&body(n)))).await?;
        // With two programs on one database of Postgres, or in a second run, they are there.
        ensure!(matches!(status, 201 | 409), "/signup: {status}");
    }
    let logins: Vec<Script> = (0..AT_ONCE)
        .map(|n| Script {
            requests: vec![request("POST", "/login", None, Some(&body(n)))],
            statuses: &[200, 503],
            every: Some(EVERY),
        })
        .collect();
    let sends = Row::Send64.scripts(0, tokens);
    let long = Duration::from_secs_f64(options.seconds);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        without.push(measure(&server, &sends, &[], long).await?);
        with.push(measure(&server, &sends, &logins, long).await?);
    }
    server.terminate().await?;
    let figure = |of: &[Measured], figure: fn(&Measured) -> f64| median(of.iter().map(figure).collect());
    let pair = |of: fn(&Measured) -> f64| (figure(&without, of), figure(&with, of));
    let (sends, health, rate) = (pair(|of| of.sends), pair(|of| of.health), pair(|of| of.rate));
    let logged_in = figure(&with, |of| of.logins);
    let text = format!(
        "p99 of sends {:.1} ms, with 50 logins at once {:.1} ms ({:.2} times); of /health {:.2} ms, with them {:.2} ms \
         ({:.2} times); sends a second {:.0}, with them {:.0}; {logged_in:.0} logins a second",
        sends.0,
        sends.1,
        sends.1 / sends.0,
        health.0,
        health.1,
        health.1 / health.0,
        rate.0,
        rate.1,
    );
    let value = json!({
        "sends_p99_ms": [sends.0, sends.1],
        "health_p99_ms": [health.0, health.1],
        "sends_a_second": [rate.0, rate.1],
        "logins_a_second": logged_in,
    });
    Ok(Fact { row: Row::Login, text, value })
}

struct Measured {
    /// 99 of a hundred took less, in milliseconds.
    sends: f64,
    health: f64,
    /// A second.
    rate: f64,
    logins: f64,
}

async fn measure(server: &Server, sends: &[Script], logins: &[Script], long: Duration) -> anyhow::Result<Measured> {
    let probe = Script { requests: vec![request("GET", "/health", None, None)], statuses: &[200], every: Some(PROBED) };
    let sends = Load::start(server.address(), sends.to_vec())?;
    let probes = Load::start(server.address(), vec![probe; PROBES])?;
    let logins = Load::start(server.address(), logins.to_vec())?;
    tokio::time::sleep(WARM_UP).await;
    let (begun, before) = (Instant::now(), (sends.answered(), logins.answered()));
    for load in [&sends, &probes] {
        load.measure();
    }
    tokio::time::sleep(long).await;
    let (after, took) = ((sends.answered(), logins.answered()), begun.elapsed().as_secs_f64());
    let (sends, health) = (sends.end()?.quantile(0.99), probes.end()?.quantile(0.99));
    logins.end()?;
    Ok(Measured { sends, health, rate: (after.0 - before.0) as f64 / took, logins: (after.1 - before.1) as f64 / took })
}
