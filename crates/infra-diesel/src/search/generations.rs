//! Generations of the index: the one that searches use, one that is being made, and old ones that nobody uses any more.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::search::documents::{create, drop_generation};
use crate::tables::sql_types::{Id, SqlId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use uuid::Uuid;

/// What a generation is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It lacks messages.
    Building,
    /// It has every message below the position of the follower.
    Ready,
    /// Another one took its place. Searches that began before may still read it.
    Retired,
}

impl State {
    const fn number(self) -> i64 {
        match self {
            Self::Building => 0,
            Self::Ready => 1,
            Self::Retired => 2,
        }
    }
}

/// A generation as the database keeps it.
#[derive(Debug, Clone, QueryableByName)]
pub struct Generation {
    /// Its number, in the names of its tables.
    #[diesel(sql_type = BigInt)]
    pub number: i64,
    #[diesel(sql_type = BigInt)]
    state: i64,
    /// The conversation up to which it was made.
    #[diesel(sql_type = SqlId)]
    pub conversation_id: Id,
    /// The message there up to which it was made.
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
    /// How many places of messages it has been through.
    #[diesel(sql_type = BigInt)]
    pub done: i64,
    /// How many there are.
    #[diesel(sql_type = BigInt)]
    pub total: i64,
}

impl Generation {
    pub fn state(&self) -> State {
        match self.state {
            0 => State::Building,
            1 => State::Ready,
            _ => State::Retired,
        }
    }

    /// How much of it there is, in percent.
    pub fn percent(&self) -> u8 {
        let percent = self.done.saturating_mul(100) / self.total.max(1);
        u8::try_from(percent.clamp(0, 99)).unwrap_or(99)
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Makes the table of generations, if there is none. The caller has begun a transaction.
pub fn create_table(conn: &mut AnyConnection) -> DbResult<()> {
    let (id, found) = match conn {
        AnyConnection::Sqlite(_) => {
            ("BLOB", "SELECT count(*) AS n FROM sqlite_master WHERE name = 'search_generations'")
        }
        AnyConnection::Postgres(conn) => {
            // Servers that start at once make it once.
            sql_query("SELECT pg_advisory_xact_lock(7306920815)").execute(conn)?;
            ("UUID", "SELECT count(to_regclass('search_generations')) AS n")
        }
    };
    let found: Count = per_backend!(conn, |conn| sql_query(found).get_result(conn))?;
    if found.n == 0 {
        let table = format!(
            "CREATE TABLE search_generations (number BIGINT NOT NULL PRIMARY KEY, state BIGINT NOT NULL, \
             conversation_id {id} NOT NULL, seq BIGINT NOT NULL, done BIGINT NOT NULL, total BIGINT NOT NULL)"
        );
        per_backend!(conn, |conn| sql_query(table).execute(conn))?;
    }
    Ok(())
}

/// All generations, the newest first.
pub fn generations(conn: &mut AnyConnection) -> DbResult<Vec<Generation>> {
    let all = sql_query("SELECT * FROM search_generations ORDER BY number DESC");
    Ok(per_backend!(conn, |conn| all.load(conn))?)
}

/// Begins a new generation, in place of another one that is not ready.
pub fn begin(conn: &mut AnyConnection, total: i64) -> DbResult<Generation> {
    let all = generations(conn)?;
    let number = all.first().map_or(1, |newest| newest.number + 1);
    for unfinished in all.iter().filter(|generation| generation.state() == State::Building) {
        remove(conn, unfinished)?;
    }
    create(conn, number)?;
    let row = "INSERT INTO search_generations (number, state, conversation_id, seq, done, total) \
               VALUES ($1, 0, $2, 0, 0, $3)";
    let nil = Id(Uuid::nil());
    per_backend!(conn, |conn| sql_query(row)
        .bind::<BigInt, _>(number)
        .bind::<SqlId, _>(nil)
        .bind::<BigInt, _>(total)
        .execute(conn))?;
    Ok(Generation { number, state: 0, conversation_id: nil, seq: 0, done: 0, total })
}

/// Stores how far a generation was made.
pub fn save_progress(conn: &mut AnyConnection, of: &Generation) -> DbResult<()> {
    let update = "UPDATE search_generations SET conversation_id = $1, seq = $2, done = $3 WHERE number = $4";
    per_backend!(conn, |conn| sql_query(update)
        .bind::<SqlId, _>(of.conversation_id)
        .bind::<BigInt, _>(of.seq)
        .bind::<BigInt, _>(of.done)
        .bind::<BigInt, _>(of.number)
        .execute(conn))?;
    Ok(())
}

/// Makes a generation the one that searches use.
pub fn finish(conn: &mut AnyConnection, number: i64) -> DbResult<()> {
    let (ready, retired) = (State::Ready.number(), State::Retired.number());
    let update =
        format!("UPDATE search_generations SET state = CASE WHEN number = {number} THEN {ready} ELSE {retired} END");
    per_backend!(conn, |conn| sql_query(update).execute(conn))?;
    Ok(())
}

/// Removes a generation and all that is in it.
pub fn remove(conn: &mut AnyConnection, of: &Generation) -> DbResult<()> {
    drop_generation(conn, of.number)?;
    let delete = format!("DELETE FROM search_generations WHERE number = {}", of.number);
    per_backend!(conn, |conn| sql_query(delete).execute(conn))?;
    Ok(())
}

/// Locks the index of a Postgres until the transaction ends: one follows or makes it at a time. Returns the leader of
/// the follower; `None` if there is no follower yet. On SQLite the transaction has the one write lock of the index.
pub fn lock(conn: &mut AnyConnection, follower: &str) -> DbResult<Option<Option<Id>>> {
    #[derive(QueryableByName)]
    struct Leader {
        #[diesel(sql_type = diesel::sql_types::Nullable<SqlId>)]
        leader: Option<Id>,
    }
    match conn {
        AnyConnection::Sqlite(_) => Ok(Some(None)),
        AnyConnection::Postgres(conn) => {
            let row = sql_query("SELECT leader FROM followers WHERE name = $1 FOR UPDATE");
            let found: Option<Leader> = row.bind::<Text, _>(follower).get_result(conn).optional()?;
            Ok(found.map(|found| found.leader))
        }
    }
}
