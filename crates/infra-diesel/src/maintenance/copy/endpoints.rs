//! The two databases of a copy: opened, locked, and found fit to be read from and written to.

use super::{CopyError, Side};
use crate::connection::lock::DatabaseLock;
use crate::connection::sqlite_file::is_half_restored;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::connection::{pooler, postgres};
use crate::error::{DbError, DbResult};
use crate::maintenance::migrations;
use crate::tables::schema::{conversations, users};
use crate::tables::sql_types::Id;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::ConversationId;
use std::time::{Duration, Instant};

/// By what name Postgres knows the connections of a copy; servers go by another.
const APPLICATION: &str = "parlance-copy";

/// How long others may take to leave: as long as the ends of busy processes do.
const LEAVING: Duration = Duration::from_secs(10);
/// How often they are asked after.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A database that nobody else works on, as far as can be told.
pub struct Opened {
    pub conn: AnyConnection,
    /// Fit to be shown.
    pub shown: String,
    pub _lock: Option<DatabaseLock>,
}

/// What a target was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing is there, or only what the migrations make.
    Empty,
    /// A copy from the same source was begun before.
    Begun,
}

/// What other connections servers and copies may have to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// None: what they write would be in neither of the two.
    MustBeGone,
    /// Any: what is read is one moment.
    MayGoOn,
}

pub fn parse(side: Side, url: &str) -> Result<DatabaseUrl, CopyError> {
    DatabaseUrl::parse_as(APPLICATION, url).ok_or(CopyError::Url(side))
}

/// Opens the database to read from, at one moment of it.
pub fn open_source(url: &DatabaseUrl, others: Others) -> Result<Opened, CopyError> {
    let mut source = open(Side::From, url, Purpose::Read, others)?;
    let pending = migrations::pending(&mut source.conn).map_err(CopyError::Migrate)?;
    if pending {
        return Err(CopyError::NotMigrated);
    }
    if is_unfinished(&mut source.conn)? {
        return Err(CopyError::UnfinishedSource);
    }
    source.conn.begin_snapshot().map_err(DbError::from)?;
    Ok(source)
}

/// Opens the database to write to, and brings its tables up to date.
pub fn open_target(url: &DatabaseUrl) -> Result<Opened, CopyError> {
    let mut target = open(Side::To, url, Purpose::Write, Others::MustBeGone)?;
    migrations::run(&mut target.conn).map_err(CopyError::Migrate)?;
    target.conn.take_time().map_err(DbError::from)?;
    Ok(target)
}

/// Opens the target to look only; `None` where there is nothing to open yet.
pub fn look_at_target(url: &DatabaseUrl) -> Result<Option<Opened>, CopyError> {
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        return Ok(None);
    }
    let mut target = open(Side::To, url, Purpose::Read, Others::MustBeGone)?;
    Ok(if has_table(&mut target.conn, "users")? { Some(target) } else { None })
}

fn open(side: Side, url: &DatabaseUrl, purpose: Purpose, allowed: Others) -> Result<Opened, CopyError> {
    let lock = match url {
        DatabaseUrl::Postgres(_) => None,
        DatabaseUrl::Sqlite(path) if is_half_restored(path) => return Err(CopyError::HalfRestored(side)),
        DatabaseUrl::Sqlite(path) if side == Side::From && !path.exists() => return Err(CopyError::NoSource),
        DatabaseUrl::Sqlite(path) => Some(DatabaseLock::take(path)?),
    };
    pooler::check(url)?;
    let mut conn = AnyConnection::open(url, purpose).map_err(|error| CopyError::Connect(side, error))?;
    postgres::check_fit(&mut conn)?;
    conn.take_time().map_err(DbError::from)?;
    let unknown = migrations::unknown(&mut conn).map_err(|error| CopyError::Version(side, error))?;
    if let Some(unknown) = unknown.into_iter().next() {
        return Err(CopyError::Newer(side, unknown));
    }
    // What Postgres knows of a server that has just ended lags a little behind.
    let patient_until = Instant::now() + LEAVING;
    while allowed == Others::MustBeGone && others(&mut conn)? > 0 {
        if Instant::now() > patient_until {
            return Err(CopyError::InUse(side));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(Opened { conn, shown: url.shown(), _lock: lock })
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// How many connections servers and other copies have to it (Postgres; a SQLite file is locked).
fn others(conn: &mut AnyConnection) -> DbResult<i64> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(0) };
    let count: Count = diesel::sql_query(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
         AND application_name IN ('parlance', 'parlance-copy')",
    )
    .get_result(conn)?;
    Ok(count.n)
}

/// The table that is there while a copy into the database is not finished; its one row says from where.
const MARKER: &str = "parlance_copy";

/// Whether there is a table of that name.
pub fn has_table(conn: &mut AnyConnection, name: &str) -> DbResult<bool> {
    let query = match conn {
        AnyConnection::Sqlite(_) => "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = $1",
        AnyConnection::Postgres(_) => {
            "SELECT count(*) AS n FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = $1"
        }
    };
    let count: Count = diesel::sql_query(query).bind::<Text, _>(name).get_result(conn)?;
    Ok(count.n > 0)
}

/// Whether a copy into the database was begun and not finished.
pub fn is_unfinished(conn: &mut AnyConnection) -> DbResult<bool> {
    has_table(conn, MARKER)
}

#[derive(QueryableByName)]
struct Marker {
    #[diesel(sql_type = Text)]
    source: String,
}

/// Whether a copy from `source` may be made into the database.
pub fn state_of_target(conn: &mut AnyConnection, source: &str) -> Result<TargetState, CopyError> {
    if is_unfinished(conn)? {
        let marker: Option<Marker> =
            diesel::sql_query("SELECT source FROM parlance_copy").get_result(conn).optional().map_err(DbError::from)?;
        return match marker {
            Some(marker) if marker.source == source => Ok(TargetState::Begun),
            Some(marker) => Err(CopyError::OtherCopy(marker.source)),
            None => Err(CopyError::NotEmpty),
        };
    }
    // Everything but the broadcast conversation is some user's.
    let people: i64 = users::table.select(count_star()).first(conn).map_err(DbError::from)?;
    if people == 0 { Ok(TargetState::Empty) } else { Err(CopyError::NotEmpty) }
}

/// Marks the database as a copy that is not finished, and removes what the migrations put there: the source has its own.
pub fn mark(conn: &mut AnyConnection, source: &str) -> DbResult<()> {
    conn.begin_write()?;
    diesel::sql_query("CREATE TABLE parlance_copy (source TEXT NOT NULL)").execute(conn)?;
    diesel::sql_query("INSERT INTO parlance_copy (source) VALUES ($1)").bind::<Text, _>(source).execute(conn)?;
    diesel::delete(conversations::table.find(Id::from(ConversationId::BROADCAST))).execute(conn)?;
    Ok(conn.commit()?)
}

/// Takes the mark away: from here on a server may use it.
pub fn unmark(conn: &mut AnyConnection) -> DbResult<()> {
    diesel::sql_query("DROP TABLE parlance_copy").execute(conn)?;
    if let AnyConnection::Postgres(conn) = conn {
        // Its planner knows nothing of the new tables until it has looked at them.
        diesel::sql_query("ANALYZE").execute(conn)?;
    }
    Ok(())
}
