//! Pages over SQLite: one statement reads what the rules judge, another reads the messages.

use super::of_nothing;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::heads::{Head, HeadColumns};
use crate::repositories::messages::seq_of;
use crate::tables::columns::columns_of;
use crate::tables::parts::load_messages;
use crate::tables::prepared::prepared;
use crate::tables::queries::{FullMessage, full_messages, pair};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{files, messages, users};
use crate::tables::sql_types::{Id, SqlId};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::messages::{Cursor, Listing, PageRead, PageVersion, Recipient, Replies, Window};
use domain::{ConversationId, Limit, Page, UserId};

prepared! {
    /// The direct conversation of an ordered pair.
    DirectHead(first: SqlId => Id, second: SqlId => Id) -> HeadColumns = concat!(
        "SELECT ",
        columns_of!(ConversationRow, "c"),
        ", CAST(NULL AS TEXT), server.profiles FROM conversations c CROSS JOIN server ",
        "WHERE c.first_user = $1 AND c.second_user = $2"
    )
}

prepared! {
    /// A group or the broadcast, and the viewer's role in it.
    GroupHead(viewer: SqlId => Id, id: SqlId => Id) -> HeadColumns = concat!(
        "SELECT ",
        columns_of!(ConversationRow, "c"),
        ", seat.role, server.profiles FROM conversations c CROSS JOIN server ",
        "LEFT JOIN members seat ON seat.conversation_id = c.id AND seat.user_id = $1 ",
        "WHERE c.id = $2 AND c.deleted_at IS NULL"
    )
}

/// What the rules judge.
pub fn head(conn: &mut AnyConnection, viewer: UserId, of: Recipient) -> DbResult<Option<Head>> {
    let by_id = |id| GroupHead { id, viewer: viewer.into() };
    let found = match of {
        Recipient::User(other) => {
            let (first, second) = pair(viewer, other);
            per_backend!(conn, |conn| DirectHead { first, second }.get_result(conn))
        }
        Recipient::Group(group) => per_backend!(conn, |conn| by_id(group.into()).get_result(conn)),
        Recipient::Everybody => {
            per_backend!(conn, |conn| by_id(ConversationId::BROADCAST.into()).get_result(conn))
        }
    };
    Ok(found.optional()?)
}

/// Reads a page, unless its version is `known`.
pub fn read(
    conn: &mut AnyConnection,
    viewer: UserId,
    of: Recipient,
    listing: Listing,
    known: Option<PageVersion>,
) -> DbResult<PageRead> {
    if known.is_some()
        && let Some(head) = head(conn, viewer, of)?
    {
        head.check(viewer, of)?;
        if known == Some(head.version()) {
            return Ok(PageRead::Unchanged);
        }
    }
    conn.snapshot(|conn| {
        let Some(head) = head(conn, viewer, of)? else { return of_nothing(conn, of, listing.window) };
        head.check(viewer, of)?;
        let page = load_window(conn, &head.conversation, listing)?;
        let items =
            load_messages(conn, Some(viewer), page.items.into_iter().map(|message| (&head.conversation, message)))?;
        Ok(PageRead::of(Page { items, more: page.more }, head.version()))
    })
}

/// The window of a conversation, oldest first, with one message more if there is more; and on which side that one is.
fn load_window(conn: &mut AnyConnection, of: &ConversationRow, listing: Listing) -> DbResult<Page<FullMessage>> {
    let Listing { window, replies } = listing;
    let with_replies = match replies {
        Replies::Included => true,
        Replies::Excluded => false,
    };
    // Hot reads bypass `AnyConnection`, whose rows cost twice as much.
    /// The messages behind a `seq` that are not deleted. There is one lower bound: given two, SQLite would begin at the
    /// first and scan up to the other.
    macro_rules! live {
        (behind $position:expr) => {
            full_messages!()
                .filter(messages::conversation_id.eq(of.id))
                .filter(messages::deleted_at.is_null())
                .filter(messages::seq.gt($position))
                .filter(messages::thread_id.is_null().or(with_replies.into_sql::<Bool>()))
        };
    }
    // Retention may have left a great many tombstones there.
    let begin = of.expired_up_to;
    let surplus = |limit: Limit| limit.get() as i64 + 1;
    Ok(match window {
        Window::Offset { offset, limit } => {
            let skip = i64::try_from(offset).unwrap_or(i64::MAX);
            let found = per_backend!(conn, |conn| live!(behind begin)
                .order(messages::seq.asc())
                .limit(surplus(limit))
                .offset(skip)
                .load(conn));
            Page::from_surplus(found?, limit)
        }
        Window::After { cursor, limit } => {
            let position = seq_of(conn, Some(of), cursor)?.max(begin);
            let found = per_backend!(conn, |conn| live!(behind position)
                .order(messages::seq.asc())
                .limit(surplus(limit))
                .load(conn));
            Page::from_surplus(found?, limit)
        }
        Window::Before { cursor, limit } => {
            let position = match cursor {
                Cursor::Latest => i64::MAX,
                Cursor::Message(id) => seq_of(conn, Some(of), id)?,
            };
            let found = per_backend!(conn, |conn| live!(behind begin)
                .filter(messages::seq.lt(position))
                .order(messages::seq.desc())
                .limit(surplus(limit))
                .load(conn));
            let mut page = Page::from_surplus(found?, limit);
            page.items.reverse();
            page
        }
    })
}
