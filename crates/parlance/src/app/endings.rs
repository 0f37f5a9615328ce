//! The task that cleans up after ended accounts and groups.

use domain::endings::FinishEndings;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// How often a server looks for what has ended and left something. Nobody sees what is left.
const EVERY: Duration = Duration::from_secs(2);

/// Looks now and again and again, until it is dropped. What one time cannot do the next one does.
pub async fn keep_finishing(endings: FinishEndings) {
    let mut ticks = interval(EVERY);
    // One that takes long is followed by a pause, not by another.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = false;
    loop {
        ticks.tick().await;
        let outcome = endings.execute().await;
        if let (Err(fault), false) = (&outcome, failed) {
            // Once for all times in a row.
            warn!(error = fault as &dyn std::error::Error, "what has ended was not all tidied up, and will be later");
        }
        failed = outcome.is_err();
    }
}
