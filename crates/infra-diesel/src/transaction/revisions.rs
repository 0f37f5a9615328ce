//! Revisions: the place of every change in the order of everything committed to the database.
//!
//! On SQLite the one writer counts transactions. On Postgres, where transactions of several nodes overlap, a change has
//! its transaction's id, and a cursor is the oldest other transaction that was still under way, else the next one: whatever
//! commits later is not older than that. No clock is involved, so that none can jump.
//!
//! Both add to it a base that is kept in the database ([`server::starts`]) and makes sure that what is handed out now is
//! greater than anything handed out before: by an earlier start on a SQLite file, by the database that this one was copied
//! or restored from. It begins at a number of the database's own, drawn when it was made: a cursor of another database lies
//! below that, or beyond what was handed out yet.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::schema::{conversations, server, users};
use diesel::dsl::max;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::BigInt;
use domain::events::Revision;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a transaction stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// What its changes are marked with.
    pub revision: i64,
    /// From where to resume for who has been given them.
    pub cursor: Revision,
}

/// How many transactions a SQLite file can take between two starts: there, every start is an era of its own.
const SQLITE_ERA: i64 = 1 << 32;
/// How many transactions a Postgres can take (it counts them in 64 bits, and never comes near): there, an era is one
/// cluster's.
const POSTGRES_ERA: i64 = 1 << 40;

#[derive(Queryable, QueryableByName)]
struct Horizon {
    #[diesel(sql_type = BigInt)]
    newest: i64,
    #[diesel(sql_type = BigInt)]
    oldest: i64,
}

/// Asked in every transaction, so that it has to be a prepared statement, which `sql_query` is not.
#[derive(QueryId)]
struct HorizonOfTransaction;

impl QueryFragment<Pg> for HorizonOfTransaction {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT mine AS newest, CASE WHEN oldest < next THEN oldest WHEN mine = next THEN mine + 1 ELSE next END AS oldest \
             FROM (SELECT pg_current_xact_id()::text::bigint AS mine, pg_snapshot_xmin(now)::text::bigint AS oldest, \
             pg_snapshot_xmax(now)::text::bigint AS next FROM pg_current_snapshot() AS now) ids",
        );
        Ok(())
    }
}

impl Query for HorizonOfTransaction {
    type SqlType = (BigInt, BigInt);
}
impl RunQueryDsl<PgConnection> for HorizonOfTransaction {}

impl Horizon {
    /// The oldest other transaction that was still under way when this one was given its id, or the first id after it where
    /// there was none; and this one. To be asked before the transaction has written anything: its snapshot, then, is older
    /// than its id, and ids that others may have been given in between are told by a gap.
    fn of_transaction(conn: &mut PgConnection) -> QueryResult<Self> {
        HorizonOfTransaction.get_result(conn)
    }

    /// The oldest transaction still under way, and the next to begin.
    fn of_snapshot(conn: &mut PgConnection) -> QueryResult<Self> {
        diesel::sql_query(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest, \
             pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest",
        )
        .get_result(conn)
    }
}

/// Counts, or lets the database count.
#[derive(Debug)]
pub struct Revisions {
    /// Postgres: what is added to its transaction ids.
    base: i64,
    /// Below it, nothing was ever handed out.
    origin: Revision,
    /// SQLite: of the last transaction.
    committed: AtomicI64,
    /// Postgres: of this process' transactions that have begun and whose events are not published yet.
    under_way: Mutex<Vec<i64>>,
}

impl Revisions {
    /// Takes note that a server starts. Where it fails, the connection is of no further use.
    pub fn start(conn: &mut AnyConnection) -> DbResult<Self> {
        conn.begin_write()?;
        // Of servers that start at once on one Postgres, one looks at a time.
        let started = match conn {
            AnyConnection::Sqlite(conn) => server::table.select(server::starts).first::<i64>(conn)?,
            AnyConnection::Postgres(conn) => server::table.select(server::starts).for_update().first(conn)?,
        };
        let origin = Revision(server::table.select(server::origin).first(conn)?);
        let (starts, base) = match conn {
            AnyConnection::Sqlite(_) => (started + 1, (started + 1) * SQLITE_ERA),
            AnyConnection::Postgres(conn) => {
                let newest = Horizon::of_snapshot(conn)?.newest;
                let stored = newest_stored(conn)?;
                // Where rows are ahead of the cluster they were made by another: this is a restored dump.
                let restored = stored >= started * POSTGRES_ERA + newest;
                let era = if restored { era_behind(stored, POSTGRES_ERA) } else { started };
                (era, era * POSTGRES_ERA)
            }
        };
        diesel::update(server::table).set(server::starts.eq(starts)).execute(conn)?;
        conn.commit()?;
        Ok(Self { base, origin, committed: AtomicI64::new(base), under_way: Mutex::default() })
    }

