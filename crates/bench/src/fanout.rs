//! Deliveries a second into one group.

use crate::cpu;
use crate::sender::Sender;
use crate::server::{Server, User, descriptor_limit};
use crate::socket::{Socket, field};
use crate::stats::Delays;
use anyhow::{Context as _, ensure};
use clap::Args;
use reqwest::Client;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A server that has a core for less than a twentieth of this has nothing to do.
const A_WHILE: Duration = Duration::from_millis(500);

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

/// What is sent, and how fast.
#[derive(Clone, Copy)]
pub struct Pace {
    pub senders: usize,
    pub messages: usize,
    pub rate: Option<f64>,
    pub window: usize,
}

/// What came of it.
pub struct Figures {
    /// Until the last message was stored, and until it was delivered.
    pub sent: Duration,
    pub took: Duration,
    pub deliveries: u64,
    pub delays: Delays,
    /// What the server and this program used meanwhile.
    pub server: Duration,
    pub generator: Duration,
}

/// Runs it and prints the figures.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let server = Arc::new(Server::parlance(options.binary.as_deref()).await?);
    let http = Client::new();
    let users = server.users(&http, options.sockets.max(options.senders)).await?;
    let group = server.group(&http, "all", &users).await?;
    let Options { senders, messages, rate, window, .. } = options;
    let figures = measure(&server, &users, &group, options.sockets, Pace { senders, messages, rate, window }).await?;
    println!("sockets {} senders {} descriptors {}", options.sockets, options.senders, descriptor_limit());
    println!(
        "messages {} sent in {:.2} s, all delivered in {:.2} s",
        options.messages,
        figures.sent.as_secs_f64(),
        figures.took.as_secs_f64()
    );
    let deliveries = figures.deliveries;
    println!(
        "deliveries {deliveries}: {:.0}/s, each once and in order",
        deliveries as f64 / figures.took.as_secs_f64()
    );
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| figures.delays.quantile(share));
    println!("from request to delivery: p50 {p50:.1} ms, p99 {p99:.1} ms, most {most:.1} ms");
    let each = |time: Duration| time.as_secs_f64() * 1e6 / deliveries as f64;
    println!("CPU a delivery: server {:.2} us, this {:.2} us", each(figures.server), each(figures.generator));
    println!("server memory {:.1} MiB", server.memory()? as f64 / 1024.0 / 1024.0);
    Ok(())
}

/// Sends into a group in which nothing was said yet, with a socket for each of the first users.
pub async fn measure(
    server: &Arc<Server>,
    users: &[User],
    group: &str,
    sockets: usize,
    pace: Pace,
) -> anyhow::Result<Figures> {
    let connected = connect(server, &users[..sockets]).await?;
    let course = Arc::new(Course {
        begun: Instant::now(),
        delivered: AtomicU64::new(0),
        delays: Delays::default(),
        window: Semaphore::new(pace.window),
        arrived: (0..=pace.messages).map(|_| AtomicU64::new(0)).collect(),
    });
    let mut listeners = JoinSet::new();
    for socket in connected {
        listeners.spawn(listen(socket, Arc::clone(&course), pace.messages, sockets as u64));
    }
    calm(server).await?;
    let (begun, from) = (Instant::now(), (server.cpu()?, cpu::of_process("self")?));
    let mut senders = JoinSet::new();
    for (n, user) in users.iter().enumerate().take(pace.senders) {
        let share = pace.messages / pace.senders + usize::from(n < pace.messages % pace.senders);
        // One after the other, at even distances.
        let every = pace.rate.map(|rate| {
            let first = tokio::time::Instant::now() + Duration::from_secs_f64(n as f64 / rate);
            tokio::time::interval_at(first, Duration::from_secs_f64(pace.senders as f64 / rate))
        });
        let sender = Sender::connect(server.address(), user).await?;
        senders.spawn(send(sender, group.to_owned(), Arc::clone(&course), share, every));
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let sent = begun.elapsed();
    while let Some(listened) = listeners.join_next().await {
        listened??;
    }
    let (took, to) = (begun.elapsed(), (server.cpu()?, cpu::of_process("self")?));
    let Course { delivered, delays, .. } = Arc::into_inner(course).context("in use")?;
    let deliveries = delivered.into_inner();
    ensure!(deliveries == (sockets * pace.messages) as u64, "{deliveries} deliveries");
    Ok(Figures { sent, took, deliveries, delays, server: to.0 - from.0, generator: to.1 - from.1 })
}

/// Waits until a server has told everybody who has come.
async fn calm(server: &Server) -> anyhow::Result<()> {
    let mut before = server.cpu()?;
    loop {
        tokio::time::sleep(A_WHILE).await;
        let now = server.cpu()?;
        if now - before < A_WHILE / 20 {
            return Ok(());
        }
        before = now;
    }
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
    mut sender: Sender,
    group: String,
    course: Arc<Course>,
    messages: usize,
    mut ticks: Option<tokio::time::Interval>,
) -> anyhow::Result<()> {
    for _ in 0..messages {
        match &mut ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => course.window.acquire().await?.forget(),
        }
        let micros = course.begun.elapsed().as_micros();
        sender.send(&group, &micros.to_string()).await?;
    }
    Ok(())
}
