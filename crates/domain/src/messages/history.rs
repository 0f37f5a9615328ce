//! What a message said before its edits.

use super::service::MessageService;
use crate::context::{Caller, Timestamp};
use crate::error::{Forbidden, Result};
use crate::ids::{MessageId, UserId};

/// A content that a message has or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageVersion {
    /// The content.
    pub content: String,
    /// Since when the message said so.
    pub created_at: Timestamp,
}

/// Which users may read what a message said before (`PARLANCE_EDIT_HISTORY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EditHistory {
    /// The sender.
    #[default]
    Author,
    /// Everybody who may read the message.
    Members,
    /// Nobody: the server keeps the present content alone.
    Off,
}

impl EditHistory {
    /// Most versions of a message, the present one included (`docs/api.md`, Messages).
    pub const MOST: usize = 50;

    /// Whether an edit keeps the content that it replaces.
    pub const fn keeps_versions(self) -> bool {
        match self {
            Self::Author | Self::Members => true,
            Self::Off => false,
        }
    }

    /// Whether `reader`, who may read the message of `sender`, may read its versions.
    ///
    /// # Errors
    /// [`Forbidden::VersionsAreTheSenders`].
    pub fn may_read(self, reader: UserId, sender: UserId) -> Result<()> {
        match self {
            Self::Members => Ok(()),
            Self::Author | Self::Off if reader == sender => Ok(()),
            Self::Author | Self::Off => Forbidden::VersionsAreTheSenders.err(),
        }
    }
}

impl MessageService {
    /// Lists what a message said, oldest first, the present content last.
    ///
    /// # Errors
    /// Those of [`MessageReader::versions`](super::MessageReader::versions).
    pub async fn versions(&self, caller: &Caller, id: MessageId) -> Result<Vec<MessageVersion>> {
        self.reader.versions(caller.user, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::user;

    #[test]
    fn the_operator_says_who_reads_versions() {
        for (history, by_sender, by_others) in
            [(EditHistory::Author, true, false), (EditHistory::Members, true, true), (EditHistory::Off, true, false)]
        {
            assert_eq!(history.may_read(user(1), user(1)).is_ok(), by_sender, "{history:?}");
            assert_eq!(history.may_read(user(2), user(1)).is_ok(), by_others, "{history:?}");
        }
    }
}
