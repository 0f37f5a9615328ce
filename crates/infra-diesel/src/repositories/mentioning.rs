//! The messages that mention a user.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::parts::{EVERYBODY, load_messages};
use crate::tables::prepared::prepared;
use crate::tables::queries::{FullMessage, full_messages};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, files, messages, users};
use crate::tables::sql_types::{Id, SqlId};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::messages::Message;
use domain::{ConversationId, Limit, MessageId, Page, UserId};
use std::collections::HashMap;

/// One kind of mention, newest first, a page of it. Every kind leaves out what is deleted, and the viewer's own.
macro_rules! kind {
    ($name:literal, $from:literal, $condition:literal) => {
        concat!(
            "SELECT * FROM (SELECT x.message_id FROM ",
            $from,
            " JOIN messages m ON m.id = x.message_id JOIN conversations c ON c.id = x.conversation_id WHERE ",
            $condition,
            " AND x.message_id < $2 AND m.sender_id <> $1 AND m.deleted_at IS NULL AND c.deleted_at IS NULL \
             ORDER BY x.message_id DESC LIMIT $3) ",
            $name
        )
    };
}

prepared! {
    /// The ids of messages that mention a user whom they mention by name, all members of a group since a moment when
    /// the user was one, or everybody at a moment when the user had signed up. Each kind holds
    /// [`domain::messages::Access::may_read`] as a condition.
    ReadMentioning(viewer: SqlId => Id, before: SqlId => Id, surplus: BigInt => i64, everybody: SqlId => Id, broadcast: SqlId => Id)
        -> SqlId = concat!(
        "SELECT message_id FROM (",
        kind!(
            "named",
            "mentions x",
            "x.user_id = $1 AND (c.kind = 'broadcast' OR c.visibility = 'public' OR EXISTS (SELECT 1 FROM members seat \
             WHERE seat.conversation_id = c.id AND seat.user_id = $1))"
        ),
        " UNION ",
        kind!(
            "grouped",
            "members seat JOIN mentions x ON x.conversation_id = seat.conversation_id AND x.user_id = $4",
            "seat.user_id = $1 AND c.kind = 'group' AND seat.joined_revision <= x.revision"
        ),
        " UNION ",
        kind!(
            "everywhere",
            "users me JOIN mentions x ON x.user_id = $4 AND x.conversation_id = $5",
            "me.id = $1 AND me.created_at <= x.created_at"
        ),
        ") found ORDER BY message_id DESC LIMIT $3"
    )
}

/// Lists messages that mention the viewer, newest first: those before a message.
pub fn list(
    conn: &mut AnyConnection,
    viewer: UserId,
    before: Option<MessageId>,
    limit: Limit,
) -> DbResult<Page<Message>> {
    let read = ReadMentioning {
        viewer: viewer.into(),
        before: before.map_or(Id(uuid::Uuid::max()), Id::from),
        surplus: limit.get() as i64 + 1,
        everybody: EVERYBODY,
        broadcast: ConversationId::BROADCAST.into(),
    };
    let found: Vec<Id> = per_backend!(conn, |conn| read.load(conn))?;
    let page = Page::from_surplus(found, limit);
    let mut found: Vec<FullMessage> = full_messages!().filter(messages::id.eq_any(&page.items)).load(conn)?;
    found.sort_by_key(|(row, ..)| std::cmp::Reverse(row.id));
    let of: Vec<Id> = found.iter().map(|(row, ..)| row.conversation_id).collect();
    let rows = conversations::table.filter(conversations::id.eq_any(of)).select(ConversationRow::as_select());
    let of: HashMap<Id, ConversationRow> =
        rows.load(conn)?.into_iter().map(|row: ConversationRow| (row.id, row)).collect();
    let in_place = found.into_iter().filter_map(|message| Some((of.get(&message.0.conversation_id)?, message)));
    let items = load_messages(conn, Some(viewer), in_place)?;
    Ok(Page { items, more: page.more })
}
