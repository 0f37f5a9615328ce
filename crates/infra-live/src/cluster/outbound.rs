//! Publishes what a node sends to others.

use super::bus::Bus;
use super::codec::{self, MAX_BYTES, PeerMessage};
use super::sequencer::ConversationDelta;
use crate::local::interest::Subject;
use bytes::Bytes;
use domain::events::Audience;
use tracing::warn;
use uuid::Uuid;

/// Numbers a node's packets and publishes them.
pub struct Outbound<B> {
    node: Uuid,
    sequence: u64,
    bus: B,
}

impl<B: Bus> Outbound<B> {
    /// `node` identifies this start of the node.
    pub fn new(node: Uuid, bus: B) -> Self {
        Self { node, sequence: 0, bus }
    }

    /// The id of this start of the node.
    pub fn node(&self) -> Uuid {
        self.node
    }

    /// Publishes a message on all of the subjects.
    pub fn publish(&mut self, subjects: &[Subject], message: &PeerMessage) {
        self.sequence += 1;
        match codec::encode(self.node, self.sequence, message) {
            Ok(packet) => self.send(subjects, packet),
            Err(error) => warn!(%error, "a packet was not made"),
        }
    }

    /// Publishes a delta. Leaves its events out if the packet would be too long. Returns the delta.
    pub fn publish_delta(
        &mut self,
        subjects: &[Subject],
        delta: ConversationDelta,
        audience: Audience,
    ) -> ConversationDelta {
        self.sequence += 1;
        let bare = delta.without_events();
        let message = PeerMessage::Delta(delta, audience);
        let encode = |message: &PeerMessage| codec::encode(self.node, self.sequence, message);
        let whole = encode(&message).ok().filter(|packet| packet.len() <= MAX_BYTES);
        let packet = whole.map_or_else(|| encode(&PeerMessage::Delta(bare.clone(), audience)), Ok);
        match packet {
            Ok(packet) => self.send(subjects, packet),
            Err(error) => warn!(%error, "a packet was not made"),
        }
        // It is the delta from above.
        if let PeerMessage::Delta(delta, _) = message { delta } else { bare }
    }

    fn send(&self, subjects: &[Subject], packet: Vec<u8>) {
        let packet = Bytes::from(packet);
        for subject in subjects {
            self.bus.publish(*subject, packet.clone());
        }
    }

    /// Begins or stops receiving what others publish on the subject.
    pub fn set_subscribed(&mut self, subject: Subject, subscribed: bool) {
        if subscribed { self.bus.subscribe(subject) } else { self.bus.unsubscribe(subject) }
    }

    /// Sends the packets that wait.
    pub async fn close(self) {
        self.bus.close().await;
    }
}
