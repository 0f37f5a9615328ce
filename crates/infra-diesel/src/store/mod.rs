//! [`Store`]: opening a database, and the two ways to use it.

mod offline;
mod preparation;
mod reindex;
pub mod session_cache;

pub use reindex::Reindex;

use crate::connection::batches::Batches;
use crate::connection::health::Health;
use crate::connection::lock::DatabaseLock;
use crate::connection::open_error::OpenError;
use crate::connection::readers::Readers;
use crate::connection::writable::takes_writes_now;
use crate::connection::{AnyConnection, DatabaseUrl, postgres};
use crate::error::{DbResult, Fatal};
use crate::maintenance::catalog;
use crate::maintenance::keeper::{Keeper, Watch};
use crate::reads::heads::{AskedHead, Head, heads};
use crate::reads::seats::{SeatRow, seats_of_many};
use crate::reads::unseen_counts::UnseenCounts;
use crate::search::SearchIndex;
use crate::store::preparation::{Prepared, blocking, prepare};
use crate::store::session_cache::SessionCache;
use crate::tables::sql_types::Id;
use crate::transaction::revisions::Revisions;
use crate::transaction::tx::Tx;
use crate::writer::{Context, Writers};
use domain::events::{Committed, EventPublisher, Revision};
use domain::users::ServerPolicy;
use domain::{Error, Unavailable, UserId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use uuid::Uuid;

/// How long the cache trusts a session if another process may end it.
const SHARED_SESSION_TRUST: Duration = Duration::from_secs(2);
/// Sessions that the cache holds: some 50 MB at most.
const MAX_REMEMBERED_SESSIONS: usize = 200_000;
/// Writers on Postgres. From 256 connections on, two are faster than one.
const POSTGRES_WRITERS: usize = 2;
/// How long a file may take to answer `ready`. A Postgres may take as long as callers wait for it.
const FILE_READY_TIMEOUT: Duration = Duration::from_millis(2_500);

/// What a store needs of the rest of the server.
pub struct StoreOptions {
    /// The operator's rules. Transactions ask them.
    pub policy: Arc<ServerPolicy>,
    /// Receives committed events.
    pub events: Arc<dyn EventPublisher>,
    /// Called if the outcome of a commit is unknown (SQLite), or if a writer panicked. It must end the process.
    pub fatal: Fatal,
    /// Reads that run at once. `None`: as many as suit the machine.
    pub pool_size: Option<u32>,
    /// Whether to accept a Postgres that reports a commit before it is on disk, and so may lose what the server
    /// acknowledged.
    pub allow_unsafe_durability: bool,
}

/// Every storage port of the domain, over one database.
pub struct Store {
    url: DatabaseUrl,
    readers: Arc<Readers>,
    ready_timeout: Duration,
    /// `None` once closed.
    writers: RwLock<Option<Arc<Writers>>>,
    sessions: Arc<SessionCache>,
    counts: Arc<UnseenCounts>,
    search: Arc<SearchIndex>,
    /// Of Postgres.
    heads: Batches<AskedHead, Option<Head>>,
    /// Of Postgres.
    seats: Batches<Id, Vec<SeatRow>>,
    revisions: Arc<Revisions>,
    policy: Arc<ServerPolicy>,
    shared: bool,
    health: Arc<Health>,
    write_steps: Arc<AtomicU64>,
    keeper: Option<Arc<Keeper>>,
    /// Dropped last.
    _lock: Option<Arc<DatabaseLock>>,
}

/// The store observes committed events first: before other listeners, and before the caller is answered.
struct Observed {
    sessions: Arc<SessionCache>,
    events: Arc<dyn EventPublisher>,
}

impl EventPublisher for Observed {
    fn publish(&self, committed: Committed) {
        self.sessions.observe(&committed.events);
        self.events.publish(committed);
    }

    fn lost(&self) {
        self.events.lost();
    }
}

impl Store {
    /// Opens the database: locks the file (SQLite), migrates, starts the threads.
    ///
    /// # Errors
    /// [`OpenError`], which operators may see.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        // Opening blocks; it happens once, before the server serves anything.
        let (url, Prepared { conn, look_through, lock, .. }, revisions) = blocking(move || {
            let mut prepared = prepare(&url)?;
            postgres::check_durability(&mut prepared.conn, options.allow_unsafe_durability)?;
            postgres::warn_of_language(&mut prepared.conn)?;
            let revisions = Revisions::start(&mut prepared.conn).map_err(|error| OpenError::Migrate(error.into()))?;
            Ok((url, prepared, Arc::new(revisions)))
        })
        .await?;
        let health = Arc::new(Health::of(&url));
        let sqlite = matches!(url, DatabaseUrl::Sqlite(_));
        let believed = (!sqlite).then_some(SHARED_SESSION_TRUST);
        let sessions = Arc::new(SessionCache::new(believed, MAX_REMEMBERED_SESSIONS));
        let observed = Arc::new(Observed { sessions: Arc::clone(&sessions), events: options.events });
        let count = if sqlite { 1 } else { POSTGRES_WRITERS };
        let (policy, write_steps) = (Arc::clone(&options.policy), Arc::new(AtomicU64::new(0)));
        let context = Context {
            url: url.clone(),
            policy: options.policy,
            events: observed,
            fatal: Arc::clone(&options.fatal),
            revisions: Arc::clone(&revisions),
            health: Arc::clone(&health),
            steps: Arc::clone(&write_steps),
            _lock: lock.clone(),
        };
        let writers = Writers::start(count, context)?;
        let pool_size = options.pool_size.unwrap_or_else(default_pool_size);
        let readers = Arc::new(Readers::start(&url, pool_size, &health, lock.as_ref())?);
        let keeper = match (&url, &lock) {
            (DatabaseUrl::Sqlite(path), Some(lock)) => {
                let (path, health, fatal, lock) = (path.clone(), Arc::clone(&health), options.fatal, Arc::clone(lock));
                Some(Arc::new(Keeper::start(Watch { conn, path, look_through, health, fatal, lock })?))
            }
            _ => None,
        };
        let ready_timeout = url.answer_timeout().unwrap_or(FILE_READY_TIMEOUT);
        let writers = RwLock::new(Some(Arc::new(writers)));
        let shared = !sqlite;
        let search = Arc::new(SearchIndex::new(url.clone()));
        let _lock = lock;
        Ok(Self {
            url,
            readers,
            ready_timeout,
            writers,
            sessions,
            counts: Arc::default(),
            search,
            heads: Batches::new(heads),
            seats: Batches::new(seats_of_many),
            revisions,
            policy,
            shared,
            health,
            write_steps,
            keeper,
            _lock,
        })
    }

    /// Brings the tables up to date and returns the names of the migrations that ran.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn migrate(url: &str) -> Result<Vec<String>, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        blocking(move || prepare(&url).map(|prepared| prepared.applied)).await
    }

    /// Whether other processes may use the database, too.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether the database answers in time, takes writes, and was not found to be damaged.
    pub async fn ready(&self) -> bool {
        if self.health.is_damaged() {
            return false;
        }
        let url = self.url.clone();
        let asked = self.readers.run(None, move |conn| takes_writes_now(conn, &url));
        matches!(tokio::time::timeout(self.ready_timeout, asked).await, Ok(Ok(true)))
    }

    /// Steps that SQLite has taken for reads so far, in thousands: their cost, independent of the speed of the machine.
    pub fn read_steps(&self) -> u64 {
        self.readers.steps()
    }

    /// The same for the one writer of SQLite.
    pub fn write_steps(&self) -> u64 {
        self.write_steps.load(Ordering::Relaxed)
    }

    /// Refuses further work, and waits until all accepted writes are on disk, all reads are answered and all
    /// connections are closed.
    pub async fn close(&self) {
        let writers = self.writers.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writers) = writers else { return };
        let (readers, keeper, search) = (Arc::clone(&self.readers), self.keeper.clone(), Arc::clone(&self.search));
        // Callers hold the writers for moments only. A separate thread closes: at its end the runtime would wait for
        // its own threads, and a Postgres may never answer.
        let (done, closed) = tokio::sync::oneshot::channel();
        let close = move || {
            Writers::close(&writers);
            readers.close();
            search.close();
            // The keeper closes last: then SQLite moves the log into the file.
            keeper.inspect(|keeper| keeper.close());
            // The caller may have given up.
            let _ = done.send(());
        };
        if let Err(error) = std::thread::Builder::new().name("db-close".to_owned()).spawn(close) {
            tracing::error!(%error, "there is no thread to close the database in");
        }
        if closed.await.is_err() {
            tracing::error!("the database threads did not close");
        }
    }

    /// The size of the database in bytes (SQLite: its file, without the part that is still in the log).
    ///
    /// # Errors
    /// [`domain::Unavailable`].
    pub async fn size(&self) -> domain::Result<u64> {
        self.read(catalog::size).await
    }

    pub(crate) fn readers(&self) -> &Arc<Readers> {
        &self.readers
    }

    pub(crate) fn heads(&self) -> &Batches<AskedHead, Option<Head>> {
        &self.heads
    }

    pub(crate) fn seats(&self) -> &Batches<Id, Vec<SeatRow>> {
        &self.seats
    }

    pub(crate) fn counts(&self) -> &Arc<UnseenCounts> {
        &self.counts
    }

    pub(crate) fn search_index(&self) -> &Arc<SearchIndex> {
        &self.search
    }

    pub(crate) fn sessions(&self) -> &SessionCache {
        &self.sessions
    }

    /// For transactions that ask the cache.
    pub(crate) fn session_cache(&self) -> Arc<SessionCache> {
        Arc::clone(&self.sessions)
    }

    pub(crate) fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// The operator's rules, for transactions that ask them.
    pub(crate) fn policy(&self) -> Arc<ServerPolicy> {
        Arc::clone(&self.policy)
    }

    pub(crate) fn writers(&self) -> domain::Result<Arc<Writers>> {
        let writers = self.writers.read().unwrap_or_else(PoisonError::into_inner).clone();
        writers.ok_or_else(|| Error::from(Unavailable::Stopping))
    }

    /// Runs one query, which sees one moment by itself.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        self.readers.run(None, work).await
    }

    /// Like [`Store::read`], in the user's share of the readers.
    pub(crate) async fn read_for<T: Send + 'static>(
        &self,
        user: UserId,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        self.readers.run(Some(user), work).await
    }

    /// Runs several queries that see the same moment.
    pub(crate) async fn snapshot<T: Send + 'static>(
        &self,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        self.readers.run(None, move |conn| conn.snapshot(&work)).await
    }

    /// Like [`Store::snapshot`], in the user's share of the readers.
    pub(crate) async fn snapshot_for<T: Send + 'static>(
        &self,
        user: UserId,
        work: impl Fn(&mut AnyConnection) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        self.readers.run(Some(user), move |conn| conn.snapshot(&work)).await
    }

    /// Like [`Store::snapshot`], with two watermarks: every later commit has at least the first, and no earlier one has
    /// the second.
    pub(crate) async fn snapshot_with_watermarks<T: Send + 'static>(
        &self,
        of: Option<UserId>,
        work: impl Fn(&mut AnyConnection, (Revision, Revision)) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let revisions = Arc::clone(&self.revisions);
        let committed = revisions.last_committed();
        let work = move |conn: &mut AnyConnection| {
            let watermarks = revisions.watermarks(conn, committed)?;
            work(conn, watermarks)
        };
        self.readers.run(of, move |conn| conn.snapshot(&work)).await
    }

    /// Runs `work` in a write transaction. Events of one `shard` leave in commit order. The writer may run `work`
    /// again, after it has undone the first run.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        shard: Uuid,
        work: impl FnMut(&mut Tx<'_>) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        self.writers()?.run(shard, work).await
    }

    /// Like [`Store::write`], but nobody waits for it, and it may be lost.
    pub(crate) fn write_later(&self, shard: Uuid, work: impl FnMut(&mut Tx<'_>) -> DbResult<()> + Send + 'static) {
        if let Ok(writers) = self.writers() {
            writers.run_later(shard, work);
        }
    }
}

fn default_pool_size() -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    u32::try_from(cores * 2).unwrap_or(16).clamp(4, 16)
}
