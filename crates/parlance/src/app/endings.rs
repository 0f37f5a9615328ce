//! The task that cleans up after ended accounts and groups.

use domain::endings::EndingService;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// How often the server looks for remains of ended accounts and groups. No user can see them.
const EVERY: Duration = Duration::from_secs(2);

/// Looks at once and then periodically, until it is dropped. If a run fails, the next one continues.
pub async fn keep_finishing(endings: EndingService) {
    let mut ticks = interval(EVERY);
    // After a long run, the task pauses before the next one.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = false;
    loop {
        ticks.tick().await;
        let outcome = endings.finish_all().await;
        if let (Err(fault), false) = (&outcome, failed) {
            // Logs a series of failures once.
            warn!(
                error = fault as &dyn std::error::Error,
                "the server could not clean up all ended accounts and groups; it will try again"
            );
        }
        failed = outcome.is_err();
    }
}
