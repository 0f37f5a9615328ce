//! What every change of a message does: it locks the message, takes the next number, and publishes the message.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::parts::load_message;
use crate::tables::queries::{FullMessage, find_message, find_role, lock_conversation, may_broadcast};
use crate::tables::rows::{ConversationRow, MessageRow};
use crate::tables::schema::messages;
use crate::tables::sql_types::{Id, Time};
use crate::transaction::numbering::store_counter;
use crate::transaction::tx::Tx;
use diesel::prelude::*;
use domain::events::Event;
use domain::messages::{Access, not_before};
use domain::users::ServerPolicy;
use domain::{ConversationId, MessageId, NotFound, Timestamp, UserId};

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

/// Like [`lock_message`], for a change that `rule` allows: it gets the actor's access, and whether the actor may
/// broadcast.
pub fn lock_for_change(
    tx: &mut Tx<'_>,
    policy: &ServerPolicy,
    (actor, id): (UserId, MessageId),
    rule: impl FnOnce(Access, domain::Result<()>) -> domain::Result<()>,
) -> DbResult<(ConversationRow, MessageRow)> {
    let (conversation, (row, ..)) = lock_message(tx.conn, id)?;
    tx.record_version(&conversation);
    let role = find_role(tx.conn, conversation.id.into(), actor)?;
    let broadcasts = may_broadcast(tx.conn, policy, actor)?;
    rule(conversation.access(actor, role)?, broadcasts)?;
    Ok((conversation, row))
}

/// Moves a message of a locked conversation to the next number, which `conversation` and `row` have then, and changes
/// the digest of the conversation. `change` makes the content of the row what it becomes; the caller stores the
/// content. Every change of a message but its deletion goes this way. The caller has recorded the version of the
/// conversation.
pub fn touch(
    tx: &mut Tx<'_>,
    conversation: &mut ConversationRow,
    row: &mut MessageRow,
    at: Timestamp,
    change: impl FnOnce(&mut MessageRow),
) -> DbResult<()> {
    conversation.renumber(row, change);
    store_counter(tx, conversation)?;
    diesel::update(messages::table.find((conversation.id, row.seq)))
        .set((
            messages::updated_at.eq(Time::from(not_before(row.updated_at.into(), at))),
            messages::update.eq(row.update),
            messages::revision.eq(tx.revision),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Publishes a message that has changed, as it is now, with the digest of the conversation.
pub fn publish_change(tx: &mut Tx<'_>, conversation: &ConversationRow, id: MessageId) -> DbResult<()> {
    if let Some(found) = find_message(tx.conn, id)? {
        let message = load_message(tx.conn, None, conversation, found)?;
        tx.events.push(Event::MessageUpdated(message, Some(conversation.short_digest())));
    }
    Ok(())
}
