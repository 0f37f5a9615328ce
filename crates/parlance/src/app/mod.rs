//! The composition root: only this module connects adapters.

pub mod descriptors;
mod endings;
mod following;
mod offline;
mod operations;
pub mod upkeep;

pub use offline::Offline;

use crate::backup;
use crate::clock::{SystemClock, UuidV7};
use crate::config::{Config, Secret, Uploads};
use crate::storage::{die, open_blobs, store_options};
use crate::telemetry::Telemetry;
use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use anyhow::Context as _;
use api_actix::Readiness;
use api_actix::features::Features;
use api_actix::live::frames::JsonFramer;
use api_actix::server::{self, Services};
use api_actix::use_cases::{Adapters, UseCases};
use descriptors::Room;
use domain::endings::EndingService;
use domain::events::EventPublisher;
use domain::live::LiveReader as _;
use domain::retention::EnforceRetention;
use domain::sessions::ForgetSessions;
use domain::upkeep::KeepUp;
use domain::users::ServerPolicy;
use domain::{Clock, UserId};
use infra_auth::{BcryptPool, JwtTokens};
use infra_diesel::{SearchIndexer, Store};
use infra_files::Blobs;
use infra_images::Workshop;
use infra_live::{Cluster, Hub, UnstartedNode};
use operations::ProcessOperations;
use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tracing::{error, info, warn};

/// How long a stopping server still accepts connections while requests are running, so that readiness probes see that
/// it is not ready. Together with [`Deadlines::drain`](api_actix::server::Deadlines::drain), [`CLOSE_DEADLINE`], a
/// second for the other nodes and one for the log, it stays below the promised ten seconds.
const NOTICE: Duration = Duration::from_secs(2);
/// How long the store may take to write what it has accepted.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Settings that tests override; operators have no keys for them.
pub struct Overrides {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How often the server looks for expired or unused data.
    pub upkeep_every: Duration,
}

impl Default for Overrides {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), upkeep_every: upkeep::EVERY }
    }
}

/// The whole server, bound to its port.
pub struct Application {
    server: Server,
    address: SocketAddr,
    store: Arc<Store>,
    hub: Arc<Hub>,
    cluster: Option<Arc<Cluster>>,
    readiness: web::Data<Readiness>,
    upkeep: (KeepUp, Duration),
    endings: EndingService,
    index: Option<Arc<SearchIndexer>>,
    clock: Arc<dyn Clock>,
}

impl Application {
    /// Opens the database (creates and migrates it if needed), binds the port, and composes everything. It serves only
    /// once [`Self::run`] is called. It needs a running actix system.
    ///
    /// # Errors
    /// A message for the operator about the part of the configuration that does not work.
    pub async fn build(mut config: Config, overrides: Overrides) -> anyhow::Result<Self> {
        let Overrides { clock, upkeep_every } = overrides;
        if let Some(room) = descriptors::fit(&mut config) {
            let Room { files, connections } = room;
            warn!(
                files,
                connections,
                "the server accepts fewer connections than PARLANCE_MAX_CONNECTIONS: raise the limit of open files (ulimit -n, LimitNOFILE)"
            );
        }
        // The recorder comes first, because counters use the recorder that is installed when they are created.
        let telemetry = Telemetry::start()?;
        backup::refuse_half_restored(&config)?;
        config.make_data_dir()?;
        let hub = Arc::new(Hub::new(Arc::new(JsonFramer::at(config.http.public_url.clone())), config.live));
        let (cluster, unstarted) = config.nats.clone().map(|nats| Cluster::new(Arc::clone(&hub), nats)).unzip();
        let events: Arc<dyn EventPublisher> = match &cluster {
            Some(cluster) => Arc::clone(cluster) as _,
            None => Arc::clone(&hub) as _,
        };
        let storage = Storage::open(&config, events).await?;
        let store = Arc::clone(&storage.store);
        warn_of_missing_admins(&store, &config.policy).await;
        go_live(&store, &hub, unstarted).await?;
        let index = following::start_index(&store).await;
        let upkeep = (upkeep_of(&config, &storage, &clock, upkeep_every), upkeep_every);
        let endings = EndingService { endings: store.clone(), clock: clock.clone() };
        let (server, address, readiness) = serve(config, storage, telemetry, &hub, clock.clone())?;
        Ok(Self { server, address, store, hub, cluster, readiness, upkeep, endings, index, clock })
    }

