//! A page around a place in a conversation.

use super::of_nothing;
use super::sqlite::head;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::messages::seq_of;
use crate::tables::parts::load_messages;
use crate::tables::queries::{FullMessage, full_messages};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{files, members, messages, users};
use crate::tables::sql_types::Id;
use crate::tables::unseen::IsUnseen;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::messages::{Around, Cursor, PageAround, Recipient, Replies, Window};
use domain::{Limit, UserId};

/// The position of the viewer's first unseen message, or one behind the newest message if there is none.
fn first_unseen(conn: &mut AnyConnection, of: &ConversationRow, viewer: UserId) -> DbResult<i64> {
    let viewer = Id::from(viewer);
    let seat = members::table.find((of.id, viewer)).select(members::read_up_to);
    let Some(read_up_to) = seat.first::<i64>(conn).optional()? else { return Ok(i64::MAX) };
    let unseen = messages::table
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(read_up_to.max(of.expired_up_to))))
        .filter(IsUnseen { by: viewer })
        .order(messages::seq.asc())
        .select(messages::seq);
    Ok(unseen.first(conn).optional()?.unwrap_or(i64::MAX))
}

/// Reads a page around a place.
pub fn read_around(
    conn: &mut AnyConnection,
    viewer: UserId,
    of: Recipient,
    place: Around,
    replies: Replies,
    limit: Limit,
) -> DbResult<PageAround> {
    let Some(head) = head(conn, viewer, of)? else {
        let cursor = match place {
            Around::Message(id) => Cursor::Message(id),
            Around::FirstUnseen => Cursor::Latest,
        };
        of_nothing(conn, of, Window::Before { cursor, limit })?;
        return Ok(PageAround { items: Vec::new(), older: false, newer: false });
    };
    head.check(viewer, of)?;
    let of = &head.conversation;
    let position = match place {
        Around::Message(id) => seq_of(conn, Some(of), id)?,
        Around::FirstUnseen => first_unseen(conn, of, viewer)?,
    };
    let with_replies = replies == Replies::Included;
    let surplus = limit.get() as i64 + 1;
    let live = || {
        full_messages!()
            .filter(messages::conversation_id.eq(of.id).and(messages::deleted_at.is_null()))
            .filter(messages::thread_id.is_null().or(with_replies.into_sql::<Bool>()))
            .limit(surplus)
    };
    let mut older: Vec<FullMessage> = live()
        .filter(messages::seq.gt(of.expired_up_to).and(messages::seq.lt(position)))
        .order(messages::seq.desc())
        .load(conn)?;
    let mut newer: Vec<FullMessage> = live()
        .filter(messages::seq.ge(position.max(of.expired_up_to.saturating_add(1))))
        .order(messages::seq.asc())
        .load(conn)?;
    let (taken_older, taken_newer) = share(older.len(), newer.len(), limit.get());
    let (more_older, more_newer) = (older.len() > taken_older, newer.len() > taken_newer);
    older.truncate(taken_older);
    newer.truncate(taken_newer);
    let rows = older.into_iter().rev().chain(newer);
    let items = load_messages(conn, Some(viewer), rows.map(|message| (of, message)))?;
    Ok(PageAround { items, older: more_older, newer: more_newer })
}

/// How many of the older and of the newer messages a page takes: half of each, and more of one where the other has
/// less.
fn share(older: usize, newer: usize, limit: usize) -> (usize, usize) {
    let half = limit / 2;
    let taken_newer = newer.min(limit - half.min(older));
    (older.min(limit - taken_newer), taken_newer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_filled_up_near_an_end() {
        for (older, newer, limit, taken) in [
            (100, 100, 50, (25, 25)),
            (100, 100, 5, (2, 3)),
            (3, 100, 50, (3, 47)),
            (100, 3, 50, (47, 3)),
            (3, 4, 50, (3, 4)),
            (100, 100, 1, (0, 1)),
            (100, 0, 1, (1, 0)),
            (0, 0, 50, (0, 0)),
        ] {
            assert_eq!(share(older, newer, limit), taken, "{older} {newer} {limit}");
        }
    }
}
