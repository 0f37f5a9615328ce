//! Sessions that somebody else ended: another node, or the command line. Their word may be lost; this does not depend on it.

use crate::local::hub::Hub;
use domain::SessionId;
use domain::events::Event;
use domain::live::NodeReader;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the sessions of those who are connected are looked up: with a look-up, below the five seconds within which an
/// ended session's sockets are closed on every node.
const EVERY: Duration = Duration::from_secs(2);
/// How many are looked up at once.
const AT_ONCE: usize = 1_000;

/// Closes the connections of sessions that have ended and of users that are gone, as the database has it. Goes on for as long as
/// it is awaited.
pub async fn end_with_their_sessions(hub: Arc<Hub>, reader: Arc<dyn NodeReader>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let connected: HashMap<_, _> = hub.sessions().into_iter().collect();
        let sessions: Vec<SessionId> = connected.keys().copied().collect();
        for some in sessions.chunks(AT_ONCE) {
            match reader.ended(some.to_vec()).await {
                Ok(ended) => {
                    let ended = ended.into_iter().filter_map(|session| Some((session, *connected.get(&session)?)));
                    let events: Vec<_> = ended.map(|(session, user)| Event::SessionEnded { user, session }).collect();
                    reader.heard(&events);
                    hub.deliver(events);
                }
                // The next time.
                Err(error) => tracing::debug!(%error, "sessions were not looked up"),
            }
        }
    }
}
