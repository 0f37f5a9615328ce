//! The tables of a database, as its own catalog lists them.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The table that marks an unfinished copy; its one row names the source.
const MARKER: &str = "parlance_copy";

/// Whether the database has a table of that name.
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
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// The size of the database in bytes (SQLite: its file, without the part that is still in the log).
pub fn size(conn: &mut AnyConnection) -> DbResult<u64> {
    let query = match conn {
        AnyConnection::Sqlite(_) => "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
        AnyConnection::Postgres(_) => "SELECT pg_database_size(current_database()) AS bytes",
    };
    let size: Size = diesel::sql_query(query).get_result(conn)?;
    Ok(size.bytes.unsigned_abs())
}
