//! The two databases of a copy: opens and locks them, and checks that a copy can use them.

use super::error::{CopyError, Side};
use super::report::TargetState;
use crate::connection::lock::DatabaseLock;
use crate::connection::sqlite_file::is_half_restored;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, pooler, postgres};
use crate::error::{DbError, DbResult};
use crate::maintenance::catalog::{has_table, is_unfinished};
use crate::maintenance::migrations;
use crate::tables::schema::{conversations, users};
use crate::tables::sql_types::Id;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::ConversationId;
use std::time::{Duration, Instant};

/// The application name of a copy's connections to Postgres; servers have another.
const APPLICATION: &str = "parlance-copy";

/// How long a copy waits for other connections to end. Busy processes take that long to stop.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a copy looks whether they have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A database that no server and no other copy uses, as far as the copy can see.
pub struct Opened {
    pub conn: AnyConnection,
    /// The URL without secrets.
    pub redacted: String,
    pub _lock: Option<DatabaseLock>,
}

/// The connections of servers and other copies that a copy accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherConnections {
    /// None: neither of the two databases would have what they write.
    Refused,
    /// Any: the copy reads one snapshot.
    Allowed,
}

pub fn parse(side: Side, url: &str) -> Result<DatabaseUrl, CopyError> {
    DatabaseUrl::parse_as(APPLICATION, url).ok_or(CopyError::Url(side))
}

/// Opens the source as a snapshot of one moment.
pub fn open_source(url: &DatabaseUrl, others: OtherConnections) -> Result<Opened, CopyError> {
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

/// Opens the target, and migrates it.
pub fn open_target(url: &DatabaseUrl) -> Result<Opened, CopyError> {
    let mut target = open(Side::To, url, Purpose::Write, OtherConnections::Refused)?;
    migrations::run(&mut target.conn).map_err(CopyError::Migrate)?;
    target.conn.disable_timeouts().map_err(DbError::from)?;
    Ok(target)
}

/// Opens the target for reading only. `None` if it does not exist yet.
pub fn look_at_target(url: &DatabaseUrl) -> Result<Option<Opened>, CopyError> {
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        return Ok(None);
    }
    let mut target = open(Side::To, url, Purpose::Read, OtherConnections::Refused)?;
    Ok(if has_table(&mut target.conn, "users")? { Some(target) } else { None })
}

fn open(side: Side, url: &DatabaseUrl, purpose: Purpose, allowed: OtherConnections) -> Result<Opened, CopyError> {
    let lock = match url {
        DatabaseUrl::Postgres(_) => None,
        DatabaseUrl::Sqlite(path) if is_half_restored(path) => return Err(CopyError::HalfRestored(side)),
        DatabaseUrl::Sqlite(path) if side == Side::From && !path.exists() => return Err(CopyError::NoSource),
        DatabaseUrl::Sqlite(path) => Some(DatabaseLock::take(path)?),
    };
    pooler::check(url)?;
    let mut conn = AnyConnection::open(url, purpose).map_err(|error| CopyError::Connect(side, error))?;
    postgres::check_fit(&mut conn)?;
    conn.disable_timeouts().map_err(DbError::from)?;
    let unknown = migrations::unknown(&mut conn).map_err(|error| CopyError::Version(side, error))?;
    if let Some(unknown) = unknown.into_iter().next() {
        return Err(CopyError::Newer(side, unknown));
    }
    // Postgres reports the connections of a server for a moment after its end.
    let patient_until = Instant::now() + LEAVE_TIMEOUT;
    while allowed == OtherConnections::Refused && others(&mut conn)? > 0 {
        if Instant::now() > patient_until {
            return Err(CopyError::InUse(side));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(Opened { conn, redacted: url.redacted(), _lock: lock })
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// How many connections of servers and other copies the database has. Postgres only; a SQLite file is locked.
fn others(conn: &mut AnyConnection) -> DbResult<i64> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(0) };
    let count: Count = diesel::sql_query(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
         AND application_name IN ('parlance', 'parlance-copy')",
    )
    .get_result(conn)?;
    Ok(count.n)
}

#[derive(QueryableByName)]
struct Marker {
    #[diesel(sql_type = Text)]
    source: String,
}

/// Whether the database may be the target of a copy from `source`.
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
    // Everything but the broadcast conversation belongs to a user.
    let people: i64 = users::table.select(count_star()).first(conn).map_err(DbError::from)?;
    if people == 0 { Ok(TargetState::Empty) } else { Err(CopyError::NotEmpty) }
}

/// Marks the database as an unfinished copy, and removes the rows that migrations made: the source has the same.
pub fn mark_unfinished(conn: &mut AnyConnection, source: &str) -> DbResult<()> {
    conn.begin_write()?;
    diesel::sql_query("CREATE TABLE parlance_copy (source TEXT NOT NULL)").execute(conn)?;
    diesel::sql_query("INSERT INTO parlance_copy (source) VALUES ($1)").bind::<Text, _>(source).execute(conn)?;
    diesel::delete(conversations::table.find(Id::from(ConversationId::BROADCAST))).execute(conn)?;
    Ok(conn.commit()?)
}

/// Removes the mark. From now on a server may use the database.
pub fn mark_finished(conn: &mut AnyConnection) -> DbResult<()> {
    diesel::sql_query("DROP TABLE parlance_copy").execute(conn)?;
    if let AnyConnection::Postgres(conn) = conn {
        // The planner has no statistics of the new tables yet.
        diesel::sql_query("ANALYZE").execute(conn)?;
    }
    Ok(())
}
