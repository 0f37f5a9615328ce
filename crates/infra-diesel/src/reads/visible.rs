//! A message, read with what the rules judge access by.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::columns::{ColumnsOf, columns_of};
use crate::tables::parts::load_message;
use crate::tables::prepared::prepared;
use crate::tables::queries::{FullColumns, FullMessage};
use crate::tables::rows::{ConversationRow, role};
use crate::tables::sql_types::{Id, SqlId};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use domain::messages::Message;
use domain::{MessageId, UserId};

/// The columns by which the rules judge access to a conversation: it, and the user's role in it.
pub type AccessColumns = (ColumnsOf<ConversationRow>, Nullable<Text>);
/// The row of [`AccessColumns`].
pub type AccessRow = (ConversationRow, Option<String>);

prepared! {
    /// Reads a message that is not deleted, and what the rules judge access by.
    ReadMessage(viewer: SqlId => Id, id: SqlId => Id) -> (AccessColumns, FullColumns) = concat!(
        "SELECT ",
        columns_of!(ConversationRow, "c"),
        ", seat.role, ",
        columns_of!(MessageRow, "m"),
        ", ",
        columns_of!(ProfileRow, "u"),
        ", ",
        columns_of!(FileRow, "f"),
        " FROM messages m JOIN conversations c ON c.id = m.conversation_id JOIN users u ON u.id = m.sender_id \
         LEFT JOIN members seat ON seat.conversation_id = c.id AND seat.user_id = $1 \
         LEFT JOIN files f ON f.id = m.file_id WHERE m.id = $2 AND m.deleted_at IS NULL AND c.deleted_at IS NULL"
    )
}

/// The message and its conversation, if it is not deleted and the viewer may read it.
pub fn find_visible(
    conn: &mut AnyConnection,
    viewer: UserId,
    id: MessageId,
) -> DbResult<Option<(ConversationRow, Message)>> {
    let read = ReadMessage { viewer: viewer.into(), id: id.into() };
    let found: Option<(AccessRow, FullMessage)> = per_backend!(conn, |conn| read.get_result(conn)).optional()?;
    let Some(((of, role_of_viewer), message)) = found else { return Ok(None) };
    if of.access(viewer, role_of_viewer.as_deref().map(role).transpose()?)?.may_read().is_err() {
        return Ok(None);
    }
    let message = load_message(conn, Some(viewer), &of, message)?;
    Ok(Some((of, message)))
}
