use super::*;
use domain::groups::{Member, Role};
use domain::messages::{Destination, Message, Seq, Update};
use domain::{GroupId, Timestamp, UserId};
use uuid::Uuid;

const HERE: ConversationId = ConversationId(Uuid::from_u128(7));
const GROUP: Audience = Audience::Members(GroupId(HERE.0));
/// The interest of a client that was connected all the time.
const SINCE: Interest = Interest::Since(Revision(0));

fn poll_gaps(sequencer: &mut Sequencer, now: Instant) -> Vec<(ConversationId, Known)> {
    let (ask, events) = sequencer.poll_gaps(|_| SINCE, now);
    assert!(events.is_empty());
    ask
}

fn said(update: i64) -> Event {
    let message = Message {
        conversation: HERE,
        destination: Destination::Group(GroupId(HERE.0)),
        seq: Seq(update),
        update: Update(update),
        ..Message::sample()
    };
    Event::MessageCreated(message, None)
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

fn version(update: i64, messages: i64, membership: i64) -> ConversationVersion {
    ConversationVersion {
        update: Update(update),
        messages_revision: Revision(messages),
        membership_revision: Revision(membership),
    }
}

/// What a commit of that revision does.
fn delta(before: ConversationVersion, events: Vec<Event>, revision: i64) -> ConversationDelta {
    let after = before.after(&events, Revision(revision));
    ConversationDelta { conversation: HERE, before, after, events }
}

fn past(version: ConversationVersion, events: Vec<Event>, more: bool) -> Past {
    Past { audience: GROUP, missed: events.len() as i64, events, version, stands: version, more, members: None }
}

fn numbers(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.update().map_or(-1, |update| update.0)).collect()
}

/// A history: three messages, a removal, two messages.
fn history() -> Vec<ConversationDelta> {
    let mut deltas = vec![delta(version(4, 90, 50), vec![said(5)], 101)];
    for (event, revision) in [(said(6), 102), (said(7), 103), (left(), 104), (said(8), 105), (said(9), 106)] {
        let before = deltas.last().unwrap().after;
        deltas.push(delta(before, vec![event], revision));
    }
    deltas
}

#[test]
fn deltas_in_any_order_are_delivered_in_one() {
    let deltas = history();
    let now = Instant::now();
    let mut order: Vec<usize> = (0..deltas.len()).collect();
    for turn in 0..720 {
        // Every order of six, by a mixed radix.
        let mut rest = turn;
        for place in 0..order.len() {
            let left = order.len() - place;
            order[place..].rotate_left(rest % left);
            rest /= left;
        }
        let mut sequencer = Sequencer::new(Revision(100));
        // The first one tells from where on the node knows the conversation.
        let mut given = sequencer.offer(deltas[0].clone(), GROUP, SINCE, now);
        for index in &order {
            // Each arrives twice: once by each of two ways.
            given.extend(sequencer.offer(deltas[*index].clone(), GROUP, SINCE, now));
            given.extend(sequencer.offer(deltas[*index].clone(), GROUP, SINCE, now));
        }
        assert_eq!(numbers(&given), [5, 6, 7, -1, 8, 9], "{order:?}");
        assert_eq!(sequencer.held(), 0);
    }
}

#[test]
fn a_missing_delta_is_read_from_the_database() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[0].clone(), GROUP, SINCE, now)), [5]);
    assert!(sequencer.offer(deltas[2].clone(), GROUP, SINCE, now).is_empty());
    assert!(poll_gaps(&mut sequencer, now).is_empty(), "it may arrive yet");
    let later = now + GAP_TIMEOUT;
    assert_eq!(poll_gaps(&mut sequencer, later), [(HERE, Known::Version(deltas[0].after))]);
    assert!(poll_gaps(&mut sequencer, later).is_empty(), "it is being read");
    // Meanwhile the missing one arrives, and later ones.
    for late in [1, 3, 4] {
        assert!(sequencer.offer(deltas[late].clone(), GROUP, SINCE, later).is_empty());
    }
    let events = sequencer.apply_backfill(HERE, past(deltas[2].after, vec![said(6), said(7)], false), later);
    assert_eq!(numbers(&events), [6, 7, -1, 8], "once, and what followed from it");
    assert!(poll_gaps(&mut sequencer, later + GAP_TIMEOUT).is_empty());
}

#[test]
fn where_nothing_is_known_the_database_is_read_first() {
    let deltas = history();
    let now = Instant::now();
    // The watermark lies behind the first message: whether it was given out is not known.
    let mut sequencer = Sequencer::new(Revision(101));
    assert!(sequencer.offer(deltas[1].clone(), GROUP, SINCE, now).is_empty());
    assert!(poll_gaps(&mut sequencer, now).is_empty(), "a client may be about to read its subscriptions");
    let later = now + GAP_TIMEOUT;
    assert_eq!(poll_gaps(&mut sequencer, later), [(HERE, Known::Before(Revision(101)))]);
    sequencer.backfill_failed(HERE, later);
    assert!(poll_gaps(&mut sequencer, later).is_empty());
    assert_eq!(poll_gaps(&mut sequencer, later + GAP_TIMEOUT).len(), 1, "again, after a while");
    let events = sequencer.apply_backfill(HERE, past(deltas[1].after, vec![said(5), said(6)], false), now);
    assert_eq!(numbers(&events), [5, 6]);
}

