//! Puts what several nodes commit into order. The deltas of one conversation may arrive by several ways and in any
//! order; the sequencer delivers each once, after the delta that it follows from.

use crate::local::interest::Interest;
use domain::ConversationId;
use domain::events::{Audience, ConversationVersion, Event, Revision};
use domain::live::{ChangedConversation, Known, Past};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a delta waits for the one before it to arrive. Then the node reads the database.
pub const GAP_TIMEOUT: Duration = Duration::from_millis(150);
/// How many deltas of one conversation may wait. With more, the sequencer drops all of them and the node reads the
/// database.
const MAX_HELD: usize = 1024;

/// What one commit did to one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationDelta {
    pub conversation: ConversationId,
    /// The conversation's version before the commit.
    pub before: ConversationVersion,
    /// Its version after the commit. Equal to `before` if the commit only marked something as read.
    pub after: ConversationVersion,
    /// Empty although the version changed: the events were too long for a packet. Nodes read them from the database.
    pub events: Vec<Event>,
}

impl ConversationDelta {
    fn changes(&self) -> bool {
        self.before != self.after
    }

    fn lacks_events(&self) -> bool {
        self.events.is_empty() && self.changes()
    }

    /// The same for a packet that would be too long.
    pub fn without_events(&self) -> Self {
        Self { events: Vec::new(), ..*self }
    }
}

#[derive(Debug)]
struct Track {
    audience: Audience,
    /// The version up to which this node has delivered the conversation. `None` where the node does not know it.
    version: Option<ConversationVersion>,
    /// Deltas that wait for the one before them.
    held: Vec<ConversationDelta>,
    /// Since when the oldest of them waits.
    waiting_since: Option<Instant>,
    /// The held deltas do not suffice: the node has to read the database.
    needs_backfill: bool,
    /// The node is reading the database.
    backfilling: bool,
    /// Version assumed without a query because no local connection was interested, or all interested connections knew
    /// it. It must be checked again when another one becomes interested.
    assumed: Option<ConversationVersion>,
    /// The node has taken over a version of the group instead of delivering what led to it. It may have missed that
    /// somebody added a local user.
    membership_unchecked: bool,
}

impl Track {
    fn new(audience: Audience) -> Self {
        Self {
            audience,
            version: None,
            held: Vec::new(),
            waiting_since: None,
            needs_backfill: false,
            backfilling: false,
            assumed: None,
            membership_unchecked: false,
        }
    }

    /// Takes over a version that this node has not delivered, because the interested connections know it.
    fn take_over(&mut self, version: ConversationVersion, watermark: Revision) {
        let skips = self.version.is_none_or(|known| known.membership_revision < version.membership_revision);
        self.membership_unchecked |= skips && version.membership_revision >= watermark;
        self.version = Some(version);
    }

    /// Takes the held deltas that follow from what was delivered, and returns their events. Drops old deltas.
    fn advance(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        // The answer of a running backfill may be newer than the held deltas.
        let Some(mut version) = self.version.filter(|_| !self.backfilling) else { return events };
        loop {
            self.held.retain(|delta| !(delta.changes() && version.is_at_least(&delta.after)));
            let follows = |delta: &ConversationDelta| {
                if delta.changes() {
                    delta.before.update == version.update
                        && delta.before.membership_revision == version.membership_revision
                } else {
                    version.is_at_least(&delta.before)
                }
            };
            let Some(next) = self.held.iter().position(follows) else { break };
            if self.held[next].lacks_events() {
                self.needs_backfill = true;
                break;
            }
            let delta = self.held.remove(next);
            if delta.changes() {
                version = delta.after;
            }
            events.extend(delta.events);
        }
        self.version = Some(version);
        self.waiting_since = (!self.held.is_empty()).then(|| self.waiting_since.unwrap_or(now));
        events
    }
}

