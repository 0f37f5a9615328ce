//! What is asked of a database that no [`Store`] has open.

use crate::connection::open_error::OpenError;
use crate::connection::{AnyConnection, DatabaseUrl, Purpose, pooler, postgres};
use crate::maintenance::check::faults;
use crate::maintenance::inspect::{Inspection, inspect};
use crate::maintenance::names;
use crate::maintenance::names::Doubled;
use crate::store::Store;
use crate::store::preparation::blocking;

impl Store {
    /// The faults of the database, as sentences; none if all is well. Reads all of it, at one moment. May run beside a
    /// server.
    ///
    /// # Errors
    /// [`OpenError`] where it cannot be read at all.
    pub async fn check(url: &str) -> Result<Vec<String>, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        blocking(move || {
            let mut conn = AnyConnection::open(&url, Purpose::Read)?;
            conn.disable_timeouts().map_err(|error| OpenError::Read(error.into()))?;
            conn.snapshot(faults).map_err(|error| OpenError::Read(Box::new(error)))
        })
        .await
    }

    /// Names that were the same as others' when their keys were renewed. May run beside a server.
    ///
    /// # Errors
    /// [`OpenError`] where the database cannot be read.
    pub async fn doubled_names(url: &str) -> Result<Doubled, OpenError> {
        let url = DatabaseUrl::parse(url).ok_or(OpenError::Url)?;
        blocking(move || {
            let mut conn = AnyConnection::open(&url, Purpose::Read)?;
            conn.disable_timeouts().map_err(|error| OpenError::Read(error.into()))?;
            conn.snapshot(names::doubled).map_err(|error| OpenError::Read(Box::new(error)))
        })
        .await
    }

    /// What the database is like; `None` if there is no file yet. Changes nothing, and may run beside a server.
    ///
    /// # Errors
    /// [`OpenError`] where it cannot be reached or read.
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

    /// The URL without its password, fit to be shown. Empty if it is no URL of a database.
    pub fn redacted(url: &str) -> String {
        DatabaseUrl::parse(url).map(|url| url.redacted()).unwrap_or_default()
    }
}