#[test]
fn a_delta_without_its_events_has_them_read_from_the_database() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    let word = ConversationDelta { events: vec![], ..deltas[0].clone() };
    assert!(sequencer.offer(word, GROUP, SINCE, now).is_empty());
    assert_eq!(poll_gaps(&mut sequencer, now), [(HERE, Known::Version(deltas[0].before))]);
    let events = sequencer.apply_backfill(HERE, past(version(5, 101, 50), vec![said(5)], true), now);
    assert_eq!(numbers(&events), [5]);
    assert_eq!(poll_gaps(&mut sequencer, now).len(), 1, "there is more");
}

#[test]
fn a_delta_that_changes_nothing_waits_for_what_it_is_about() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    let seen =
        ConversationDelta { before: deltas[1].after, after: deltas[1].after, conversation: HERE, events: vec![left()] };
    assert!(sequencer.offer(deltas[1].clone(), GROUP, SINCE, now).is_empty());
    assert!(sequencer.offer(seen, GROUP, SINCE, now).is_empty());
    let events = sequencer.apply_backfill(HERE, past(deltas[1].after, vec![said(5), said(6)], false), now);
    assert_eq!(numbers(&events), [5, 6, -1]);
}

#[test]
fn a_delta_that_changes_nothing_is_delivered_at_once_in_a_quiet_conversation() {
    let now = Instant::now();
    let quiet = version(4, 90, 50);
    let seen = ConversationDelta { before: quiet, after: quiet, conversation: HERE, events: vec![left()] };
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(seen.clone(), GROUP, SINCE, now)), [-1]);
    // The next delta follows from it.
    let deltas = history();
    assert_eq!(numbers(&sequencer.offer(deltas[0].clone(), GROUP, SINCE, now)), [5]);
    // The node waits where it does not know that it has delivered the version before.
    let mut sequencer = Sequencer::new(Revision(80));
    let newcomer = Interest::Since(Revision(70));
    assert!(sequencer.offer(seen, GROUP, newcomer, now).is_empty());
}

#[test]
fn the_watermark_tells_what_is_behind_and_what_is_old() {
    let deltas = history();
    let now = Instant::now();
    let changed =
        |version| ChangedConversation { conversation: HERE, audience: Audience::Members(GroupId(HERE.0)), version };
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(!sequencer.is_behind(&changed(version(4, 99, 50)), SINCE), "old, and delivered");
    assert!(sequencer.is_behind(&changed(deltas[0].after), SINCE), "never heard of");
    sequencer.offer(deltas[0].clone(), GROUP, SINCE, now);
    assert!(!sequencer.is_behind(&changed(deltas[0].after), SINCE));
    assert!(sequencer.is_behind(&changed(deltas[3].after), SINCE), "the removal was missed");
    sequencer.advance_watermark(Revision(102));
    assert!(sequencer.tracks.is_empty());
    // A late delta was delivered.
    assert!(sequencer.offer(deltas[0].clone(), GROUP, SINCE, now).is_empty());
    // A delta follows from an old version.
    assert_eq!(numbers(&sequencer.offer(deltas[1].clone(), GROUP, SINCE, now)), [6]);
    sequencer.request_backfill(HERE, GROUP, SINCE);
    assert_eq!(poll_gaps(&mut sequencer, now), [(HERE, Known::Version(deltas[1].after))]);
}

#[test]
fn a_client_that_connected_since_needs_nothing_from_before() {
    let deltas = history();
    let now = Instant::now();
    let came = Interest::Since(Revision(104));
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[3].clone(), GROUP, came, now)), [-1]);
    // The node may learn what a client knows only after the delta has arrived.
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(sequencer.offer(deltas[4].clone(), GROUP, SINCE, now).is_empty());
    assert!(sequencer.offer(deltas[3].clone(), GROUP, SINCE, now).is_empty());
    let (ask, events) = sequencer.poll_gaps(|_| came, now + GAP_TIMEOUT);
    assert_eq!((ask, numbers(&events)), (vec![], vec![-1, 8]));
}

#[test]
fn what_interests_nobody_is_not_read() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[3].clone(), GROUP, Interest::Nobody, now)), [-1]);
    let changed = ChangedConversation { conversation: HERE, audience: GROUP, version: deltas[3].after };
    assert!(!sequencer.is_behind(&changed, Interest::Nobody));
    assert!(
        sequencer.may_have_missed_membership(&changed, Interest::Nobody),
        "a local user may have been added before"
    );
    sequencer.membership_looked_up(HERE);
    assert!(!sequencer.may_have_missed_membership(&changed, Interest::Nobody));
    // The node does not wait for what came between.
    assert_eq!(numbers(&sequencer.offer(deltas[5].clone(), GROUP, Interest::Nobody, now)), [9]);
    sequencer.request_backfill(HERE, GROUP, Interest::Nobody);
    assert_eq!(sequencer.poll_gaps(|_| Interest::Nobody, now), (vec![], vec![]));
    assert!(sequencer.tracks.is_empty());
}

