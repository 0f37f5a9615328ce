//! What a Postgres must fulfil before the store stores anything there.

use crate::connection::AnyConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};

/// The oldest supported version, in the numbers of Postgres. The first with `pg_current_xact_id`.
const OLDEST: i32 = 130_000;

/// Why the store refuses a Postgres.
#[derive(Debug, thiserror::Error)]
pub enum UnfitPostgres {
    /// It is older than [`OLDEST`].
    #[error("this is Postgres {0}; parlance needs Postgres 13 or newer")]
    TooOld(String),
    /// Its encoding cannot represent every character.
    #[error(
        "this database has the encoding {0}, and not every message could be stored in it; make one with \
         CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
    )]
    NotUtf8(String),
    /// It reports commits before they are on disk.
    #[error(
        "this Postgres runs with {setting} = off: messages that were answered as stored would be lost when its machine \
         fails. Turn {setting} on, or start with --allow-unsafe-durability if that may happen"
    )]
    UnsafeDurability {
        /// The name of the setting.
        setting: &'static str,
    },
    /// A pooler gives a connection another session for each transaction.
    #[error(
        "a pooler in transaction or statement mode stands before this Postgres: every transaction may get another session, and \
         settings, locks and prepared statements of a session do not hold. Set its pool_mode to session (PgBouncer), take \
         its port for sessions, or connect to Postgres itself"
    )]
    Pooled,
    /// It offers too few sessions.
    #[error(
        "this Postgres let two sessions wait for {0} s without an answer. Where a pooler stands before it, its pool has to have \
         room for all connections of each server (default_pool_size of PgBouncer; see \"Connections\" in docs/deploying.md)"
    )]
    NoRoom(u64),
    /// It does not answer.
    #[error("cannot ask Postgres about itself")]
    Silent(#[from] diesel::result::Error),
}

#[derive(QueryableByName)]
struct Settings {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Text)]
    version_name: String,
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    synchronous_commit: String,
    #[diesel(sql_type = Text)]
    full_page_writes: String,
    #[diesel(sql_type = Text)]
    lc_messages: String,
    #[diesel(sql_type = Text)]
    server_encoding: String,
}

fn settings(conn: &mut PgConnection) -> QueryResult<Settings> {
    diesel::sql_query(
        "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS version_name, \
         current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit, \
         current_setting('full_page_writes') AS full_page_writes, \
         current_setting('lc_messages') AS lc_messages, current_setting('server_encoding') AS server_encoding",
    )
    .get_result(conn)
}

/// Refuses a Postgres that is too old, and a database with another encoding than UTF-8. Accepts every SQLite file.
///
/// # Errors
/// [`UnfitPostgres`].
pub fn check_fit(conn: &mut AnyConnection) -> Result<(), UnfitPostgres> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(()) };
    let settings = settings(conn)?;
    match settings {
        Settings { version, version_name, .. } if version < OLDEST => Err(UnfitPostgres::TooOld(version_name)),
        Settings { server_encoding, .. } if server_encoding != "UTF8" => Err(UnfitPostgres::NotUtf8(server_encoding)),
        _ => Ok(()),
    }
}

/// Refuses a Postgres that reports commits before they are on disk. If that is `allowed`, it only warns.
///
/// # Errors
/// [`UnfitPostgres`].
pub fn check_durability(conn: &mut AnyConnection, allowed: bool) -> Result<(), UnfitPostgres> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(()) };
    let settings = settings(conn)?;
    for (setting, value) in [("fsync", settings.fsync), ("synchronous_commit", settings.synchronous_commit)] {
        if value == "off" {
            if !allowed {
                return Err(UnfitPostgres::UnsafeDurability { setting });
            }
            tracing::warn!(setting, "Postgres answers before a commit is on disk: what is stored may be lost");
        }
    }
    if settings.full_page_writes == "off" {
        tracing::warn!(
            "Postgres runs with full_page_writes = off: a crash of its machine may tear pages of the database"
        );
    }
    Ok(())
}

/// Warns of a Postgres whose errors are not in English. The store would report a database that is away for a moment as
/// an internal error.
///
/// # Errors
/// [`UnfitPostgres::Silent`].
pub fn warn_of_language(conn: &mut AnyConnection) -> Result<(), UnfitPostgres> {
    if let Some(lc_messages) = other_language(conn)? {
        tracing::warn!(
            lc_messages,
            "Postgres tells errors in a language that is not understood: ALTER ROLE ... SET lc_messages = 'C'"
        );
    }
    Ok(())
}

/// The `lc_messages` of a Postgres whose errors are not in English.
///
/// # Errors
/// [`UnfitPostgres::Silent`].
pub fn other_language(conn: &mut AnyConnection) -> Result<Option<String>, UnfitPostgres> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(None) };
    let Settings { lc_messages, .. } = settings(conn)?;
    Ok((!is_english(&lc_messages)).then_some(lc_messages))
}

/// Whether messages of that locale are in English, judged by its name (Windows has its own: `English_United
/// States.1252`).
fn is_english(locale: &str) -> bool {
    let language = locale.split(['_', '-', '.', '@']).next().unwrap_or_default();
    ["", "C", "POSIX", "en", "English"].contains(&language)
}

/// The settings with which a Postgres may lose what it has reported as stored.
///
/// # Errors
/// [`UnfitPostgres::Silent`].
pub fn unsafe_settings(conn: &mut AnyConnection) -> Result<Vec<&'static str>, UnfitPostgres> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(Vec::new()) };
    let Settings { fsync, synchronous_commit, full_page_writes, .. } = settings(conn)?;
    let values = [("fsync", fsync), ("synchronous_commit", synchronous_commit), ("full_page_writes", full_page_writes)];
    Ok(values.into_iter().filter(|(_, value)| value == "off").map(|(setting, _)| setting).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_their_names() {
        for locale in ["", "C", "C.UTF-8", "POSIX", "en_US.UTF-8", "en-GB", "English_United States.1252"] {
            assert!(is_english(locale), "{locale}");
        }
        for locale in ["de_DE.UTF-8", "eo", "es_ES@euro", "German_Germany.1252", "Cs"] {
            assert!(!is_english(locale), "{locale}");
        }
    }
}
