//! The session cache. A request whose session is in it costs no query.
//!
//! The cache forgets sessions that end. During a look-up it remembers whether the session ended in the meantime
//! ([`LookUp`]): the answer of the database may be older than the end. It also remembers some ended sessions in
//! separate slots ([`Ended`]), because their clients come again.

use domain::events::Event;
use domain::sessions::LiveSession;
use domain::{SessionId, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How many slots the cache looks at for one that was not used lately, which takes some microseconds. Every look is
/// paid for by a use since the last one, so one look usually suffices. Only if nearly all sessions are in use does the
/// cache forget one of those.
const MAX_LOOKS: usize = 1_000;

/// The sessions that the server knows without a query: a bounded number. A new one takes the slot of one that was not
/// used lately (the CLOCK algorithm, which approximates "least recently used" in constant time).
pub struct SessionCache {
    /// How long the cache trusts a session. `None`: for ever, because only this process can end it.
    trusted_for: Option<Duration>,
    capacity: usize,
    entries: RwLock<Entries>,
}

/// Sessions that a look-up found ended, each in the slot that its id selects; a newer one replaces an older one. An
/// ended session never becomes live again, so no entry is ever wrong.
struct Ended(Vec<SessionId>);

impl Ended {
    const SLOTS: usize = 16_384;

    fn slot(id: SessionId) -> usize {
        // The tail of a UUIDv7 is random.
        id.0.as_u128() as usize % Self::SLOTS
    }

    fn contains(&self, id: SessionId) -> bool {
        self.0[Self::slot(id)] == id
    }

    fn put(&mut self, id: SessionId) {
        self.0[Self::slot(id)] = id;
    }
}

impl Default for Ended {
    fn default() -> Self {
        // No session has the nil id.
        Self(vec![SessionId(Uuid::nil()); Self::SLOTS])
    }
}

#[derive(Default)]
struct Entries {
    ended: Ended,
    slots: Vec<Slot>,
    /// The index of each session's slot.
    by_session: HashMap<SessionId, usize>,
    /// The slot that the next newcomer looks at first.
    hand: usize,
    /// The sessions of look-ups under way.
    looked_up: HashMap<SessionId, Inquiry>,
}

struct Slot {
    id: SessionId,
    session: LiveSession,
    until: Option<Instant>,
    /// Whether a request used it since the hand last passed.
    used: AtomicBool,
}

#[derive(Default)]
struct Inquiry {
    /// How many look-ups are under way.
    count: usize,
    ended: bool,
}

/// A look-up in the database that is under way.
pub struct LookUp<'a> {
    cache: &'a SessionCache,
    id: SessionId,
}

impl LookUp<'_> {
    /// Stores the database's answer, and returns what is true now: the session may have ended in the meantime.
    pub fn found(self, session: Option<LiveSession>) -> Option<LiveSession> {
        let until = self.cache.trusted_for.map(|trusted_for| Instant::now() + trusted_for);
        let mut entries = self.cache.write();
        let ended = entries.looked_up.get(&self.id).is_some_and(|inquiry| inquiry.ended);
        let Some(mut session) = session.filter(|_| !ended) else {
            entries.ended.put(self.id);
            return None;
        };
        if let Some(known) = entries.get(self.id) {
            // The database may not have the last use yet.
            session.last_seen_at = session.last_seen_at.max(known.session.last_seen_at);
        }
        let slot = Slot { id: self.id, session: session.clone(), until, used: AtomicBool::new(false) };
        entries.put(slot, self.cache.capacity);
        Some(session)
    }
}

impl Drop for LookUp<'_> {
    fn drop(&mut self) {
        let mut entries = self.cache.write();
        if let Some(inquiry) = entries.looked_up.get_mut(&self.id) {
            inquiry.count -= 1;
            if inquiry.count == 0 {
                entries.looked_up.remove(&self.id);
            }
        }
    }
}

impl Entries {
    fn get(&self, id: SessionId) -> Option<&Slot> {
        self.slots.get(*self.by_session.get(&id)?)
    }

    fn put(&mut self, slot: Slot, capacity: usize) {
        let index = match self.by_session.get(&slot.id) {
            Some(index) => *index,
            None if self.slots.len() < capacity => self.slots.len(),
            None => self.vacate(),
        };
        self.by_session.insert(slot.id, index);
        match self.slots.get_mut(index) {
            Some(taken) => *taken = slot,
            None => self.slots.push(slot),
        }
    }

