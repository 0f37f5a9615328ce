//! What every change of a message does: it locks the message, takes the next number, and publishes the message.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::parts::load_message;
use crate::tables::queries::{FullMessage, find_message, lock_conversation};
use crate::tables::rows::{ConversationRow, MessageRow};
use crate::tables::schema::{conversations, messages};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::tx::Tx;
use diesel::prelude::*;
use domain::events::Event;
use domain::messages::not_before;
use domain::{ConversationId, MessageId, NotFound, Timestamp};

/// The conversation of a message, deleted or not.
pub fn conversation_of(conn: &mut AnyConnection, id: MessageId) -> DbResult<Option<ConversationId>> {
    let position = messages::table.filter(messages::id.eq(Id::from(id))).select(messages::conversation_id);
    Ok(position.first::<Id>(conn).optional()?.map(Into::into))
}

/// A message that is not deleted and its conversation, both locked until the transaction ends.
pub fn lock_message(conn: &mut AnyConnection, id: MessageId) -> DbResult<(ConversationRow, FullMessage)> {
    if let Some(conversation) = conversation_of(conn, id)?
        && let Some(conversation) = lock_conversation(conn, conversation)?
        && let Some(message) = find_message(conn, id)?
        && message.0.deleted_at.is_none()
    {
        return Ok((conversation, message));
    }
    Ok(NotFound::Message.err()?)
}

/// Takes the next numbers of a locked conversation, and returns the last of them.
pub fn take_numbers(tx: &mut Tx<'_>, conversation: &ConversationRow, count: i64) -> DbResult<i64> {
    let last = conversation.update + count;
    diesel::update(conversations::table.find(conversation.id))
        .set((conversations::update.eq(last), conversations::revision.eq(tx.revision)))
        .execute(tx.conn)?;
    Ok(last)
}

/// Moves a message of a locked conversation to the next number, which it returns. Every change of a message but its
/// deletion goes this way. The caller has recorded the version of the conversation.
pub fn touch(tx: &mut Tx<'_>, conversation: &ConversationRow, row: &MessageRow, at: Timestamp) -> DbResult<i64> {
    let number = take_numbers(tx, conversation, 1)?;
    diesel::update(messages::table.find((conversation.id, row.seq)))
        .set((
            messages::updated_at.eq(Time::from(not_before(row.updated_at.into(), at))),
            messages::update.eq(number),
            messages::revision.eq(tx.revision),
        ))
        .execute(tx.conn)?;
    Ok(number)
}

/// Publishes a message that has changed, as it is now.
pub fn publish_change(tx: &mut Tx<'_>, conversation: &ConversationRow, id: MessageId) -> DbResult<()> {
    if let Some(found) = find_message(tx.conn, id)? {
        let message = load_message(tx.conn, None, conversation, found)?;
        tx.events.push(Event::MessageUpdated(message));
    }
    Ok(())
}
