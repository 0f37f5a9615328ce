//! [`Store`]: opening, and the two ways to the database.

pub mod session_cache;

use crate::connection::health::Health;
use crate::connection::lock::{DatabaseLock, LockError};
use crate::connection::pooler;
use crate::connection::postgres::{self, UnfitPostgres};
use crate::connection::readers::Readers;
use crate::connection::sqlite_file;
use crate::connection::writable::{takes_writes, takes_writes_now};
use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use crate::maintenance::check;
use crate::maintenance::copy;
use crate::maintenance::keeper::{Keeper, Watch};
use crate::maintenance::migrations;
use crate::store::session_cache::SessionCache;
use crate::transaction::revisions::Revisions;
use crate::writer::{self, Fatal, Tx, Writers};
use domain::events::{Committed, EventPublisher, Revision};
use domain::users::ServerPolicy;
use domain::{Error, Unavailable, UserId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use uuid::Uuid;

/// How long a session is believed where another process may end it.
const SHARED_SESSIONS_BELIEVED: Duration = Duration::from_secs(2);
/// How many sessions are remembered: some 50 MB at most.
const SESSIONS_REMEMBERED: usize = 200_000;
/// How many writers share the work on Postgres (`DESIGN.md`, section 3: two are better than one from 256 connections on).
const POSTGRES_WRITERS: usize = 2;
/// How long a file may take to say that it is there. Postgres: as long as anybody waits for it.
const FILE_READY_WITHIN: Duration = Duration::from_millis(2_500);

/// What a store needs of the rest of the server.
pub struct StoreOptions {
    /// The operator's rules, asked inside transactions.
    pub policy: Arc<ServerPolicy>,
    /// Where committed events go.
    pub events: Arc<dyn EventPublisher>,
    /// Called when it is unknown what a commit did (SQLite), or when a writer panicked: must end the process.
    pub fatal: Fatal,
    /// How many reads at once; as suits the machine if `None`.
    pub pool_size: Option<u32>,
    /// Whether to work with a Postgres that answers before a commit is on disk, and so may lose what it has answered.
    pub allow_unsafe_durability: bool,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither of the two.
    #[error("the database URL must begin with sqlite:// or postgres://")]
    Url,
    /// Another server has the file.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database is not there, or not ours.
    #[error("cannot open the database: {}", .0.to_string().trim_end())]
    Connect(diesel::ConnectionError),
    /// A Postgres that is too old, or does not keep what it says it has stored.
    #[error(transparent)]
    Unfit(#[from] UnfitPostgres),
    /// Half a database.
    #[error("this database is a copy that was not finished: run `parlance copy` again")]
    UnfinishedCopy,
    /// It can only be read.
    #[error("{0} takes no writes: its file is only to be read, or this Postgres is a standby, or told to read only")]
    ReadOnly(String),
    /// Half a restore.
    #[error(
        ".restoring is beside the database: a restore is under way or was cut off. Run `parlance restore` again, or remove it \
         if there is nothing to restore"
    )]
    HalfRestored,
    /// The tables are those of a later version.
    #[error("the database was made by a newer parlance: it has {0}, which this one does not know; use that one")]
    Newer(String),
    /// Its pages don't hold together.
    #[error("the database is damaged: {0}; look with `parlance doctor`, and restore a backup")]
    Damaged(String),
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    /// It is there, but cannot be read.
    #[error("cannot read the database: {0}")]
    Read(Box<dyn std::error::Error + Send + Sync>),
    /// The system gives no threads.
    #[error("cannot start the database threads: {0}")]
    Threads(#[from] std::io::Error),
}

impl From<diesel::ConnectionError> for OpenError {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Connect(error)
    }
}

/// Every storage port of the domain, over one database.
pub struct Store {
    url: DatabaseUrl,
    readers: Arc<Readers>,
    ready_within: Duration,
    /// `None` once closed.
    writers: RwLock<Option<Arc<Writers>>>,
    sessions: Arc<SessionCache>,
    revisions: Arc<Revisions>,
    policy: Arc<ServerPolicy>,
    shared: bool,
    health: Arc<Health>,
    write_steps: Arc<AtomicU64>,
    keeper: Option<Arc<Keeper>>,
    /// Dropped last.
    _lock: Option<Arc<DatabaseLock>>,
}

