//! Refuses poolers that do not keep sessions.
//!
//! The store relies on a connection to Postgres being one session for as long as it lives: settings
//! (`statement_timeout`, `TimeZone`), named prepared statements and the lock of the migrations belong to a session. A
//! pooler in transaction or statement mode gives each transaction any free session.

use crate::connection::DatabaseUrl;
use crate::connection::postgres::UnfitPostgres;
use crate::error::is_out_of_reach;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Nullable, Text};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Two sessions answer in milliseconds. A pooler without room for a second one lets its client wait for minutes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The order in which two connections look for their own settings. A pooler hands out either the session that came back
/// last (both connections then see the same one) or the one that came back first (a connection that looks twice in a
/// row then sees two).
const ORDER: [Session; 8] = [
    Session::One,
    Session::One,
    Session::Other,
    Session::One,
    Session::Other,
    Session::Other,
    Session::Other,
    Session::One,
];

#[derive(Clone, Copy)]
enum Session {
    One,
    Other,
}

/// What the probe found.
enum ProbeResult {
    Sessions,
    Pooler,
    /// Nothing certain. The next attempt to connect reports why.
    Nothing,
}

/// Refuses a Postgres behind a pooler that does not keep sessions. A SQLite file always passes, and so does a database
/// that cannot be reached.
///
/// Each of two connections sets a value of its own and looks for it again. This needs neither another client, nor a
/// second session of the pooler, nor time. It does not detect a pooler that gives a client the same session for as long
/// as no other client needs it.
///
/// # Errors
/// [`UnfitPostgres::Pooled`], [`UnfitPostgres::NoRoom`].
pub fn check(url: &DatabaseUrl) -> Result<(), UnfitPostgres> {
    let DatabaseUrl::Postgres(address) = url else { return Ok(()) };
    let timeout = PROBE_TIMEOUT.max(url.answer_timeout().unwrap_or_default() * 2);
    let (tell, told) = sync_channel(1);
    let address = address.clone();
    // libpq waits as long as the pooler does. The thread may outlive this call; it ends with the process.
    let probe = move || drop(tell.send(probe(&address)));
    if std::thread::Builder::new().name("db-probe".to_owned()).spawn(probe).is_err() {
        return Ok(());
    }
    match told.recv_timeout(timeout) {
        Ok(ProbeResult::Pooler) => Err(UnfitPostgres::Pooled),
        Ok(ProbeResult::Sessions | ProbeResult::Nothing) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        Err(RecvTimeoutError::Timeout) => Err(UnfitPostgres::NoRoom(timeout.as_secs())),
    }
}

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = Nullable<Text>)]
    mark: Option<String>,
}

/// A connection and the value that it has set.
struct Marked {
    conn: PgConnection,
    mark: Option<String>,
}

impl Marked {
    fn open(address: &str) -> Result<PgConnection, ProbeResult> {
        PgConnection::establish(address).map_err(|error| match error {
            // Diesel prepares its first statements and runs them in two steps.
            ConnectionError::CouldntSetupConfiguration(error) if error.to_string().contains("prepared statement") => {
                ProbeResult::Pooler
            }
            _ => ProbeResult::Nothing,
        })
    }

    fn mark(mut conn: PgConnection) -> QueryResult<Self> {
        // Unlike the value of any other server that starts behind the same pooler at the same time.
        let unique = "SELECT md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text) AS mark";
        let Mark { mark } = diesel::sql_query(unique).get_result(&mut conn)?;
        conn.batch_execute(&format!("SET parlance.probe = '{}'", mark.as_deref().unwrap_or_default()))?;
        Ok(Self { conn, mark })
    }

    fn is_there(&mut self) -> QueryResult<bool> {
        let query = "SELECT current_setting('parlance.probe', true) AS mark";
        let Mark { mark } = diesel::sql_query(query).get_result(&mut self.conn)?;
        Ok(mark == self.mark)
    }
}

fn probe(address: &str) -> ProbeResult {
    let opened = Marked::open(address).and_then(|one| Ok((one, Marked::open(address)?)));
    let (one, other) = match opened {
        Ok(opened) => opened,
        Err(found) => return found,
    };
    match keep_their_marks(one, other) {
        Ok(true) => ProbeResult::Sessions,
        Ok(false) => ProbeResult::Pooler,
        Err(error) => judge(&error),
    }
}

fn keep_their_marks(one: PgConnection, other: PgConnection) -> QueryResult<bool> {
    let (mut one, mut other) = (Marked::mark(one)?, Marked::mark(other)?);
    for which in ORDER {
        let kept = match which {
            Session::One => one.is_there()?,
            Session::Other => other.is_there()?,
        };
        if !kept {
            return Ok(false);
        }
    }
    Ok(true)
}

/// None of these statements fails within one session. A statement that is prepared in one session and run in another
/// fails.
fn judge(error: &DieselError) -> ProbeResult {
    if is_out_of_reach(error) { ProbeResult::Nothing } else { ProbeResult::Pooler }
}
