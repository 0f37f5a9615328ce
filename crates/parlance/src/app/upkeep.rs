//! The task for periodic maintenance.

use crate::telemetry::METRICS;
use domain::retention::Expired;
use domain::upkeep::{KeepUp, Kept};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

/// How often the server looks for expired or unused data.
pub const EVERY: Duration = Duration::from_secs(3600);

/// Looks at once and then periodically, until it is dropped. If a run fails, the next one continues.
pub async fn keep_up(keeping: KeepUp, every: Duration) {
    let mut ticks = interval(every);
    // After a long run, the task pauses before the next one.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let kept = keeping.run().await;
        let doubted = matches!(kept, Ok(Kept::Doubted(_)));
        METRICS.clock_doubted.set(if doubted { 1.0 } else { 0.0 });
        match kept {
            Ok(Kept::ByAnother) => {}
            Ok(Kept::Doubted(ahead)) => {
                let days = ahead / 86_400_000_000;
                warn!(
                    days,
                    "the clock is far ahead of the last run of a server on this database: the server deletes nothing because of its \
                     age. If the clock is wrong, set it right; if it is right, the server believes it after a day of running"
                );
            }
            Ok(Kept::Done { sessions, expired: Expired { messages, files }, loose, unfinished, lost, strange }) => {
                debug!(sessions, "deleted expired sessions");
                if messages + files > 0 {
                    info!(messages, files, "deleted messages and files past their retention");
                }
                if loose + unfinished + lost > 0 {
                    info!(
                        files = loose,
                        unfinished,
                        lost,
                        "deleted files that no message carries, and what cut-off uploads and crashes had left"
                    );
                }
                if strange > 0 {
                    warn!(
                        blobs = strange,
                        "most of the uploads are unknown to the database: the server deletes none of them. Check whether \
                         DATABASE_URL and PARLANCE_FILES belong together; `parlance doctor` says more"
                    );
                }
            }
            Err(fault) => {
                warn!(
                    error = &fault as &dyn std::error::Error,
                    "the server could not delete all old or unused data; it will try again"
                );
            }
        }
    }
}
