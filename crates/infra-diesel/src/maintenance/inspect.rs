//! What `doctor` reads of a database. It changes nothing.

use crate::connection::open_error::OpenError;
use crate::connection::writable::takes_writes;
use crate::connection::{AnyConnection, DatabaseUrl, postgres};
use crate::error::DbError;
use crate::maintenance::{catalog, migrations};
use crate::tables::schema::{messages, server};
use crate::tables::sql_types::Time;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::Timestamp;

/// The state of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The kind of database, and its version.
    pub version: String,
    /// Whether the database takes writes. No server starts on one that does not.
    pub takes_writes: bool,
    /// Settings with which a Postgres may lose what it has reported as stored.
    pub unsafe_settings: Vec<&'static str>,
    /// The `lc_messages` of a Postgres whose errors are not in English.
    pub other_language: Option<String>,
    /// Whether its tables are older than this program.
    pub is_older: bool,
    /// Migrations that ran on it and that this program does not know.
    pub unknown: Vec<String>,
    /// Whether it is an unfinished copy.
    pub is_unfinished: bool,
    /// The time by the clock of Postgres.
    pub now: Option<Timestamp>,
    /// When its newest message was sent.
    pub newest: Option<Timestamp>,
    /// The clock when a server last believed it.
    pub believed: Option<Timestamp>,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = BigInt)]
    micros: i64,
}

pub fn inspect(conn: &mut AnyConnection, url: &DatabaseUrl) -> Result<Inspection, OpenError> {
    let unread = |error: DbError| OpenError::Read(error.into());
    conn.disable_timeouts().map_err(|error| unread(error.into()))?;
    let question = match conn {
        AnyConnection::Sqlite(_) => "SELECT 'SQLite ' || sqlite_version() AS version",
        AnyConnection::Postgres(_) => "SELECT 'Postgres ' || current_setting('server_version') AS version",
    };
    let Version { version } = diesel::sql_query(question).get_result(conn).map_err(|error| unread(error.into()))?;
    let takes_writes = takes_writes(conn, url).map_err(|error| unread(error.into()))?;
    // Diesel would create its table in a database that has no tables yet.
    let is_new = !catalog::has_table(conn, "users").map_err(unread)?;
    let is_older = is_new || migrations::pending(conn).map_err(OpenError::Read)?;
    let unknown = if is_new { Vec::new() } else { migrations::unknown(conn).map_err(OpenError::Read)? };
    let is_unfinished = catalog::is_unfinished(conn).map_err(unread)?;
    let unsafe_settings = postgres::unsafe_settings(conn)?;
    let other_language = postgres::other_language(conn)?;
    let (now, newest) = times(conn, is_older).map_err(|error| unread(error.into()))?;
    let believed: Option<Time> = match is_older {
        true => None,
        false => server::table.select(server::believed_at).first(conn).map_err(|error| unread(error.into()))?,
    };
    Ok(Inspection {
        version,
        takes_writes,
        unsafe_settings,
        other_language,
        is_older,
        unknown,
        is_unfinished,
        now,
        newest,
        believed: believed.map(Timestamp::from),
    })
}

/// The clock of Postgres, and the time of the newest message.
fn times(conn: &mut AnyConnection, is_older: bool) -> QueryResult<(Option<Timestamp>, Option<Timestamp>)> {
    let now = match conn {
        // SQLite uses the clock of this machine.
        AnyConnection::Sqlite(_) => None,
        AnyConnection::Postgres(conn) => {
            let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros";
            let now: Now = diesel::sql_query(query).get_result(conn)?;
            Timestamp::from_micros(now.micros)
        }
    };
    if is_older {
        // The tables may not exist yet.
        return Ok((now, None));
    }
    let newest = messages::table.order(messages::created_at.desc()).select(messages::created_at);
    let newest: Option<Time> = newest.first(conn).optional()?;
    Ok((now, newest.map(Timestamp::from)))
}
