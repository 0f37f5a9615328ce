//! The task that forgets the sessions that nobody can use any more.

use domain::sessions::ForgetSessions;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

/// How often a server looks for them.
pub const EVERY: Duration = Duration::from_secs(3600);

/// Looks now and again and again, until it is dropped. What one time cannot do the next one does.
pub async fn keep_forgetting(sessions: ForgetSessions, every: Duration) {
    let mut ticks = interval(every);
    // One that takes long is followed by a pause, not by another.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sessions.execute().await {
            Ok(forgotten) => debug!(forgotten, "forgot sessions that nobody can use any more"),
            Err(fault) => {
                warn!(
                    error = &fault as &dyn std::error::Error,
                    "old sessions were not all forgotten, and will be later"
                );
            }
        }
    }
}
