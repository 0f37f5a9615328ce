//! The migrations, embedded, and running them.

use crate::connection::AnyConnection;
use diesel::connection::SimpleConnection;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

/// The tables on SQLite.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
/// The same tables on Postgres.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Any number that nobody else in the database uses as an advisory lock.
const ADVISORY_LOCK: i64 = 0x7061_726c_616e_6365;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Brings the tables up to date and gives the names of what was run. Of several servers that start at once on one Postgres
/// one migrates and the others wait; a SQLite file has one server.
pub fn run(conn: &mut AnyConnection) -> Result<Vec<String>, Fault> {
    match conn {
        AnyConnection::Sqlite(conn) => pending(conn, SQLITE),
        AnyConnection::Postgres(conn) => {
            // A migration may take longer than a request may.
            conn.batch_execute(&format!(
                "SET lock_timeout = 0; SET statement_timeout = 0; SELECT pg_advisory_lock({ADVISORY_LOCK})"
            ))?;
            let outcome = pending(conn, POSTGRES);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK})"))?;
            outcome
        }
    }
}

fn pending<DB: diesel::backend::Backend, C: MigrationHarness<DB>>(
    conn: &mut C,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, Fault> {
    Ok(conn.run_pending_migrations(migrations)?.iter().map(ToString::to_string).collect())
}