    /// The bound address.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A handle that stops the server; `stop(true)` lets it finish running requests.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Prints its address and serves until SIGTERM or Ctrl-C. Then it finishes running requests, and ends within ten
    /// seconds of the signal.
    ///
    /// # Errors
    /// An error if the program cannot wait for signals, or if the server fails.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        let Self { mut server, address, store, hub, cluster, readiness, upkeep, endings, index, clock } = self;
        let (keeping, every) = upkeep;
        // A reader of the line may send a signal at once.
        let stop = stop_signal()?;
        let mut stdout = std::io::stdout();
        // The server runs even if nothing reads its standard output.
        let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
        let upkeep = actix_web::rt::spawn(upkeep::keep_up(keeping, every));
        let endings = actix_web::rt::spawn(endings::keep_finishing(endings));
        let leader = domain::IdGenerator::next(&UuidV7);
        let indexing = actix_web::rt::spawn(following::keep_indexing(store.clone(), index, clock, leader));
        let handle = server.handle();
        let served = tokio::select! {
            served = &mut server => served,
            () = stop => {
                info!("stopping");
                hub.stop();
                let told = tokio::time::timeout(NOTICE, readiness.drain());
                tokio::select! {
                    served = &mut server => served,
                    // The server waits for longer requests without accepting new ones.
                    _ = told => futures_util::join!(handle.stop(true), server).1,
                }
            }
        };
        endings.abort();
        indexing.abort();
        // Each step is complete or undone; the next start continues.
        upkeep.abort();
        if tokio::time::timeout(CLOSE_DEADLINE, store.close()).await.is_err() {
            error!("the database did not close in time");
        }
        if let Some(cluster) = cluster {
            cluster.close().await;
        }
        served.context("the server failed")
    }
}

/// The opened database and store of uploads.
struct Storage {
    store: Arc<Store>,
    blobs: Arc<Blobs>,
    secret: Secret,
}

impl Storage {
    /// Opens the database, then finds the secret and the store of uploads.
    async fn open(config: &Config, events: Arc<dyn EventPublisher>) -> anyhow::Result<Self> {
        let options = store_options(config, events, None);
        let store =
            Store::open(&config.database_url, options).await.context("the database cannot be opened (DATABASE_URL)")?;
        // The store's lock prevents a second server from creating another secret.
        let secret = config.jwt_secret.clone().map_or_else(|| Secret::kept_in(&config.data_dir), Ok)?;
        let blobs = open_blobs(config).await?;
        let others = config.database_folder().map(Path::to_owned).into_iter().collect();
        let blobs = blobs.leaving(config.disk_reserve, others);
        let blobs = Arc::new(if config.strip_metadata { blobs.stripping() } else { blobs });
        Ok(Self { store: Arc::new(store), blobs, secret })
    }
}

/// The optional features that the server has.
fn features(config: &Config) -> Features {
    Features {
        search: true,
        push: false,
        embed: false,
        edit_history: config.policy.edit_history.keeps_versions(),
        thumbnails: true,
    }
}

/// The local disks that the server writes to.
fn disks(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let database = config.database_folder().map(|folder| ("database", folder.to_owned()));
    let uploads = match &config.uploads {
        Uploads::Directory(directory) => Some(("uploads", directory.clone())),
        Uploads::Bucket(_) => None,
    };
    database.into_iter().chain(uploads).collect()
}

