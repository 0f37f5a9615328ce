//! Memory per idle socket, beside a bare actix-ws server's in the same run.

use crate::fanout;
use crate::server::{Server, descriptor_limit};
use crate::socket::Socket;
use anyhow::Context as _;
use clap::Args;
use reqwest::Client;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// How many sockets
    #[arg(long, default_value_t = 5000)]
    sockets: usize,
    /// The server's binary
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Runs it and prints the figures.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let echo = Arc::new(Server::echo().await?);
    // What is needed once, whatever the number of sockets, is there before it is weighed.
    drop(bare(&echo, 100).await?);
    let before = echo.memory()?;
    let sockets = bare(&echo, options.sockets).await?;
    let bare_each = settled(&echo, before, options.sockets).await?;
    drop(sockets);
    drop(echo);

    let server = Arc::new(Server::parlance(options.binary.as_deref()).await?);
    let http = Client::new();
    let users = server.users(&http, options.sockets).await?;
    // What signing them up left behind would be used again, and make the sockets look smaller.
    let server = Arc::into_inner(server).context("in use")?.restarted(options.binary.as_deref()).await?;
    let server = Arc::new(server);
    // In no group: nobody is told of the others' coming. A group costs each socket a place in its list.
    drop(fanout::connect(&server, &users[..options.sockets.min(100)]).await?);
    let before = server.memory()?;
    let sockets = fanout::connect(&server, &users).await?;
    let each = settled(&server, before, options.sockets).await?;
    println!("sockets {} descriptors {}", options.sockets, descriptor_limit());
    println!("bare actix-ws echo: {:.1} KiB a socket", bare_each / 1024.0);
    println!("parlance: {:.1} KiB a socket, {:.2} times that", each / 1024.0, each / bare_each);
    drop(sockets);
    Ok(())
}

async fn bare(echo: &Server, count: usize) -> anyhow::Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        sockets.push(Socket::connect(echo.address(), "/ws", None).await?);
    }
    Ok(sockets)
}

/// Memory a socket once it does not change any more.
pub async fn settled(server: &Server, before: u64, sockets: usize) -> anyhow::Result<f64> {
    let mut last = server.memory()?;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = server.memory()?;
        if now.abs_diff(last) < 64 * 1024 {
            return Ok(now.saturating_sub(before) as f64 / sockets as f64);
        }
        last = now;
    }
}
