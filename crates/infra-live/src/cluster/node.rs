//! One of several nodes: handles the commits of this process, the packets of other nodes and the answers of the
//! database.

use super::bus::{Bus, BusEvent};
use super::codec::{self, PeerMessage};
use super::outbound::Outbound;
use super::presence::{self, PeerPresence};
use super::reconcile::{self, Reconciler};
use super::sequencer::ConversationDelta;
use super::subjects::{concerned, conversation_audience, subjects};
use crate::local::hub::Hub;
use crate::local::interest::Subject;
use crate::local::peers::PeerNotice;
use crate::telemetry::NODES;
use domain::ConversationId;
use domain::events::{Audience, Committed, Event, Revision};
use domain::live::{LiveReader, NodeReader};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

/// How many packets a node remembers to recognize duplicates.
const MAX_REMEMBERED: usize = 8_192;

/// Recognizes packets that arrive more than once.
#[derive(Default)]
struct RecentPackets {
    known: HashSet<(Uuid, u64)>,
    order: VecDeque<(Uuid, u64)>,
}

impl RecentPackets {
    /// Whether the packet is new.
    fn insert(&mut self, packet: (Uuid, u64)) -> bool {
        if self.order.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let new = self.known.insert(packet);
        if new {
            self.order.push_back(packet);
        }
        new
    }
}

/// What a node waited for.
pub enum Completion {
    Reconcile(reconcile::Answer),
    Presence(presence::Answer),
}

/// A node. It does nothing by itself and never asks for the time: its owner hands it everything, with the time at which
/// it came.
pub struct Node<B> {
    hub: Arc<Hub>,
    reader: Arc<dyn NodeReader>,
    outbound: Outbound<B>,
    recent: RecentPackets,
    reconciler: Reconciler,
    presence: PeerPresence,
}

impl<B: Bus> Node<B> {
    /// A node that has delivered everything older than `watermark`. `id` identifies this start of it.
    pub fn new(
        (id, bus): (Uuid, B),
        hub: Arc<Hub>,
        reader: Arc<dyn NodeReader>,
        live: Arc<dyn LiveReader>,
        watermark: Revision,
        now: Instant,
    ) -> Self {
        let mut outbound = Outbound::new(id, bus);
        outbound.set_subscribed(Subject::Everybody, true);
        outbound.set_subscribed(Subject::Presence, true);
        Self {
            outbound,
            recent: RecentPackets::default(),
            reconciler: Reconciler::new(Arc::clone(&hub), Arc::clone(&reader), watermark, now),
            presence: PeerPresence::new(Arc::clone(&hub), live, now),
            hub,
            reader,
        }
    }

    /// Clients of this node need what others publish on the subject, or do not any more.
    pub fn set_subscribed(&mut self, subject: Subject, subscribed: bool) {
        self.outbound.set_subscribed(subject, subscribed);
    }

    /// Does the work that is due.
    pub fn tick(&mut self, now: Instant) {
        self.reconciler.tick(now);
        self.presence.tick(&mut self.outbound, now);
    }

    /// The next answer to a question that the node has asked. Waits for ever while there is none. Cancel safe.
    pub async fn next(&mut self) -> Completion {
        tokio::select! {
            answer = self.reconciler.next() => Completion::Reconcile(answer),
            answer = self.presence.next() => Completion::Presence(answer),
        }
    }

    /// Takes such an answer.
    pub fn complete(&mut self, completion: Completion, now: Instant) {
        match completion {
            Completion::Reconcile(answer) => self.reconciler.complete(answer, now),
            Completion::Presence(answer) => self.presence.complete(answer, &mut self.outbound),
        }
    }

