//! Reading messages.

use super::model::{Changes, Message, Recipient, Window};
use super::ports::MessageReader;
use crate::context::Caller;
use crate::error::{NotFound, Result};
use crate::ids::{ConversationId, MessageId};
use crate::page::{Limit, Page};
use std::sync::Arc;

/// Lists part of a conversation.
pub struct ListMessages {
    /// Where messages are kept.
    pub messages: Arc<dyn MessageReader>,
}

impl ListMessages {
    /// # Errors
    /// Those of [`MessageReader::page`].
    pub async fn execute(&self, caller: &Caller, of: Recipient, window: Window) -> Result<Page<Message>> {
        self.messages.page(caller.user, of, window).await
    }
}

/// Shows one message.
pub struct ShowMessage {
    /// Where messages are kept.
    pub messages: Arc<dyn MessageReader>,
}

impl ShowMessage {
    /// # Errors
    /// [`NotFound::Message`].
    pub async fn execute(&self, caller: &Caller, id: MessageId) -> Result<Message> {
        Ok(self.messages.find(caller.user, id).await?.ok_or(NotFound::Message)?)
    }
}

/// Lists what changed in a conversation.
pub struct ListChanges {
    /// Where messages are kept.
    pub messages: Arc<dyn MessageReader>,
}

impl ListChanges {
    /// # Errors
    /// Those of [`MessageReader::changes`].
    pub async fn execute(&self, caller: &Caller, of: ConversationId, after: i64, limit: Limit) -> Result<Changes> {
        self.messages.changes(caller.user, of, after, limit).await
    }
}
