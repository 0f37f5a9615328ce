//! Messages stored a second, by one node or several on one database.
//!
//! What is to be compared takes turns in one run, since a machine that others use is not the same a minute later.

use crate::cpu;
use crate::crowd::Crowd;
use crate::deployment::{self, Backend, Deployment};
use crate::sender::Sender;
use crate::server::Server;
use crate::socket::{Socket, field};
use crate::stats::{Delays, thousands};
use anyhow::{Context as _, ensure};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Sent before anything is measured: a node that was just started has its memories still to fill.
const WARM_UP: Duration = Duration::from_secs(1);

/// How many deliveries are timed.
const DELIVERIES: usize = 200;

/// An event that has not come by then is lost.
const LOST: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct Options {
    /// What the messages are stored in
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// How many nodes store them; several numbers take turns (`1,2`), and more than one node needs Postgres and NATS
    #[arg(long, value_delimiter = ',', default_value = "1")]
    nodes: Vec<usize>,
    /// How many connections send, in all: each node has its share of them
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How many groups are sent to
    #[arg(long, default_value_t = 200)]
    groups: usize,
    /// How many users send, each in every fifth group
    #[arg(long, default_value_t = 50)]
    users: usize,
    /// How many times each number of nodes has its turn
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// How long a turn is measured
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The server's binary
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// What all connections of a turn have in common.
#[derive(Default)]
struct Course {
    stored: AtomicU64,
    delays: Delays,
    measured: AtomicBool,
    over: AtomicBool,
}

/// What was used up to a moment.
struct Moment {
    at: Instant,
    stored: u64,
    nodes: Duration,
    postgres: Option<Duration>,
    generator: Duration,
    machine: Duration,
}

impl Moment {
    fn now(deployment: &Deployment, nodes: &[Arc<Server>], course: &Course) -> anyhow::Result<Self> {
        let of_each = nodes.iter().map(|node| node.cpu()).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            at: Instant::now(),
            stored: course.stored.load(Ordering::Relaxed),
            nodes: of_each.iter().sum(),
            postgres: deployment.cpu_of_postgres()?,
            generator: cpu::of_process("self")?,
            machine: cpu::of_machine()?,
        })
    }
}

/// Runs it and prints the figures.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let most = options.nodes.iter().copied().max().unwrap_or(0);
    ensure!(options.nodes.iter().all(|nodes| *nodes > 0), "at least one node");
    ensure!(options.connections >= most, "at least a connection for each node");
    ensure!(options.seconds > 0 && options.rounds > 0, "at least a second and a round");
    let deployment = Deployment::new(options.backend, most, options.binary.clone())?;
    let first = deployment.start(1).await?;
    let crowd = Arc::new(Crowd::gather(&first[0], options.users, options.groups).await?);
    deployment::stop(first).await?;
    println!("connections {} groups {} users {}", options.connections, options.groups, options.users);
    let mut sums = vec![0.0; options.nodes.len()];
    for round in 1..=options.rounds {
        let mut turns: Vec<_> = options.nodes.iter().copied().zip(&mut sums).collect();
        // There and back: whoever always came second would have the fuller tables.
        if round % 2 == 0 {
            turns.reverse();
        }
        for (count, sum) in turns {
            let name = format!("round {round}, {count} node{}", if count == 1 { "" } else { "s" });
            let nodes = deployment.start(count).await?;
            *sum += turn(&name, &deployment, &crowd, &nodes, &options).await.context(name)?;
            deployment::stop(nodes).await?;
        }
    }
    let rounds = options.rounds as f64;
    for (count, sum) in options.nodes.iter().zip(&sums).skip(1) {
        let (one, first) = (options.nodes[0], sums[0]);
        println!(
            "{count} against {one}: {} sends a second against {}, {:.2} times that",
            thousands(sum / rounds),
            thousands(first / rounds),
            sum / first
        );
    }
    Ok(())
}