    /// This process committed a transaction.
    pub fn committed(&mut self, committed: Committed, now: Instant) {
        let Committed { events, versions, revision, .. } = committed;
        let mut order = Vec::new();
        let mut by_conversation: HashMap<ConversationId, Vec<Event>> = HashMap::new();
        for event in events {
            let Some(of) = event.conversation() else {
                let subjects = concerned([&event]);
                self.outbound.publish(&subjects, &PeerMessage::GlobalEvent(Box::new(event.clone())));
                self.hub.deliver(vec![event]);
                continue;
            };
            let events = by_conversation.entry(of).or_default();
            if events.is_empty() {
                order.push(of);
            }
            events.push(event);
        }
        for of in order {
            let Some(events) = by_conversation.remove(&of) else { continue };
            let audience = events.first().map_or(Audience::Nobody, conversation_audience);
            let Some(before) = versions.get(&of).copied() else {
                warn!(conversation = %of, "a commit came without the version of its conversation");
                self.reconciler.request_backfill(of, audience);
                continue;
            };
            let after = before.after(&events, revision);
            let subjects = concerned(&events);
            let delta = ConversationDelta { conversation: of, before, after, events };
            // Events of this node wait for their turn like those of others. Otherwise local clients would see another
            // order.
            let delta = self.outbound.publish_delta(&subjects, delta, audience);
            self.reconciler.offer(delta, audience, now);
        }
    }

    /// The hub has something to tell other nodes.
    pub fn notified(&mut self, notice: PeerNotice, now: Instant) {
        match notice {
            PeerNotice::Typing(typing) => {
                let subjects = subjects(typing.audience);
                self.outbound.publish(&subjects, &PeerMessage::Typing(typing));
            }
            PeerNotice::CameOnline(announcement) => self.presence.came_online(announcement, &mut self.outbound),
            PeerNotice::LastConnectionGone(announcement) => {
                self.presence.last_connection_gone(announcement, &mut self.outbound, now);
            }
            PeerNotice::WhoIsOnline(user, audience) => self.presence.ask(user, &audience, &mut self.outbound),
        }
    }

    /// The hub dropped notices because it had too many.
    pub fn notices_were_lost(&mut self) {
        self.presence.notices_were_lost(&mut self.outbound);
    }

    /// The bus has an event.
    pub fn received(&mut self, event: BusEvent, now: Instant) {
        match event {
            BusEvent::Packet(packet) => {
                NODES.received.increment(1);
                match codec::decode(&packet) {
                    Ok(envelope) if envelope.sender == self.outbound.node() => {}
                    Ok(envelope) => self.heard((envelope.sender, envelope.sequence), envelope.message, now),
                    Err(error) => {
                        NODES.lost.increment(1);
                        debug!(%error, "a packet was refused");
                    }
                }
            }
            BusEvent::Connected(connected) => {
                NODES.connected.set(f64::from(u8::from(connected)));
                self.reconciler.set_connected(connected, now);
                self.presence.set_connected(connected, now);
            }
            BusEvent::PacketsLost => {
                NODES.lost.increment(1);
                self.presence.packets_were_lost();
                self.reconciler.compare_soon(now);
            }
        }
    }

    /// Another node sent a message.
    fn heard(&mut self, packet: (Uuid, u64), message: PeerMessage, now: Instant) {
        let (sender, _) = packet;
        self.presence.heard(sender, &mut self.outbound, now);
        match message {
            PeerMessage::Delta(delta, audience) => {
                // A duplicate of a delta that changes the version shows by that version.
                if delta.before != delta.after || self.recent.insert(packet) {
                    self.reconciler.offer(delta, audience, now);
                }
            }
            PeerMessage::GlobalEvent(event) => {
                let events = vec![*event];
                self.reader.heard(&events);
                self.hub.deliver(events);
            }
            PeerMessage::Typing(typing) => self.hub.deliver_typing(typing),
            PeerMessage::Presence(announcement) => self.presence.announced(sender, announcement),
            PeerMessage::LastConnectionGone(user) => self.presence.left_peer(sender, user, &mut self.outbound),
            PeerMessage::StillOnline(user) => self.presence.is_still_online(user),
            PeerMessage::WhoIsOnline(user, audience) => self.presence.asked(user, audience),
            PeerMessage::Online { asked_by, users } => self.hub.announce_online_to(asked_by, users.into_iter()),
            PeerMessage::Heartbeat => {}
            PeerMessage::RosterRequest { node } => {
                if node == self.outbound.node() {
                    self.presence.publish_roster(&mut self.outbound);
                }
            }
            PeerMessage::RosterPart { users, part, parts } => self.presence.roster_part(sender, users, (part, parts)),
            PeerMessage::Leaving { users } => self.presence.peer_leaves(sender, users, now),
        }
    }

    /// Tells the others that this node stops, and sends the packets that wait.
    pub async fn close(mut self) {
        self.presence.leave(&mut self.outbound);
        self.outbound.close().await;
    }
}
