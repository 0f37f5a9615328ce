//! The tasks of followers: what is derived from the log is kept up to date here.

use crate::telemetry;
use domain::Clock;
use domain::followers::{Followed, FollowerName, Following};
use infra_diesel::{SearchIndexer, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{info, warn};
use uuid::Uuid;

/// How often the server looks for changes. What it has not seen yet a search finds without it.
const EVERY: Duration = Duration::from_millis(300);
/// How long the server waits after a fault.
const PAUSE: Duration = Duration::from_secs(2);

/// Opens the index of the search and makes a small one at once. `None` if that fails: [`keep_indexing`] tries again,
/// and the server serves everything else.
pub async fn start_index(store: &Arc<Store>) -> Option<Arc<SearchIndexer>> {
    match SearchIndexer::start(Arc::clone(store)).await {
        Ok(indexer) => Some(Arc::new(indexer)),
        Err(fault) => {
            warn!(error = &fault as &dyn std::error::Error, "the search has no index; the server will try again");
            None
        }
    }
}

/// Follows the log for the search, until it is dropped.
pub async fn keep_indexing(
    store: Arc<Store>,
    started: Option<Arc<SearchIndexer>>,
    clock: Arc<dyn Clock>,
    leader: Uuid,
) {
    let indexer = match started {
        Some(indexer) => indexer,
        None => loop {
            sleep(PAUSE).await;
            if let Some(indexer) = start_index(&store).await {
                break indexer;
            }
        },
    };
    let following = Following { log: store, follower: indexer.clone(), clock, leader };
    let mut ticks = interval(EVERY);
    // After a long run, the task pauses before the next one.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut failed, mut making) = (false, false);
    loop {
        if !making {
            ticks.tick().await;
        }
        let outcome = async {
            let more = indexer.make_more().await?;
            Ok::<_, domain::Error>((more, following.run().await?))
        };
        match outcome.await {
            Ok((more, followed)) => {
                if making && !more {
                    info!("the index of the search is complete");
                }
                making = more;
                failed = false;
                let behind = match followed {
                    Followed::UpToDate => 0,
                    Followed::Behind(micros) => micros,
                };
                telemetry::follower_lag(FollowerName::Search.as_str(), behind);
            }
            Err(fault) => {
                // Logs a series of failures once.
                if !failed {
                    warn!(
                        error = &fault as &dyn std::error::Error,
                        "the index of the search could not follow; the server will try again"
                    );
                }
                (failed, making) = (true, false);
                sleep(PAUSE).await;
            }
        }
    }
}