/// The version of every conversation that changed lately, as far as this node has delivered it.
///
/// The low watermark stands for all others: the node has delivered everything that was committed before that revision.
/// So a conversation that did not change since needs no track. A delta whose `before` is older than the watermark
/// follows from what was delivered.
#[derive(Debug)]
pub struct Sequencer {
    tracks: HashMap<ConversationId, Track>,
    watermark: Revision,
}

impl Sequencer {
    /// For a node that has just started: everything in its database is older than `watermark`.
    pub fn new(watermark: Revision) -> Self {
        Self { tracks: HashMap::new(), watermark }
    }

    /// The node has delivered everything that was committed before this revision.
    pub fn watermark(&self) -> Revision {
        self.watermark
    }

    /// Takes a delta. Returns the events to deliver now.
    pub fn offer(
        &mut self,
        delta: ConversationDelta,
        audience: Audience,
        interest: Interest,
        now: Instant,
    ) -> Vec<Event> {
        let watermark = self.watermark;
        if delta.changes() && delta.after.newest() < watermark {
            // The delta is late: the node has read it from the database and delivered it.
            return Vec::new();
        }
        let track = self.tracks.entry(delta.conversation).or_insert_with(|| Track::new(audience));
        let jumps = track.version.is_none_or(|version| delta.before != version && delta.before.is_at_least(&version));
        // The conversation did not change since the watermark, so its version is the one before this delta.
        let quiet = track.version.is_none() && delta.before.newest() < watermark;
        if (delta.changes() && jumps || quiet) && !track.backfilling && interest.knows(&delta.before, watermark) {
            if delta.before.newest() >= watermark {
                // A connection that knows less may be about to become interested.
                track.assumed.get_or_insert(delta.before);
                track.membership_unchecked |= interest == Interest::Nobody;
            }
            track.take_over(delta.before, watermark);
        }
        if track.held.len() >= MAX_HELD {
            track.held.clear();
            track.needs_backfill = true;
        }
        track.held.push(delta);
        track.waiting_since.get_or_insert(now);
        track.advance(now)
    }

    /// Returns the conversations that the node has to read from the database, with what it knows of each, and the
    /// events that it can deliver without that. A conversation is returned once, until
    /// [`apply_backfill`](Self::apply_backfill) or [`backfill_failed`](Self::backfill_failed) is called for it.
    pub fn poll_gaps(
        &mut self,
        interest: impl Fn(Audience) -> Interest,
        now: Instant,
    ) -> (Vec<(ConversationId, Known)>, Vec<Event>) {
        let (mut gaps, mut events) = (Vec::new(), Vec::new());
        let watermark = self.watermark;
        self.tracks.retain(|of, track| {
            let stuck = track.waiting_since.is_some_and(|since| now.saturating_duration_since(since) >= GAP_TIMEOUT);
            if track.backfilling || !(track.needs_backfill || stuck) {
                return true;
            }
            let interest = interest(track.audience);
            if interest == Interest::Nobody {
                // A connection that becomes interested later makes the node read what is missing.
                return false;
            }
            if track.version.is_none() {
                let known = track.held.iter().filter(|delta| interest.knows(&delta.before, watermark));
                if let Some(version) =
                    known.map(|delta| delta.before).min_by_key(|version| (version.update, version.membership_revision))
                {
                    track.take_over(version, watermark);
                }
                events.append(&mut track.advance(now));
                if track.version.is_some() && track.held.is_empty() && !track.needs_backfill {
                    return true;
                }
            }
            track.backfilling = true;
            let known = interest.known(watermark);
            if let (None, Known::Version(version)) = (track.version, known) {
                track.take_over(version, watermark);
            }
            gaps.push((*of, track.version.map_or(known, Known::Version)));
            true
        });
        (gaps, events)
    }

    /// Takes what the database says of a conversation. Returns the events to deliver now.
    pub fn apply_backfill(&mut self, of: ConversationId, past: Past, now: Instant) -> Vec<Event> {
        let Some(track) = self.tracks.get_mut(&of) else { return Vec::new() };
        track.backfilling = false;
        track.audience = past.audience;
        let mut events = past.events;
        match track.version {
            // Another backfill was faster. A version never goes back.
            Some(version) if version.is_at_least(&past.version) => events.clear(),
            known => {
                events.retain(|event| event.update() > known.map(|version| version.update));
                track.version = Some(past.version);
                track.needs_backfill = past.more;
                (track.waiting_since, track.assumed) = (None, None);
            }
        }
        events.append(&mut track.advance(now));
        events
    }

