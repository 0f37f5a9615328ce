//! Threads: the first message and its replies.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::reads::visible::find_visible;
use crate::tables::parts::load_messages;
use crate::tables::queries::{FullMessage, full_messages};
use crate::tables::schema::{files, messages, users};
use crate::tables::sql_types::Id;
use diesel::prelude::*;
use domain::messages::{Message, ThreadWindow};
use domain::{Limit, MessageId, NotFound, Page, UserId};

/// The position of a message of the thread, deleted or not.
fn position(conn: &mut AnyConnection, start: Id, id: MessageId) -> DbResult<i64> {
    let found = messages::table
        .filter(messages::id.eq(Id::from(id)))
        .filter(messages::thread_id.eq(start).or(messages::id.eq(start)))
        .select(messages::seq)
        .first(conn)
        .optional()?;
    match found {
        Some(seq) => Ok(seq),
        None => Ok(NotFound::Message.err()?),
    }
}

/// A page of the thread that a message is in.
pub fn read(
    conn: &mut AnyConnection,
    viewer: UserId,
    id: MessageId,
    window: ThreadWindow,
    limit: Limit,
) -> DbResult<Page<Message>> {
    let Some((of, message)) = find_visible(conn, viewer, id)? else { return Ok(NotFound::Message.err()?) };
    let start = Id::from(message.thread_id.unwrap_or(message.id));
    let (behind, before, is_backwards) = match window {
        ThreadWindow::Start => (0, i64::MAX, false),
        ThreadWindow::After(cursor) => (position(conn, start, cursor)?, i64::MAX, false),
        ThreadWindow::Before(cursor) => (0, position(conn, start, cursor)?, true),
    };
    let surplus = limit.get() as i64 + 1;
    let within = || {
        full_messages!()
            .filter(messages::seq.gt(behind).and(messages::seq.lt(before)))
            .filter(messages::deleted_at.is_null())
    };
    let replies = within().filter(messages::thread_id.eq(start)).limit(surplus);
    let mut found: Vec<FullMessage> = if is_backwards {
        replies.order(messages::seq.desc()).load(conn)?
    } else {
        replies.order(messages::seq.asc()).load(conn)?
    };
    let first: Option<FullMessage> = within().filter(messages::id.eq(start)).first(conn).optional()?;
    found.extend(first);
    // The first message is older than every reply.
    found.sort_by_key(|(row, ..)| if is_backwards { -row.seq } else { row.seq });
    let mut page = Page::from_surplus(found, limit);
    if is_backwards {
        page.items.reverse();
    }
    let items = load_messages(conn, Some(viewer), page.items.into_iter().map(|message| (&of, message)))?;
    Ok(Page { items, more: page.more })
}
