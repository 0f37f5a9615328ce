//! What did not come, or may not have: asked of the database.

use super::node::Node;
use super::sequencer::Interest;
use crate::local::frame::Reload;
use crate::telemetry::NODES;
use domain::events::{Audience, Head};
use domain::live::{Changed, Known, MOST_IN_ONE, Past, Resync, ResyncReason};
use domain::{ConversationId, Error, UserId};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How often all is compared with the database while NATS is there: what was lost comes so much later at the most.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often while it is not.
const CHECK_EVERY_WITHOUT: Duration = Duration::from_millis(500);
/// How long what the database has may take to come in by itself.
const GRACE: Duration = Duration::from_millis(200);
/// How many conversations are asked for at once.
const MOST_ASKED: usize = 8;

/// How often a conversation is read in vain, for a fault that is not the database's being away, before it is given up.
const MOST_FAILURES: u32 = 5;

/// Which conversation, who was connected then, and the answer.
pub type Asked = (ConversationId, Vec<UserId>, domain::Result<Option<Past>>);

/// Comparing all with the database.
pub enum Check {
    /// From then on.
    Due(Instant),
    /// The database is being asked.
    Asking(BoxFuture<'static, domain::Result<Changed>>),
    /// What is behind is waited for, and from then on asked for.
    Settling(Changed, Instant),
}

impl Node {
    /// Does what is due.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.settle(now);
        let (ask, events) = self.sequencer.wanting(|audience| self.hub.interest(audience), now);
        self.to_ask.extend(ask);
        self.hub.deliver(events);
        self.ask();
        let gone: Vec<_> = self.leaving.extract_if(.., |(until, _)| *until <= now).collect();
        for (_, announcement) in gone {
            if !self.is_anywhere(announcement.user) {
                self.tell_presence(&announcement);
                self.hub.announce(announcement);
            }
        }
        self.keep_company(now);
    }

    /// Asks for as much as may be asked for at once.
    pub(super) fn ask(&mut self) {
        while self.asked.len() < MOST_ASKED
            && let Some((of, known)) = self.to_ask.pop_front()
        {
            NODES.gaps.increment(1);
            let (reader, among) = (Arc::clone(&self.reader), self.hub.users());
            self.asked.push(Box::pin(async move {
                let past = reader.past(of, known, among.clone()).await;
                (of, among, past)
            }));
        }
    }

    /// Goes on with comparing.
    fn settle(&mut self, now: Instant) {
        let every = if self.connected { CHECK_EVERY } else { CHECK_EVERY_WITHOUT };
        match &mut self.check {
            Check::Due(at) if *at <= now => {
                let (reader, since) = (Arc::clone(&self.reader), self.sequencer.horizon());
                self.check = Check::Asking(Box::pin(async move { reader.changed(since).await }));
            }
            Check::Settling(changed, until) => {
                let (hub, sequencer) = (&self.hub, &self.sequencer);
                changed.conversations.retain(|changed| {
                    let interest = hub.interest(changed.audience);
                    sequencer.is_behind(changed, interest) || sequencer.may_have_missed_members(changed, interest)
                });
                if changed.conversations.is_empty() {
                    let at = changed.at;
                    self.check = Check::Due(now + every);
                    // Whoever is about to come is to be given what was committed since.
                    let at = self.hub.floor().map_or(at, |floor| floor.min(at));
                    self.sequencer.reach(at);
                    self.hub.advance(at);
                    NODES.checks.increment(1);
                } else if *until <= now {
                    for behind in &changed.conversations {
                        if self.sequencer.is_behind(behind, self.hub.interest(behind.audience)) {
                            self.sequencer.want(behind.conversation, behind.audience);
                        } else if self.members_asked.insert(behind.conversation) {
                            self.to_ask.push_back((behind.conversation, Known::Before(self.sequencer.horizon())));
                        }
                    }
                    // Asked for now; looked at again when that is done or should be.
                    *until = now + every;
                }
            }
            _ => {}
        }
    }

