//! Retries of messages under the same idempotency key.

use super::append::AppendBatch;
use crate::error::DbResult;
use crate::tables::parts::load_message;
use crate::tables::queries::find_message;
use crate::tables::schema::messages;
use crate::tables::sql_types::Id;
use diesel::prelude::*;
use domain::messages::{Attachment, Body, IdempotencyRecord, Message, NewBody, NewMessage, Recipient, SaidMentions};
use domain::{ConversationId, MessageId};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A message's id and conversation, and the digests of the content and the mentions with which it was sent.
type StoredRow = (Id, Id, Option<Vec<u8>>, Option<Vec<u8>>);

/// The digest of the content with which a message was sent. An edit does not change it.
pub fn content_digest(content: &str) -> [u8; 32] {
    Sha256::digest(content.as_bytes()).into()
}

/// The digest of the mentions that a sender gave, which are a set.
pub fn mentions_digest(said: &SaidMentions) -> [u8; 32] {
    let users: BTreeSet<_> = said.users().iter().collect();
    let mut digest = Sha256::new_with_prefix([u8::from(said.all())]);
    for user in users {
        digest.update(user.0.as_bytes());
    }
    digest.finalize().into()
}

/// The file that a draft names.
fn carried(draft: &NewMessage) -> Option<Id> {
    match &draft.body {
        NewBody::Attachment(Attachment::Stored { file, .. }, _) => Some((*file).into()),
        NewBody::Attachment(Attachment::Uploaded(_), _) | NewBody::Text(_) | NewBody::Forward(_) => None,
    }
}

impl AppendBatch<'_> {
    /// The message that was stored under the draft's key, if the draft is a retry of it.
    pub(super) fn replay(&mut self, draft: &NewMessage) -> DbResult<Option<Message>> {
        let Some(key) = &draft.key else { return Ok(None) };
        if self.keys.contains(&(draft.sender, key.as_str().to_owned())) {
            self.insert_rows()?;
        }
        let stored: Option<StoredRow> = messages::table
            .filter(messages::sender_id.eq(Id::from(draft.sender)).and(messages::client_id.eq(key.as_str())))
            .select((messages::id, messages::conversation_id, messages::sent_digest, messages::said_mentions))
            .first(self.conn)
            .optional()?;
        let Some((id, stored_in, sent_digest, said_mentions)) = stored else { return Ok(None) };
        let goes_to = match draft.recipient {
            Recipient::User(receiver) => self.direct(draft.sender, receiver)?,
            Recipient::Group(group) => Some(group.conversation()),
            Recipient::Everybody => Some(ConversationId::BROADCAST),
        };
        if goes_to != Some(stored_in.into()) {
            self.check_before_conflict(draft, None, (None, None))?;
            return Ok(domain::Conflict::KeyReused.err()?);
        }
        let role = self.role(stored_in.into(), draft.sender)?;
        let Some(conversation) = self.conversation(stored_in.into())? else {
            return Ok(draft.recipient.not_found().err()?);
        };
        let conversation = conversation.clone();
        conversation.access(draft.sender, role)?.may_read().or_else(|_| draft.recipient.not_found().err())?;
        let Some(found) = find_message(self.conn, id.into())? else { return Ok(None) };
        let same_content = match &sent_digest {
            Some(digest) => digest[..] == content_digest(draft.body.content()),
            None => found.0.content == draft.body.content(),
        };
        let mut stored = IdempotencyRecord {
            conversation: stored_in.into(),
            same_content,
            attachment: None,
            reply_to: found.0.reply_to.map(Into::into),
            thread_id: found.0.thread_id.map(Into::into),
            forward_of: found.0.forward_of.map(Into::into),
            same_mentions: said_mentions == draft.mentions.as_ref().map(|said| mentions_digest(said).to_vec()),
            deleted: found.0.deleted_at.is_some(),
        };
        // A deleted message no longer tells which file it carried. The check assumes that it is the file of the draft.
        let forgotten = stored.deleted && found.0.file_id.is_none() && found.0.message_type != "text";
        let file = if forgotten { carried(draft) } else { found.0.file_id };
        let names = (stored.reply_to, stored.thread_id);
        if stored.deleted {
            // Its file may be gone as well.
            self.check_before_conflict(draft, file, names)?;
            stored.is_retried_by(draft, goes_to)?;
        }
        let message = load_message(self.conn, Some(draft.sender), &conversation, found)?;
        stored.attachment = match &message.body {
            Body::Text(_) => None,
            Body::Attachment { kind, file, .. } => Some((*kind, file)),
        };
        let retried = stored.is_retried_by(draft, goes_to);
        if retried.is_err() {
            self.check_before_conflict(draft, file, names)?;
        }
        retried?;
        Ok(Some(message))
    }

    /// Checks that everything exists, and is allowed, that a draft under a used key names. Only then can the key be a
    /// conflict. The file of the stored message, the message that it answers and the first one of its thread may be
    /// gone since.
    fn check_before_conflict(
        &mut self,
        draft: &NewMessage,
        file: Option<Id>,
        (answered, thread): (Option<MessageId>, Option<MessageId>),
    ) -> DbResult<()> {
        let (conversation, _) = self.destination(draft)?;
        if draft.reply_to != answered {
            self.check_reply(draft, conversation)?;
        }
        let is_admitted = if draft.thread_id == thread { Ok(()) } else { self.check_thread(draft, conversation)? };
        let names_another = matches!(draft.body, NewBody::Forward(_));
        if names_another || carried(draft).is_some_and(|named| Some(named) != file) {
            self.body(draft)?;
        }
        is_admitted?;
        self.check_broadcast(draft)
    }
}
