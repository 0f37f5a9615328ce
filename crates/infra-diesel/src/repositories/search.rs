//! Searching messages, and the follower that keeps their index.

use crate::Store;
use crate::error::{DbError, DbResult};
use crate::repositories::followers::position;
use crate::search::{Made, SearchIndex};
use async_trait::async_trait;
use domain::followers::{Follower, FollowerLog as _, FollowerName, Lease};
use domain::messages::ChangeEntry;
use domain::search::{Found, Search, SearchReader};
use domain::{Error, Page, Result, UserId};
use std::sync::Arc;

#[async_trait]
impl SearchReader for Store {
    async fn search(&self, viewer: UserId, search: Search) -> Result<Page<Found>> {
        let index = Arc::clone(self.search_index());
        self.snapshot_for(viewer, move |conn| {
            let position = position(conn, FollowerName::Search)?;
            index.search(conn, viewer, &search, position)
        })
        .await
    }
}

/// Keeps the index of the search up to date with the log.
pub struct SearchIndexer {
    store: Arc<Store>,
}

impl SearchIndexer {
    /// Makes the index where there is none, at least for a small database.
    ///
    /// # Errors
    /// Faults of storage.
    pub async fn start(store: Arc<Store>) -> Result<Self> {
        let indexer = Self { store };
        indexer.prepare().await?;
        for _ in 0..STEPS_AT_START {
            if indexer.make().await? == Made::Nothing {
                break;
            }
        }
        Ok(indexer)
    }

    /// Begins an index for a database that has none.
    async fn prepare(&self) -> Result<()> {
        let has_position = self.store.read(|conn| Ok(position(conn, FollowerName::Search)?.is_some())).await?;
        // The follower begins first: whatever changes from here on reaches the index.
        let begun = self.run(move |index| index.prepare(has_position));
        if has_position {
            return begun.await;
        }
        begun.await?;
        self.store.position(FollowerName::Search).await.map(|_| ())
    }

    /// Makes a part of an index that is not whole yet. Returns whether there is more to make.
    ///
    /// # Errors
    /// Faults of storage.
    pub async fn make_more(&self) -> Result<bool> {
        if !self.run(SearchIndex::has_work).await? {
            return Ok(false);
        }
        Ok(matches!(self.make().await?, Made::Part(_)))
    }

    async fn make(&self) -> Result<Made> {
        self.run(SearchIndex::make).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SearchIndex) -> DbResult<T> + Send + 'static,
    ) -> Result<T> {
        let index = Arc::clone(self.store.search_index());
        let (sender, answer) = tokio::sync::oneshot::channel();
        // A thread of its own: at its end the runtime would wait for its own threads, and a Postgres may never answer.
        let run = move || {
            // The caller may have given up.
            let _ = sender.send(work(&index));
        };
        std::thread::Builder::new().name("db-search".to_owned()).spawn(run).map_err(Error::internal)?;
        answer.await.map_err(Error::internal)?.map_err(|error: DbError| error.into())
    }
}

/// Transactions that a start waits for: an index of a few thousand messages is whole when the server listens.
const STEPS_AT_START: usize = 8;

#[async_trait]
impl Follower for SearchIndexer {
    fn name(&self) -> FollowerName {
        FollowerName::Search
    }

    async fn follow(&self, lease: Lease, changes: Vec<ChangeEntry>) -> Result<bool> {
        self.run(move |index| index.follow(lease, &changes)).await
    }
}
