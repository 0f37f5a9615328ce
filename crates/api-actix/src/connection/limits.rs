//! Limits the connections of each network.

use crate::limits::Key;
use crate::proxies::Proxies;
use crate::telemetry::METRICS;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections per network: per IPv4 address, or per /64 of IPv6.
///
/// A trusted proxy has no limit, because all of its clients share its address.
pub struct ConnectionLimits {
    most: usize,
    proxies: Proxies,
    taken: Mutex<HashMap<Key, usize>>,
}

impl ConnectionLimits {
    /// Allows `most` connections per network.
    pub fn new(most: usize, proxies: Proxies) -> Self {
        Self { most, proxies, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        // The map holds only numbers: a panic elsewhere cannot leave it half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit for a client at this address, or returns `None` if its network has too many.
    pub fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<ConnectionPermit> {
        let counted = !address.is_some_and(|address| self.proxies.trust(address.to_canonical()));
        let network = counted.then(|| Key::network(address));
        if let Some(network) = network {
            let mut taken = self.taken();
            let number = taken.entry(network).or_default();
            if *number >= self.most {
                METRICS.refused_connections.increment(1);
                return None;
            }
            *number += 1;
        }
        METRICS.connections.increment(1);
        Some(ConnectionPermit { places: Arc::clone(self), network })
    }
}

/// The permit of one connection. Dropping it frees the place.
pub struct ConnectionPermit {
    places: Arc<ConnectionLimits>,
    network: Option<Key>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        METRICS.connections.decrement(1);
        let Some(network) = self.network else { return };
        let mut taken = self.places.taken();
        if let Some(number) = taken.get_mut(&network) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_so_many_places_and_others_their_own() {
        let places = Arc::new(ConnectionLimits::new(2, Proxies::parse("10.0.0.0/8").unwrap()));
        let take = |address: &str| places.take(Some(address.parse().unwrap()));
        let (one, two) = (take("192.0.2.1"), take("::ffff:192.0.2.1"));
        assert!(one.is_some() && two.is_some() && take("192.0.2.1").is_none());
        let others = [take("192.0.2.2"), take("2001:db8::1"), take("2001:db8::2")];
        assert!(others.iter().all(Option::is_some));
        assert!(take("2001:db8::3").is_none() && take("2001:db8:0:1::1").is_some());
        let proxied: Vec<_> = (0..10).map(|_| take("10.1.2.3")).collect();
        assert!(proxied.iter().all(Option::is_some));
        drop(one);
        assert!(take("192.0.2.1").is_some());
        drop((two, others, proxied));
        assert!(places.taken().is_empty(), "nothing is left of who is gone");
    }
}
