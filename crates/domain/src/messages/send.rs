//! Sending a message: the one way in, whatever the door (HTTP, gochat, upload, WebSocket).

use super::mentions::SaidMentions;
use super::model::{Attachment, Caption, IdempotencyKey, MessageType, NewBody, NewMessage, Recipient, Text};
use super::ports::Appended;
use super::service::MessageService;
use crate::context::Caller;
use crate::error::{Invalid, Result};
use crate::files::FileId;
use crate::ids::{ConversationId, MessageId};
use crate::messages::AttachmentKind;

/// A message that a client asks the server to send.
#[derive(Debug, Clone)]
pub struct SendCommand {
    /// The user, the group or everybody.
    pub recipient: Recipient,
    /// What the message is to say or carry.
    pub body: NewBody,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The first message of the thread that it is to be a reply in.
    pub thread_id: Option<MessageId>,
    /// The mentions. `None`: those that the content names.
    pub mentions: Option<SaidMentions>,
    /// A retry carries the same key.
    pub key: Option<IdempotencyKey>,
    /// Whether the message was the sender's draft in the conversation, which ends with it.
    pub clears_draft: bool,
}

impl SendCommand {
    /// A text message without an answered message or a key.
    pub fn text(recipient: Recipient, content: Text) -> Self {
        let body = NewBody::Text(content);
        Self { recipient, body, reply_to: None, thread_id: None, mentions: None, key: None, clears_draft: false }
    }
}

impl NewBody {
    /// From the parts as clients give them: a text has content and no file, the others have a file and may have
    /// content.
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

impl MessageService {
    /// Sends a message.
    ///
    /// # Errors
    /// Those of [`MessageLog::append`](super::MessageLog::append).
    pub async fn send(&self, caller: &Caller, send: SendCommand) -> Result<Appended> {
        let draft = NewMessage {
            id: MessageId(self.ids.next()),
            new_conversation: ConversationId(self.ids.next()),
            sender: caller.user,
            recipient: send.recipient,
            body: send.body,
            reply_to: send.reply_to,
            thread_id: send.thread_id,
            mentions: send.mentions,
            key: send.key,
            clears_draft: send.clears_draft,
            at: self.clock.now(),
        };
        self.log.append(draft).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Conflict, Error};
    use crate::messages::MockMessageLog;
    use crate::testing::{at, caller, conversation, file_id, message, message_id, message_service, outcome, user};
    use std::sync::Arc;

    fn over(log: MockMessageLog) -> MessageService {
        MessageService { log: Arc::new(log), ..message_service() }
    }

    #[test]
    fn the_log_gets_a_complete_draft() {
        let mut log = MockMessageLog::new();
        log.expect_append()
            .once()
            .withf(|draft| {
                *draft
                    == NewMessage {
                        id: message_id(1),
                        new_conversation: conversation(2),
                        sender: user(1),
                        recipient: Recipient::User(user(9)),
                        body: NewBody::Text(Text::parse(" a|\"b\" 🙂 ").unwrap()),
                        reply_to: Some(message_id(5)),
                        thread_id: Some(message_id(6)),
                        mentions: SaidMentions::new(vec![user(9)], false).ok(),
                        key: Some(IdempotencyKey::parse("client_id", "k").unwrap()),
                        clears_draft: true,
                        at: at(7),
                    }
            })
            .returning(|_| Ok(Appended::Stored(message(1))));
        let outgoing = SendCommand {
            reply_to: Some(message_id(5)),
            thread_id: Some(message_id(6)),
            mentions: SaidMentions::new(vec![user(9)], false).ok(),
            key: Some(IdempotencyKey::parse("client_id", "k").unwrap()),
            clears_draft: true,
            ..SendCommand::text(Recipient::User(user(9)), Text::parse(" a|\"b\" 🙂 ").unwrap())
        };
        let sent = outcome(over(log).send(&caller(1), outgoing)).unwrap();
        assert_eq!(sent, Appended::Stored(message(1)));
    }

    #[test]
    fn what_the_log_refuses_is_refused() {
        let mut log = MockMessageLog::new();
        log.expect_append().once().returning(|_| Conflict::KeyReused.err());
        let outgoing = SendCommand::text(Recipient::Everybody, Text::parse("x").unwrap());
        let refused = outcome(over(log).send(&caller(1), outgoing));
        assert!(matches!(refused, Err(Error::Conflict(Conflict::KeyReused))));
    }

    /// Type, content and file as given, and what becomes of them: the body, or the field at fault.
    #[test]
    fn what_is_said_fits_its_type() {
        use MessageType::{File, Image, Text as Words};
        let stored = |kind, caption: &str| {
            let file = Attachment::Stored { kind, file: file_id(1) };
            Ok(NewBody::Attachment(file, Caption::parse(caption).unwrap()))
        };
        let text = |text| Ok(NewBody::Text(Text::parse(text).unwrap()));
        let (some, none) = (Some(file_id(1)), None);
        let longest = "🙂".repeat(4096);
        let too_long = "x".repeat(4097);
        for (message_type, content, file, expected) in [
            (Words, Some("a|b"), none, text("a|b")),
            (Words, Some(&*longest), none, text(&longest)),
            (Words, Some("x"), some, Err("file_id")),
            (Words, None, some, Err("file_id")),
            (Words, None, none, Err("content")),
            (Words, Some(""), none, Err("content")),
            (Words, Some(" \t\r\n\u{3000}"), none, Err("content")),
            (Words, Some("a\0b"), none, Err("content")),
            (Words, Some(&*too_long), none, Err("content")),
            (Image, None, some, stored(AttachmentKind::Image, "")),
            (File, Some(" "), some, stored(AttachmentKind::File, " ")),
            (File, Some("see"), some, stored(AttachmentKind::File, "see")),
            (Image, Some("x"), none, Err("file_id")),
            (File, None, none, Err("file_id")),
            (File, Some(&*too_long), some, Err("content")),
            (Image, Some("\0"), some, Err("content")),
        ] {
            let parsed = NewBody::parse(message_type, content, file).map_err(|invalid| invalid.field.into_owned());
            assert_eq!(parsed, expected.map_err(str::to_owned), "{message_type:?} {content:?} {file:?}");
        }
    }
}
