//! Revisions: the position of every change in the order of all commits of a database.
//!
//! On SQLite the one writer counts transactions. On Postgres transactions of several nodes overlap: a change has the id
//! of its transaction, and a cursor is the oldest other transaction that was still running, or else the next id.
//! Whatever commits later is not older than the cursor. No clock is involved, so a clock that jumps does no harm.
//!
//! Both add a base that the database stores ([`server::starts`]). The base makes every revision greater than any that
//! was handed out before: by an earlier start on a SQLite file, or by the database that this one was copied or restored
//! from. Every database draws the number at which it begins when it is created: a cursor of another database lies below
//! that number, or beyond the last revision that this one handed out.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::prepared::prepared;
use crate::tables::schema::{conversations, followers, server, users};
use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::events::Revision;
use domain::followers::FollowerName;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The place of a transaction in the order of all transactions.
#[derive(Debug, Clone, Copy)]
pub struct TransactionStamp {
    /// The revision of its changes.
    pub revision: i64,
    /// A client that has received the transaction's events resumes from here.
    pub cursor: Revision,
}

/// How many transactions a SQLite file can take between two starts. Every start begins a new era.
const SQLITE_ERA: i64 = 1 << 32;
/// How many transactions a Postgres can take. It counts them in 64 bits and never comes near. There, every cluster has
/// an era.
const POSTGRES_ERA: i64 = 1 << 40;

#[derive(Queryable)]
struct Watermarks {
    newest: i64,
    oldest: i64,
}

prepared! {
    /// Asked in every transaction (Postgres).
    WatermarksOfTransaction() -> (BigInt, BigInt) =
        "SELECT mine AS newest, CASE WHEN oldest < next THEN oldest WHEN mine = next THEN mine + 1 ELSE next END AS oldest \
         FROM (SELECT pg_current_xact_id()::text::bigint AS mine, pg_snapshot_xmin(now)::text::bigint AS oldest, \
         pg_snapshot_xmax(now)::text::bigint AS next FROM pg_current_snapshot() AS now) ids"
}

prepared! {
    /// Asked by every live connection when it begins (Postgres).
    WatermarksOfSnapshot() -> (BigInt, BigInt) =
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
}

impl Watermarks {
    /// The oldest other transaction that was running when this one got its id, or else the first id after it; and this
    /// one. Callers ask before the transaction writes anything: its snapshot is then older than its id, and a gap shows
    /// the ids that others may have got in between.
    fn of_transaction(conn: &mut PgConnection) -> QueryResult<Self> {
        WatermarksOfTransaction {}.get_result(conn)
    }

    /// The oldest transaction that still runs, and the id of the next one.
    fn of_snapshot(conn: &mut PgConnection) -> QueryResult<Self> {
        WatermarksOfSnapshot {}.get_result(conn)
    }
}

/// Counts transactions, or lets the database count.
#[derive(Debug)]
pub struct Revisions {
    /// Postgres: the base that is added to transaction ids.
    base: i64,
    /// The database has handed out no revision below it.
    origin: Revision,
    /// SQLite: the revision of the last committed transaction.
    committed: AtomicI64,
    /// Postgres: transactions of this process that have begun and whose events are not published yet.
    under_way: Mutex<Vec<i64>>,
}

impl Revisions {
    /// Records the start of a server. If it fails, the caller must drop the connection.
    pub fn start(conn: &mut AnyConnection) -> DbResult<Self> {
        conn.begin_write()?;
        // If servers start at once on one Postgres, one looks at a time.
        let started = match conn {
            AnyConnection::Sqlite(conn) => server::table.select(server::starts).first::<i64>(conn)?,
            AnyConnection::Postgres(conn) => server::table.select(server::starts).for_update().first(conn)?,
        };
        let origin = Revision(server::table.select(server::origin).first(conn)?);
        let (starts, base) = match conn {
            AnyConnection::Sqlite(_) => (started + 1, (started + 1) * SQLITE_ERA),
            AnyConnection::Postgres(conn) => {
                let newest = Watermarks::of_snapshot(conn)?.newest;
                let stored = newest_stored(conn)?;
                // Rows ahead of the cluster come from another one: this is a restored dump.
                let restored = stored >= started * POSTGRES_ERA + newest;
                let era = if restored { era_behind(stored, POSTGRES_ERA) } else { started };
                (era, era * POSTGRES_ERA)
            }
        };
        diesel::update(server::table).set(server::starts.eq(starts)).execute(conn)?;
        conn.commit()?;
        Ok(Self { base, origin, committed: AtomicI64::new(base), under_way: Mutex::default() })
    }

    /// The database has handed out no revision below: a lower one comes from another database.
    pub fn origin(&self) -> Revision {
        self.origin
    }

