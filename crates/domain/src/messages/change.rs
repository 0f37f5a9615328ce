//! Editing and deleting messages.

use super::model::{Content, Message};
use super::ports::MessageLog;
use crate::context::{Caller, Clock};
use crate::error::Result;
use crate::ids::MessageId;
use std::sync::Arc;

/// Changes what a message says.
pub struct EditMessage {
    /// Where messages are kept.
    pub log: Arc<dyn MessageLog>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl EditMessage {
    /// # Errors
    /// Those of [`MessageLog::edit`].
    pub async fn execute(&self, caller: &Caller, id: MessageId, content: Content) -> Result<Message> {
        self.log.edit(caller.user, id, content, self.clock.now()).await
    }
}

/// Takes a message back.
pub struct DeleteMessage {
    /// Where messages are kept.
    pub log: Arc<dyn MessageLog>,
    /// When.
    pub clock: Arc<dyn Clock>,
}

impl DeleteMessage {
    /// # Errors
    /// Those of [`MessageLog::delete`].
    pub async fn execute(&self, caller: &Caller, id: MessageId) -> Result<()> {
        self.log.delete(caller.user, id, self.clock.now()).await
    }
}
