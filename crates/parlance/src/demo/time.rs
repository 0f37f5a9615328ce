//! A clock that the demo sets, and ids from a seeded generator.

use domain::{Clock, IdGenerator, Timestamp};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Stands still until somebody moves it. It never goes back, and never past its end.
#[derive(Debug)]
pub struct DemoClock {
    at: AtomicI64,
    end: i64,
}

impl DemoClock {
    /// A clock that begins long before `end`.
    pub fn up_to(end: Timestamp) -> Self {
        Self { at: AtomicI64::new(0), end: end.as_micros() }
    }

    /// Moves it to this moment, in microseconds since 1970, unless that has passed.
    pub fn move_to(&self, micros: i64) {
        self.at.fetch_max(micros.min(self.end), Ordering::Relaxed);
    }

    /// Lets so many microseconds pass.
    pub fn pass(&self, micros: i64) {
        self.move_to(self.at.load(Ordering::Relaxed) + micros);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        let micros = self.at.load(Ordering::Relaxed);
        // It is between 1970 and the end, which was a timestamp.
        Timestamp::from_micros(micros).unwrap_or_else(|| chrono::DateTime::UNIX_EPOCH.into())
    }
}

/// UUIDs of version 7 at the clock's time. The seed draws their random part.
#[derive(Debug)]
pub struct DemoIds {
    clock: Arc<DemoClock>,
    random: Mutex<StdRng>,
}

impl DemoIds {
    /// Ids from this seed.
    pub fn new(clock: Arc<DemoClock>, seed: u64) -> Self {
        Self { clock, random: Mutex::new(StdRng::seed_from_u64(seed)) }
    }
}

impl IdGenerator for DemoIds {
    fn next(&self) -> Uuid {
        let mut bytes = [0; 10];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        let millis = u64::try_from(self.clock.now().as_micros() / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_stops_at_its_end() {
        let clock = DemoClock::up_to(Timestamp::from_micros(100).unwrap());
        clock.move_to(50);
        clock.move_to(40);
        assert_eq!(clock.now().as_micros(), 50);
        clock.pass(70);
        assert_eq!(clock.now().as_micros(), 100);
    }

    #[test]
    fn ids_are_the_seeds_and_of_their_time() {
        let ids = |seed| {
            let clock = Arc::new(DemoClock::up_to(Timestamp::from_micros(9_000_000).unwrap()));
            clock.move_to(5_000_000);
            let ids = DemoIds::new(clock, seed);
            [ids.next(), ids.next()]
        };
        let [first, second] = ids(1);
        assert_eq!(ids(1), [first, second]);
        assert_ne!(ids(2), [first, second]);
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
        assert_eq!(first.get_timestamp().unwrap().to_unix(), (5, 0));
    }
}