/// A number of nodes has its turn; answers how many messages they stored a second.
async fn turn(
    name: &str,
    deployment: &Deployment,
    crowd: &Arc<Crowd>,
    nodes: &[Arc<Server>],
    options: &Options,
) -> anyhow::Result<f64> {
    let before = crowd.stored();
    let course = Arc::new(Course::default());
    let mut senders = JoinSet::new();
    for n in 0..options.connections {
        let sender = Sender::connect(nodes[n % nodes.len()].address(), crowd.user(n)).await?;
        senders.spawn(send(sender, n, Arc::clone(crowd), Arc::clone(&course)));
    }
    tokio::time::sleep(WARM_UP).await;
    let from = Moment::now(deployment, nodes, &course)?;
    course.measured.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let to = Moment::now(deployment, nodes, &course)?;
    course.over.store(true, Ordering::Relaxed);
    // Each has its last request answered: what was stored is exactly what was counted.
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    let stored = to.stored - from.stored;
    ensure!(stored > 0, "nothing was stored");
    let rate = stored as f64 / (to.at - from.at).as_secs_f64();
    let [p50, p99] = [0.5, 0.99].map(|share| course.delays.quantile(share));
    println!("{name}: {} sends a second (p50 {p50:.1} ms, p99 {p99:.1} ms)", thousands(rate));
    println!("{name}: CPU a message: {}", used(&from, &to));
    if let [sending, .., listening] = nodes {
        let delays = deliver(crowd, sending, listening).await?;
        let [p50, p99] = [0.5, 0.99].map(|share| delays.quantile(share));
        println!(
            "{name}: from request at the first node to event at the last, no load: p50 {p50:.1} ms, p99 {p99:.1} ms"
        );
    }
    crowd.check(&nodes[0]).await?;
    println!("{name}: {} answered with 201, and all there, once", thousands((crowd.stored() - before) as f64));
    Ok(rate)
}

/// Who had the cores between two moments, for each message.
fn used(from: &Moment, to: &Moment) -> String {
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (to.stored - from.stored) as f64;
    let (nodes, generator) = (to.nodes - from.nodes, to.generator - from.generator);
    let postgres = to.postgres.zip(from.postgres).map(|(to, from)| to - from);
    let (all, machine) = (nodes + generator + postgres.unwrap_or_default(), to.machine - from.machine);
    let of_postgres = postgres.map(|time| format!("Postgres {:.0} us, ", each(time))).unwrap_or_default();
    // NATS and the disk, and whoever else is at work: where that is much, the figures are of little worth.
    let others = machine.saturating_sub(all).as_secs_f64() / machine.as_secs_f64() * 100.0;
    format!(
        "the nodes {:.0} us, {of_postgres}the load generator {:.0} us, in all {:.0} us; others had {others:.0} % of the work",
        each(nodes),
        each(generator),
        each(all)
    )
}

/// Sends one message after the other until it is over.
async fn send(mut sender: Sender, connection: usize, crowd: Arc<Crowd>, course: Arc<Course>) -> anyhow::Result<()> {
    let mut messages = 0;
    while !course.over.load(Ordering::Relaxed) {
        let (group, begun) = (crowd.group(connection, messages), Instant::now());
        sender.send(&group.id, "As long as what people write to each other, more or less.").await?;
        group.count();
        course.stored.fetch_add(1, Ordering::Relaxed);
        if course.measured.load(Ordering::Relaxed) {
            course.delays.add(begun.elapsed());
        }
        messages += 1;
    }
    Ok(())
}

/// How long a message takes to a member at another node, when there is nothing else to do.
async fn deliver(crowd: &Crowd, sending: &Server, listening: &Server) -> anyhow::Result<Delays> {
    let (group, from, to) = crowd.pair();
    let mut sender = Sender::connect(sending.address(), from).await?;
    let mut socket = Socket::connect(listening.address(), "/ws", Some(&to.token)).await?;
    ensure!(field(socket.text().await?, "event")? == "hello", "no hello");
    let delays = Delays::default();
    // The first is not counted: nodes have yet to learn who is where.
    for n in 0..=DELIVERIES {
        let (content, begun) = (format!("delivery {n}"), Instant::now());
        let sent = async {
            sender.send(&group.id, &content).await?;
            group.count();
            anyhow::Ok(())
        };
        let arrived = async {
            let arrived = tokio::time::timeout(LOST, arrival(&mut socket, &content)).await;
            arrived.with_context(|| format!("{content} has not come"))?
        };
        let ((), delay) = futures_util::future::try_join(sent, arrived).await.map(|(sent, at)| (sent, at - begun))?;
        if n > 0 {
            delays.add(delay);
        }
    }
    Ok(delays)
}

/// When a message with this content comes.
async fn arrival(socket: &mut Socket, content: &str) -> anyhow::Result<Instant> {
    loop {
        let frame = socket.text().await?;
        if field(frame, "event")? == "message.created" && field(frame, "content")? == content {
            return Ok(Instant::now());
        }
    }
}
