//! The migrations, embedded in the program, and running them.

use crate::connection::AnyConnection;
use crate::maintenance::catalog::has_table;
use crate::maintenance::{digests, names};
use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::NAME_FORM;

/// The migrations for SQLite.
pub const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
/// The migrations for Postgres. They make the same tables.
pub const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The key of the advisory lock. Other programs on the same database hardly use the same number.
const ADVISORY_LOCK: i64 = 0x7061_726c_616e_6365;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Brings the tables, the keys of names and the digests up to date, and returns the names of the migrations that ran.
/// If several servers start at once on one Postgres, one migrates and the others wait; a SQLite file has one server.
pub fn run(conn: &mut AnyConnection) -> Result<Vec<String>, Fault> {
    // A migration may take longer than a statement of a request.
    conn.disable_timeouts()?;
    if let AnyConnection::Postgres(conn) = conn {
        conn.batch_execute(&format!("SELECT pg_advisory_lock({ADVISORY_LOCK})"))?;
    }
    let outcome = bring_up_to_date(conn);
    if let AnyConnection::Postgres(conn) = conn {
        conn.batch_execute(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK})"))?;
    }
    outcome
}

fn bring_up_to_date(conn: &mut AnyConnection) -> Result<Vec<String>, Fault> {
    let applied = match conn {
        AnyConnection::Sqlite(conn) => run_pending(conn, SQLITE)?,
        AnyConnection::Postgres(conn) => run_pending(conn, POSTGRES)?,
    };
    names::renew(conn)?;
    digests::make(conn)?;
    Ok(applied)
}

/// Whether any migration has not run yet. Changes nothing, and works on a read-only database.
pub fn pending(conn: &mut AnyConnection) -> Result<bool, Fault> {
    let applied = applied(conn)?;
    let pending = ours(conn)?.iter().any(|version| !applied.contains(version));
    Ok(pending || names::form(conn)? != NAME_FORM || !digests::are_made(conn)?)
}

/// The migrations that ran on the database and that this program does not know: a later version ran them. Changes
/// nothing, and works on a read-only database.
pub fn unknown(conn: &mut AnyConnection) -> Result<Vec<String>, Fault> {
    let ours = ours(conn)?;
    Ok(applied(conn)?.into_iter().filter(|version| !ours.contains(version)).collect())
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// The migrations that ran on the database. Diesel's own query would create its table first.
fn applied(conn: &mut AnyConnection) -> Result<Vec<String>, Fault> {
    if !has_table(conn, "__diesel_schema_migrations")? {
        return Ok(Vec::new());
    }
    let rows: Vec<Applied> = diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(conn)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

fn ours(conn: &AnyConnection) -> Result<Vec<String>, Fault> {
    match conn {
        AnyConnection::Sqlite(_) => versions::<Sqlite>(&SQLITE),
        AnyConnection::Postgres(_) => versions::<Pg>(&POSTGRES),
    }
}

fn versions<DB: diesel::backend::Backend>(migrations: &EmbeddedMigrations) -> Result<Vec<String>, Fault> {
    let migrations = MigrationSource::<DB>::migrations(migrations)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

fn run_pending<DB: diesel::backend::Backend, C: MigrationHarness<DB>>(
    conn: &mut C,
    migrations: EmbeddedMigrations,
) -> Result<Vec<String>, Fault> {
    Ok(conn.run_pending_migrations(migrations)?.iter().map(ToString::to_string).collect())
}
