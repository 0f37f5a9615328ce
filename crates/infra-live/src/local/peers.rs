//! The other nodes, as the hub sees them.

use super::interest::Subject;
use super::presence::{Announcement, PresenceAudience};
use domain::UserId;
use domain::live::Typing;

/// What the hub tells other nodes. Each notice arrives at most once.
#[derive(Debug)]
pub enum PeerNotice {
    /// A user of this node is typing.
    Typing(Typing),
    /// A user has come online at this node.
    CameOnline(Announcement),
    /// A user's last connection to this node went a while ago. The node that takes the notice announces the user as
    /// offline, unless the user is connected to another node.
    LastConnectionGone(Announcement),
    /// A user of this node asks which users of this audience are online elsewhere.
    WhoIsOnline(UserId, PresenceAudience),
}

/// The way from the hub to other nodes. No method waits.
pub trait Peers: Send + Sync {
    /// This node has clients for the subject from now on.
    fn subscribe(&self, subject: Subject);

    /// This node has no clients for the subject any more.
    fn unsubscribe(&self, subject: Subject);

    /// Passes a notice on.
    ///
    /// # Errors
    /// The notice itself if too many wait. The nodes make up for lost presence later.
    fn notify(&self, notice: PeerNotice) -> Result<(), PeerNotice>;
}
