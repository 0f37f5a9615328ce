//! The way between nodes. It promises nothing: it may lose, delay, double and reorder packets. The database has the
//! truth.

use crate::local::interest::Subject;
use bytes::Bytes;

/// One node's connection to all others.
pub trait Bus {
    /// Sends a packet to every other node that subscribes to the subject. Never waits; drops the packet if it has no
    /// room.
    fn publish(&self, subject: Subject, packet: Bytes);

    /// Begins to receive what others publish on the subject, now or soon.
    fn subscribe(&mut self, subject: Subject);

    /// Stops receiving what others publish on the subject.
    fn unsubscribe(&mut self, subject: Subject);

    /// Sends the packets that wait, as far as there is a connection.
    fn close(self) -> impl Future<Output = ()>;
}

/// What a node receives from its bus.
#[derive(Debug)]
pub enum BusEvent {
    /// A packet of another node.
    Packet(Bytes),
    /// The connection is up, or lost. Packets may be lost.
    Connected(bool),
    /// The bus dropped packets because this node reads too slowly.
    PacketsLost,
}
