//! Whether a connection to Postgres is one session for as long as it lives.
//!
//! Everything here relies on it: settings (`statement_timeout`, `TimeZone`), named prepared statements, and the lock of the
//! migrations belong to a session. A pooler in transaction or statement mode gives each transaction any session that is free.

use crate::connection::DatabaseUrl;
use crate::connection::postgres::UnfitPostgres;
use crate::error::is_out_of_reach;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Nullable, Text};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Two sessions answer in milliseconds; a pooler without room for a second one lets us wait for minutes.
const PATIENCE: Duration = Duration::from_secs(10);

/// In which order two connections look for what each has set. Poolers hand out the session that was given back last (both look
/// at the same one), or the one that was given back first (whoever looks twice in a row looks at two).
const ORDER: [Which; 8] =
    [Which::One, Which::One, Which::Other, Which::One, Which::Other, Which::Other, Which::Other, Which::One];

#[derive(Clone, Copy)]
enum Which {
    One,
    Other,
}

/// What the probe found.
enum Found {
    Sessions,
    Pooler,
    /// Whoever connects next says why.
    Nothing,
}

/// Refuses a Postgres that is reached through a pooler that does not keep sessions. A SQLite file is always fit; a database that
/// cannot be reached is not judged.
///
/// Each of two connections sets something of its own and looks for it again. That needs neither another client nor a second
/// session of the pooler, and no time. A pooler that gives a client the same session for as long as nobody else needs it is
/// not found out.
///
/// # Errors
/// [`UnfitPostgres::Pooled`], [`UnfitPostgres::NoRoom`].
pub fn check(url: &DatabaseUrl) -> Result<(), UnfitPostgres> {
    let DatabaseUrl::Postgres(address) = url else { return Ok(()) };
    let patience = PATIENCE.max(url.patience().unwrap_or_default() * 2);
    let (tell, told) = sync_channel(1);
    let address = address.clone();
    // libpq waits as long as the pooler does. The thread is left to itself then, and ends with the process.
    let probe = move || drop(tell.send(probe(&address)));
    if std::thread::Builder::new().name("db-probe".to_owned()).spawn(probe).is_err() {
        return Ok(());
    }
    match told.recv_timeout(patience) {
        Ok(Found::Pooler) => Err(UnfitPostgres::Pooled),
        Ok(Found::Sessions | Found::Nothing) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        Err(RecvTimeoutError::Timeout) => Err(UnfitPostgres::NoRoom(patience.as_secs())),
    }
}

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = Nullable<Text>)]
    mark: Option<String>,
}

/// A connection and what it has set.
struct Marked {
    conn: PgConnection,
    mark: Option<String>,
}

impl Marked {
    fn open(address: &str) -> Result<PgConnection, Found> {
        PgConnection::establish(address).map_err(|error| match error {
            // What diesel sets at first is prepared and run in two steps.
            ConnectionError::CouldntSetupConfiguration(error) if error.to_string().contains("prepared statement") => {
                Found::Pooler
            }
            _ => Found::Nothing,
        })
    }

    fn mark(mut conn: PgConnection) -> QueryResult<Self> {
        // Unlike that of any other server that is being started behind the same pooler.
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

fn probe(address: &str) -> Found {
    let opened = Marked::open(address).and_then(|one| Ok((one, Marked::open(address)?)));
    let (one, other) = match opened {
        Ok(opened) => opened,
        Err(found) => return found,
    };
    match keep_their_marks(one, other) {
        Ok(true) => Found::Sessions,
        Ok(false) => Found::Pooler,
        Err(error) => judge(&error),
    }
}

fn keep_their_marks(one: PgConnection, other: PgConnection) -> QueryResult<bool> {
    let (mut one, mut other) = (Marked::mark(one)?, Marked::mark(other)?);
    for which in ORDER {
        let kept = match which {
            Which::One => one.is_there()?,
            Which::Other => other.is_there()?,
        };
        if !kept {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Nothing that is asked here fails in a session: a statement that was prepared in one and is to be run in another does.
fn judge(error: &DieselError) -> Found {
    if is_out_of_reach(error) { Found::Nothing } else { Found::Pooler }
}
