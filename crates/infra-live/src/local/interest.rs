//! Which conversations this process has clients for, and how much those clients know already.

use domain::events::{ConversationVersion, Revision};
use domain::live::Known;
use domain::{GroupId, UserId};

/// A topic: a node subscribes to it because its clients need it, and other nodes publish on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// What happens in a group.
    Group(GroupId),
    /// Events that concern one user.
    User(UserId),
    /// Events that concern all users.
    Everybody,
    /// Which users connect and disconnect. Every node subscribes to it.
    Presence,
}

/// What the connections of this process know of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// No connection belongs to its audience.
    Nobody,
    /// At least one connection does. All of them know what was committed before this revision.
    Since(Revision),
    /// At least one connection does. The first of them read the conversation as it stood at this version.
    Knows(ConversationVersion),
}

impl Interest {
    /// Whether these connections know everything that led to `version`, on a node that has delivered everything older
    /// than `watermark`.
    pub fn knows(self, version: &ConversationVersion, watermark: Revision) -> bool {
        version.newest() < watermark
            || match self {
                Self::Nobody => true,
                Self::Since(since) => version.newest() < since,
                Self::Knows(known) => known.is_at_least(version),
            }
    }

    /// From where on the node has to read the conversation for these connections.
    pub fn known(self, watermark: Revision) -> Known {
        match self {
            Self::Knows(version) if version.newest() >= watermark => Known::Version(version),
            Self::Since(since) => Known::Before(watermark.max(since)),
            Self::Knows(_) | Self::Nobody => Known::Before(watermark),
        }
    }
}