    /// The stamp of the transaction that has just begun. The caller must call [`Revisions::done`] afterwards.
    pub fn stamp(&self, conn: &mut AnyConnection) -> DbResult<TransactionStamp> {
        Ok(match conn {
            // The one writer counts its transactions.
            AnyConnection::Sqlite(_) => {
                let revision = self.last_committed() + 1;
                TransactionStamp { revision, cursor: Revision(revision + 1) }
            }
            AnyConnection::Postgres(conn) => {
                let watermarks = Watermarks::of_transaction(conn)?;
                let revision = self.base + watermarks.newest;
                self.under_way().push(revision);
                TransactionStamp { revision, cursor: Revision(self.base + watermarks.oldest) }
            }
        })
    }

    /// The cursor with which to publish the events of the transaction. Another writer's transaction may have committed
    /// before this one began, and not be published yet: a client that resumes behind this one must get that one, too.
    pub fn cursor(&self, stamp: TransactionStamp) -> Revision {
        let unpublished = self.under_way().iter().copied().filter(|other| *other != stamp.revision).min();
        unpublished.map_or(stamp.cursor, |other| stamp.cursor.min(Revision(other)))
    }

    /// Records that the events of a transaction are published, or that it has ended without any.
    pub fn done(&self, stamp: TransactionStamp) {
        self.under_way().retain(|other| *other != stamp.revision);
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<i64>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the one writer of a SQLite file has committed the transaction with that cursor.
    pub fn committed(&self, cursor: Revision) {
        self.committed.store(cursor.0 - 1, Ordering::Release);
    }

    /// The revision of the last transaction (SQLite). Callers read it before they take a snapshot for
    /// [`Revisions::watermarks`].
    pub fn last_committed(&self) -> i64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Every later commit has at least the first; no earlier one has the second or more.
    pub fn watermarks(&self, conn: &mut AnyConnection, committed: i64) -> DbResult<(Revision, Revision)> {
        Ok(match conn {
            AnyConnection::Sqlite(_) => (Revision(committed + 1), Revision(committed + 1)),
            AnyConnection::Postgres(conn) => {
                let watermarks = Watermarks::of_snapshot(conn)?;
                (Revision(self.base + watermarks.oldest), Revision(self.base + watermarks.newest))
            }
        })
    }
}

/// The greatest revision of any row. A message's revision is never greater than its conversation's. No list may be
/// ordered by a revision beyond the next one that the database hands out. The `roster_revision` of a group does not
/// count: it may be greater than that of its transaction ([`domain::events::ConversationVersion::membership_after`]).
fn newest_stored(conn: &mut PgConnection) -> QueryResult<i64> {
    let changed: Option<i64> = conversations::table.select(max(conversations::revision)).first(conn)?;
    let removed: Option<i64> = users::table.select(max(users::roster_revision)).first(conn)?;
    let sent: Option<i64> = conversations::table.select(max(conversations::sent_revision)).first(conn)?;
    Ok(changed.max(removed).max(sent).unwrap_or(0))
}

/// The first era that begins behind the revision.
fn era_behind(revision: i64, era: i64) -> i64 {
    revision / era + 1
}

/// How many eras a restore leaves out: more than any server restarts between a backup and its loss.
const RESTORED_ERAS: i64 = 1 << 16;

/// Raises the revisions of a restored SQLite file above everything that the servers of the lost file have handed out
/// after the backup: each of their starts began an era that this file does not know of.
pub fn skip_eras_after_restore(conn: &mut AnyConnection) -> DbResult<()> {
    diesel::update(server::table).set(server::starts.eq(server::starts + RESTORED_ERAS)).execute(conn)?;
    // An index beside the file would be that of the lost one.
    diesel::delete(followers::table.find(FollowerName::Search.as_str())).execute(conn)?;
    Ok(())
}

/// Raises the revisions of a copy above every revision that its source has handed out.
pub fn continue_in_copy(source: &mut AnyConnection, copy: &mut AnyConnection) -> DbResult<()> {
    let (started, origin): (i64, i64) = server::table.select((server::starts, server::origin)).first(source)?;
    let handed_out = match source {
        AnyConnection::Sqlite(_) => (started + 1) * SQLITE_ERA,
        AnyConnection::Postgres(conn) => started * POSTGRES_ERA + Watermarks::of_snapshot(conn)?.newest,
    };
    let starts = match copy {
        // The next start of the copy begins another era.
        AnyConnection::Sqlite(_) => handed_out / SQLITE_ERA,
        AnyConnection::Postgres(_) => era_behind(handed_out, POSTGRES_ERA),
    };
    // Cursors of the source stay valid.
    diesel::update(server::table).set((server::starts.eq(starts), server::origin.eq(origin))).execute(copy)?;
    Ok(())
}
