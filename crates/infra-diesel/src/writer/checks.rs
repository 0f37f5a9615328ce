//! What a draft names: it exists, and the sender may use it. The rules judge by what the transaction of the batch sees.

use super::append::AppendBatch;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::reads::visible::find_visible;
use crate::tables::schema::{files, messages};
use crate::tables::sql_types::Id;
use crate::transaction::file_usage::find_readable;
use crate::transaction::mentions::{self, Among};
use diesel::prelude::*;
use domain::groups::{Entry, Role};
use domain::messages::{Access, Attachment, Body, Forwarded, Mentions, NewBody, NewMessage, Recipient, ThreadStart};
use domain::{ConversationId, NotFound};

impl AppendBatch<'_> {
    pub(super) fn check_broadcast(&mut self, draft: &NewMessage) -> DbResult<()> {
        if draft.recipient == Recipient::Everybody
            && let Some(sender) = self.user(draft.sender)?
        {
            self.policy.may_broadcast(&sender.username, sender.role)?;
        }
        Ok(())
    }

    /// The conversation of the draft (`None`: a direct one that does not exist yet), and how the sender comes to write
    /// there.
    pub(super) fn destination(&mut self, draft: &NewMessage) -> DbResult<(Option<ConversationId>, Entry)> {
        match draft.recipient {
            Recipient::User(receiver) => {
                if self.user(receiver)?.is_none() {
                    return Ok(NotFound::User.err()?);
                }
                Ok((self.direct(draft.sender, receiver)?, Entry::Member))
            }
            Recipient::Group(group) => {
                let role = self.role(group.conversation(), draft.sender)?;
                match self.conversation(group.conversation())? {
                    Some(row) if row.kind == "group" => {
                        let entry = row.group_access(role)?.may_send()?;
                        Ok((Some(group.conversation()), entry))
                    }
                    _ => Ok(NotFound::Group.err()?),
                }
            }
            Recipient::Everybody => Ok((Some(ConversationId::BROADCAST), Entry::Member)),
        }
    }

    pub(super) fn check_reply(&mut self, draft: &NewMessage, conversation: Option<ConversationId>) -> DbResult<()> {
        let Some(reply_to) = draft.reply_to else { return Ok(()) };
        let Some(conversation) = conversation else { return Ok(NotFound::Message.err()?) };
        let answered: Option<Id> = messages::table
            .filter(messages::id.eq(Id::from(reply_to)))
            .filter(messages::conversation_id.eq(Id::from(conversation)).and(messages::deleted_at.is_null()))
            .select(messages::id)
            .first(self.conn)
            .optional()?;
        if answered.is_none() { Ok(NotFound::Message.err()?) } else { Ok(()) }
    }

    /// Whether the draft may go into the thread that it names. The outer error is one of existence, which comes before
    /// the inner one.
    pub(super) fn check_thread(
        &mut self,
        draft: &NewMessage,
        conversation: Option<ConversationId>,
    ) -> DbResult<domain::Result<()>> {
        let Some(thread_id) = draft.thread_id else { return Ok(Ok(())) };
        let found = find_visible(self.conn, draft.sender, thread_id)?
            .map(|(of, message)| ThreadStart { conversation: of.id.into(), is_reply: message.thread_id.is_some() });
        match ThreadStart::admits(found, conversation) {
            Err(missing @ domain::Error::NotFound(_)) => Err(missing.into()),
            outcome => Ok(outcome),
        }
    }

    /// Whom the message is to mention. A forwarded message mentions nobody.
    pub(super) fn mentions(
        &mut self,
        draft: &NewMessage,
        conversation: Option<ConversationId>,
        entry: Entry,
        body: &Body,
    ) -> DbResult<Mentions> {
        if matches!(draft.body, NewBody::Forward(_)) || (draft.mentions.is_none() && !body.content().contains('@')) {
            return Ok(Mentions::default());
        }
        let Some(sender) = self.user(draft.sender)? else { return Ok(Mentions::default()) };
        let may_broadcast = self.policy.may_broadcast(&sender.username, sender.role);
        let role = match (entry, conversation) {
            (Entry::Joins, _) => Some(Role::Member),
            (Entry::Member, Some(conversation)) => self.role(conversation, draft.sender)?,
            (Entry::Member, None) => None,
        };
        let row = match conversation {
            Some(conversation) => self.conversation(conversation)?.cloned(),
            None => None,
        };
        let (access, among) = match (&row, draft.recipient) {
            (_, Recipient::User(receiver)) => (Access::Participant, Among::Pair([draft.sender, receiver])),
            (Some(row), _) => (row.access(draft.sender, role)?, Among::of(row)),
            (None, _) => return Ok(Mentions::default()),
        };
        mentions::find(self.conn, (access, may_broadcast), &among, body.content(), draft.mentions.as_ref())
    }

    /// Keeps retention from withdrawing a file. Retention may be about to: one of the two waits, and sees what the
    /// other did.
    fn hold_file(&mut self, file: Id) -> DbResult<()> {
        if let AnyConnection::Postgres(conn) = &mut *self.conn {
            files::table.find(file).select(files::id).for_share().first::<Id>(conn).optional()?;
        }
        Ok(())
    }

    /// What the message is to say and carry, and where that comes from if the draft forwards a message.
    pub(super) fn body(&mut self, draft: &NewMessage) -> DbResult<(Body, Option<Forwarded>)> {
        let body = match &draft.body {
            NewBody::Text(text) => Body::Text(text.clone()),
            NewBody::Attachment(Attachment::Uploaded(file), caption) => {
                Body::Attachment { kind: file.kind(), file: file.clone(), caption: caption.clone() }
            }
            NewBody::Forward(id) => {
                let found = find_visible(self.conn, draft.sender, *id)?.map(|(_, message)| message);
                let Some(message) = found else { return Ok(NotFound::Message.err()?) };
                if let Some(file) = message.body.file() {
                    self.hold_file(file.id.into())?;
                    if find_readable(self.conn, draft.sender, file.id)?.is_none() {
                        return Ok(NotFound::Message.err()?);
                    }
                }
                let forwarded = message.forwarded_as();
                return Ok((message.body, Some(forwarded)));
            }
            NewBody::Attachment(Attachment::Stored { kind, file }, caption) => {
                self.hold_file((*file).into())?;
                let Some(file) = find_readable(self.conn, draft.sender, *file)? else {
                    return Ok(NotFound::File.err()?);
                };
                kind.fits(&file).map_err(domain::Error::from)?;
                Body::Attachment { kind: *kind, file, caption: caption.clone() }
            }
        };
        Ok((body, None))
    }
}
