//! A database, and the nodes that are started on it.

use crate::cpu;
use crate::server::Server;
use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use test_support::{Cluster, NatsServer};

/// Whoever is logged in at one node is so at all, and also after they were started anew.
pub const SECRET: &str = "the load generator's, of no use to others";

/// What messages are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database that stays, whichever nodes come and go. All of it is gone when dropped.
pub struct Deployment {
    binary: Option<PathBuf>,
    database: String,
    /// Where more than one node may run.
    nats: Option<NatsServer>,
    cluster: Option<Cluster>,
    _directory: TempDir,
}

impl Deployment {
    /// An empty database, for so many nodes at once.
    pub fn new(backend: Backend, nodes: usize, binary: Option<PathBuf>) -> anyhow::Result<Self> {
        ensure!(nodes == 1 || backend == Backend::Postgres, "several nodes need --backend postgres");
        let directory = tempfile::tempdir()?;
        let (database, cluster) = match backend {
            Backend::Sqlite => (format!("sqlite://{}", directory.path().join("parlance.db").display()), None),
            Backend::Postgres => {
                // As they are by default. It is said all the same: the figures are worth nothing without.
                let cluster = Cluster::with("fsync = on\nsynchronous_commit = on\n");
                let cluster = cluster.context("Postgres is not installed")?;
                println!("Postgres with fsync and synchronous_commit on: the nodes refuse any other");
                (cluster.url("postgres"), Some(cluster))
            }
        };
        let nats = if nodes > 1 { Some(NatsServer::start().context("there is no nats-server")?) } else { None };
        Ok(Self { binary, database, nats, cluster, _directory: directory })
    }

    /// Starts so many nodes, each in a directory of its own. One alone is not told of NATS: it would not be in earnest.
    pub async fn start(&self, nodes: usize) -> anyhow::Result<Vec<Arc<Server>>> {
        let nats = self.nats.as_ref().filter(|_| nodes > 1).map(NatsServer::url);
        let mut environment = vec![
            ("DATABASE_URL", self.database.as_str()),
            ("PARLANCE_JWT_SECRET", SECRET),
            ("PARLANCE_ALLOW_UNSAFE_DURABILITY", "off"),
        ];
        environment.extend(nats.as_deref().map(|url| ("PARLANCE_NATS_URL", url)));
        let mut started = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            started.push(Arc::new(Server::node(self.binary.as_deref(), &environment).await?));
        }
        Ok(started)
    }

    /// How long Postgres has had a core so far, with all its processes; `None` where there is none.
    pub fn cpu_of_postgres(&self) -> anyhow::Result<Option<Duration>> {
        self.cluster.as_ref().map(cpu_of_cluster).transpose()
    }
}

/// How long a Postgres has had a core so far, with all its processes.
pub fn cpu_of_cluster(cluster: &Cluster) -> anyhow::Result<Duration> {
    // The directory of its socket is that of the cluster.
    let url = cluster.url("").replace("%2F", "/");
    let directory = url.split_once('@').context("no directory")?.1;
    let file = std::fs::read_to_string(Path::new(directory).join("data/postmaster.pid"))?;
    cpu::of_family(file.lines().next().context("no id")?)
}

/// Ends them all; returns when they are gone, and nothing of theirs disturbs the next.
pub async fn stop(nodes: Vec<Arc<Server>>) -> anyhow::Result<()> {
    for node in nodes {
        Arc::into_inner(node).context("in use")?.stop().await?;
    }
    Ok(())
}
