use super::*;
use domain::groups::{Member, Role};
use domain::messages::{Body, Message, Place, Text};
use domain::users::Profile;
use domain::{GroupId, MessageId, Timestamp, UserId};
use uuid::Uuid;

const HERE: ConversationId = ConversationId(Uuid::from_u128(7));
const GROUP: Audience = Audience::Members(GroupId(HERE.0));
/// Somebody who was there all the time.
const SINCE: Interest = Interest::Since(Revision(0));

fn poll_gaps(sequencer: &mut Sequencer, now: Instant) -> Vec<(ConversationId, Known)> {
    let (ask, events) = sequencer.poll_gaps(|_| SINCE, now);
    assert!(events.is_empty());
    ask
}

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
fn delta(before: Head, events: Vec<Event>, revision: i64) -> ConversationDelta {
    let after = before.after(&events, Revision(revision));
    ConversationDelta { conversation: HERE, before, after, events }
}

fn past(head: Head, events: Vec<Event>, more: bool) -> Past {
    Past { audience: GROUP, missed: events.len() as i64, events, head, stands: head, more, members: None }
}

fn numbers(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.update().unwrap_or(-1)).collect()
}

/// A history: three messages, a removal, two messages.
fn history() -> Vec<ConversationDelta> {
    let mut deltas = vec![delta(head(4, 90, 50), vec![said(5)], 101)];
    for (event, revision) in [(said(6), 102), (said(7), 103), (left(), 104), (said(8), 105), (said(9), 106)] {
        let before = deltas.last().unwrap().after;
        deltas.push(delta(before, vec![event], revision));
    }
    deltas
}

#[test]
fn what_comes_in_any_order_is_given_out_in_one() {
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
        // The first tells from where on it is known.
        let mut given = sequencer.offer(deltas[0].clone(), GROUP, SINCE, now);
        for index in &order {
            // All twice: one by each way.
            given.extend(sequencer.offer(deltas[*index].clone(), GROUP, SINCE, now));
            given.extend(sequencer.offer(deltas[*index].clone(), GROUP, SINCE, now));
        }
        assert_eq!(numbers(&given), [5, 6, 7, -1, 8, 9], "{order:?}");
        assert_eq!(sequencer.held(), 0);
    }
}

#[test]
fn what_does_not_come_is_asked_for() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[0].clone(), GROUP, SINCE, now)), [5]);
    assert!(sequencer.offer(deltas[2].clone(), GROUP, SINCE, now).is_empty());
    assert!(poll_gaps(&mut sequencer, now).is_empty(), "it may come yet");
    let later = now + GAP_TIMEOUT;
    assert_eq!(poll_gaps(&mut sequencer, later), [(HERE, Known::Head(deltas[0].after))]);
    assert!(poll_gaps(&mut sequencer, later).is_empty(), "it is being asked for");
    // Meanwhile the one that was missed comes, and later ones.
    for late in [1, 3, 4] {
        assert!(sequencer.offer(deltas[late].clone(), GROUP, SINCE, later).is_empty());
    }
    let events = sequencer.apply_backfill(HERE, past(deltas[2].after, vec![said(6), said(7)], false), later);
    assert_eq!(numbers(&events), [6, 7, -1, 8], "once, and what followed from it");
    assert!(poll_gaps(&mut sequencer, later + GAP_TIMEOUT).is_empty());
}

#[test]
fn where_nothing_is_known_the_database_is_asked_first() {
    let deltas = history();
    let now = Instant::now();
    // The watermark lies behind the first message: whether it was given out is not known.
    let mut sequencer = Sequencer::new(Revision(101));
    assert!(sequencer.offer(deltas[1].clone(), GROUP, SINCE, now).is_empty());
    assert!(poll_gaps(&mut sequencer, now).is_empty(), "whoever is interested may be about to tell what they know");
    let later = now + GAP_TIMEOUT;
    assert_eq!(poll_gaps(&mut sequencer, later), [(HERE, Known::Before(Revision(101)))]);
    sequencer.backfill_failed(HERE, later);
    assert!(poll_gaps(&mut sequencer, later).is_empty());
    assert_eq!(poll_gaps(&mut sequencer, later + GAP_TIMEOUT).len(), 1, "again, after a while");
    let events = sequencer.apply_backfill(HERE, past(deltas[1].after, vec![said(5), said(6)], false), now);
    assert_eq!(numbers(&events), [5, 6]);
}

#[test]
fn a_word_without_what_it_is_about_has_it_asked_for() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    let word = ConversationDelta { events: vec![], ..deltas[0].clone() };
    assert!(sequencer.offer(word, GROUP, SINCE, now).is_empty());
    assert_eq!(poll_gaps(&mut sequencer, now), [(HERE, Known::Head(deltas[0].before))]);
    let events = sequencer.apply_backfill(HERE, past(head(5, 101, 50), vec![said(5)], true), now);
    assert_eq!(numbers(&events), [5]);
    assert_eq!(poll_gaps(&mut sequencer, now).len(), 1, "there is more");
}

#[test]
fn what_changes_nothing_waits_for_what_it_is_about() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    let seen = ConversationDelta { before: deltas[1].after, after: deltas[1].after, conversation: HERE, events: vec![left()] };
    assert!(sequencer.offer(deltas[1].clone(), GROUP, SINCE, now).is_empty());
    assert!(sequencer.offer(seen, GROUP, SINCE, now).is_empty());
    let events = sequencer.apply_backfill(HERE, past(deltas[1].after, vec![said(5), said(6)], false), now);
    assert_eq!(numbers(&events), [5, 6, -1]);
}

