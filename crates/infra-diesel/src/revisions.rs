//! Revisions: the place of every change in the order of everything committed to the database.
//!
//! On SQLite the one writer counts transactions. On Postgres, where transactions of several nodes overlap, a change has
//! its transaction's id, and a cursor is the oldest transaction that was still under way: whatever commits later is not
//! older than that. No clock is involved, so that none can jump.

use crate::connection::AnyConnection;
use crate::schema::server;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::events::Revision;

/// Where a transaction stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// What its changes are marked with.
    pub revision: i64,
    /// From where to resume for who has been given them.
    pub cursor: Revision,
}

#[derive(QueryableByName)]
struct Horizon {
    #[diesel(sql_type = BigInt)]
    oldest: i64,
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

/// The transaction's own place.
pub fn of_transaction(conn: &mut PgConnection) -> QueryResult<Place> {
    let horizon: Horizon = diesel::sql_query(
        "SELECT pg_current_xact_id()::text::bigint AS newest, \
         pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest",
    )
    .get_result(conn)?;
    Ok(Place { revision: horizon.newest, cursor: Revision(horizon.oldest) })
}

/// What commits from now on has at least the first; nothing yet has the second or more.
pub fn horizon(conn: &mut PgConnection) -> QueryResult<(Revision, Revision)> {
    let horizon: Horizon = diesel::sql_query(
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest, \
         pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest",
    )
    .get_result(conn)?;
    Ok((Revision(horizon.oldest), Revision(horizon.newest)))
}

/// How many transactions a server on SQLite can count between two starts.
const TRANSACTIONS_A_START: i64 = 1 << 32;

/// Takes note that a server starts, and gives the revision that the writer of a SQLite file counts on from: greater than
/// any that was handed out before, also by transactions that left none in a row.
pub fn start(conn: &mut AnyConnection) -> QueryResult<i64> {
    diesel::update(server::table).set(server::starts.eq(server::starts + 1)).execute(conn)?;
    let starts: i64 = server::table.select(server::starts).first(conn)?;
    Ok(starts * TRANSACTIONS_A_START)
}