/// The server over the opened storage, bound to its port.
fn serve(
    config: Config,
    Storage { store, blobs, secret }: Storage,
    telemetry: Telemetry,
    hub: &Arc<Hub>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Server, SocketAddr, web::Data<Readiness>)> {
    let (disks, features) = (disks(&config), features(&config));
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let hasher = Arc::new(BcryptPool::start(config.bcrypt_cost, cores)?);
    let adapters = Adapters::from_store(
        &store,
        blobs.clone(),
        Arc::new(Workshop::new(blobs.clone())),
        hasher,
        clock,
        Arc::new(UuidV7),
    );
    let use_cases = UseCases::new(adapters, Arc::new(config.policy), config.http.max_file_bytes);
    let operations = Arc::new(ProcessOperations { telemetry, store, blobs, disks, reserve: config.disk_reserve });
    let readiness = web::Data::new(Readiness::new(operations.clone()));
    let services = Services {
        use_cases,
        tokens: Arc::new(JwtTokens::new(secret.expose())),
        operations,
        hub: Arc::clone(hub),
        readiness: readiness.clone(),
        features,
    };
    let listen = config.http.listen.clone();
    let (server, address) =
        server::bind(config.http, services).with_context(|| format!("PARLANCE_LISTEN: cannot listen on {listen}"))?;
    Ok((server, address, readiness))
}

fn upkeep_of(
    config: &Config,
    Storage { store, blobs, .. }: &Storage,
    clock: &Arc<dyn Clock>,
    every: Duration,
) -> KeepUp {
    let retention = config.retention.map(|retention| EnforceRetention {
        repository: store.clone(),
        blobs: blobs.clone(),
        retention,
        clock: clock.clone(),
    });
    KeepUp {
        sessions: ForgetSessions { sessions: store.clone(), lifetime: config.policy.sessions, clock: clock.clone() },
        repository: store.clone(),
        files: store.clone(),
        blobs: blobs.clone(),
        retention,
        clock: clock.clone(),
        every: i64::try_from(every.as_micros()).unwrap_or(i64::MAX),
        goes_on: AtomicBool::new(false),
    }
}

/// Connects events from the database and from other nodes to the hub, and ends connections of sessions that end on
/// other nodes.
async fn go_live(store: &Arc<Store>, hub: &Arc<Hub>, cluster: Option<UnstartedNode>) -> anyhow::Result<()> {
    let nobody = UserId(uuid::Uuid::nil());
    let begin_at = store.subscriptions(nobody).await.context("the database cannot be read")?.at;
    hub.begin_at(begin_at);
    if let Some(cluster) = cluster {
        let started =
            cluster.start(domain::IdGenerator::next(&UuidV7), store.clone(), store.clone(), begin_at, die).await;
        started.map_err(|error| anyhow::anyhow!("PARLANCE_NATS_URL: {error}"))?;
    }
    if store.is_shared() {
        actix_web::rt::spawn(infra_live::close_ended_sessions(Arc::clone(hub), store.clone()));
    }
    Ok(())
}

async fn warn_of_missing_admins(store: &Store, policy: &ServerPolicy) {
    let keys = policy.admins.keys().map(str::to_owned).collect();
    match store.missing_users(keys).await {
        Ok(missing) => {
            for name in missing {
                warn!(
                    name,
                    "PARLANCE_ADMINS names a user who does not exist: anyone who signs up under this name becomes an admin"
                );
            }
        }
        Err(fault) => warn!(%fault, "the server could not look up PARLANCE_ADMINS"),
    }
}

/// Installs handlers for SIGTERM and Ctrl-C, which do not kill the process any more. The returned future waits for one
/// of them.
#[cfg(unix)]
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("the program cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("the program cannot wait for signals")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Installs a handler for Ctrl-C, which does not kill the process any more. The returned future waits for it.
#[cfg(not(unix))]
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c().context("the program cannot wait for signals")?;
    Ok(async move {
        interrupt.recv().await;
    })
}
