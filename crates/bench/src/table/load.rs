//! Connections that ask one after the other, on a thread of their own.

use crate::http::Connection;
use crate::stats::Delays;
use anyhow::{Context as _, anyhow, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What one connection asks, again and again in this order.
#[derive(Clone)]
pub struct Script {
    pub requests: Vec<Vec<u8>>,
    /// The statuses that an answer may have.
    pub statuses: &'static [u16],
    /// From the beginning of a request to that of the next, if not at once.
    pub every: Option<Duration>,
}

/// What the connections of a load have in common.
#[derive(Default)]
struct Course {
    answered: AtomicU64,
    delays: Delays,
    measured: AtomicBool,
    over: AtomicBool,
}

/// A load that is on.
pub struct Load {
    course: Arc<Course>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Load {
    /// Connects all, and begins once all are connected. One thread is enough, and costs less than several that take
    /// work from each other.
    pub fn start(address: &str, scripts: Vec<Script>) -> anyhow::Result<Self> {
        let (address, course) = (address.to_owned(), Arc::new(Course::default()));
        let shared = Arc::clone(&course);
        let (told, connected) = std::sync::mpsc::channel();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connections = Vec::with_capacity(scripts.len());
                for script in scripts {
                    connections.push((Connection::connect(&address).await?, script));
                }
                // Whoever started it waits for this, unless it has given up.
                let _ = told.send(());
                let mut asking = JoinSet::new();
                for (connection, script) in connections {
                    asking.spawn(ask(connection, script, Arc::clone(&shared)));
                }
                while let Some(asked) = asking.join_next().await {
                    asked??;
                }
                Ok(())
            })
        };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(work)?;
        if connected.recv().is_err() {
            return Err(join(thread).err().unwrap_or_else(|| anyhow!("nobody asked")));
        }
        Ok(Self { course, thread })
    }

    /// From now on delays count.
    pub fn measure(&self) {
        self.course.measured.store(true, Ordering::Relaxed);
    }

    /// How many answers came so far.
    pub fn answered(&self) -> u64 {
        self.course.answered.load(Ordering::Relaxed)
    }

    /// Ends it once each has its last answer; gives the delays.
    ///
    /// # Errors
    /// What went wrong on any connection.
    pub fn end(self) -> anyhow::Result<Delays> {
        self.course.over.store(true, Ordering::Relaxed);
        join(self.thread)?;
        Ok(Arc::into_inner(self.course).context("in use")?.delays)
    }
}

fn join(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    thread.join().map_err(|_| anyhow!("the load generator panicked"))?
}

async fn ask(mut connection: Connection, script: Script, course: Arc<Course>) -> anyhow::Result<()> {
    let mut ticks = script.every.map(tokio::time::interval);
    for request in script.requests.iter().cycle() {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        if course.over.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        let status = connection.ask(request).await?;
        ensure!(
            script.statuses.contains(&status),
            "{} was answered with {status}: {}",
            String::from_utf8_lossy(request).lines().next().unwrap_or_default(),
            String::from_utf8_lossy(connection.body())
        );
        // A refusal is no answer of the kind that was asked for.
        if status < 300 {
            course.answered.fetch_add(1, Ordering::Relaxed);
        }
        if course.measured.load(Ordering::Relaxed) {
            course.delays.add(begun.elapsed());
        }
    }
    Ok(())
}
