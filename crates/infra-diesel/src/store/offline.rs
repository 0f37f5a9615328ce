//! What tools read of a database without a [`Store`].

use crate::connection::open_error::OpenError;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, pooler, postgres};
use crate::maintenance::check::faults;
use crate::maintenance::inspect::{Inspection, inspect};
use crate::maintenance::names;
use crate::maintenance::names::Doubled;
use crate::store::Store;
use crate::store::preparation::blocking;

impl Store {
    /// The faults of the database, as sentences; none if all is well. Reads the whole database at one moment. A server
    /// may run.
    ///
    /// # Errors
    /// [`OpenError`] if it cannot read the database.
    pub async fn check(url: &str) -> Result<Vec<String>, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        blocking(move || {
            let mut conn = AnyConnection::open(&url, Purpose::Read)?;
            conn.disable_timeouts().map_err(|error| OpenError::Read(error.into()))?;
            conn.snapshot(faults).map_err(|error| OpenError::Read(Box::new(error)))
        })
        .await
    }

    /// Names that equalled others when their keys were renewed. A server may run.
    ///
    /// # Errors
    /// [`OpenError`] if it cannot read the database.
    pub async fn doubled_names(url: &str) -> Result<Doubled, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        blocking(move || {
            let mut conn = AnyConnection::open(&url, Purpose::Read)?;
            conn.disable_timeouts().map_err(|error| OpenError::Read(error.into()))?;
            conn.snapshot(names::doubled).map_err(|error| OpenError::Read(Box::new(error)))
        })
        .await
    }

    /// The state of the database; `None` if there is no file yet. Changes nothing. A server may run.
    ///
    /// # Errors
    /// [`OpenError`] if it cannot reach or read the database.
    pub async fn inspect(url: &str) -> Result<Option<Inspection>, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        blocking(move || {
            if let DatabaseUrl::Sqlite(path) = &url
                && !path.exists()
            {
                return Ok(None);
            }
            pooler::check(&url)?;
            let mut conn = AnyConnection::open(&url, Purpose::Read)?;
            postgres::check_fit(&mut conn)?;
            inspect(&mut conn, &url).map(Some)
        })
        .await
    }

    /// The URL without its password, for messages and logs. Empty if it is no URL of a database.
    pub fn redacted(url: &str) -> String {
        DatabaseUrl::parse(url).map(|url| url.redacted()).unwrap_or_default()
    }
}