#[test]
fn a_client_that_was_joining_is_delivered_what_the_node_had_assumed() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    // A client knows everything before 103, and is still joining. 103 and 104 do not arrive.
    sequencer.offer(deltas[4].clone(), GROUP, Interest::Nobody, now);
    let changed = ChangedConversation { conversation: HERE, audience: GROUP, version: deltas[4].after };
    assert!(!sequencer.is_behind(&changed, Interest::Since(Revision(105))));
    let came = Interest::Since(Revision(103));
    assert!(sequencer.is_behind(&changed, came));
    sequencer.request_backfill(HERE, GROUP, came);
    assert_eq!(sequencer.poll_gaps(|_| came, now), (vec![(HERE, Known::Before(Revision(103)))], vec![]));
}

#[test]
fn clients_that_know_a_version_are_delivered_what_follows_from_it() {
    let deltas = history();
    let now = Instant::now();
    let knows = Interest::Knows(deltas[2].after);
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(sequencer.offer(deltas[4].clone(), GROUP, knows, now).is_empty(), "the removal is missing");
    let (ask, events) = sequencer.poll_gaps(|_| knows, now + GAP_TIMEOUT);
    assert_eq!((ask, events), (vec![(HERE, Known::Version(deltas[2].after))], vec![]));
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[3].clone(), GROUP, knows, now)), [-1]);
    let changed = |version| ChangedConversation { conversation: HERE, audience: GROUP, version };
    let sequencer = Sequencer::new(Revision(100));
    assert!(
        !sequencer.is_behind(&changed(deltas[2].after), knows) && sequencer.is_behind(&changed(deltas[3].after), knows)
    );
}

#[test]
fn a_version_never_goes_back() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[0].clone(), GROUP, SINCE, now)), [5]);
    assert_eq!(numbers(&sequencer.offer(deltas[1].clone(), GROUP, SINCE, now)), [6]);
    // The database had answered before the second.
    assert!(sequencer.apply_backfill(HERE, past(deltas[0].after, vec![said(5)], false), now).is_empty());
    assert_eq!(sequencer.version(HERE), Some(deltas[1].after));
    // Nor is anything delivered twice that a newer answer repeats.
    let newer = past(deltas[2].after, vec![said(5), said(6), said(7)], false);
    assert_eq!(numbers(&sequencer.apply_backfill(HERE, newer, now)), [7]);
}

#[test]
fn members_who_may_have_been_added_are_looked_up_whoever_else_knows_the_group() {
    let deltas = history();
    let now = Instant::now();
    let changed = ChangedConversation { conversation: HERE, audience: GROUP, version: deltas[3].after };
    // Another client has read its subscriptions after the change. It does not know who else was added.
    let knows = Interest::Knows(deltas[3].after);
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(!sequencer.is_behind(&changed, knows) && sequencer.may_have_missed_membership(&changed, knows));
    // Nor does the node learn it by what happens afterwards.
    assert_eq!(numbers(&sequencer.offer(deltas[4].clone(), GROUP, knows, now)), [8]);
    assert!(sequencer.may_have_missed_membership(&changed, knows));
    sequencer.membership_looked_up(HERE);
    assert!(!sequencer.may_have_missed_membership(&changed, knows));
    // A change that the node has delivered itself was not missed.
    let mut sequencer = Sequencer::new(Revision(100));
    for delta in &deltas[..4] {
        sequencer.offer(delta.clone(), GROUP, SINCE, now);
    }
    assert!(!sequencer.may_have_missed_membership(&changed, SINCE));
    // Of a group without members here the node knows its own commits, and not those of others.
    let mut sequencer = Sequencer::new(Revision(100));
    sequencer.offer(deltas[0].clone(), GROUP, Interest::Nobody, now);
    assert!(sequencer.may_have_missed_membership(&changed, Interest::Nobody));
}

#[test]
fn a_client_that_begins_after_one_with_a_newer_roster_is_delivered_what_lies_between() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    // The node takes the version over from a client that knows it.
    let newer = Interest::Knows(deltas[1].after);
    assert_eq!(numbers(&sequencer.offer(deltas[2].clone(), GROUP, newer, now)), [7]);
    let changed = ChangedConversation { conversation: HERE, audience: GROUP, version: deltas[2].after };
    assert!(!sequencer.is_behind(&changed, newer));
    let older = Interest::Knows(deltas[0].after);
    assert!(sequencer.is_behind(&changed, older));
    sequencer.request_backfill(HERE, GROUP, older);
    assert_eq!(sequencer.poll_gaps(|_| older, now), (vec![(HERE, Known::Version(deltas[0].after))], vec![]));
}
