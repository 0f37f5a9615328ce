//! The order of what several nodes commit: each conversation's steps are given out as they follow from each other, whichever
//! way and in whatever order they come in.

use domain::ConversationId;
use domain::events::{Event, Head, Revision};
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

#[derive(Debug, Default)]
struct Track {
    /// What was given out. `None`: not known, though something may have happened lately.
    head: Option<Head>,
    held: Vec<Step>,
    /// Since when something waits.
    since: Option<Instant>,
    /// What is held does not suffice: the database has to be asked.
    wanting: bool,
    /// The database is being asked.
    asking: bool,
    /// Somebody here is interested in a step that came.
    interesting: bool,
}

impl Track {
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

    /// Takes a step that may be of interest to somebody here, and gives what is to be given out now.
    pub fn offer(&mut self, step: Step, interesting: bool, now: Instant) -> Vec<Event> {
        let horizon = self.horizon;
        let track = self.tracks.entry(step.conversation).or_insert_with(|| {
            let head = (step.before.newest() < horizon).then_some(step.before);
            Track { head, wanting: head.is_none(), ..Track::default() }
        });
        track.interesting |= interesting;
        if track.held.len() >= MOST_HELD {
            track.held.clear();
            track.wanting = true;
        }
        track.held.push(step);
        track.since.get_or_insert(now);
        track.advance(now)
    }

    /// The conversations whose past has to be asked for, with what is known of them. Each is given once, until it is
    /// [`filled`](Self::filled) or [`given up`](Self::failed).
    pub fn wanting(&mut self, now: Instant) -> Vec<(ConversationId, Known)> {
        let before = Known::Before(self.horizon);
        // What interests nobody needs no past: whoever comes to be interested asks for it.
        self.tracks.retain(|_, track| track.interesting || track.head.is_some() && track.held.is_empty());
        let wanting = self.tracks.iter_mut().filter(|(_, track)| {
            let stuck = track.since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
            !track.asking && (track.wanting || stuck)
        });
        let ask = |(of, track): (&ConversationId, &mut Track)| {
            track.asking = true;
            (*of, track.head.map_or(before, Known::Head))
        };
        wanting.map(ask).collect()
    }

