//! Pinned messages.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::parts::load_messages;
use crate::tables::queries::{FullMessage, find_access, full_messages};
use crate::tables::rows::count;
use crate::tables::schema::{files, messages, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::change::{lock_for_change, publish_change, touch};
use crate::transaction::tx::Tx;
use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::messages::{Message, Update, may_pin_another, not_before};
use domain::users::ServerPolicy;
use domain::{ConversationId, Limit, MessageId, NotFound, Page, Timestamp, UserId};

/// Pins a message, unless it is pinned.
pub fn pin(tx: &mut Tx<'_>, policy: &ServerPolicy, (actor, id): (UserId, MessageId), at: Timestamp) -> DbResult<()> {
    let (mut conversation, mut row) =
        lock_for_change(tx, policy, (actor, id), |access, broadcasts| access.may_pin(|| broadcasts))?;
    if row.pinned_update.is_some() {
        return Ok(());
    }
    let pins: i64 = messages::table
        .filter(messages::conversation_id.eq(conversation.id).and(messages::pinned_update.is_not_null()))
        .select(count_star())
        .first(tx.conn)?;
    may_pin_another(count(pins))?;
    touch(tx, &mut conversation, &mut row, at, |_| ())?;
    diesel::update(messages::table.find((row.conversation_id, row.seq)))
        .set((
            messages::pinned_update.eq(row.update),
            messages::pinned_at.eq(Time::from(not_before(row.created_at.into(), at))),
            messages::pinned_by.eq(Id::from(actor)),
        ))
        .execute(tx.conn)?;
    publish_change(tx, &conversation, id)
}

/// Unpins a message, if it is pinned.
pub fn unpin(tx: &mut Tx<'_>, policy: &ServerPolicy, (actor, id): (UserId, MessageId), at: Timestamp) -> DbResult<()> {
    let (mut conversation, mut row) =
        lock_for_change(tx, policy, (actor, id), |access, broadcasts| access.may_pin(|| broadcasts))?;
    if row.pinned_update.is_none() {
        return Ok(());
    }
    touch(tx, &mut conversation, &mut row, at, |_| ())?;
    diesel::update(messages::table.find((row.conversation_id, row.seq)))
        .set((
            messages::pinned_update.eq(None::<i64>),
            messages::pinned_at.eq(None::<Time>),
            messages::pinned_by.eq(None::<Id>),
        ))
        .execute(tx.conn)?;
    publish_change(tx, &conversation, id)
}

/// Lists pinned messages, pinned last first: those pinned before a number.
pub fn list(
    conn: &mut AnyConnection,
    viewer: UserId,
    of: ConversationId,
    before: Option<Update>,
    limit: Limit,
) -> DbResult<Page<Message>> {
    let Some((of, access)) = find_access(conn, of, viewer)? else { return Ok(NotFound::Conversation.err()?) };
    access.may_read()?;
    let found: Vec<FullMessage> = full_messages!()
        .filter(messages::conversation_id.eq(of.id))
        .filter(messages::pinned_update.lt(before.map_or(i64::MAX, |before| before.0)))
        .order(messages::pinned_update.desc())
        .limit(limit.get() as i64 + 1)
        .load(conn)?;
    let page = Page::from_surplus(found, limit);
    let items = load_messages(conn, Some(viewer), page.items.into_iter().map(|message| (&of, message)))?;
    Ok(Page { items, more: page.more })
}
