//! Deliveries a second into one group.

use crate::server::{Server, User, descriptor_limit};
use crate::socket::{Socket, field};
use crate::stats::Delays;
use anyhow::ensure;
use clap::Args;
use reqwest::Client;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[derive(Args)]
pub struct Options {
    /// How many sockets, each of a user of its own in the one group
    #[arg(long, default_value_t = 1000)]
    sockets: usize,
    /// How many send
    #[arg(long, default_value_t = 8)]
    senders: usize,
    /// How many messages in all
    #[arg(long, default_value_t = 1000)]
    messages: usize,
    /// Messages a second (open loop); without it each sender sends the next when the last was delivered to all (closed
    /// loop)
    #[arg(long)]
    rate: Option<f64>,
    /// How many messages may be on their way in the closed loop
    #[arg(long, default_value_t = 32)]
    window: usize,
    /// The server's binary
    #[arg(long)]
    binary: Option<PathBuf>,
}

struct Course {
    begun: Instant,
    delivered: AtomicU64,
    delays: Delays,
    /// Closed loop: one permit a message on its way.
    window: Semaphore,
    /// How many sockets have had the newest messages; a message is through when it has come to all.
    arrived: Vec<AtomicU64>,
}

/// Runs it and prints the figures.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let server = Arc::new(Server::parlance(options.binary.as_deref()).await?);
    let http = Client::new();
    let users = server.users(&http, options.sockets.max(options.senders)).await?;
    let group = server.group(&http, "all", &users).await?;
    let sockets = connect(&server, &users[..options.sockets]).await?;
    let course = Arc::new(Course {
        begun: Instant::now(),
        delivered: AtomicU64::new(0),
        delays: Delays::default(),
        window: Semaphore::new(options.window),
        arrived: (0..=options.messages).map(|_| AtomicU64::new(0)).collect(),
    });
    let mut listeners = JoinSet::new();
    for socket in sockets {
        listeners.spawn(listen(socket, Arc::clone(&course), options.messages, options.sockets as u64));
    }
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for (n, user) in users.iter().enumerate().take(options.senders) {
        let share = options.messages / options.senders + usize::from(n < options.messages % options.senders);
        let every = options.rate.map(|rate| Duration::from_secs_f64(options.senders as f64 / rate));
        let send =
            send(Arc::clone(&server), http.clone(), user.clone(), group.clone(), Arc::clone(&course), share, every);
        senders.spawn(send);
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let sent = begun.elapsed();
    while let Some(listened) = listeners.join_next().await {
        listened??;
    }
    let took = begun.elapsed();
    let delivered = course.delivered.load(Ordering::Relaxed);
    ensure!(delivered == (options.sockets * options.messages) as u64, "{delivered} deliveries");
    println!("sockets {} senders {} descriptors {}", options.sockets, options.senders, descriptor_limit());
    println!(
        "messages {} sent in {:.2} s, all delivered in {:.2} s",
        options.messages,
        sent.as_secs_f64(),
        took.as_secs_f64()
    );
    println!("deliveries {delivered}: {:.0}/s, each once and in order", delivered as f64 / took.as_secs_f64());
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| course.delays.quantile(share));
    println!("from request to delivery: p50 {p50:.1} ms, p99 {p99:.1} ms, most {most:.1} ms");
    println!("server memory {:.1} MiB", server.memory()? as f64 / 1024.0 / 1024.0);
    Ok(())
}

/// A socket for each user, past its hello.
pub async fn connect(server: &Arc<Server>, users: &[User]) -> anyhow::Result<Vec<Socket>> {
    let (mut tasks, mut sockets) = (JoinSet::new(), Vec::with_capacity(users.len()));
    for user in users {
        if tasks.len() >= 64 {
            sockets.extend(tasks.join_next().await.transpose()?.transpose()?);
        }
        let (server, token) = (Arc::clone(server), user.token.clone());
        tasks.spawn(async move {
            let mut socket = Socket::connect(server.address(), "/ws", Some(&token)).await?;
            ensure!(field(socket.text().await?, "event")? == "hello", "no hello");
            Ok(socket)
        });
    }
    while let Some(socket) = tasks.join_next().await {
        sockets.push(socket??);
    }
    Ok(sockets)
}

async fn listen(mut socket: Socket, course: Arc<Course>, messages: usize, sockets: u64) -> anyhow::Result<()> {
    let mut last = 0;
    while last < messages {
        let frame = socket.text().await?;
        if field(frame, "event")? != "message.created" {
            continue;
        }
        let update: usize = field(frame, "update")?.parse()?;
        ensure!(update == last + 1, "{update} after {last}");
        last = update;
        let sent = Duration::from_micros(field(frame, "content")?.parse()?);
        course.delays.add(course.begun.elapsed().saturating_sub(sent));
        course.delivered.fetch_add(1, Ordering::Relaxed);
        if course.arrived[update].fetch_add(1, Ordering::Relaxed) + 1 == sockets {
            course.window.add_permits(1);
        }
    }
    Ok(())
}

async fn send(
    server: Arc<Server>,
    http: Client,
    user: User,
    group: String,
    course: Arc<Course>,
    messages: usize,
    every: Option<Duration>,
) -> anyhow::Result<()> {
    let mut ticks = every.map(tokio::time::interval);
    for _ in 0..messages {
        match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => course.window.acquire().await?.forget(),
        }
        let micros = course.begun.elapsed().as_micros();
        let body = json!({ "group_id": group, "content": micros.to_string() });
        server.post(&http, Some(&user.token), "/messages", &body).await?;
    }
    Ok(())
}