    /// Forgets a session that was not used lately, and returns its slot.
    fn vacate(&mut self) -> usize {
        let mut index = self.hand % self.slots.len();
        for _ in 0..MAX_LOOKS {
            if !std::mem::take(self.slots[index].used.get_mut()) {
                break;
            }
            index = (index + 1) % self.slots.len();
        }
        self.hand = index + 1;
        self.by_session.remove(&self.slots[index].id);
        index
    }

    /// Returns whether the session was known.
    fn remove(&mut self, id: SessionId) -> bool {
        let Some(index) = self.by_session.remove(&id) else { return false };
        self.slots.swap_remove(index);
        if let Some(moved) = self.slots.get(index) {
            self.by_session.insert(moved.id, index);
        }
        true
    }
}

impl SessionCache {
    /// Remembers `capacity` sessions, at least one.
    pub fn new(trusted_for: Option<Duration>, capacity: usize) -> Self {
        Self { trusted_for, capacity: capacity.max(1), entries: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, `Some(None)` if it has ended. `None` if the cache does not know it.
    pub fn get(&self, id: SessionId) -> Option<Option<LiveSession>> {
        let entries = self.read();
        if entries.ended.contains(id) {
            return Some(None);
        }
        let slot = entries.get(id).filter(|slot| slot.until.is_none_or(|until| Instant::now() <= until))?;
        // All workers read the flag: it is written only when it changes.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(Some(slot.session.clone()))
    }

    /// Callers call this before they ask the database for a session that the cache does not know.
    pub fn look_up(&self, id: SessionId) -> LookUp<'_> {
        self.write().looked_up.entry(id).or_default().count += 1;
        LookUp { cache: self, id }
    }

    /// Records a use before the database knows of it.
    pub fn touched(&self, id: SessionId, at: Timestamp) {
        let mut entries = self.write();
        if let Some(index) = entries.by_session.get(&id).copied() {
            entries.slots[index].session.last_seen_at = at;
        }
    }

    /// When the session was last used. `written` is what the database has.
    pub fn last_seen(&self, id: SessionId, written: Timestamp) -> Timestamp {
        self.read().get(id).map_or(written, |slot| slot.session.last_seen_at.max(written))
    }

    /// Records committed ends of sessions.
    pub fn observe(&self, events: &[Event]) {
        for event in events {
            match event {
                Event::SessionEnded { session, .. } => self.end(*session),
                // Whoever deletes a user ends the user's sessions one by one.
                Event::UserDeleted(_)
                | Event::MessageCreated(..)
                | Event::MessageUpdated(..)
                | Event::MessageDeleted { .. }
                | Event::MessageSeen { .. }
                | Event::ConversationRead { .. }
                | Event::SettingsChanged { .. }
                | Event::DraftChanged { .. }
                | Event::MarkedUnread { .. }
                | Event::GroupUpdated(_)
                | Event::GroupDeleted(_)
                | Event::MemberAdded(_)
                | Event::MemberUpdated(_)
                | Event::MemberRemoved(_)
                | Event::Acquainted(_) => {}
            }
        }
    }

    fn end(&self, session: SessionId) {
        let mut entries = self.write();
        if entries.remove(session) {
            entries.ended.put(session);
        }
        if let Some(inquiry) = entries.looked_up.get_mut(&session) {
            inquiry.ended = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UserId;
    use domain::users::{UserRole, Username};

    const USER: UserId = UserId(Uuid::from_u128(1));

    fn session(number: u128) -> SessionId {
        SessionId(Uuid::from_u128(number + 1))
    }

    fn live(last_seen_at: i64) -> LiveSession {
        LiveSession {
            token: None,
            user: USER,
            username: Username::from_stored("ada".to_owned()),
            role: UserRole::Member,
            last_seen_at: Timestamp::from_micros(last_seen_at).unwrap(),
        }
    }

    fn ended(number: u128) -> Event {
        Event::SessionEnded { user: USER, session: session(number) }
    }

    fn remember(cache: &SessionCache, number: u128) {
        cache.look_up(session(number)).found(Some(live(0))).unwrap();
    }

    fn lives(cache: &SessionCache, number: u128) -> bool {
        cache.get(session(number)).flatten().is_some()
    }

    fn sizes(cache: &SessionCache) -> (usize, usize, usize) {
        let entries = cache.read();
        (entries.slots.len(), entries.by_session.len(), entries.looked_up.len())
    }

    #[test]
    fn an_end_counts_though_a_look_up_that_began_before_it_found_the_session() {
        for trusted_for in [None, Some(Duration::from_secs(60))] {
            let cache = SessionCache::new(trusted_for, 9);
            let (early, other) = (cache.look_up(session(2)), cache.look_up(session(3)));
            let also_early = cache.look_up(session(2));
            cache.observe(&[ended(2)]);
            assert_eq!(early.found(Some(live(0))), None);
            assert_eq!(other.found(Some(live(0))), Some(live(0)), "another's end is no reason to forget");
            assert_eq!(also_early.found(Some(live(0))), None);
            assert_eq!((cache.get(session(2)), cache.get(session(3))), (Some(None), Some(Some(live(0)))));
            cache.observe(&[ended(3)]);
            assert_eq!((cache.get(session(3)), sizes(&cache)), (Some(None), (0, 0, 0)));
        }
    }

    #[test]
    fn a_look_up_that_is_given_up_leaves_nothing_behind() {
        let cache = SessionCache::new(None, 9);
        drop((cache.look_up(session(2)), cache.look_up(session(2)), cache.look_up(session(3))));
        assert_eq!(sizes(&cache), (0, 0, 0));
    }

    #[test]
    fn ends_of_sessions_that_are_not_known_take_no_place() {
        let cache = SessionCache::new(None, 10);
        (0..5).for_each(|number| remember(&cache, number));
        for number in 100..1_000 {
            cache.observe(&[ended(number)]);
        }
        assert_eq!(sizes(&cache), (5, 5, 0));
        assert!((0..5).all(|number| lives(&cache, number)));
    }

    #[test]
    fn a_full_cache_forgets_one_for_one_and_nobody_who_is_in_use() {
        let cache = SessionCache::new(None, 100);
        let in_use = 0..40;
        (0..100).for_each(|number| remember(&cache, number));
        for number in 100..10_000 {
            assert!(in_use.clone().all(|number| lives(&cache, number)), "at {number}");
            remember(&cache, number);
            assert_eq!(sizes(&cache), (100, 100, 0));
            assert!(lives(&cache, number));
            // A session that ends frees a slot; sessions that are found ended take none.
            cache.observe(&[ended(number)]);
            assert_eq!(cache.look_up(session(u128::MAX - number)).found(None), None);
            assert_eq!(sizes(&cache), (99, 99, 0));
            remember(&cache, 100_000 + number);
        }
    }

    #[test]
    fn who_comes_again_after_the_end_costs_no_look_up() {
        let cache = SessionCache::new(None, 10);
        remember(&cache, 1);
        cache.observe(&[ended(1), ended(2)]);
        assert_eq!((cache.get(session(1)), cache.get(session(2))), (Some(None), None), "nobody knew the second");
        assert_eq!(cache.look_up(session(2)).found(None), None);
        assert_eq!((cache.get(session(1)), cache.get(session(2))), (Some(None), Some(None)));
        // Another one replaces it, and only it.
        let same_place = Ended::SLOTS as u128 + 1;
        assert_eq!(cache.look_up(session(same_place)).found(None), None);
        assert_eq!((cache.get(session(1)), cache.get(session(same_place))), (None, Some(None)));
    }

    #[test]
    fn where_all_are_in_use_one_goes() {
        let cache = SessionCache::new(None, 100);
        (0..100).for_each(|number| remember(&cache, number));
        for number in 100..1_000 {
            let known = |number: &u128| lives(&cache, *number);
            assert_eq!((0..number).filter(known).count(), 100);
            remember(&cache, number);
        }
    }

    #[test]
    fn a_use_is_known_before_the_database_is_told() {
        let cache = SessionCache::new(Some(Duration::ZERO), 9);
        remember(&cache, 2);
        let (written, used) = (Timestamp::from_micros(3).unwrap(), Timestamp::from_micros(7).unwrap());
        cache.touched(session(2), used);
        assert_eq!(cache.last_seen(session(2), written), used);
        // Asked again while it is not written.
        assert_eq!(cache.look_up(session(2)).found(Some(live(3))), Some(live(7)));
        assert_eq!(cache.look_up(session(2)).found(Some(live(9))), Some(live(9)));
        assert_eq!(cache.last_seen(session(3), written), written);
        cache.touched(session(3), used);
        assert_eq!(sizes(&cache), (1, 1, 0));
    }

    #[test]
    fn what_others_can_end_is_believed_for_a_while() {
        for (trusted_for, known) in
            [(Some(Duration::ZERO), false), (Some(Duration::from_secs(3600)), true), (None, true)]
        {
            let cache = SessionCache::new(trusted_for, 9);
            remember(&cache, 2);
            // A clock may not have moved since.
            while trusted_for == Some(Duration::ZERO) && lives(&cache, 2) {}
            assert_eq!(lives(&cache, 2), known);
        }
    }
}