    pub(super) fn changed(&mut self, changed: domain::Result<Changed>) {
        let now = Instant::now();
        self.check = match changed {
            Ok(changed) => Check::Settling(changed, if self.connected { now + GRACE } else { now }),
            Err(error) => {
                debug!(%error, "the database was not compared with");
                Check::Due(now + CHECK_EVERY_WITHOUT)
            }
        };
    }

    pub(super) fn answered(&mut self, of: ConversationId, among: Vec<UserId>, past: domain::Result<Option<Past>>) {
        let now = Instant::now();
        self.members_asked.remove(&of);
        let mut past = match past {
            Ok(Some(past)) => past,
            Ok(None) => return self.sequencer.failed(of, now),
            Err(error) => match self.unreadable(of, &error) {
                Some(past) => past,
                None => return self.sequencer.failed(of, now),
            },
        };
        self.unread.remove(&of);
        let known = self.sequencer.head(of);
        // Members came or went since the database was asked, and it was given out: what it said of them is old.
        let members_changed = known.is_some_and(|head| head.roster > past.stands.roster);
        if members_changed {
            past.members = None;
        }
        if let (Audience::Members(group), Some(members)) = (past.audience, past.members.take()) {
            // Who stays in is told only where something was missed.
            let knows = |head: Head| head.roster >= past.head.roster;
            let begun_with = match self.hub.interest(past.audience) {
                Interest::Knows(head) => Some(head),
                Interest::Since(_) | Interest::Nobody => None,
            };
            if !members.is_empty() {
                self.sequencer.adopt(of, past.audience);
            }
            self.hub.reload_roster(Reload {
                group,
                asked: among.into_iter().collect(),
                inside: members.into_iter().collect(),
                tell_all: !known.is_some_and(knows) && !begun_with.is_some_and(knows),
            });
        }
        if !members_changed {
            self.sequencer.members_are_known(of);
        }
        if past.missed > MOST_IN_ONE {
            past.events.clear();
            (past.head, past.more) = (past.stands, false);
            let resync = Resync { conversation: Some(of), reason: ResyncReason::TooFarBehind };
            self.hub.resync(past.audience, resync);
        }
        let events = self.sequencer.filled(of, past, now);
        self.hub.deliver(events);
        if let Check::Settling(changed, _) = &mut self.check {
            // Who is in it is known now, also where nobody here is.
            let (hub, sequencer) = (&self.hub, &self.sequencer);
            changed.conversations.retain(|changed| {
                changed.conversation != of || sequencer.is_behind(changed, hub.interest(changed.audience))
            });
        }
    }
}

impl Node {
    /// A conversation was not read. Where that is the conversation's fault (a message of a kind that this version does not know),
    /// and again and again, those who are interested are told to load it, and what is behind it goes on.
    fn unreadable(&mut self, of: ConversationId, error: &Error) -> Option<Past> {
        if let Error::Unavailable(_) = error {
            debug!(%error, "what did not come was not read");
            return None;
        }
        let failures = self.unread.entry(of).or_default();
        *failures += 1;
        warn!(%error, conversation = %of, failures, "what did not come cannot be read");
        let Check::Settling(changed, _) = &self.check else { return None };
        let behind = changed.conversations.iter().find(|changed| changed.conversation == of)?;
        if *failures < MOST_FAILURES {
            return None;
        }
        let (audience, head) = (behind.audience, behind.head);
        let resync = Resync { conversation: Some(of), reason: ResyncReason::TooFarBehind };
        self.hub.resync(audience, resync);
        Some(Past { audience, events: Vec::new(), head, stands: head, more: false, missed: 0, members: None })
    }
}

/// What comes of asking the database, once.
pub async fn changed(check: &mut Check) -> domain::Result<Changed> {
    match check {
        Check::Asking(asked) => asked.await,
        _ => std::future::pending().await,
    }
}
