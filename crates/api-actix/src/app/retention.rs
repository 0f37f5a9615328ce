//! The task that deletes what is too old, where the operator wants that.

use domain::retention::{EnforceRetention, Expired};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// How often a server looks for what has become too old.
pub const EVERY: Duration = Duration::from_secs(3600);

/// Looks now and again and again, until it is dropped. What one time cannot do the next one does.
pub async fn keep_enforcing(retention: EnforceRetention, every: Duration) {
    let mut ticks = interval(every);
    // One that takes long is followed by a pause, not by another.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match retention.execute().await {
            Ok(expired) if expired == Expired::default() => {}
            Ok(Expired { messages, files }) => info!(messages, files, "deleted what was too old"),
            Err(fault) => {
                warn!(
                    error = &fault as &dyn std::error::Error,
                    "what is too old was not all deleted, and will be later"
                );
            }
        }
    }
}
