//! Three nodes over one database, with a bus that loses, delays, doubles and reorders packets. Whatever happens, every
//! client shows in the end what the database has; it was sent every change once and in order, and nothing that it was
//! never to read.

mod client;
mod database;

use super::Cluster;
use super::bus::BusEvent;
use super::inbox::{Inbox, Next, inbox};
use super::memory::{Faults, MemoryBus, Network, Random};
use super::node::Node;
use crate::local::connection::Transport;
use crate::local::hub::Hub;
use crate::local::limits::HubOptions;
use crate::local::shard::Shard;
use client::{Client, EventFramer};
use database::{DIRECT, Database, START, Write, group, user};
use domain::events::EventPublisher as _;
use domain::{Access, Caller, ConversationId, SessionId};
use futures_util::FutureExt as _;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{LocalSet, unconstrained, yield_now};
use uuid::Uuid;

const NODES: usize = 3;
/// How many milliseconds pass between two looks at everything, and between two ticks of a node.
const LOOK: u64 = 10;
const TICK: u64 = 50;
/// How many cases proptest runs by default.
const USUAL_CASES: u32 = 256;

#[derive(Debug, Clone, Copy)]
enum Action {
    /// Time passes, in milliseconds.
    Pass(u64),
    /// A transaction at a node, which may have begun before.
    Write(usize, ConversationId, Write, bool),
    /// A transaction begins that commits later.
    Begin,
    /// A client connects, and reads its subscriptions only later.
    Attach(usize, u128),
    /// All clients that have connected read their subscriptions, and what they may read.
    ReadRosters,
    /// The connections of these begin with the subscriptions.
    GoLive,
    /// A client goes.
    Disconnect(usize),
    /// A node is connected to the bus, or cut off.
    Bus(usize, bool),
    /// The database answers, or does not.
    Outage(bool),
    /// A node stands still, for this time in milliseconds.
    Stall(usize, u64),
    /// A node loses one of its own commits.
    LoseCommit(usize),
}

struct SimulatedNode {
    node: Node<MemoryBus>,
    inbox: Inbox,
    cluster: Arc<Cluster>,
    shard: Rc<Shard>,
    stalled_until: u64,
}

struct World {
    start: Instant,
    now: u64,
    database: Arc<Database>,
    network: Network,
    nodes: Vec<SimulatedNode>,
    clients: Vec<Client>,
    sessions: u128,
}

impl World {
    fn new(seed: u64, faults: Faults) -> Self {
        let start = Instant::now();
        let mut random = Random(seed);
        let database = Arc::new(Database::new(random.below(u64::MAX)));
        let network = Network::new(NODES, random.below(u64::MAX), faults);
        let node = |n: usize| {
            let hub = Arc::new(Hub::new(Arc::new(EventFramer), HubOptions::default()));
            hub.begin_at(START);
            let (outlet, inbox) = inbox();
            let cluster = Arc::new(Cluster(outlet));
            hub.set_peers(Arc::<Cluster>::clone(&cluster));
            let identity = (Uuid::from_u128(n as u128 + 1), network.bus(n));
            let (reader, live) = (Arc::<Database>::clone(&database), Arc::<Database>::clone(&database));
            let node = Node::new(identity, Arc::clone(&hub), reader, live, START, start);
            SimulatedNode { node, inbox, cluster, shard: Shard::new(hub), stalled_until: 0 }
        };
        let nodes = (0..NODES).map(node).collect();
        let mut world = Self { start, now: 0, database, network, nodes, clients: Vec::new(), sessions: 0 };
        (0..NODES).for_each(|n| world.connect(n, true));
        world
    }