    /// The database has handed out nothing below: what is, comes from another one.
    pub fn origin(&self) -> Revision {
        self.origin
    }

    /// The place of the transaction that was just begun; [`Revisions::done`] has to follow.
    pub fn of_transaction(&self, conn: &mut AnyConnection) -> DbResult<Place> {
        Ok(match conn {
            // The one writer counts.
            AnyConnection::Sqlite(_) => {
                let revision = self.last_committed() + 1;
                Place { revision, cursor: Revision(revision + 1) }
            }
            AnyConnection::Postgres(conn) => {
                let horizon = Horizon::of_transaction(conn)?;
                let revision = self.base + horizon.newest;
                self.under_way().push(revision);
                Place { revision, cursor: Revision(self.base + horizon.oldest) }
            }
        })
    }

    /// The cursor that the transaction's events are published with. Another writer's transaction may have committed before
    /// this one began and not be published yet: whoever resumes behind this one must be given that one, too.
    pub fn cursor(&self, place: Place) -> Revision {
        let unpublished = self.under_way().iter().copied().filter(|other| *other != place.revision).min();
        unpublished.map_or(place.cursor, |other| place.cursor.min(Revision(other)))
    }

    /// Takes note that a transaction was published, or came to nothing.
    pub fn done(&self, place: Place) {
        self.under_way().retain(|other| *other != place.revision);
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<i64>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that the one writer of a SQLite file has committed the transaction with that cursor.
    pub fn committed(&self, cursor: Revision) {
        self.committed.store(cursor.0 - 1, Ordering::Release);
    }

    /// Of the last transaction (SQLite). To be read before a snapshot is taken for [`Revisions::horizon`].
    pub fn last_committed(&self) -> i64 {
        self.committed.load(Ordering::Acquire)
    }

    /// What commits from now on has at least the first; nothing yet has the second or more.
    pub fn horizon(&self, conn: &mut AnyConnection, committed: i64) -> DbResult<(Revision, Revision)> {
        Ok(match conn {
            AnyConnection::Sqlite(_) => (Revision(committed + 1), Revision(committed + 1)),
            AnyConnection::Postgres(conn) => {
                let horizon = Horizon::of_snapshot(conn)?;
                (Revision(self.base + horizon.oldest), Revision(self.base + horizon.newest))
            }
        })
    }
}

/// The greatest revision that any row has: that of a message is never greater than its conversation's, and no list is to be
/// ordered by a revision that is greater than what is handed out next. What a group's members
/// changed at last does not count: it may be greater than its transaction's ([`domain::events::Head::roster_after`]).
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

/// How many eras are left out where a backup is restored: more than a server was ever restarted since it was made.
const RESTORED_ERAS: i64 = 1 << 16;

/// Lets a restored SQLite file go on behind whatever the servers of the lost one have handed out after it was saved: each of
/// their starts began an era that this file does not know of.
pub fn leave_behind(conn: &mut AnyConnection) -> DbResult<()> {
    diesel::update(server::table).set(server::starts.eq(server::starts + RESTORED_ERAS)).execute(conn)?;
    Ok(())
}

/// Lets a copy go on behind every revision that was handed out by the database it is made from.
pub fn continue_in_copy(source: &mut AnyConnection, copy: &mut AnyConnection) -> DbResult<()> {
    let (started, origin): (i64, i64) = server::table.select((server::starts, server::origin)).first(source)?;
    let handed_out = match source {
        AnyConnection::Sqlite(_) => (started + 1) * SQLITE_ERA,
        AnyConnection::Postgres(conn) => started * POSTGRES_ERA + Horizon::of_snapshot(conn)?.newest,
    };
    let starts = match copy {
        // Its next start begins another era.
        AnyConnection::Sqlite(_) => handed_out / SQLITE_ERA,
        AnyConnection::Postgres(_) => era_behind(handed_out, POSTGRES_ERA),
    };
    // What the source has handed out stays good.
    diesel::update(server::table).set((server::starts.eq(starts), server::origin.eq(origin))).execute(copy)?;
    Ok(())
}
