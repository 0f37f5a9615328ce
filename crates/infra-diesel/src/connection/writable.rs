//! Finds out whether a database takes writes, without a write.

use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use std::path::Path;

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    writable: bool,
}

/// Whether the database answers and takes writes, as far as it shows without a write: Postgres is no standby and not
/// read-only (`default_transaction_read_only`), or the file is writable. Waits for no writer.
pub fn takes_writes(conn: &mut AnyConnection, url: &DatabaseUrl) -> QueryResult<bool> {
    if let DatabaseUrl::Sqlite(path) = url {
        conn.batch_execute("SELECT 1")?;
        return Ok(is_writable(path));
    }
    let query = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS writable";
    let Answer { writable } = diesel::sql_query(query).get_result(conn)?;
    Ok(writable)
}

/// Like [`takes_writes`], over a connection that may be old: a Postgres session keeps the settings of its role and
/// database from its start. If the session of `conn` is read-only, this replaces it by a new connection and asks that,
/// as the writers do with theirs.
pub fn takes_writes_now(conn: &mut AnyConnection, url: &DatabaseUrl) -> DbResult<bool> {
    if takes_writes(conn, url)? {
        return Ok(true);
    }
    if let DatabaseUrl::Postgres(_) = url {
        *conn = AnyConnection::open(url, Purpose::Read).map_err(|error| DbError::NoConnection(error.to_string()))?;
        return Ok(takes_writes(conn, url)?);
    }
    Ok(false)
}

/// Does not open the file: closing any descriptor of a file releases the locks that SQLite has on it.
#[cfg(unix)]
fn is_writable(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| !found.permissions().readonly())
}
