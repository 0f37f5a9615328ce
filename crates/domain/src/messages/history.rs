//! What a message said before its edits.

use super::service::MessageService;
use crate::context::{Caller, Timestamp};
use crate::error::Result;
use crate::ids::MessageId;

/// A content that a message has or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageVersion {
    /// The content.
    pub content: String,
    /// Since when the message said so.
    pub created_at: Timestamp,
}

impl MessageVersion {
    /// Most versions of a message, the present one included (`docs/api.md`, Versions).
    pub const MOST: usize = 50;
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