#[test]
fn what_changes_nothing_goes_out_at_once_where_it_was_quiet() {
    let now = Instant::now();
    let quiet = head(4, 90, 50);
    let seen = ConversationDelta { before: quiet, after: quiet, conversation: HERE, events: vec![left()] };
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(seen.clone(), GROUP, SINCE, now)), [-1]);
    // And what follows follows.
    let deltas = history();
    assert_eq!(numbers(&sequencer.offer(deltas[0].clone(), GROUP, SINCE, now)), [5]);
    // What is not known to have been given out is waited for.
    let mut sequencer = Sequencer::new(Revision(80));
    let newcomer = Interest::Since(Revision(70));
    assert!(sequencer.offer(seen, GROUP, newcomer, now).is_empty());
}

#[test]
fn the_horizon_tells_who_is_behind_and_what_is_old() {
    let deltas = history();
    let now = Instant::now();
    let changed = |head| ChangedConversation { conversation: HERE, audience: Audience::Members(GroupId(HERE.0)), head };
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(!sequencer.is_behind(&changed(head(4, 99, 50)), SINCE), "old, and given out");
    assert!(sequencer.is_behind(&changed(deltas[0].after), SINCE), "never heard of");
    sequencer.offer(deltas[0].clone(), GROUP, SINCE, now);
    assert!(!sequencer.is_behind(&changed(deltas[0].after), SINCE));
    assert!(sequencer.is_behind(&changed(deltas[3].after), SINCE), "the removal was missed");
    sequencer.advance_watermark(Revision(102));
    assert!(sequencer.tracks.is_empty());
    // What comes late was given out.
    assert!(sequencer.offer(deltas[0].clone(), GROUP, SINCE, now).is_empty());
    // What follows from the old is known to.
    assert_eq!(numbers(&sequencer.offer(deltas[1].clone(), GROUP, SINCE, now)), [6]);
    sequencer.request_backfill(HERE, GROUP, SINCE);
    assert_eq!(poll_gaps(&mut sequencer, now), [(HERE, Known::Head(deltas[1].after))]);
}

#[test]
fn who_has_come_since_needs_nothing_from_before() {
    let deltas = history();
    let now = Instant::now();
    let came = Interest::Since(Revision(104));
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[3].clone(), GROUP, came, now)), [-1]);
    // What they know may be told only after it has come.
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(sequencer.offer(deltas[4].clone(), GROUP, SINCE, now).is_empty());
    assert!(sequencer.offer(deltas[3].clone(), GROUP, SINCE, now).is_empty());
    let (ask, events) = sequencer.poll_gaps(|_| came, now + GAP_TIMEOUT);
    assert_eq!((ask, numbers(&events)), (vec![], vec![-1, 8]));
}

#[test]
fn what_interests_nobody_is_not_asked_for() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[3].clone(), GROUP, Interest::Nobody, now)), [-1]);
    let changed = ChangedConversation { conversation: HERE, audience: GROUP, head: deltas[3].after };
    assert!(!sequencer.is_behind(&changed, Interest::Nobody));
    assert!(sequencer.may_have_missed_membership(&changed, Interest::Nobody), "somebody may have been added before");
    sequencer.membership_looked_up(HERE);
    assert!(!sequencer.may_have_missed_membership(&changed, Interest::Nobody));
    // What came between is not waited for.
    assert_eq!(numbers(&sequencer.offer(deltas[5].clone(), GROUP, Interest::Nobody, now)), [9]);
    sequencer.request_backfill(HERE, GROUP, Interest::Nobody);
    assert_eq!(sequencer.poll_gaps(|_| Interest::Nobody, now), (vec![], vec![]));
    assert!(sequencer.tracks.is_empty());
}

#[test]
fn who_was_about_to_come_is_given_what_was_taken_for_known() {
    let deltas = history();
    let now = Instant::now();
    let mut sequencer = Sequencer::new(Revision(100));
    // Somebody knows all before 103 and is not known to be here yet; 103 and 104 do not come.
    sequencer.offer(deltas[4].clone(), GROUP, Interest::Nobody, now);
    let changed = ChangedConversation { conversation: HERE, audience: GROUP, head: deltas[4].after };
    assert!(!sequencer.is_behind(&changed, Interest::Since(Revision(105))));
    let came = Interest::Since(Revision(103));
    assert!(sequencer.is_behind(&changed, came));
    sequencer.request_backfill(HERE, GROUP, came);
    assert_eq!(sequencer.poll_gaps(|_| came, now), (vec![(HERE, Known::Before(Revision(103)))], vec![]));
}

#[test]
fn who_knows_where_it_stands_is_given_what_follows() {
    let deltas = history();
    let now = Instant::now();
    let knows = Interest::Knows(deltas[2].after);
    let mut sequencer = Sequencer::new(Revision(100));
    assert!(sequencer.offer(deltas[4].clone(), GROUP, knows, now).is_empty(), "the removal is missing");
    let (ask, events) = sequencer.poll_gaps(|_| knows, now + GAP_TIMEOUT);
    assert_eq!((ask, events), (vec![(HERE, Known::Head(deltas[2].after))], vec![]));
    let mut sequencer = Sequencer::new(Revision(100));
    assert_eq!(numbers(&sequencer.offer(deltas[3].clone(), GROUP, knows, now)), [-1]);
    let changed = |head| ChangedConversation { conversation: HERE, audience: GROUP, head };
    let sequencer = Sequencer::new(Revision(100));
    assert!(
        !sequencer.is_behind(&changed(deltas[2].after), knows) && sequencer.is_behind(&changed(deltas[3].after), knows)
    );
}
