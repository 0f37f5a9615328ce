//! The order of what several nodes commit: each conversation's steps are given out as they follow from each other, whichever
//! way and in whatever order they come in.

use domain::ConversationId;
use domain::events::{Audience, Event, Head, Revision};
use domain::live::{ChangedConversation, Known, Past};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a step may wait for the one before it to come in by itself, before the database is asked.
pub const PATIENCE: Duration = Duration::from_millis(150);
/// How many steps of one conversation may wait. With more, all are dropped and the database is asked.
const MOST_HELD: usize = 1024;

/// What one commit did to one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub conversation: ConversationId,
    /// Where it stood before.
    pub before: Head,
    /// Where it stands after. The same as before where only something was read.
    pub after: Head,
    /// What happened. Empty for what was too long to be told: the database has it.
    pub events: Vec<Event>,
}

impl Step {
    fn changes(&self) -> bool {
        self.before != self.after
    }

    /// Whether something happened that has to be asked for.
    fn is_only_a_word(&self) -> bool {
        self.events.is_empty() && self.changes()
    }
}

#[derive(Debug)]
struct Track {
    /// To whom it is of interest.
    audience: Audience,
    /// What was given out. `None`: not known, though something may have happened lately.
    head: Option<Head>,
    held: Vec<Step>,
    /// Since when something waits.
    since: Option<Instant>,
    /// What is held does not suffice: the database has to be asked.
    wanting: bool,
    /// The database is being asked.
    asking: bool,
    /// What was taken for known without asking, since it interested nobody here. Whoever comes to be interested may know less.
    assumed: Option<Head>,
    /// Somebody here may be in the group by what was assumed, and it was not looked up.
    members_unknown: bool,
}

impl Track {
    fn new(audience: Audience) -> Self {
        let (head, held, since) = (None, Vec::new(), None);
        let (wanting, asking, assumed, members_unknown) = (false, false, None, false);
        Self { audience, head, held, since, wanting, asking, assumed, members_unknown }
    }

    /// Gives out what follows from what was given out, and forgets what is old.
    fn advance(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        // What is asked for may be newer than what is held.
        let Some(mut head) = self.head.filter(|_| !self.asking) else { return events };
        loop {
            self.held.retain(|step| !(step.changes() && head.covers(&step.after)));
            let follows = |step: &Step| {
                if step.changes() {
                    step.before.update == head.update && step.before.roster == head.roster
                } else {
                    head.covers(&step.before)
                }
            };
            let Some(next) = self.held.iter().position(follows) else { break };
            if self.held[next].is_only_a_word() {
                self.wanting = true;
                break;
            }
            let step = self.held.remove(next);
            if step.changes() {
                head = step.after;
            }
            events.extend(step.events);
        }
        self.head = Some(head);
        self.since = (!self.held.is_empty()).then(|| self.since.unwrap_or(now));
        events
    }
}

/// Who here is interested in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nobody.
    Nobody,
    /// Somebody, who knows all that was committed before this revision.
    Since(Revision),
    /// Somebody, who knew the conversation as it stands at this head.
    Knows(Head),
}

impl Interest {
    /// Whether all that led to the head is known, where all that is older than the horizon was given out.
    fn knows(self, head: &Head, horizon: Revision) -> bool {
        head.newest() < horizon
            || match self {
                Self::Nobody => true,
                Self::Since(since) => head.newest() < since,
                Self::Knows(known) => known.covers(head),
            }
    }

    /// What is known for certain.
    fn known(self, horizon: Revision) -> Known {
        match self {
            Self::Knows(head) if head.newest() >= horizon => Known::Head(head),
            Self::Since(since) => Known::Before(horizon.max(since)),
            Self::Knows(_) | Self::Nobody => Known::Before(horizon),
        }
    }
}

/// Where every conversation stands in which something happened lately, for this node.
///
/// What is older than the horizon is known to have been given out: so a conversation in which nothing happened since needs no
/// place here, and one that comes in new is known to follow from it where its step begins before the horizon.
#[derive(Debug)]
pub struct Sequencer {
    tracks: HashMap<ConversationId, Track>,
    horizon: Revision,
}

impl Sequencer {
    /// For a node that has just begun, on a database where all that is committed is older than `horizon`.
    pub fn new(horizon: Revision) -> Self {
        Self { tracks: HashMap::new(), horizon }
    }

    /// All that is older was given out.
    pub fn horizon(&self) -> Revision {
        self.horizon
    }

    /// Takes a step, and gives what is to be given out now.
    pub fn offer(&mut self, step: Step, audience: Audience, interest: Interest, now: Instant) -> Vec<Event> {
        let horizon = self.horizon;
        if step.changes() && step.after.newest() < horizon {
            // Late: it was given out, read from the database.
            return Vec::new();
        }
        let track = self.tracks.entry(step.conversation).or_insert_with(|| Track::new(audience));
        let jumps = track.head.is_none_or(|head| step.before != head && step.before.covers(&head));
        // Quiet until now: it stands where it stood.
        let quiet = track.head.is_none() && step.before.newest() < horizon;
        if (step.changes() && jumps || quiet) && !track.asking && interest.knows(&step.before, horizon) {
            if interest == Interest::Nobody && step.before.newest() >= horizon {
                track.assumed = Some(step.before);
                track.members_unknown = true;
            }
            track.head = Some(step.before);
        }
        if track.held.len() >= MOST_HELD {
            track.held.clear();
            track.wanting = true;
        }
        track.held.push(step);
        track.since.get_or_insert(now);
        track.advance(now)
    }

