//! Keeps a node in step with the database: it orders deltas, reads what is missing, and compares everything with the
//! database every second. So the node makes up for everything that the bus loses.

use super::backfill::{Backfill, Backfills};
use super::sequencer::{ConversationDelta, Sequencer};
use crate::local::frame::MembershipReload;
use crate::local::hub::Hub;
use crate::local::interest::Interest;
use crate::telemetry::NODES;
use domain::events::{Audience, ConversationVersion, Revision};
use domain::live::{Changed, Known, MAX_MISSED_IN_ONE, NodeReader, Past, Resync, ResyncReason};
use domain::{ConversationId, Error};
use futures_util::future::BoxFuture;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often a node compares everything with the database while it is connected to the bus. A lost packet delays its
/// events by at most this time.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// How often while it is not.
const COMPARE_EVERY_WITHOUT_BUS: Duration = Duration::from_millis(500);
/// How long packets may take to tell what the database has already. After that the node reads it.
const GRACE: Duration = Duration::from_millis(200);
/// How often the read of a conversation fails, while the database itself answers, before the node tells clients to
/// reload it.
const MAX_FAILURES: u32 = 5;

/// The state of the comparison with the database.
enum Comparison {
    /// The node asks the database from then on.
    Due(Instant),
    /// The database has not answered yet.
    Asking(BoxFuture<'static, domain::Result<Changed>>),
    /// The node waits for the packets of these conversations until then, and reads them from the database afterwards.
    Settling(Changed, Instant),
}

/// A completed read of the database.
pub enum Answer {
    Backfill(Backfill),
    Comparison(domain::Result<Changed>),
}

/// Decides what this node delivers, and when.
pub struct Reconciler {
    hub: Arc<Hub>,
    reader: Arc<dyn NodeReader>,
    sequencer: Sequencer,
    backfills: Backfills,
    comparison: Comparison,
    /// Groups that the node reads to learn which local users are in them.
    membership_lookups: HashSet<ConversationId>,
    connected: bool,
}

impl Reconciler {
    /// For a node that has delivered everything older than `watermark`.
    pub fn new(hub: Arc<Hub>, reader: Arc<dyn NodeReader>, watermark: Revision, now: Instant) -> Self {
        Self {
            sequencer: Sequencer::new(watermark),
            backfills: Backfills::new(Arc::clone(&hub), Arc::clone(&reader)),
            comparison: Comparison::Due(now),
            membership_lookups: HashSet::new(),
            connected: false,
            hub,
            reader,
        }
    }

    /// Takes a delta of this node or of another, and delivers what is due.
    pub fn offer(&mut self, delta: ConversationDelta, audience: Audience, now: Instant) {
        let interest = self.hub.interest(audience);
        let events = self.sequencer.offer(delta, audience, interest, now);
        self.hub.deliver(events);
    }

    /// Reads the conversation from the database soon.
    pub fn request_backfill(&mut self, of: ConversationId, audience: Audience) {
        self.sequencer.request_backfill(of, audience, self.hub.interest(audience));
    }

    /// The connection to the bus is up, or lost.
    pub fn set_connected(&mut self, connected: bool, now: Instant) {
        self.connected = connected;
        self.compare_soon(now);
    }

    /// Packets may be lost: compares everything with the database as soon as possible.
    pub fn compare_soon(&mut self, now: Instant) {
        if let Comparison::Due(at) = &mut self.comparison {
            *at = now;
        }
    }

    /// Does the work that is due.
    pub fn tick(&mut self, now: Instant) {
        self.compare(now);
        let (gaps, events) = self.sequencer.poll_gaps(|audience| self.hub.interest(audience), now);
        self.backfills.extend(gaps);
        self.hub.deliver(events);
        self.backfills.start();
    }

    /// The next answer of the database. Waits for ever if no read is running. Cancel safe.
    pub async fn next(&mut self) -> Answer {
        tokio::select! {
            backfill = self.backfills.next() => Answer::Backfill(backfill),
            changed = asked(&mut self.comparison) => Answer::Comparison(changed),
        }
    }

    /// Takes an answer of the database.
    pub fn complete(&mut self, answer: Answer, now: Instant) {
        match answer {
            Answer::Backfill(backfill) => {
                self.apply_backfill(backfill, now);
                // Looking at every conversation after each of many answers would cost the square of their number.
                self.backfills.start();
                if self.backfills.is_idle() {
                    self.tick(now);
                }
            }
            Answer::Comparison(changed) => {
                self.comparison = match changed {
                    Ok(changed) => Comparison::Settling(changed, if self.connected { now + GRACE } else { now }),
                    Err(error) => {
                        debug!(%error, "the database was not compared with");
                        Comparison::Due(now + COMPARE_EVERY_WITHOUT_BUS)
                    }
                };
                self.tick(now);
            }
        }
    }

