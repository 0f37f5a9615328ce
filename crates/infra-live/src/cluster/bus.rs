//! The way between nodes. It promises nothing: it may lose, delay, double and reorder packets. The database has the
//! truth.

use crate::local::interest::Subject;
use bytes::Bytes;

/// One node's connection to all others.
pub trait Bus {
    /// Sends a packet to every other node that subscribes to the subject. Never waits; what finds no room is lost.
    fn publish(&self, subject: Subject, packet: Bytes);

    /// What others publish on the subject arrives from now on, or from soon on.
    fn subscribe(&mut self, subject: Subject);

    /// What others publish on the subject does not arrive any more.
    fn unsubscribe(&mut self, subject: Subject);

    /// Sends what waits, as far as there is a connection.
    fn close(self) -> impl Future<Output = ()>;
}

/// What a node receives from its bus.
#[derive(Debug)]
pub enum BusEvent {
    /// A packet of another node.
    Packet(Bytes),
    /// The connection stands, or is lost. Packets may have been lost.
    Connected(bool),
    /// Packets were lost because this node reads too slowly.
    PacketsLost,
}