    /// The database did not answer. [`poll_gaps`](Self::poll_gaps) returns the conversation again after
    /// [`GAP_TIMEOUT`].
    pub fn backfill_failed(&mut self, of: ConversationId, now: Instant) {
        if let Some(track) = self.tracks.get_mut(&of) {
            track.backfilling = false;
            track.needs_backfill = false;
            track.waiting_since = Some(now);
        }
    }

    /// Begins a track for a conversation that a local user turned out to be in. The caller calls
    /// [`apply_backfill`](Self::apply_backfill) for it next.
    pub fn track(&mut self, of: ConversationId, audience: Audience) {
        self.tracks.entry(of).or_insert_with(|| Track::new(audience));
    }

    /// Whether the database has changes of the conversation that this node has not delivered to the interested
    /// connections.
    pub fn is_behind(&self, changed: &ChangedConversation, interest: Interest) -> bool {
        let known = |version: &ConversationVersion| interest.knows(version, self.watermark);
        match self.tracks.get(&changed.conversation) {
            _ if interest == Interest::Nobody => false,
            Some(track) => {
                let unknown = track.assumed.is_some_and(|assumed| !known(&assumed));
                unknown || track.version.is_none_or(|version| !version.is_at_least(&changed.version))
            }
            None => !known(&changed.version),
        }
    }

    /// Whether somebody may have added a local user to the group without this node noticing. That other connections
    /// know the group proves nothing: they know it from their own subscriptions.
    pub fn may_have_missed_membership(&self, changed: &ChangedConversation, interest: Interest) -> bool {
        let missed = |track: &Track| {
            // If a connection is interested, the node is behind.
            let nobody = interest == Interest::Nobody;
            track.membership_unchecked
                || nobody
                    && track
                        .version
                        .is_none_or(|version| version.membership_revision < changed.version.membership_revision)
        };
        matches!(changed.audience, Audience::Members(_))
            && changed.version.membership_revision >= self.watermark
            && self.tracks.get(&changed.conversation).is_none_or(missed)
    }

    /// The node has looked up which local users are in the group.
    pub fn membership_looked_up(&mut self, of: ConversationId) {
        if let Some(track) = self.tracks.get_mut(&of) {
            track.membership_unchecked = false;
        }
    }

    /// Makes [`poll_gaps`](Self::poll_gaps) return the conversation, because it [is behind](Self::is_behind) for
    /// connections with that interest.
    pub fn request_backfill(&mut self, of: ConversationId, audience: Audience, interest: Interest) {
        let watermark = self.watermark;
        let track = self.tracks.entry(of).or_insert_with(|| Track::new(audience));
        track.needs_backfill = true;
        if track.assumed.take().is_some_and(|assumed| !interest.knows(&assumed, watermark)) {
            track.version = None;
        }
    }

    /// The version up to which this node has delivered the conversation, where it knows it.
    pub fn version(&self, of: ConversationId) -> Option<ConversationVersion> {
        self.tracks.get(&of)?.version
    }

    /// Raises the low watermark: the node has delivered everything that was committed before `watermark`. Drops the
    /// tracks that are not needed any more.
    pub fn advance_watermark(&mut self, watermark: Revision) {
        self.watermark = self.watermark.max(watermark);
        let watermark = self.watermark;
        self.tracks.retain(|_, track| {
            let old = track.version.is_some_and(|version| version.newest() < watermark);
            !old || track.backfilling || track.needs_backfill || !track.held.is_empty()
        });
    }

    /// How many deltas wait for others.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.tracks.values().map(|track| track.held.len()).sum()
    }
}

#[cfg(test)]
mod tests;
