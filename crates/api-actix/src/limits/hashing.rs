//! Shares password hashing between networks. A network runs as many hashes at once as there are cores; its other
//! requests wait.
//!
//! Hashing is slow on purpose, and all hashes wait in one queue. Without this module, one network with enough accounts
//! could fill the queue, and the logins of all others would time out behind it.

use super::Key;
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a request waits for its network's turn: as long as a hash waits for a thread.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// The permits of a network, and how many requests hold or await one.
struct Network {
    turns: Arc<Semaphore>,
    requests: usize,
}

/// The networks that are hashing passwords at this moment.
pub struct Hashing {
    at_once: usize,
    timeout: Duration,
    networks: Mutex<HashMap<Key, Network>>,
}

/// A permit to hash one password, until it is dropped.
pub struct HashingPermit<'a> {
    // Dropped first, so that the permit returns before the request is counted out.
    _permit: OwnedSemaphorePermit,
    _request: Request<'a>,
}

/// A request that has a turn, or waits for one.
struct Request<'a> {
    hashing: &'a Hashing,
    network: Key,
}

impl Default for Hashing {
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZero::get), TURN_TIMEOUT)
    }
}

impl Hashing {
    /// `at_once` hashes per network; its other requests wait for `timeout` at most.
    fn new(at_once: usize, timeout: Duration) -> Self {
        Self { at_once, timeout, networks: Mutex::default() }
    }

    fn networks(&self) -> MutexGuard<'_, HashMap<Key, Network>> {
        // A panic elsewhere leaves numbers behind and nothing half done.
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn of the network. `None` after the timeout.
    pub async fn turn(&self, network: Key) -> Option<HashingPermit<'_>> {
        let turns = {
            let mut networks = self.networks();
            let new = || Network { turns: Arc::new(Semaphore::new(self.at_once)), requests: 0 };
            let known = networks.entry(network).or_insert_with(new);
            known.requests += 1;
            Arc::clone(&known.turns)
        };
        let request = Request { hashing: self, network };
        // The semaphore is never closed.
        let permit = tokio::time::timeout(self.timeout, turns.acquire_owned()).await.ok()?.ok()?;
        Some(HashingPermit { _permit: permit, _request: request })
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut networks = self.hashing.networks();
        if let Some(known) = networks.get_mut(&self.network) {
            known.requests -= 1;
            if known.requests == 0 {
                networks.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::net::IpAddr;

    fn network(last: u8) -> Key {
        Key::network(Some(IpAddr::from([192, 0, 2, last])))
    }

    #[actix_web::test]
    async fn a_network_waits_for_its_own_hashes_and_for_no_others() {
        let hashing = Hashing::new(2, Duration::from_secs(60));
        let now = |last| hashing.turn(network(last)).now_or_never().flatten();
        let (first, second) = (now(1), now(1));
        assert!(first.is_some() && second.is_some());
        let mut third = Box::pin(hashing.turn(network(1)));
        assert!(third.as_mut().now_or_never().is_none(), "the third of a network waits");
        assert!(now(2).is_some() && now(3).is_some(), "others do not");
        drop(first);
        assert!(third.as_mut().now_or_never().flatten().is_some());
        drop((second, third));
        assert!(hashing.networks().is_empty(), "nothing is left of who is gone");
    }

    #[actix_web::test]
    async fn a_request_does_not_wait_for_ever() {
        let hashing = Hashing::new(1, Duration::from_millis(1));
        let first = hashing.turn(network(1)).await;
        assert!(first.is_some() && hashing.turn(network(1)).await.is_none());
        drop(first);
        assert!(hashing.turn(network(1)).await.is_some() && hashing.networks().is_empty());
    }
}