    /// Clients that are connected before anything happens.
    async fn connect_clients(&mut self) {
        for (n, who) in [(0, 0), (0, 1), (1, 1), (2, 2)] {
            self.act(Action::Attach(n, who)).await;
        }
        self.act(Action::ReadRosters).await;
        self.act(Action::GoLive).await;
        self.clients.iter_mut().for_each(Client::settle);
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn connect(&mut self, n: usize, connected: bool) {
        self.network.set_connected(n, connected);
        let now = self.instant();
        self.nodes[n].node.received(BusEvent::Connected(connected), now);
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Pass(milliseconds) => self.pass(milliseconds).await,
            Action::Write(n, of, write, begun) => {
                if let Some(committed) = self.database.commit(of, write, begun) {
                    self.nodes[n].cluster.publish(committed);
                }
            }
            Action::Begin => self.database.begin(),
            Action::Attach(n, who) => {
                self.sessions += 1;
                let session = SessionId(Uuid::from_u128(self.sessions));
                let caller = Caller { user: user(who), session, admin: false, access: Access::Login };
                let expires = Instant::now() + Duration::from_secs(3_600);
                let guard = self.nodes[n].shard.attach(&caller, Transport::EventStream, expires).unwrap();
                self.clients.push(Client::new(user(who), n, guard));
            }
            Action::ReadRosters => {
                for client in self.clients.iter_mut().filter(|client| !client.has_subscriptions) {
                    client.subscriptions = Some(self.database.subscriptions_now(client.user));
                    client.has_subscriptions = true;
                    client.load(&self.database);
                }
            }
            Action::GoLive => {
                for client in &mut self.clients {
                    if let Some(subscriptions) = client.subscriptions.take() {
                        self.nodes[client.node].shard.begin(client.guard.connection(), subscriptions).await;
                        client.guard.connection().go_live(HashMap::new()).await;
                    }
                }
            }
            Action::Disconnect(which) => {
                if !self.clients.is_empty() {
                    let which = which % self.clients.len();
                    drop(self.clients.swap_remove(which));
                }
            }
            Action::Bus(n, connected) => self.connect(n, connected),
            Action::Outage(outage) => self.database.set_outage(outage),
            Action::Stall(n, milliseconds) => self.nodes[n].stalled_until = self.now + milliseconds,
            Action::LoseCommit(n) => drop(self.nodes[n].inbox.next_commit()),
        }
        self.look().await;
    }

    async fn pass(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds / LOOK {
            self.now += LOOK;
            self.look().await;
        }
    }

    /// Every node and client does the work that is due.
    async fn look(&mut self) {
        let now = self.instant();
        self.network.advance(self.now);
        self.database.advance(self.now);
        for (n, SimulatedNode { node, inbox, stalled_until, .. }) in self.nodes.iter_mut().enumerate() {
            if *stalled_until > self.now {
                continue;
            }
            while let Some(Some(next)) = unconstrained(inbox.next()).now_or_never() {
                follow(node, inbox);
                match next {
                    Next::Commit(committed) => node.committed(committed, now),
                    Next::Notice(notice) => node.notified(notice, now),
                    Next::Subscriptions | Next::Close(_) => {}
                }
            }
            for packet in self.network.arrived(n) {
                node.received(BusEvent::Packet(packet), now);
            }
            if self.now.is_multiple_of(TICK) {
                follow(node, inbox);
                node.tick(now);
            }
            while let Some(completion) = unconstrained(node.next()).now_or_never() {
                node.complete(completion, now);
            }
        }
        for node in &self.nodes {
            node.shard.drain().await;
        }
        // The shards work in between.
        yield_now().await;
        let database = &self.database;
        self.clients.retain_mut(|client| client.read(database));
    }

    /// Mends everything, and waits until no node is behind.
    async fn settle(&mut self) {
        self.network.set_faults(Faults::default());
        self.database.set_outage(false);
        self.database.roll_back();
        self.act(Action::ReadRosters).await;
        self.act(Action::GoLive).await;
        for n in 0..NODES {
            self.nodes[n].stalled_until = 0;
            self.act(Action::Bus(n, true)).await;
        }
        self.pass(6_000).await;
    }
}

