//! Pages over Postgres: one statement each.

use super::of_nothing;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::reads::heads::{Head, HeadColumns};
use crate::tables::columns::columns_of;
use crate::tables::parts::load_messages;
use crate::tables::prepared::prepared;
use crate::tables::queries::{FullColumns, FullMessage, pair};
use crate::tables::sql_types::{Id, SqlId};
use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};
use domain::messages::{Cursor, Listing, PageRead, PageVersion, Recipient, Replies, Window};
use domain::{ConversationId, Limit, NotFound, Page, UserId};

/// A row of the answer: what the rules judge, the position of the cursor, and a message. A page without messages is one
/// row without a message.
type PageColumns = (HeadColumns, Nullable<BigInt>, Nullable<FullColumns>);
type PageRow = (Head, Option<i64>, Option<FullMessage>);

/// A statement for a page. `$1` and `$2` name the conversation, `$3` is the cursor, `$4` and `$5` are the known
/// version, `$6` says whether replies in threads are included, `$7` is the number of messages, and `$8` the offset of a
/// window that has one. Postgres reads no message if the
/// version is the known one: it judges that condition of the subquery first, because the condition names no column of
/// it.
macro_rules! page_statement {
    ($from:expr, $role:literal, $behind:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns_of!(ConversationRow, "c"),
            ", ",
            $role,
            ", server.profiles, at.position, ",
            columns_of!(MessageRow, "m"),
            ", ",
            columns_of!(ProfileRow, "u"),
            ", ",
            columns_of!(FileRow, "f"),
            " FROM ",
            $from,
            " CROSS JOIN LATERAL (SELECT (SELECT seq FROM messages WHERE id = $3 AND conversation_id = c.id) AS position) at \
             LEFT JOIN LATERAL (SELECT m.* FROM messages m WHERE m.conversation_id = c.id AND m.deleted_at IS NULL \
             AND (c.\"update\" <> $4 OR server.profiles <> $5) AND ($6 OR m.thread_id IS NULL) AND ",
            $behind,
            " ORDER BY m.seq ",
            $order,
            ") m ON TRUE LEFT JOIN users u ON u.id = m.sender_id LEFT JOIN files f ON f.id = m.file_id"
        )
    };
}

/// The statements for one way to name the conversation.
macro_rules! page_statements {
    ($Before:ident, $After:ident, $Offset:ident, $from:expr, $role:literal) => {
        prepared! {
            /// The newest messages before the cursor, or of all.
            $Before(
                one: SqlId => Id, two: SqlId => Id, cursor: Nullable<SqlId> => Option<Id>,
                update: BigInt => i64, profiles: BigInt => i64, replies: Bool => bool, surplus: BigInt => i64,
            ) -> PageColumns = page_statement!(
                $from, $role,
                "m.seq > c.expired_up_to AND m.seq < coalesce(at.position, 9223372036854775807)",
                "DESC LIMIT $7"
            )
        }
        prepared! {
            /// The oldest messages behind the cursor.
            $After(
                one: SqlId => Id, two: SqlId => Id, cursor: Nullable<SqlId> => Option<Id>,
                update: BigInt => i64, profiles: BigInt => i64, replies: Bool => bool, surplus: BigInt => i64,
            ) -> PageColumns = page_statement!(
                $from, $role, "m.seq > greatest(at.position, c.expired_up_to)", "LIMIT $7"
            )
        }
        prepared! {
            /// The oldest messages behind some.
            $Offset(
                one: SqlId => Id, two: SqlId => Id, cursor: Nullable<SqlId> => Option<Id>,
                update: BigInt => i64, profiles: BigInt => i64, replies: Bool => bool, surplus: BigInt => i64, offset: BigInt => i64,
            ) -> PageColumns = page_statement!($from, $role, "m.seq > c.expired_up_to", "LIMIT $7 OFFSET $8")
        }
    };
}

page_statements!(
    DirectBefore,
    DirectAfter,
    DirectOffset,
    "(SELECT * FROM conversations WHERE first_user = $1 AND second_user = $2) c CROSS JOIN server",
    "NULL::text"
);
page_statements!(
    GroupBefore,
    GroupAfter,
    GroupOffset,
    "(SELECT * FROM conversations WHERE id = $1 AND deleted_at IS NULL) c CROSS JOIN server \
     LEFT JOIN members seat ON seat.conversation_id = c.id AND seat.user_id = $2",
    "seat.role"
);

