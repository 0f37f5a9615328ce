//! Sending a message: the one way in, whatever the door (HTTP, gochat, upload, WebSocket).

use super::model::{Attachment, Caption, Draft, DraftBody, IdempotencyKey, MessageType, Recipient, Text};
use super::ports::{Appended, MessageLog};
use crate::context::{Caller, Clock, IdGenerator};
use crate::error::{Invalid, Result};
use crate::files::FileId;
use crate::ids::{ConversationId, MessageId};
use crate::messages::AttachmentKind;
use std::sync::Arc;

/// A wish to say something.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// To whom.
    pub recipient: Recipient,
    /// What.
    pub body: DraftBody,
    /// Which message it answers.
    pub reply_to: Option<MessageId>,
    /// What makes a retry one.
    pub key: Option<IdempotencyKey>,
}

impl Outgoing {
    /// Words and nothing else.
    pub fn text(recipient: Recipient, content: Text) -> Self {
        Self { recipient, body: DraftBody::Text(content), reply_to: None, key: None }
    }
}

impl DraftBody {
    /// From the parts as clients give them: a text has content and no file, the others have a file and may have content.
    ///
    /// # Errors
    /// [`Invalid`] naming `content` or `file_id`.
    pub fn parse(message_type: MessageType, content: Option<&str>, file: Option<FileId>) -> Result<Self, Invalid> {
        let kind = match message_type {
            MessageType::Text => {
                if file.is_some() {
                    return Err(Invalid::new("file_id", "a text message carries no file"));
                }
                return Ok(Self::Text(Text::parse(content.ok_or_else(|| Invalid::missing("content"))?)?));
            }
            MessageType::Image => AttachmentKind::Image,
            MessageType::File => AttachmentKind::File,
        };
        let file = file.ok_or_else(|| Invalid::missing("file_id"))?;
        let caption = content.map_or_else(|| Ok(Caption::none()), Caption::parse)?;
        Ok(Self::Attachment(Attachment::Stored { kind, file }, caption))
    }
}

/// Says something.
pub struct SendMessage {
    /// Where messages are kept.
    pub log: Arc<dyn MessageLog>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdGenerator>,
}

impl SendMessage {
    /// # Errors
    /// Those of [`MessageLog::append`].
    pub async fn execute(&self, caller: &Caller, send: Outgoing) -> Result<Appended> {
        let draft = Draft {
            id: MessageId(self.ids.next()),
            new_conversation: ConversationId(self.ids.next()),
            sender: caller.user,
            recipient: send.recipient,
            body: send.body,
            reply_to: send.reply_to,
            key: send.key,
            at: self.clock.now(),
        };
        self.log.append(draft).await
    }
}