    /// The conversations whose past has to be asked for, with what is known of them. Each is given once, until it is
    /// [`filled`](Self::filled) or [`given up`](Self::failed). And what is to be given out without asking.
    pub fn wanting(
        &mut self,
        interest: impl Fn(Audience) -> Interest,
        now: Instant,
    ) -> (Vec<(ConversationId, Known)>, Vec<Event>) {
        let (mut ask, mut events) = (Vec::new(), Vec::new());
        let horizon = self.horizon;
        self.tracks.retain(|of, track| {
            let stuck = track.since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
            if track.asking || !(track.wanting || stuck) {
                return true;
            }
            let interest = interest(track.audience);
            if interest == Interest::Nobody {
                // What interests nobody needs no past: whoever comes to be interested asks for it.
                return false;
            }
            if track.head.is_none() {
                let known = track.held.iter().filter(|step| interest.knows(&step.before, horizon));
                track.head = known.map(|step| step.before).min_by_key(|head| (head.update, head.roster));
                events.append(&mut track.advance(now));
                if track.head.is_some() && track.held.is_empty() && !track.wanting {
                    return true;
                }
            }
            track.asking = true;
            let known = interest.known(horizon);
            if let (None, Known::Head(head)) = (track.head, known) {
                track.head = Some(head);
            }
            ask.push((*of, track.head.map_or(known, Known::Head)));
            true
        });
        (ask, events)
    }

    /// Takes what the database says, and gives what is to be given out.
    pub fn filled(&mut self, of: ConversationId, past: Past, now: Instant) -> Vec<Event> {
        let Some(track) = self.tracks.get_mut(&of) else { return Vec::new() };
        track.asking = false;
        let mut events = past.events;
        match track.head {
            // Asked for twice, or by one that was forgotten meanwhile: never back.
            Some(head) if head.covers(&past.head) => events.clear(),
            known => {
                events.retain(|event| event.update() > known.map(|head| head.update));
                track.head = Some(past.head);
                track.wanting = past.more;
                (track.since, track.assumed, track.members_unknown) = (None, None, false);
            }
        }
        events.append(&mut track.advance(now));
        events
    }

    /// The database could not be asked: to be tried again after a while.
    pub fn failed(&mut self, of: ConversationId, now: Instant) {
        if let Some(track) = self.tracks.get_mut(&of) {
            track.asking = false;
            track.wanting = false;
            track.since = Some(now);
        }
    }

    /// Begins with a conversation that somebody here turned out to be in, and was not told of; to be [`filled`](Self::filled) next.
    pub fn adopt(&mut self, of: ConversationId, audience: Audience) {
        self.tracks.entry(of).or_insert_with(|| Track::new(audience));
    }

    /// Whether something of it, as the database has it, was not given out yet to those who are interested.
    pub fn is_behind(&self, changed: &ChangedConversation, interest: Interest) -> bool {
        let known = |head: &Head| interest.knows(head, self.horizon);
        match self.tracks.get(&changed.conversation) {
            _ if interest == Interest::Nobody => false,
            Some(track) => {
                let unknown = track.assumed.is_some_and(|assumed| !known(&assumed));
                unknown || track.head.is_none_or(|head| !head.covers(&changed.head))
            }
            None => !known(&changed.head),
        }
    }

    /// Whether somebody here may be in the group, and nobody knows: whoever was added while that could not be told.
    pub fn may_have_missed_members(&self, changed: &ChangedConversation, interest: Interest) -> bool {
        let track = self.tracks.get(&changed.conversation);
        matches!(changed.audience, Audience::Members(_))
            && changed.head.roster >= self.horizon
            && track.map_or(interest == Interest::Nobody, |track| track.members_unknown)
    }

    /// Takes note that who is in the group was looked up.
    pub fn members_are_known(&mut self, of: ConversationId) {
        if let Some(track) = self.tracks.get_mut(&of) {
            track.members_unknown = false;
        }
    }

    /// Has the past of a conversation asked for that [is behind](Self::is_behind).
    pub fn want(&mut self, of: ConversationId, audience: Audience) {
        let track = self.tracks.entry(of).or_insert_with(|| Track::new(audience));
        track.wanting = true;
        if track.assumed.take().is_some() {
            track.head = None;
        }
    }

    /// Where it stands, as far as it was given out and is known.
    pub fn head(&self, of: ConversationId) -> Option<Head> {
        self.tracks.get(&of)?.head
    }

    /// Moves the horizon: all that is older was given out. Forgets what has become old by that.
    pub fn reach(&mut self, horizon: Revision) {
        self.horizon = self.horizon.max(horizon);
        let horizon = self.horizon;
        self.tracks.retain(|_, track| {
            let old = track.head.is_some_and(|head| head.newest() < horizon);
            !old || track.asking || track.wanting || !track.held.is_empty()
        });
    }

    /// How many steps wait for others.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.tracks.values().map(|track| track.held.len()).sum()
    }
}

#[cfg(test)]
mod tests;