    /// Takes what the database says, and gives what is to be given out.
    pub fn filled(&mut self, of: ConversationId, past: Past, now: Instant) -> Vec<Event> {
        let Some(track) = self.tracks.get_mut(&of) else { return Vec::new() };
        track.asking = false;
        track.wanting = past.more;
        track.since = None;
        track.head = Some(past.head);
        let mut events = past.events;
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

    /// Whether something of it, as the database has it, was not given out yet.
    pub fn is_behind(&self, changed: &ChangedConversation) -> bool {
        match self.tracks.get(&changed.conversation) {
            Some(track) => track.head.is_none_or(|head| !head.covers(&changed.head)),
            None => changed.head.newest() >= self.horizon,
        }
    }

    /// Has the past of a conversation asked for that [is behind](Self::is_behind).
    pub fn want(&mut self, of: ConversationId) {
        let track = self.tracks.entry(of).or_default();
        track.wanting = true;
        track.interesting = true;
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
mod tests {
    use super::*;
    use domain::events::Audience;
    use domain::groups::{Member, Role};
    use domain::messages::{Body, Message, Place, Text};
    use domain::users::Profile;
    use domain::{GroupId, MessageId, Timestamp, UserId};
    use uuid::Uuid;

    const HERE: ConversationId = ConversationId(Uuid::from_u128(7));

    fn said(update: i64) -> Event {
        let at = Timestamp::from_micros(0).unwrap();
        Event::MessageCreated(Message {
            id: MessageId(Uuid::from_u128(1)),
            conversation: HERE,
            place: Place::Group(GroupId(HERE.0)),
            sender: Profile { id: UserId(Uuid::nil()), username: String::new(), display_name: String::new() },
            body: Body::Text(Text::restored("x".to_owned())),
            reply_to: None,
            seq: update,
            update,
            created_at: at,
            updated_at: at,
            edited_at: None,
        })
    }

    fn left() -> Event {
        let at = Timestamp::from_micros(0).unwrap();
        Event::MemberRemoved(Member {
            group: GroupId(HERE.0),
            user: UserId(Uuid::from_u128(2)),
            username: String::new(),
            role: Role::Member,
            created_at: at,
            updated_at: at,
        })
    }

    fn head(update: i64, changed: i64, roster: i64) -> Head {
        Head { update, changed: Revision(changed), roster: Revision(roster) }
    }

    /// By a commit of that revision.
    fn step(before: Head, events: Vec<Event>, revision: i64) -> Step {
        let after = before.after(&events, Revision(revision));
        Step { conversation: HERE, before, after, events }
    }

    fn past(head: Head, events: Vec<Event>, more: bool) -> Past {
        let audience = Audience::Members(GroupId(HERE.0));
        Past { audience, missed: events.len() as i64, events, head, stands: head, more, members: None }
    }

    fn numbers(events: &[Event]) -> Vec<i64> {
        events.iter().map(|event| event.update().unwrap_or(-1)).collect()
    }

    /// A history: three messages, a removal, two messages.
    fn history() -> Vec<Step> {
        let mut steps = vec![step(head(4, 90, 50), vec![said(5)], 101)];
        for (event, revision) in [(said(6), 102), (said(7), 103), (left(), 104), (said(8), 105), (said(9), 106)] {
            let before = steps.last().unwrap().after;
            steps.push(step(before, vec![event], revision));
        }
        steps
    }

    #[test]
    fn what_comes_in_any_order_is_given_out_in_one() {
        let steps = history();
        let now = Instant::now();
        let mut order: Vec<usize> = (0..steps.len()).collect();
        for turn in 0..720 {
            // Every order of six, by a mixed radix.
            let mut rest = turn;
            for place in 0..order.len() {
                let left = order.len() - place;
                order[place..].rotate_left(rest % left);
                rest /= left;
            }
            let mut sequencer = Sequencer::new(Revision(100));
            // The first tells from where on it is known.
            let mut given = sequencer.offer(steps[0].clone(), true, now);
            for index in &order {
                // All twice: one by each way.
                given.extend(sequencer.offer(steps[*index].clone(), true, now));
                given.extend(sequencer.offer(steps[*index].clone(), true, now));
            }
            assert_eq!(numbers(&given), [5, 6, 7, -1, 8, 9], "{order:?}");
            assert_eq!(sequencer.held(), 0);
        }
    }

    #[test]
    fn what_does_not_come_is_asked_for() {
        let steps = history();
        let now = Instant::now();
        let mut sequencer = Sequencer::new(Revision(100));
        assert_eq!(numbers(&sequencer.offer(steps[0].clone(), true, now)), [5]);
        assert!(sequencer.offer(steps[2].clone(), true, now).is_empty());
        assert!(sequencer.wanting(now).is_empty(), "it may come yet");
        let later = now + PATIENCE;
        assert_eq!(sequencer.wanting(later), [(HERE, Known::Head(steps[0].after))]);
        assert!(sequencer.wanting(later).is_empty(), "it is being asked for");
        // Meanwhile the one that was missed comes, and later ones.
        for late in [1, 3, 4] {
            assert!(sequencer.offer(steps[late].clone(), true, later).is_empty());
        }
        let events = sequencer.filled(HERE, past(steps[2].after, vec![said(6), said(7)], false), later);
        assert_eq!(numbers(&events), [6, 7, -1, 8], "once, and what followed from it");
        assert!(sequencer.wanting(later + PATIENCE).is_empty());
    }

    #[test]
    fn where_nothing_is_known_the_database_is_asked_first() {
        let steps = history();
        let now = Instant::now();
        // The horizon lies behind the first message: whether it was given out is not known.
        let mut sequencer = Sequencer::new(Revision(101));
        assert!(sequencer.offer(steps[1].clone(), true, now).is_empty());
        assert_eq!(sequencer.wanting(now), [(HERE, Known::Before(Revision(101)))]);
        sequencer.failed(HERE, now);
        assert!(sequencer.wanting(now).is_empty());
        assert_eq!(sequencer.wanting(now + PATIENCE).len(), 1, "again, after a while");
        let events = sequencer.filled(HERE, past(steps[1].after, vec![said(5), said(6)], false), now);
        assert_eq!(numbers(&events), [5, 6]);
    }

    #[test]
    fn a_word_without_what_it_is_about_has_it_asked_for() {
        let steps = history();
        let now = Instant::now();
        let mut sequencer = Sequencer::new(Revision(100));
        let word = Step { events: vec![], ..steps[0].clone() };
        assert!(sequencer.offer(word, true, now).is_empty());
        assert_eq!(sequencer.wanting(now), [(HERE, Known::Head(steps[0].before))]);
        let events = sequencer.filled(HERE, past(head(5, 101, 50), vec![said(5)], true), now);
        assert_eq!(numbers(&events), [5]);
        assert_eq!(sequencer.wanting(now).len(), 1, "there is more");
    }

    #[test]
    fn what_changes_nothing_waits_for_what_it_is_about() {
        let steps = history();
        let now = Instant::now();
        let mut sequencer = Sequencer::new(Revision(100));
        let seen = Step { before: steps[1].after, after: steps[1].after, conversation: HERE, events: vec![left()] };
        assert!(sequencer.offer(steps[1].clone(), true, now).is_empty());
        assert!(sequencer.offer(seen, true, now).is_empty());
        let events = sequencer.filled(HERE, past(steps[1].after, vec![said(5), said(6)], false), now);
        assert_eq!(numbers(&events), [5, 6, -1]);
    }

    #[test]
    fn the_horizon_tells_who_is_behind_and_what_is_old() {
        let steps = history();
        let now = Instant::now();
        let changed =
            |head| ChangedConversation { conversation: HERE, audience: Audience::Members(GroupId(HERE.0)), head };
        let mut sequencer = Sequencer::new(Revision(100));
        assert!(!sequencer.is_behind(&changed(head(4, 99, 50))), "old, and given out");
        assert!(sequencer.is_behind(&changed(steps[0].after)), "never heard of");
        sequencer.offer(steps[0].clone(), true, now);
        assert!(!sequencer.is_behind(&changed(steps[0].after)));
        assert!(sequencer.is_behind(&changed(steps[3].after)), "the removal was missed");
        sequencer.reach(Revision(102));
        assert!(sequencer.tracks.is_empty());
        // What follows from the old is known to.
        assert_eq!(numbers(&sequencer.offer(steps[1].clone(), true, now)), [6]);
        sequencer.want(HERE);
        assert_eq!(sequencer.wanting(now), [(HERE, Known::Head(steps[1].after))]);
    }
}
