//! The table of token buckets. Its size is bounded, however many clients fill it.

use super::Key;
use governor::nanos::Nanos;
use governor::state::StateStore;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number of locks in the table. Requests with different keys seldom contend for one.
const SHARDS: usize = 16;

/// Per key: when its bucket is full again, in nanoseconds since the limiter began.
type Shard = HashMap<Key, u64>;

/// The buckets of one limit, by key. Clones share the table.
///
/// A key that is not in the table has a full bucket. A full table therefore forgets the buckets that are nearest to
/// full: those of idle clients. A client that is being refused stays in the table longest.
#[derive(Clone)]
pub struct Buckets(Arc<Table>);

struct Table {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    max_per_shard: usize,
}

impl Buckets {
    /// An empty table for about `most` keys.
    pub fn new(most: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self(Arc::new(Table { hasher: RandomState::new(), shards, max_per_shard: most.div_ceil(SHARDS).max(4) }))
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let number = self.0.hasher.hash_one(key) as usize % SHARDS;
        // A panic elsewhere leaves numbers behind and nothing half done.
        self.0.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the table remembers that a token was taken from the key's bucket.
    pub fn knows(&self, key: &Key) -> bool {
        self.shard(key).contains_key(key)
    }

    /// Returns one token, which would take `nanos` nanoseconds to come back by itself.
    pub fn give_back(&self, key: &Key, nanos: u64) {
        if let Some(full_at) = self.shard(key).get_mut(key) {
            *full_at = full_at.saturating_sub(nanos);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

/// Governor's algorithm (GCRA) over the table.
impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(key);
        let known = shard.get_mut(key);
        let (outcome, full_at) = decide(known.as_ref().map(|full_at| Nanos::from(**full_at)))?;
        match known {
            Some(known) => *known = full_at.as_u64(),
            None => {
                if shard.len() >= self.0.max_per_shard {
                    forget_a_quarter(&mut shard);
                }
                shard.insert(*key, full_at.as_u64());
            }
        }
        Ok(outcome)
    }
}

/// The same table, read only: it stores no decision.
pub struct ReadOnlyBuckets(pub Buckets);

impl StateStore for ReadOnlyBuckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let known = self.0.shard(key).get(key).copied();
        decide(known.map(Nanos::from)).map(|(outcome, _)| outcome)
    }
}

/// Forgets the quarter of the keys that is nearest to full. One search then pays for as many new keys.
fn forget_a_quarter(shard: &mut Shard) {
    let mut times: Vec<u64> = shard.values().copied().collect();
    let (_, last, _) = times.select_nth_unstable(shard.len() / 4);
    let last = *last;
    shard.retain(|_, full_at| *full_at > last);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> Key {
        Key::User(domain::UserId(uuid::Uuid::from_u128(number)))
    }

    fn set(buckets: &Buckets, key: Key, full_at: u64) {
        buckets.measure_and_replace(&key, |_| Ok::<_, ()>(((), Nanos::from(full_at)))).unwrap();
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_idle_first() {
        let most = 1024;
        let buckets = Buckets::new(most);
        set(&buckets, key(0), u64::MAX);
        for number in 1..100_000 {
            set(&buckets, key(number), number as u64);
            assert!(buckets.len() <= most);
        }
        assert!(buckets.knows(&key(0)), "who is refused stays so, however many come");
        assert!(buckets.knows(&key(99_999)) && !buckets.knows(&key(1)));
        assert!(buckets.len() >= most / 2);
    }

    #[test]
    fn a_table_full_of_the_same_is_still_bounded() {
        let buckets = Buckets::new(64);
        for number in 0..10_000 {
            set(&buckets, key(number), 5);
        }
        assert!(buckets.len() <= 64);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let buckets = Buckets::new(64);
        assert_eq!(buckets.measure_and_replace(&key(1), |known| Err::<((), Nanos), _>(known.is_none())), Err(true));
        assert!(!buckets.knows(&key(1)));
        buckets.give_back(&key(1), 5);
        assert_eq!(buckets.len(), 0);
    }
}
