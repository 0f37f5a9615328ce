//! A bus in memory, for tests. It loses, delays, doubles and reorders packets as the test wants.

use super::bus::Bus;
use crate::local::interest::Subject;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

/// Numbers that look random and are the same for the same seed.
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// Whether an event with this probability happens.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What happens to packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// How many of a hundred are lost.
    pub lost: u64,
    /// How many of a hundred arrive twice.
    pub doubled: u64,
    /// The longest delay, in milliseconds. Packets with different delays overtake each other.
    pub delay: u64,
}

struct Packet {
    arrives: u64,
    to: usize,
    bytes: Bytes,
}

struct Inner {
    now: u64,
    faults: Faults,
    random: Random,
    subscriptions: Vec<HashSet<Subject>>,
    connected: Vec<bool>,
    packets: Vec<Packet>,
}

/// The network between the nodes.
#[derive(Clone)]
pub struct Network(Rc<RefCell<Inner>>);

impl Network {
    /// A network of `nodes` nodes, which are not connected yet.
    pub fn new(nodes: usize, seed: u64, faults: Faults) -> Self {
        let (subscriptions, connected) = (vec![HashSet::new(); nodes], vec![false; nodes]);
        let (random, packets) = (Random(seed), Vec::new());
        Self(Rc::new(RefCell::new(Inner { now: 0, faults, random, subscriptions, connected, packets })))
    }

    /// The connection of a node.
    pub fn bus(&self, node: usize) -> MemoryBus {
        MemoryBus { network: self.clone(), node }
    }

    /// Connects a node, or cuts it off.
    pub fn set_connected(&self, node: usize, connected: bool) {
        self.0.borrow_mut().connected[node] = connected;
    }

    pub fn set_faults(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    /// Moves the time on to `now`, in milliseconds.
    pub fn advance(&self, now: u64) {
        self.0.borrow_mut().now = now;
    }

    /// The packets that have arrived at a node since the last call, in the order of their arrival.
    pub fn arrived(&self, node: usize) -> Vec<Bytes> {
        let mut inner = self.0.borrow_mut();
        let now = inner.now;
        let mut arrived: Vec<_> =
            inner.packets.extract_if(.., |packet| packet.to == node && packet.arrives <= now).collect();
        arrived.sort_by_key(|packet| packet.arrives);
        arrived.into_iter().filter(|_| inner.connected[node]).map(|packet| packet.bytes).collect()
    }
}

/// One node's connection to the network.
pub struct MemoryBus {
    network: Network,
    node: usize,
}

impl Bus for MemoryBus {
    fn publish(&self, subject: Subject, packet: Bytes) {
        let inner = &mut *self.network.0.borrow_mut();
        for to in 0..inner.subscriptions.len() {
            let reachable = inner.connected[self.node] && inner.connected[to] && to != self.node;
            if !reachable || !inner.subscriptions[to].contains(&subject) || inner.random.percent(inner.faults.lost) {
                continue;
            }
            for _ in 0..1 + u64::from(inner.random.percent(inner.faults.doubled)) {
                let arrives = inner.now + inner.random.below(inner.faults.delay + 1);
                inner.packets.push(Packet { arrives, to, bytes: packet.clone() });
            }
        }
    }

    fn subscribe(&mut self, subject: Subject) {
        self.network.0.borrow_mut().subscriptions[self.node].insert(subject);
    }

    fn unsubscribe(&mut self, subject: Subject) {
        self.network.0.borrow_mut().subscriptions[self.node].remove(&subject);
    }

    async fn close(self) {}
}