    fn compare(&mut self, now: Instant) {
        let every = if self.connected { COMPARE_EVERY } else { COMPARE_EVERY_WITHOUT_BUS };
        match &mut self.comparison {
            Comparison::Due(at) if *at <= now => {
                let (reader, since) = (Arc::clone(&self.reader), self.sequencer.watermark());
                self.comparison = Comparison::Asking(Box::pin(async move { reader.changed(since).await }));
            }
            Comparison::Settling(changed, until) => {
                let (hub, sequencer) = (&self.hub, &self.sequencer);
                changed.conversations.retain(|changed| {
                    let interest = hub.interest(changed.audience);
                    sequencer.is_behind(changed, interest) || sequencer.may_have_missed_membership(changed, interest)
                });
                if changed.conversations.is_empty() {
                    let at = changed.at;
                    self.comparison = Comparison::Due(now + every);
                    // A joining connection must get everything from its cursor on.
                    let at = self.hub.oldest_joining().map_or(at, |oldest| oldest.min(at));
                    self.sequencer.advance_watermark(at);
                    self.hub.advance_cursor(at);
                    NODES.checks.increment(1);
                } else if *until <= now {
                    for behind in &changed.conversations {
                        let interest = self.hub.interest(behind.audience);
                        if self.sequencer.is_behind(behind, interest) {
                            self.sequencer.request_backfill(behind.conversation, behind.audience, interest);
                        } else if self.membership_lookups.insert(behind.conversation) {
                            let known = Known::Before(self.sequencer.watermark());
                            self.backfills.extend([(behind.conversation, known)]);
                        }
                    }
                    // The node looks at these again when the reads are done, or should be.
                    *until = now + every;
                }
            }
            Comparison::Due(_) | Comparison::Asking(_) => {}
        }
    }

    fn apply_backfill(&mut self, Backfill { conversation: of, connected, past }: Backfill, now: Instant) {
        self.membership_lookups.remove(&of);
        let mut past = match past {
            Ok(Some(past)) => past,
            Ok(None) => return self.sequencer.backfill_failed(of, now),
            Err(error) => match self.give_up(of, &error) {
                Some(past) => past,
                None => return self.sequencer.backfill_failed(of, now),
            },
        };
        self.backfills.forget_failures(of);
        let known = self.sequencer.version(of);
        // This node has delivered a change of members that the database did not know yet when it answered.
        let outdated = known.is_some_and(|version| version.membership_revision > past.stands.membership_revision);
        if outdated {
            past.members = None;
        }
        let looked_up = past.members.is_some();
        if let (Audience::Members(group), Some(members)) = (past.audience, past.members.take()) {
            // Members who stay have to reload only if something was missed.
            let knows = |version: ConversationVersion| version.membership_revision >= past.version.membership_revision;
            let begun_with = match self.hub.interest(past.audience) {
                Interest::Knows(version) => Some(version),
                Interest::Since(_) | Interest::Nobody => None,
            };
            if !members.is_empty() {
                self.sequencer.track(of, past.audience);
            }
            self.sequencer.membership_looked_up(of);
            self.hub.reload_membership(MembershipReload {
                group,
                asked: connected.into_iter().collect(),
                members: members.into_iter().collect(),
                tell_all: !known.is_some_and(knows) && !begun_with.is_some_and(knows),
            });
        }
        if past.missed > MAX_MISSED_IN_ONE {
            past.events.clear();
            (past.version, past.more) = (past.stands, false);
            let resync = Resync { conversation: Some(of), reason: ResyncReason::TooFarBehind };
            self.hub.resync(past.audience, resync);
        }
        let events = self.sequencer.apply_backfill(of, past, now);
        self.hub.deliver(events);
        if let Comparison::Settling(changed, _) = &mut self.comparison {
            let (hub, sequencer) = (&self.hub, &self.sequencer);
            changed.conversations.retain(|changed| {
                let interest = hub.interest(changed.audience);
                changed.conversation != of
                    || sequencer.is_behind(changed, interest)
                    // A group without a track stays unchecked for the sequencer: nobody who is connected here is a
                    // member.
                    || !looked_up && sequencer.may_have_missed_membership(changed, interest)
            });
        }
    }

    /// The read of the conversation failed. If that happens again and again while the database answers (a message may
    /// be of a kind that this version does not know), the node tells clients to reload the conversation and goes on
    /// behind it.
    fn give_up(&mut self, of: ConversationId, error: &Error) -> Option<Past> {
        if let Error::Unavailable(_) = error {
            debug!(%error, "a conversation was not read");
            return None;
        }
        let failures = self.backfills.count_failure(of);
        warn!(%error, conversation = %of, failures, "a conversation cannot be read");
        let Comparison::Settling(changed, _) = &self.comparison else { return None };
        let behind = changed.conversations.iter().find(|changed| changed.conversation == of)?;
        if failures < MAX_FAILURES {
            return None;
        }
        let (audience, version) = (behind.audience, behind.version);
        let resync = Resync { conversation: Some(of), reason: ResyncReason::TooFarBehind };
        self.hub.resync(audience, resync);
        Some(Past { audience, events: Vec::new(), version, stands: version, more: false, missed: 0, members: None })
    }
}

/// The answer of the database, once. Waits for ever if the node has not asked.
async fn asked(comparison: &mut Comparison) -> domain::Result<Changed> {
    match comparison {
        Comparison::Asking(asked) => asked.await,
        Comparison::Due(_) | Comparison::Settling(..) => std::future::pending().await,
    }
}
