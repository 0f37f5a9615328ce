//! Making the index of the search anew, beside a running server.

use crate::connection::DatabaseUrl;
use crate::connection::open_error::OpenError;
use crate::search::{Made, SearchIndex};
use crate::store::preparation::blocking;
use domain::Error;
use std::sync::Arc;

/// Makes a new index in steps. Searches use the old one until the last step. If the process ends before, a running
/// server, or the next one, makes the rest.
pub struct Reindex {
    index: Arc<SearchIndex>,
}

impl Reindex {
    /// Begins a new index of the database at `url`.
    ///
    /// # Errors
    /// [`OpenError`], also if no server has made an index of this database yet.
    pub async fn begin(url: &str) -> Result<Self, OpenError> {
        let url = DatabaseUrl::parse_as("parlance-reindex", url).ok_or(OpenError::Url)?;
        let index = Arc::new(SearchIndex::new(url));
        let begun = Arc::clone(&index);
        blocking(move || begun.begin().map_err(|error| OpenError::Read(Box::new(Error::from(error))))).await?;
        Ok(Self { index })
    }

    /// Makes a part of it. Returns the percentage that is done, or `None` once the index is whole and in use.
    ///
    /// # Errors
    /// [`OpenError`]; the next call goes on.
    pub async fn step(&self) -> Result<Option<u8>, OpenError> {
        let index = Arc::clone(&self.index);
        let made =
            blocking(move || index.make().map_err(|error| OpenError::Read(Box::new(Error::from(error))))).await?;
        Ok(match made {
            Made::Part(percent) => Some(percent),
            Made::Nothing | Made::Rest => None,
        })
    }
}
