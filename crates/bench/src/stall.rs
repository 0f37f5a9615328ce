//! A reader that stops reading.

use crate::fanout;
use crate::server::Server;
use crate::socket::{Received, Socket, field};
use crate::stats::Delays;
use anyhow::{Context as _, ensure};
use clap::Args;
use reqwest::Client;
use serde_json::json;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How long the server waits before it tells others that somebody went.
const ABSENCE: Duration = Duration::from_secs(3);

#[derive(Args)]
pub struct Options {
    /// How many others listen
    #[arg(long, default_value_t = 200)]
    sockets: usize,
    /// Messages a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// The server's binary
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Reads until told that it is all, resuming when it is cut off.
#[derive(Args)]
pub struct Reader {
    #[arg(long)]
    address: String,
    #[arg(long)]
    token: String,
}

impl Reader {
    /// Prints `ready`, and at the end how far it came and how often it was cut.
    pub async fn run(self) -> anyhow::Result<()> {
        let (mut last, mut cuts, mut cursor) = (0, 0, None::<String>);
        loop {
            let path = cursor.as_ref().map_or("/ws".to_owned(), |cursor| format!("/ws?since={cursor}"));
            let mut socket = Socket::connect(&self.address, &path, Some(&self.token)).await?;
            loop {
                // Closed with a code or without: both are ends.
                let Ok(Received::Text(frame)) = socket.next().await else { break };
                cursor = Some(field(frame, "cursor")?.to_owned());
                match field(frame, "event")? {
                    "hello" if cuts == 0 => println!("ready"),
                    "message.created" => {
                        let update: u64 = field(frame, "update")?.parse()?;
                        ensure!(update <= last + 1, "{update} after {last}");
                        last = last.max(update);
                        if field(frame, "content")? == "end" {
                            println!("end {last} {cuts}");
                            return Ok(());
                        }
                    }
                    _ => {}
                }
            }
            cuts += 1;
        }
    }
}

fn signal(id: u32, name: &str) -> anyhow::Result<()> {
    let sent = std::process::Command::new("kill").args([format!("-{name}"), id.to_string()]).status()?;
    ensure!(sent.success(), "kill failed");
    Ok(())
}

/// Runs it and prints the figures.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let server = Arc::new(Server::parlance(options.binary.as_deref()).await?);
    let http = Client::new();
    let users = server.users(&http, options.sockets + 1).await?;
    let group = server.group(&http, "all", &users).await?;
    let (stalled, others) = users.split_last().context("nobody")?;
    let mut reader = Command::new(std::env::current_exe()?);
    reader.args(["read", "--address", server.address(), "--token", &stalled.token]);
    let mut reader = reader.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let stdout = reader.stdout.take().context("no output")?;
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(stdout));
    ensure!(lines.next_line().await?.as_deref() == Some("ready"), "the reader is not ready");

    let sockets = fanout::connect(&server, others).await?;
    let (begun, delays) = (Instant::now(), Arc::new(Delays::default()));
    let (gone, done, delivered) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut listeners = tokio::task::JoinSet::new();
    for mut socket in sockets {
        let (delays, gone, delivered, user) = (delays.clone(), gone.clone(), delivered.clone(), stalled.id.clone());
        listeners.spawn(async move {
            loop {
                let frame = socket.text().await?;
                match field(frame, "event")? {
                    "presence" if field(frame, "user_id")? == user && field(frame, "online")? == "false" => {
                        let millis = u64::try_from(begun.elapsed().as_millis())?;
                        let _ = gone.compare_exchange(0, millis, Ordering::Relaxed, Ordering::Relaxed);
                    }
                    "message.created" => {
                        delivered.fetch_add(1, Ordering::Relaxed);
                        match field(frame, "content")?.parse() {
                            Ok(sent) => delays.add(begun.elapsed().saturating_sub(Duration::from_micros(sent))),
                            Err(_) => return anyhow::Ok(()),
                        }
                    }
                    _ => {}
                }
            }
        });
    }
    let id = reader.id().context("the reader ended")?;
    signal(id, "STOP")?;
    let stopped = begun.elapsed();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / options.rate));
    let mut sent = 0_u64;
    while gone.load(Ordering::Relaxed) == 0 && begun.elapsed() < Duration::from_secs(60) {
        ticks.tick().await;
        let body = json!({ "group_id": group, "content": begun.elapsed().as_micros().to_string() });
        server.post(&http, Some(&others[0].token), "/messages", &body).await?;
        sent += 1;
    }
    done.store(true, Ordering::Relaxed);
    let cut = Duration::from_millis(gone.load(Ordering::Relaxed)).saturating_sub(stopped).saturating_sub(ABSENCE);
    signal(id, "CONT")?;
    let body = json!({ "group_id": group, "content": "end" });
    server.post(&http, Some(&others[0].token), "/messages", &body).await?;
    sent += 1;
    while let Some(listened) = listeners.join_next().await {
        listened??;
    }
    let end = lines.next_line().await?.context("the reader failed")?;
    ensure!(end.starts_with(&format!("end {sent} ")), "the stopped reader ended with: {end}; sent {sent}");
    println!(
        "stopped reader: cut after about {:.1} s (others were told {ABSENCE:?} later), then caught up: {end}",
        cut.as_secs_f64()
    );
    let [p50, p99] = [0.5, 0.99].map(|share| delays.quantile(share));
    println!(
        "{} others meanwhile: {} deliveries, p50 {p50:.1} ms, p99 {p99:.1} ms",
        others.len(),
        delivered.load(Ordering::Relaxed)
    );
    ensure!(cut <= Duration::from_secs(15), "that is too late");
    Ok(())
}