fn follow(node: &mut Node<MemoryBus>, inbox: &Inbox) {
    for (subject, subscribed) in inbox.take_subscriptions() {
        node.set_subscribed(subject, subscribed);
    }
}

fn action() -> impl Strategy<Value = Action> {
    let node = || 0..NODES;
    let who = || 0..4_u128;
    let conversation = prop_oneof![
        3 => Just(group(0).conversation()),
        3 => Just(group(1).conversation()),
        2 => Just(DIRECT),
        1 => Just(ConversationId::BROADCAST),
    ];
    let write = prop_oneof![
        8 => who().prop_map(|n| Write::Send(user(n))),
        2 => (0..6_usize).prop_map(Write::Edit),
        1 => (0..6_usize).prop_map(Write::Delete),
        2 => who().prop_map(|n| Write::Read(user(n))),
        2 => who().prop_map(|n| Write::Add(user(n))),
        2 => who().prop_map(|n| Write::Remove(user(n))),
        1 => Just(Write::Rename),
    ];
    prop_oneof![
        20 => (node(), conversation, write, prop::bool::weighted(0.3))
            .prop_map(|(n, of, write, begun)| Action::Write(n, of, write, begun)),
        12 => prop_oneof![
            4 => (1..8_u64).prop_map(|looks| looks * LOOK),
            1 => Just(150),
            1 => Just(400),
            1 => Just(1_500),
        ].prop_map(Action::Pass),
        2 => Just(Action::Begin),
        5 => (node(), who()).prop_map(|(n, who)| Action::Attach(n, who)),
        4 => Just(Action::ReadRosters),
        4 => Just(Action::GoLive),
        2 => (0..8_usize).prop_map(Action::Disconnect),
        2 => (node(), any::<bool>()).prop_map(|(n, connected)| Action::Bus(n, connected)),
        1 => any::<bool>().prop_map(Action::Outage),
        1 => (node(), prop_oneof![Just(100_u64), Just(700)]).prop_map(|(n, time)| Action::Stall(n, time)),
        1 => node().prop_map(Action::LoseCommit),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    (0..40_u64, 0..40_u64, prop_oneof![Just(0), Just(60), Just(400)]).prop_map(|(lost, doubled, delay)| Faults {
        lost,
        doubled,
        delay,
    })
}

#[test]
fn the_roster_of_a_node_that_dropped_notices_sets_presence_right() {
    run(async {
        let mut world = World::new(1, Faults::default());
        let connect = |n, who| [Action::Attach(n, who), Action::ReadRosters, Action::GoLive];
        for action in connect(1, 1).into_iter().chain([Action::Pass(3_000), Action::Stall(0, 1_000)]) {
            world.act(action).await;
        }
        // Another member of the group comes online at a node that stands still.
        for action in connect(0, 0) {
            world.act(action).await;
        }
        while world.nodes[0].inbox.next_notice().is_some() {}
        world.pass(3_000).await;
        assert_eq!(world.clients[0].online.get(&user(0)), None);
        world.nodes[0].node.notices_were_lost();
        world.pass(1_000).await;
        assert_eq!(world.clients[0].online.get(&user(0)), Some(&true));
    });
}

fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, future);
}

/// The same runs every time, so that the test fails for a change only. `PROPTEST_CASES=10000` explores others.
fn seed() -> RngSeed {
    if ProptestConfig::default().cases == USUAL_CASES { RngSeed::Fixed(1) } else { RngSeed::Random }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 4_000,
        rng_seed: seed(),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_client_is_whole_in_the_end(
        seed in any::<u64>(),
        faults in faults(),
        actions in prop::collection::vec(action(), 1..60),
    ) {
        run(async {
            let mut world = World::new(seed, faults);
            world.connect_clients().await;
            for action in actions {
                world.act(action).await;
            }
            world.settle().await;
            world.clients.iter().for_each(|client| client.must_be_whole(&world.database));
        });
    }
}
