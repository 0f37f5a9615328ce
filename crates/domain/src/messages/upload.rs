//! Sending an uploaded file.

use super::mentions::SaidMentions;
use super::model::{Attachment, Caption, IdempotencyKey, NewBody, Recipient};
use super::ports::Appended;
use super::send::SendCommand;
use super::service::MessageService;
use crate::context::Caller;
use crate::error::Result;
use crate::files::StagedFile;
use crate::ids::MessageId;

/// The message that is to carry a staged file.
#[derive(Debug, Clone)]
pub struct UploadCommand {
    /// The user, the group or everybody.
    pub recipient: Recipient,
    /// The text beside the file.
    pub caption: Caption,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// The first message of the thread that it is to be a reply in.
    pub thread_id: Option<MessageId>,
    /// The mentions. `None`: those that the caption names.
    pub mentions: Option<SaidMentions>,
    /// A retry carries the same key.
    pub key: Option<IdempotencyKey>,
    /// Whether the message was the sender's draft in the conversation, which ends with it.
    pub clears_draft: bool,
}

impl UploadCommand {
    /// The command to send the message with that file.
    fn with(self, file: Attachment) -> SendCommand {
        let Self { recipient, caption, reply_to, thread_id, mentions, key, clears_draft } = self;
        let body = NewBody::Attachment(file, caption);
        SendCommand { recipient, body, reply_to, thread_id, mentions, key, clears_draft }
    }
}

impl MessageService {
    /// Sends a message that carries the staged file: an image message if its bytes are an image.
    ///
    /// # Errors
    /// Those of [`MessageLog::append`](super::MessageLog::append); the blob is gone then, and also where the
    /// message had been sent before. It stays only where it is unknown whether the message was stored.
    pub async fn send_upload(&self, caller: &Caller, staged: StagedFile, upload: UploadCommand) -> Result<Appended> {
        let file = staged.release();
        let id = file.id;
        let outcome = self.send(caller, upload.with(Attachment::Uploaded(file))).await;
        let unknown = matches!(
            outcome,
            Err(crate::Error::Internal(_) | crate::Error::Unavailable(crate::Unavailable::StorageOutOfReach))
        );
        if unknown || matches!(outcome, Ok(Appended::Stored(_))) {
            return outcome;
        }
        // Why the message was refused matters more than what becomes of the blob.
        let removed = self.blobs.remove(id).await;
        outcome.and_then(|replayed| removed.map(|()| replayed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Conflict, Error, Invalid, NotFound, Unavailable};
    use crate::files::MockBlobStore;
    use crate::messages::MockMessageLog;
    use crate::testing::{caller, file, file_id, message, message_id, message_service, outcome, user};
    use std::sync::Arc;

    /// Blobs of which one is removed, or none touched.
    fn blobs(removed: bool) -> MockBlobStore {
        let mut blobs = MockBlobStore::new();
        if removed {
            blobs.expect_remove().once().withf(|id| *id == file_id(1)).returning(|_| Ok(()));
        }
        blobs
    }

    fn send(blobs: MockBlobStore, log: MockMessageLog) -> Result<Appended> {
        let messages = MessageService { blobs: Arc::new(blobs), log: Arc::new(log), ..message_service() };
        let upload = UploadCommand {
            recipient: Recipient::User(user(2)),
            caption: Caption::parse("see").unwrap(),
            reply_to: Some(message_id(5)),
            thread_id: Some(message_id(6)),
            mentions: None,
            key: IdempotencyKey::parse("client_id", "k").ok(),
            clears_draft: false,
        };
        outcome(messages.send_upload(&caller(1), StagedFile::of(file(1)), upload))
    }

    #[test]
    fn a_sent_file_goes_with_the_draft() {
        let mut log = MockMessageLog::new();
        log.expect_append()
            .once()
            .withf(|draft| {
                let body = NewBody::Attachment(Attachment::Uploaded(file(1)), Caption::parse("see").unwrap());
                draft.sender == user(1)
                    && draft.recipient == Recipient::User(user(2))
                    && draft.body == body
                    && (draft.reply_to, draft.thread_id) == (Some(message_id(5)), Some(message_id(6)))
                    && draft.key == IdempotencyKey::parse("client_id", "k").ok()
            })
            .returning(|_| Ok(Appended::Stored(message(1))));
        assert_eq!(send(blobs(false), log).unwrap(), Appended::Stored(message(1)));
    }

    #[test]
    fn a_retry_has_no_need_of_its_blob() {
        let mut log = MockMessageLog::new();
        log.expect_append().once().returning(|_| Ok(Appended::Duplicate(message(1))));
        assert_eq!(send(blobs(true), log).unwrap(), Appended::Duplicate(message(1)));
    }

    /// What the log answers, and whether it is known that no message carries the blob.
    #[test]
    fn a_blob_goes_unless_a_message_may_carry_it() {
        type Answer = fn() -> Error;
        let answers: [(Answer, bool); 8] = [
            (|| NotFound::User.into(), true),
            (|| Invalid::new("file_id", "no image").into(), true),
            (|| Conflict::KeyReused.into(), true),
            (|| Unavailable::Overloaded.into(), true),
            (|| Unavailable::Stopping.into(), true),
            (|| Error::StorageFull, true),
            (|| Unavailable::StorageOutOfReach.into(), false),
            (|| Error::internal("the disk is on fire"), false),
        ];
        for (answer, removed) in answers {
            let mut log = MockMessageLog::new();
            log.expect_append().once().returning(move |_| Err(answer()));
            let refused = send(blobs(removed), log).unwrap_err();
            assert_eq!(refused.to_string(), answer().to_string());
        }
    }

    #[test]
    fn a_blob_that_stays_does_not_hide_why_the_message_was_refused() {
        let mut log = MockMessageLog::new();
        log.expect_append().once().returning(|_| NotFound::Group.err());
        let mut blobs = MockBlobStore::new();
        blobs.expect_remove().once().returning(|_| Err(Error::internal("the disk is on fire")));
        assert!(matches!(send(blobs, log), Err(Error::NotFound(NotFound::Group))));
    }
}