/// Lets the store itself take note of what was committed, before everybody else and before the caller is answered.
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
    /// Opens the database: takes the file's lock (SQLite), migrates, starts the threads.
    ///
    /// # Errors
    /// [`OpenError`], fit to be shown to who starts the server.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        // Opening blocks; it happens once, before anything is served.
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
        let believed = (!sqlite).then_some(SHARED_SESSIONS_BELIEVED);
        let sessions = Arc::new(SessionCache::new(believed, SESSIONS_REMEMBERED));
        let observed = Arc::new(Observed { sessions: Arc::clone(&sessions), events: options.events });
        let count = if sqlite { 1 } else { POSTGRES_WRITERS };
        let (policy, write_steps) = (Arc::clone(&options.policy), Arc::new(AtomicU64::new(0)));
        let context = writer::Context {
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
        let ready_within = url.patience().unwrap_or(FILE_READY_WITHIN);
        let writers = RwLock::new(Some(Arc::new(writers)));
        let shared = !sqlite;
        let _lock = lock;
        Ok(Self {
            url,
            readers,
            ready_within,
            writers,
            sessions,
            revisions,
            policy,
            shared,
            health,
            write_steps,
            keeper,
            _lock,
        })
    }

    /// Brings the tables up to date and gives the names of what was run.
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

    /// Whether the database answers in the time that anybody waits for it, takes writes, and was not found to be damaged.
    pub async fn ready(&self) -> bool {
        if self.health.is_damaged() {
            return false;
        }
        let url = self.url.clone();
        let asked = self.readers.run(None, move |conn| takes_writes_now(conn, &url));
        matches!(tokio::time::timeout(self.ready_within, asked).await, Ok(Ok(true)))
    }

    /// How many thousands of SQLite's steps the reads have taken so far: what they cost, whatever the machine's speed.
    pub fn read_steps(&self) -> u64 {
        self.readers.steps()
    }

    /// The same of what SQLite's one writer has done.
    pub fn write_steps(&self) -> u64 {
        self.write_steps.load(Ordering::Relaxed)
    }

    /// Takes no more and waits until the writes taken are on disk, the reads answered and the connections closed.
    pub async fn close(&self) {
        let writers = self.writers.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writers) = writers else { return };
        let (readers, keeper) = (Arc::clone(&self.readers), self.keeper.clone());
        // Callers on their way through hold it for moments only. Not one of the runtime's threads, which it would wait for when
        // it ends: Postgres may never answer.
        let (done, closed) = tokio::sync::oneshot::channel();
        let close = move || {
            Writers::close(&writers);
            readers.close();
            // The last to close: what is in the log goes into the file.
            keeper.inspect(|keeper| keeper.close());
            // Who waited may have given up.
            let _ = done.send(());
        };
        if let Err(error) = std::thread::Builder::new().name("db-close".to_owned()).spawn(close) {
            tracing::error!(%error, "there is no thread to close the database in");
        }
        if closed.await.is_err() {
            tracing::error!("the database threads did not close");
        }
    }

    pub(crate) fn sessions(&self) -> &SessionCache {
        &self.sessions
    }

    /// For transactions that ask it.
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

    /// One query: it sees one moment by itself.
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

    /// Several queries that see the same moment.
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

    /// Like [`Store::snapshot`], with what commits after that moment at least has, and what nothing has before it.
    pub(crate) async fn snapshot_and_horizon<T: Send + 'static>(
        &self,
        of: Option<UserId>,
        work: impl Fn(&mut AnyConnection, (Revision, Revision)) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        let revisions = Arc::clone(&self.revisions);
        let committed = revisions.last_committed();
        let work = move |conn: &mut AnyConnection| {
            let horizon = revisions.horizon(conn, committed)?;
            work(conn, horizon)
        };
        self.readers.run(of, move |conn| conn.snapshot(&work)).await
    }

    /// Through the door. `shard` is what events are to be in order by. `work` may be done more than once, and what it did before
    /// was undone then.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        shard: Uuid,
        work: impl FnMut(&mut Tx<'_>) -> DbResult<T> + Send + 'static,
    ) -> domain::Result<T> {
        self.writers()?.run(shard, work).await
    }

    /// Through the door, and nobody waits for it.
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

/// A database that is ours and up to date.
struct Prepared {
    conn: AnyConnection,
    applied: Vec<String>,
    /// Whether it was not closed and is too large to be looked through before anything is served.
    look_through: bool,
    /// Dropped after the connection.
    lock: Option<Arc<DatabaseLock>>,
}

/// A file of up to so many bytes is looked through at every start: a fraction of a second.
const LOOKED_THROUGH: u64 = 64 << 20;
/// One that was not closed is up to so many: seconds.
const LOOKED_THROUGH_AFTER_A_CRASH: u64 = 512 << 20;

/// Locks and migrates.
fn prepare(url: &DatabaseUrl) -> Result<Prepared, OpenError> {
    let (mut lock, mut unclosed, mut size) = (None, false, 0);
    if let DatabaseUrl::Sqlite(path) = url {
        if sqlite_file::is_half_restored(path) {
            return Err(OpenError::HalfRestored);
        }
        let taken = Arc::new(DatabaseLock::take(path)?);
        let bytes = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |found| found.len());
        // The last connection to close removes the log. A backup that reads now has one, too.
        unclosed = bytes(&sqlite_file::beside(taken.place(), "-wal")) > 0;
        size = bytes(taken.place());
        lock = Some(taken);
    }
    pooler::check(url)?;
    let mut conn = AnyConnection::open(url, Purpose::Write).map_err(|error| match error.to_string() {
        words if words.contains("malformed") => OpenError::Damaged(words),
        _ => OpenError::Connect(error),
    })?;
    postgres::check_fit(&mut conn)?;
    if !takes_writes(&mut conn, url).map_err(|error| OpenError::Read(error.into()))? {
        return Err(OpenError::ReadOnly(url.shown()));
    }
    let unread = |error: DbError| match &error {
        DbError::Database(error) if crate::error::damage(error).is_some() => OpenError::Damaged(error.to_string()),
        _ => OpenError::Read(error.into()),
    };
    let now = size <= if unclosed { LOOKED_THROUGH_AFTER_A_CRASH } else { LOOKED_THROUGH };
    if lock.is_some()
        && now
        && let Some(damage) = check::quick_check(&mut conn, None).map_err(unread)?
    {
        return Err(OpenError::Damaged(damage));
    }
    if copy::is_unfinished(&mut conn).map_err(unread)? {
        return Err(OpenError::UnfinishedCopy);
    }
    refuse_newer(&mut conn)?;
    let applied = migrations::run(&mut conn).map_err(OpenError::Migrate)?;
    Ok(Prepared { conn, applied, look_through: unclosed && !now, lock })
}

/// Refuses a database that a later version made: its rules are not known here.
pub(crate) fn refuse_newer(conn: &mut AnyConnection) -> Result<(), OpenError> {
    match migrations::unknown(conn).map_err(OpenError::Read)?.into_iter().next() {
        Some(unknown) => Err(OpenError::Newer(unknown)),
        None => Ok(()),
    }
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(OpenError::Threads(std::io::Error::other(error))),
    }
}