/// A version that no conversation has.
const UNKNOWN: i64 = -1;

fn rows(
    conn: &mut PgConnection,
    viewer: UserId,
    of: Recipient,
    Listing { window, replies }: Listing,
    known: Option<PageVersion>,
) -> QueryResult<Vec<PageRow>> {
    let replies = match replies {
        Replies::Included => true,
        Replies::Excluded => false,
    };
    let (update, profiles) = known.map_or((UNKNOWN, UNKNOWN), |known| (known.update.0, known.profiles.0));
    let (one, two) = match of {
        Recipient::User(other) => pair(viewer, other),
        Recipient::Group(group) => (group.into(), viewer.into()),
        Recipient::Everybody => (ConversationId::BROADCAST.into(), viewer.into()),
    };
    let surplus = |limit: Limit| limit.get() as i64 + 1;
    let is_direct = matches!(of, Recipient::User(_));
    match window {
        Window::Before { cursor, limit } => {
            let surplus = surplus(limit);
            let cursor = match cursor {
                Cursor::Latest => None,
                Cursor::Message(id) => Some(id.into()),
            };
            if is_direct {
                DirectBefore { one, two, update, profiles, replies, cursor, surplus }.load(conn)
            } else {
                GroupBefore { one, two, update, profiles, replies, cursor, surplus }.load(conn)
            }
        }
        Window::After { cursor, limit } => {
            let (cursor, surplus) = (Some(cursor.into()), surplus(limit));
            if is_direct {
                DirectAfter { one, two, update, profiles, replies, cursor, surplus }.load(conn)
            } else {
                GroupAfter { one, two, update, profiles, replies, cursor, surplus }.load(conn)
            }
        }
        Window::Offset { offset, limit } => {
            let (cursor, surplus, offset) = (None, surplus(limit), i64::try_from(offset).unwrap_or(i64::MAX));
            if is_direct {
                DirectOffset { one, two, update, profiles, replies, cursor, surplus, offset }.load(conn)
            } else {
                GroupOffset { one, two, update, profiles, replies, cursor, surplus, offset }.load(conn)
            }
        }
    }
}

/// Reads a page, unless its version is `known`.
pub fn read(
    conn: &mut AnyConnection,
    viewer: UserId,
    of: Recipient,
    listing: Listing,
    known: Option<PageVersion>,
) -> DbResult<PageRead> {
    let window = listing.window;
    let found = match conn {
        AnyConnection::Postgres(postgres) => rows(postgres, viewer, of, listing, known)?,
        AnyConnection::Sqlite(_) => Vec::new(),
    };
    let mut found = found.into_iter().peekable();
    let Some((head, position, _)) = found.peek_mut() else { return of_nothing(conn, of, window) };
    head.check(viewer, of)?;
    let has_cursor = matches!(window, Window::After { .. } | Window::Before { cursor: Cursor::Message(_), .. });
    if has_cursor && position.is_none() {
        return Ok(NotFound::Message.err()?);
    }
    let version = head.version();
    if known == Some(version) {
        return Ok(PageRead::Unchanged);
    }
    let (conversation, limit) = match window {
        Window::Before { limit, .. } | Window::After { limit, .. } | Window::Offset { limit, .. } => {
            (head.conversation.clone(), limit)
        }
    };
    let mut messages: Vec<FullMessage> = found.filter_map(|(.., message)| message).collect();
    // In practice the joins keep the order of the subquery, but Postgres does not promise it.
    let is_backwards = matches!(window, Window::Before { .. });
    messages.sort_by_key(|(row, ..)| if is_backwards { -row.seq } else { row.seq });
    let mut page = Page::from_surplus(messages, limit);
    if is_backwards {
        page.items.reverse();
    }
    let items = load_messages(conn, Some(viewer), page.items.into_iter().map(|message| (&conversation, message)))?;
    Ok(PageRead::of(Page { items, more: page.more }, version))
}
