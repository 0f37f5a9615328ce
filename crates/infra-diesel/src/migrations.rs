//! The migrations, embedded, and running them.

use crate::connection::AnyConnection;
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
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
    // A migration may take longer than a request may.
    conn.take_time()?;
    match conn {
        AnyConnection::Sqlite(conn) => run_pending(conn, SQLITE),
        AnyConnection::Postgres(conn) => {
            conn.batch_execute(&format!("SELECT pg_advisory_lock({ADVISORY_LOCK})"))?;
            let outcome = run_pending(conn, POSTGRES);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK})"))?;
            outcome
        }
    }
}

/// Whether there is anything to run. Changes nothing.
pub fn pending(conn: &mut AnyConnection) -> Result<bool, Fault> {
    match conn {
        AnyConnection::Sqlite(conn) => conn.has_pending_migration(SQLITE),
        AnyConnection::Postgres(conn) => conn.has_pending_migration(POSTGRES),
    }
}

/// What was run on the database and is none of ours: a later version made it. Changes nothing.
pub fn unknown(conn: &mut AnyConnection) -> Result<Vec<String>, Fault> {
    match conn {
        AnyConnection::Sqlite(conn) => unknown_of(conn, SQLITE),
        AnyConnection::Postgres(conn) => unknown_of(conn, POSTGRES),
    }
}

fn unknown_of<DB: diesel::backend::Backend, C: MigrationHarness<DB>>(
    conn: &mut C,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, Fault> {
    let ours = MigrationSource::<DB>::migrations(&migrations)?;
    let ours: Vec<String> = ours.iter().map(|migration| migration.name().version().to_string()).collect();
    let run = conn.applied_migrations()?.into_iter().map(|version| version.to_string());
    Ok(run.filter(|version| !ours.contains(version)).collect())
}

fn run_pending<DB: diesel::backend::Backend, C: MigrationHarness<DB>>(
    conn: &mut C,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, Fault> {
    Ok(conn.run_pending_migrations(migrations)?.iter().map(ToString::to_string).collect())
}
