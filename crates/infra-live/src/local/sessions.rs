//! Sessions that another node or the command line ended. Their packet may be lost; this does not depend on it.

use super::hub::Hub;
use domain::SessionId;
use domain::events::Event;
use domain::live::NodeReader;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often the server looks up the sessions of its connections. Together with a look-up this stays below the five
/// seconds within which every node closes the connections of an ended session.
const LOOK_UP_EVERY: Duration = Duration::from_secs(2);
/// How many sessions one look-up names.
const MAX_PER_LOOK_UP: usize = 1_000;

/// Closes the connections of sessions that the database knows to have ended, and of deleted users. Runs for as long as
/// it is awaited.
pub async fn close_ended_sessions(hub: Arc<Hub>, reader: Arc<dyn NodeReader>) {
    let mut ticks = tokio::time::interval(LOOK_UP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let connected: HashMap<_, _> = hub.sessions().into_iter().collect();
        let sessions: Vec<SessionId> = connected.keys().copied().collect();
        for some in sessions.chunks(MAX_PER_LOOK_UP) {
            match reader.ended(some.to_vec()).await {
                Ok(ended) => {
                    let ended = ended.into_iter().filter_map(|session| Some((session, *connected.get(&session)?)));
                    let events: Vec<_> = ended.map(|(session, user)| Event::SessionEnded { user, session }).collect();
                    reader.heard(&events);
                    hub.deliver(events);
                }
                // The next tick looks again.
                Err(error) => tracing::debug!(%error, "sessions were not looked up"),
            }
        }
    }
}
