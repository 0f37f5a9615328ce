//! What is remembered of sessions, so that a request costs no query.
//!
//! Sessions that have ended take no place from those that live: they are forgotten. For as long as a session is being looked up it is
//! noted whether it ended meanwhile ([`LookUp`]), since what the database answers may be older than its end. Besides, a few that
//! were found ended are remembered in places of their own ([`Ended`]), since their clients come again.

use domain::events::Event;
use domain::sessions::LiveSession;
use domain::{SessionId, Timestamp};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How many places are looked at for one that was not used lately: some microseconds. Each look is paid for by a use since the last
/// one, so that there is seldom more than one; only where nearly all sessions are in use does one of those have to go.
const LOOKS: usize = 1_000;

/// Sessions that are known without asking the database: a bounded number, of which a new one takes the place of one that was not used
/// lately (the algorithm called CLOCK, which approximates "unused for longest" in a constant number of steps).
pub struct SessionCache {
    /// How long a live session is believed. `None`: as long as this process is the only one that can end it.
    believed: Option<Duration>,
    most: usize,
    entries: RwLock<Entries>,
}

/// Sessions that were found ended: in as many places as there are, each in the one that its id says, whoever was there before. None of
/// them ever lives again, so that nothing has to be forgotten.
struct Ended(Vec<SessionId>);

impl Ended {
    const PLACES: usize = 16_384;

    fn place(id: SessionId) -> usize {
        // The tail of a UUIDv7 is random.
        id.0.as_u128() as usize % Self::PLACES
    }

    fn contains(&self, id: SessionId) -> bool {
        self.0[Self::place(id)] == id
    }

    fn put(&mut self, id: SessionId) {
        self.0[Self::place(id)] = id;
    }
}

impl Default for Ended {
    fn default() -> Self {
        // No session has the nil id.
        Self(vec![SessionId(Uuid::nil()); Self::PLACES])
    }
}

#[derive(Default)]
struct Entries {
    ended: Ended,
    places: Vec<Place>,
    /// Where each session is among the places.
    by_session: HashMap<SessionId, usize>,
    /// The place that is looked at next for a newcomer.
    hand: usize,
    /// The sessions that are being looked up.
    looked_up: HashMap<SessionId, Inquiry>,
}

struct Place {
    id: SessionId,
    session: LiveSession,
    until: Option<Instant>,
    /// Whether it was asked for since the hand last passed.
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
    /// Remembers what was found, and gives what is known now: the session may have ended since it was found.
    pub fn found(self, session: Option<LiveSession>) -> Option<LiveSession> {
        let until = self.cache.believed.map(|believed| Instant::now() + believed);
        let mut entries = self.cache.write();
        let ended = entries.looked_up.get(&self.id).is_some_and(|inquiry| inquiry.ended);
        let Some(mut session) = session.filter(|_| !ended) else {
            entries.ended.put(self.id);
            return None;
        };
        if let Some(known) = entries.get(self.id) {
            // The database may not have been told yet of the last use.
            session.last_seen_at = session.last_seen_at.max(known.session.last_seen_at);
        }
        let place = Place { id: self.id, session: session.clone(), until, used: AtomicBool::new(false) };
        entries.put(place, self.cache.most);
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
    fn get(&self, id: SessionId) -> Option<&Place> {
        self.places.get(*self.by_session.get(&id)?)
    }

    fn put(&mut self, place: Place, most: usize) {
        let index = match self.by_session.get(&place.id) {
            Some(index) => *index,
            None if self.places.len() < most => self.places.len(),
            None => self.vacate(),
        };
        self.by_session.insert(place.id, index);
        match self.places.get_mut(index) {
            Some(taken) => *taken = place,
            None => self.places.push(place),
        }
    }

    /// Forgets a session that was not used lately, and gives its place.
    fn vacate(&mut self) -> usize {
        let mut index = self.hand % self.places.len();
        for _ in 0..LOOKS {
            if !std::mem::take(self.places[index].used.get_mut()) {
                break;
            }
            index = (index + 1) % self.places.len();
        }
        self.hand = index + 1;
        self.by_session.remove(&self.places[index].id);
        index
    }

    /// Says whether it was there.
    fn remove(&mut self, id: SessionId) -> bool {
        let Some(index) = self.by_session.remove(&id) else { return false };
        self.places.swap_remove(index);
        if let Some(moved) = self.places.get(index) {
            self.by_session.insert(moved.id, index);
        }
        true
    }
}

impl SessionCache {
    /// Remembers `most` sessions, at least one.
    pub fn new(believed: Option<Duration>, most: usize) -> Self {
        Self { believed, most: most.max(1), entries: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session if it lives. `None`: not known.
    pub fn get(&self, id: SessionId) -> Option<Option<LiveSession>> {
        let entries = self.read();
        if entries.ended.contains(id) {
            return Some(None);
        }
        let place = entries.get(id).filter(|place| place.until.is_none_or(|until| Instant::now() <= until))?;
        // Written only where it changes something: all workers read it.
        if !place.used.load(Ordering::Relaxed) {
            place.used.store(true, Ordering::Relaxed);
        }
        Some(Some(place.session.clone()))
    }

    /// To be called before the database is asked for a session that is not known.
    pub fn look_up(&self, id: SessionId) -> LookUp<'_> {
        self.write().looked_up.entry(id).or_default().count += 1;
        LookUp { cache: self, id }
    }

    /// Takes note of a use that the database is told of later.
    pub fn touched(&self, id: SessionId, at: Timestamp) {
        let mut entries = self.write();
        if let Some(index) = entries.by_session.get(&id).copied() {
            entries.places[index].session.last_seen_at = at;
        }
    }

    /// When the session was last used, given what the database knows of that.
    pub fn last_seen(&self, id: SessionId, written: Timestamp) -> Timestamp {
        self.read().get(id).map_or(written, |place| place.session.last_seen_at.max(written))
    }

    /// Takes note of committed ends of sessions.
    pub fn observe(&self, events: &[Event]) {
        for event in events {
            if let Event::SessionEnded { session, .. } = event {
                let mut entries = self.write();
                if entries.remove(*session) {
                    entries.ended.put(*session);
                }
                if let Some(inquiry) = entries.looked_up.get_mut(session) {
                    inquiry.ended = true;
                }
            }
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
            user: USER,
            username: Username::restored("ada".to_owned()),
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
        (entries.places.len(), entries.by_session.len(), entries.looked_up.len())
    }

    #[test]
    fn an_end_counts_though_a_look_up_that_began_before_it_found_the_session() {
        for believed in [None, Some(Duration::from_secs(60))] {
            let cache = SessionCache::new(believed, 9);
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
            // One that ends leaves a place, and those that are found ended take none.
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
        // Another takes its place, and no more than that.
        let same_place = Ended::PLACES as u128 + 1;
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
        for (believed, known) in [(Some(Duration::ZERO), false), (Some(Duration::from_secs(3600)), true), (None, true)]
        {
            let cache = SessionCache::new(believed, 9);
            remember(&cache, 2);
            // A clock may not have moved since.
            while believed == Some(Duration::ZERO) && lives(&cache, 2) {}
            assert_eq!(lives(&cache, 2), known);
        }
    }
}
