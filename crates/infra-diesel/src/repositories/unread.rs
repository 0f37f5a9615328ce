//! Marking messages as unread again.
//!
//! The watermark goes back. Receipts stay, because others were told of them; those of the messages in question become
//! `undone` and no longer keep a message from being unseen.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::receipts::raise_watermark;
use crate::tables::queries::{find_access, lock_conversation};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{members, messages, receipts};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::tx::Tx;
use crate::transaction::views::{Standing, standing};
use diesel::prelude::*;
use domain::events::Event;
use domain::{ConversationId, Invalid, MessageId, NotFound, Timestamp, UserId};

/// Receipts that one transaction changes.
const RECEIPTS_AT_ONCE: usize = 500;

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Another transaction has to go on.
    More,
    Done,
}

/// The position of a message of the conversation, deleted or not.
fn position(conn: &mut AnyConnection, reader: UserId, of: ConversationId, id: MessageId) -> DbResult<i64> {
    let here = messages::table.filter(messages::id.eq(Id::from(id))).select((messages::conversation_id, messages::seq));
    let Some((found, seq)) = here.first::<(Id, i64)>(conn).optional()? else { return Ok(NotFound::Message.err()?) };
    if found == of.into() {
        return Ok(seq);
    }
    match find_access(conn, found.into(), reader)? {
        Some((_, access)) if access.may_read().is_ok() => {
            Ok(Invalid::new("from", "from must name a message of this conversation").err()?)
        }
        _ => Ok(NotFound::Message.err()?),
    }
}

/// The first position behind `seq` that has ever counted as unseen. `None` if there is none.
fn first_countable(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    standing: &Standing,
    seq: i64,
) -> DbResult<Option<i64>> {
    let Some(joined_seq) = standing.joined_seq else {
        // A member from before the database stored the position: the clock decides.
        let sent = messages::table
            .filter(messages::conversation_id.eq(of.id).and(messages::seq.ge(seq)))
            .filter(messages::created_at.gt(standing.joined_at))
            .order(messages::seq.asc())
            .select(messages::seq);
        return Ok(sent.first(conn).optional()?);
    };
    Ok(Some(seq.max(joined_seq + 1)))
}

/// Marks messages as unread, or as many as one transaction takes. `changed`: whether an earlier transaction of the same
/// call has changed anything.
pub fn mark_unread(
    tx: &mut Tx<'_>,
    reader: UserId,
    of: ConversationId,
    from: MessageId,
    changed: &mut bool,
) -> DbResult<Progress> {
    if let Some(held) = lock_conversation(tx.conn, of)? {
        tx.record_version(&held);
    }
    let Some((conversation, access)) = find_access(tx.conn, of, reader)? else {
        return Ok(NotFound::Conversation.err()?);
    };
    access.may_read()?;
    let seq = position(tx.conn, reader, of, from)?;
    access.may_mark()?;
    if of == ConversationId::BROADCAST {
        return Ok(Progress::Done);
    }
    let me = Id::from(reader);
    // Whoever may mark is a member.
    let at = Timestamp::from(conversation.active_at.unwrap_or(Time(0)));
    let before = standing(tx.conn, &conversation, me, tx.revision, at)?;
    let Some(seq) = first_countable(tx.conn, &conversation, &before, seq)? else { return Ok(Progress::Done) };
    let own = receipts::table.filter(receipts::conversation_id.eq(conversation.id).and(receipts::user_id.eq(me)));
    let counted: Vec<i64> = own
        .filter(receipts::seq.ge(seq).and(receipts::undone.eq(0)))
        .order(receipts::seq.desc())
        .limit(RECEIPTS_AT_ONCE as i64)
        .select(receipts::seq)
        .load(tx.conn)?;
    if let Some(last) = counted.last() {
        diesel::update(own.filter(receipts::seq.ge(*last))).set(receipts::undone.eq(1)).execute(tx.conn)?;
        *changed = true;
    }
    let seat = members::table.find((conversation.id, me));
    // What a node has kept of the reader's count is old.
    diesel::update(seat)
        .set((members::marks.eq(members::marks + 1), members::view_revision.eq(tx.revision)))
        .execute(tx.conn)?;
    if counted.len() == RECEIPTS_AT_ONCE {
        return Ok(Progress::More);
    }
    let lowered = before.read_up_to.min(seq - 1);
    diesel::update(seat).set(members::read_up_to.eq(lowered)).execute(tx.conn)?;
    raise_watermark(tx.conn, &conversation, me, lowered)?;
    let after: i64 = seat.select(members::read_up_to).first(tx.conn)?;
    if *changed || after < before.read_up_to {
        let destination = conversation.destination(me);
        tx.events.push(Event::MarkedUnread { conversation: of, destination, user: reader, from });
    }
    Ok(Progress::Done)
}
