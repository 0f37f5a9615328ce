//! The packets that nodes send each other: JSON, derived from the types themselves.
//!
//! A node accepts packets of its own [`VERSION`] only. Nodes of one deployment run different versions only for the
//! minutes of a rolling upgrade. During these they read from the database what the refused packets would have told.

use super::sequencer::ConversationDelta;
use crate::local::presence::{Announcement, PresenceAudience};
use domain::UserId;
use domain::events::{Audience, Event};
use domain::live::Typing;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version of the packets. It changes whenever their JSON does, which a test notices.
pub const VERSION: u32 = 6;
/// The longest packet in bytes: well below what a NATS server takes by default (1 MiB). A node sends a longer delta
/// without its events.
pub const MAX_BYTES: usize = 256 * 1024;

/// What one node sends to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope<M = PeerMessage> {
    version: u32,
    /// The id of the sending node's start.
    pub sender: Uuid,
    /// Sequence number within the sending node. A packet published on several subjects may arrive more than once.
    pub sequence: u64,
    pub message: M,
}

/// What nodes tell each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// A commit, reduced to one conversation, and the audience of that conversation.
    Delta(ConversationDelta, Audience),
    /// An event that belongs to no conversation.
    GlobalEvent(Box<Event>),
    /// A user of the sender is typing.
    Typing(Typing),
    /// A user came online at the sender, or is offline at every node.
    Presence(Announcement),
    /// A user's last connection to the sender went. A node that the user is connected to answers with
    /// [`Self::StillOnline`].
    LastConnectionGone(UserId),
    /// The user is connected to the sender.
    StillOnline(UserId),
    /// A user has connected, and asks which users of the audience are online at the receivers.
    WhoIsOnline(UserId, PresenceAudience),
    /// The answer for the user who asked: these users are online at the sender.
    Online { asked_by: UserId, users: Vec<UserId> },
    /// The sender is alive.
    Heartbeat,
    /// The sender asks that node for its roster.
    RosterRequest { node: Uuid },
    /// A part of the sender's roster: all parts together name every user who is connected to it. `part` counts from 0.
    RosterPart { users: Vec<UserId>, part: usize, parts: usize },
    /// The sender stops. These users were connected to it, and may connect to another node.
    Leaving { users: Vec<UserId> },
}

/// Why a packet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A node of another version sent it.
    #[error("a packet of version {0}, and not {VERSION}")]
    Version(u32),
    /// It is no packet.
    #[error("not a packet")]
    Malformed(#[from] serde_json::Error),
}

/// Encodes a packet.
///
/// # Errors
/// None: every part of a message serializes.
pub fn encode(sender: Uuid, sequence: u64, message: &PeerMessage) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Envelope { version: VERSION, sender, sequence, message })
}

/// Decodes a packet.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(packet: &[u8]) -> Result<Envelope, DecodeError> {
    /// The part that packets of every version have.
    #[derive(Deserialize)]
    struct AnyVersion {
        version: u32,
    }
    match serde_json::from_slice::<Envelope>(packet) {
        Ok(envelope) if envelope.version == VERSION => Ok(envelope),
        Ok(envelope) => Err(DecodeError::Version(envelope.version)),
        Err(error) => match serde_json::from_slice(packet) {
            Ok(AnyVersion { version }) if version != VERSION => Err(DecodeError::Version(version)),
            _ => Err(DecodeError::Malformed(error)),
        },
    }
}

#[cfg(test)]
mod tests;
