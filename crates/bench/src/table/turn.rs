//! A turn: so many connections ask for so long, and what that cost.

use super::figures::Turn;
use super::load::{Load, Script};
use crate::cpu;
use crate::deployment::cpu_of_cluster;
use crate::server::Server;
use anyhow::ensure;
use std::time::{Duration, Instant};
use test_support::Cluster;

/// Before anything is counted: connections begin, caches fill.
pub const WARM_UP: Duration = Duration::from_millis(400);

/// What was used up to a moment.
struct Moment {
    at: Instant,
    answered: u64,
    server: Duration,
    postgres: Option<Duration>,
    generator: Duration,
    machine: Duration,
}

impl Moment {
    fn now(server: &Server, cluster: Option<&Cluster>, answered: u64) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            answered,
            server: server.cpu()?,
            postgres: cluster.map(cpu_of_cluster).transpose()?,
            generator: cpu::of_process("self")?,
            machine: cpu::of_machine()?,
        })
    }
}

/// How long a turn waits for its first answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for so long.
pub async fn turn(
    server: &Server,
    cluster: Option<&Cluster>,
    scripts: Vec<Script>,
    long: Duration,
) -> anyhow::Result<Turn> {
    let load = Load::start(server.address(), scripts)?;
    tokio::time::sleep(WARM_UP).await;
    let from = Moment::now(server, cluster, load.answered())?;
    load.measure();
    tokio::time::sleep(long).await;
    // A short turn on a busy machine may end before the first answer. It goes on until there is one.
    let patience = from.at + PATIENCE;
    while load.answered() == from.answered && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let to = Moment::now(server, cluster, load.answered())?;
    let delays = load.end()?;
    let answered = to.answered - from.answered;
    ensure!(answered > 0, "nothing was answered");
    let each = |time: Duration| time.as_secs_f64() * 1e6 / answered as f64;
    let (served, generated) = (to.server - from.server, to.generator - from.generator);
    let postgres = to.postgres.zip(from.postgres).map(|(to, from)| to - from);
    let all = to.machine - from.machine;
    let others = all.saturating_sub(served + generated + postgres.unwrap_or_default());
    Ok(Turn {
        rate: answered as f64 / (to.at - from.at).as_secs_f64(),
        p50: delays.quantile(0.5),
        p99: delays.quantile(0.99),
        server: each(served),
        postgres: postgres.map(each),
        generator: each(generated),
        others: others.as_secs_f64() / all.as_secs_f64().max(0.01),
    })
}
