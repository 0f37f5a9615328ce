//! Read receipts and watermarks.
//!
//! A member's watermark (`members.read_up_to`) says that every message up to it is seen, deleted or the member's own.
//! Receipts of single messages lie above it. So the unseen messages are those above the watermark without the member's
//! own, the deleted and those with a receipt. The watermark rises whenever no unseen message is left right above it.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::visible::find_visible;
use crate::repositories::messages::seq_of;
use crate::tables::prepared::prepared;
use crate::tables::queries::{find_access, lock_conversation};
use crate::tables::rows::{ConversationRow, ProfileRow};
use crate::tables::schema::{members, messages, receipts};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use crate::tables::unseen::IsUnseen;
use crate::transaction::change::conversation_of;
use crate::transaction::membership::{NewMemberRow, insert_member_row};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::events::Event;
use domain::messages::not_before;
use domain::receipts::{MAX_SENDERS_NOTIFIED, Receipt, ReceiptRepository, Unseen, tells_senders};
use domain::{ConversationId, Limit, MessageId, NotFound, Page, Result, Timestamp, UserId};

#[derive(Insertable)]
#[diesel(table_name = receipts)]
struct ReceiptRow {
    conversation_id: Id,
    user_id: Id,
    seq: i64,
    from_seq: i64,
    seen_at: Time,
}

/// Stores a receipt, and counts it in `members.marks`: a node that has kept a count of the reader's unseen messages
/// sees by it that the count is old.
fn insert_receipt(conn: &mut AnyConnection, row: ReceiptRow) -> DbResult<()> {
    let seat = members::table.find((row.conversation_id, row.user_id));
    diesel::update(seat).set(members::marks.eq(members::marks + 1)).execute(conn)?;
    diesel::insert_into(receipts::table).values(row).execute(conn)?;
    Ok(())
}

/// When the reader saw the message at `seq`. `None` if never.
fn seen_at(conn: &mut AnyConnection, of: Id, reader: Id, seq: i64) -> DbResult<Option<Time>> {
    // Receipts of one reader do not overlap: only the first that ends there or later can cover it.
    let next = receipts::table
        .filter(receipts::conversation_id.eq(of).and(receipts::user_id.eq(reader)).and(receipts::seq.ge(seq)))
        .order(receipts::seq.asc())
        .select((receipts::from_seq, receipts::seen_at));
    let next: Option<(i64, Time)> = next.first(conn).optional()?;
    Ok(next.filter(|(from, _)| *from < seq).map(|(_, seen_at)| seen_at))
}

/// The reader's watermark. In the broadcast users have no row at first: this creates it.
fn watermark(tx: &mut Tx<'_>, of: &ConversationRow, reader: Id, at: Timestamp) -> DbResult<i64> {
    let row = members::table.find((of.id, reader)).select(members::read_up_to);
    if let Some(read_up_to) = row.first(tx.conn).optional()? {
        return Ok(read_up_to);
    }
    let at = Time::from(at);
    let row = NewMemberRow {
        conversation_id: of.id,
        user_id: reader,
        role: "member",
        read_up_to: 0,
        joined_at: at,
        updated_at: at,
        joined_revision: tx.revision,
        added_by: None,
    };
    insert_member_row(tx.conn, &row)?;
    Ok(0)
}

/// Positions that one transaction scans for the new watermark. The next count goes on from there.
const SEQS_AT_ONCE: i64 = 10_000;
/// Receipts of single messages between which one transaction inserts ranges.
const SINGLES_AT_ONCE: usize = 500;

/// Raises the watermark from `from` to right below the first unseen message, or to the end of the scan.
fn raise_watermark(conn: &mut AnyConnection, of: &ConversationRow, reader: Id, from: i64) -> DbResult<()> {
    let end = of.last_seq.min(from.saturating_add(SEQS_AT_ONCE));
    let unseen = messages::table
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(from)).and(messages::seq.le(end)))
        .filter(IsUnseen { by: reader })
        .order(messages::seq.asc())
        .select(messages::seq);
    let first_unseen = unseen.first::<i64>(conn).optional()?;
    set_watermark(conn, of.id, reader, first_unseen.map_or(end, |seq| seq - 1))
}

pub fn set_watermark(conn: &mut AnyConnection, of: Id, reader: Id, to: i64) -> DbResult<()> {
    // Never down: a seen message stays seen.
    diesel::update(members::table.find((of, reader)).filter(members::read_up_to.lt(to)))
        .set(members::read_up_to.eq(to))
        .execute(conn)?;
    Ok(())
}

fn mark_seen(tx: &mut Tx<'_>, reader: UserId, id: MessageId, at: Timestamp) -> DbResult<()> {
    // Locks the conversation before looking at it: of two marks at once both count, and none stays on a message that is
    // deleted in between.
    if let Some(of) = conversation_of(tx.conn, id)?
        && let Some(held) = lock_conversation(tx.conn, of)?
    {
        tx.record_version(&held);
    }
    let Some((conversation, message)) = find_visible(tx.conn, reader, id)? else {
        return Ok(NotFound::Message.err()?);
    };
    let Some((_, access)) = find_access(tx.conn, message.conversation, reader)? else {
        return Ok(NotFound::Message.err()?);
    };
    access.may_mark()?;
    let me = Id::from(reader);
    if message.sender.id == reader || seen_at(tx.conn, conversation.id, me, message.seq.0)?.is_some() {
        return Ok(());
    }
    let at = not_before(message.created_at, at);
    let read_up_to = watermark(tx, &conversation, me, at)?;
    let row = ReceiptRow {
        conversation_id: conversation.id,
        user_id: me,
        seq: message.seq.0,
        from_seq: message.seq.0 - 1,
        seen_at: at.into(),
    };
    insert_receipt(tx.conn, row)?;
    raise_watermark(tx.conn, &conversation, me, read_up_to)?;
    tx.events.push(Event::MessageSeen {
        conversation: message.conversation,
        destination: message.destination,
        message: id,
        sender: message.sender.id,
        reader,
        seen_at: at,
    });
    Ok(())
}

/// Marks everything up to a message as read. Returns whether it is done. If more single receipts are in the way than
/// one transaction takes, the next call goes on.
fn mark_read(tx: &mut Tx<'_>, reader: UserId, of: ConversationId, up_to: MessageId, at: Timestamp) -> DbResult<bool> {
    if let Some(held) = lock_conversation(tx.conn, of)? {
        tx.record_version(&held);
    }
    let Some((conversation, access)) = find_access(tx.conn, of, reader)? else {
        return Ok(NotFound::Conversation.err()?);
    };
    access.may_read()?;
    let position = seq_of(tx.conn, Some(&conversation), up_to)?;
    access.may_mark()?;
    let me = Id::from(reader);
    let sent = messages::table.find((conversation.id, position)).select(messages::created_at);
    let at = not_before(sent.first::<Time>(tx.conn)?.into(), at);
    let read_up_to = watermark(tx, &conversation, me, at)?;
    if position <= read_up_to {
        return Ok(true);
    }
    let singles: Vec<i64> = receipts::table
        .filter(receipts::conversation_id.eq(conversation.id).and(receipts::user_id.eq(me)))
        .filter(receipts::seq.gt(read_up_to).and(receipts::seq.le(position)))
        .order(receipts::seq.asc())
        .limit(SINGLES_AT_ONCE as i64)
        .select(receipts::seq)
        .load(tx.conn)?;
    // How far this transaction comes.
    let reached = singles.last().copied().filter(|_| singles.len() == SINGLES_AT_ONCE).unwrap_or(position);
    // Messages that the reader saw one by one keep their time. The reader sees the ranges between them now.
    let mut from_seq = read_up_to;
    for (seq, next_from) in singles.iter().map(|seq| (seq - 1, *seq)).chain([(reached, reached)]) {
        if from_seq < seq {
            let row = ReceiptRow { conversation_id: conversation.id, user_id: me, seq, from_seq, seen_at: at.into() };
            insert_receipt(tx.conn, row)?;
        }
        from_seq = next_from;
    }
    set_watermark(tx.conn, conversation.id, me, reached)?;
    if reached < position {
        return Ok(false);
    }
    raise_watermark(tx.conn, &conversation, me, position)?;
    let recipients = senders_among(tx.conn, &conversation, me, read_up_to, position)?;
    for recipient in std::iter::once(me).chain(recipients) {
        let (recipient, destination) = (recipient.into(), conversation.destination(me));
        tx.events.push(Event::ConversationRead { conversation: of, destination, recipient, reader, up_to });
    }
    Ok(true)
}

/// The senders of messages behind `after` and up to `up_to` who are notified that the reader has read them.
fn senders_among(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    reader: Id,
    after: i64,
    up_to: i64,
) -> DbResult<Vec<Id>> {
    if !tells_senders(of.destination(reader)) {
        return Ok(Vec::new());
    }
    let after = after.max(up_to - i64::from(MAX_SENDERS_NOTIFIED)).max(of.expired_up_to);
    Ok(messages::table
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(after)).and(messages::seq.le(up_to)))
        .filter(messages::sender_id.ne(reader).and(messages::deleted_at.is_null()))
        .select(messages::sender_id)
        .distinct()
        .order(messages::sender_id)
        .load(conn)?)
}

#[derive(Queryable)]
struct ReaderRow {
    id: Id,
    username: String,
    display_name: Option<String>,
    deleted_at: Option<Time>,
    from_seq: Option<i64>,
    seen_at: Option<Time>,
}

/// The readers of a conversation behind one of them, and for each the one receipt that can cover a `seq`: the first
/// that ends there or later. The query skips from one reader to the next, so that its cost grows with the readers and
/// not with all they have seen. SQLite joins the tables of a `CROSS JOIN` as they are written.
const READERS: &str = "
WITH RECURSIVE readers(user_id, n) AS (
    SELECT (SELECT r.user_id FROM receipts r WHERE r.conversation_id = $1 AND r.user_id > $2
            ORDER BY r.user_id LIMIT 1), 1
    UNION ALL
    SELECT (SELECT r.user_id FROM receipts r WHERE r.conversation_id = $1 AND r.user_id > readers.user_id
            ORDER BY r.user_id LIMIT 1), readers.n + 1
    FROM readers WHERE readers.user_id IS NOT NULL AND readers.n < $3
)
SELECT u.id, u.username, u.display_name, u.deleted_at,
    (SELECT r.from_seq FROM receipts r WHERE r.conversation_id = $1 AND r.user_id = u.id AND r.seq >= $4
     ORDER BY r.seq LIMIT 1) AS from_seq,
    (SELECT r.seen_at FROM receipts r WHERE r.conversation_id = $1 AND r.user_id = u.id AND r.seq >= $4
     ORDER BY r.seq LIMIT 1) AS seen_at
FROM readers CROSS JOIN users u WHERE u.id = readers.user_id
ORDER BY u.id";

prepared! {
    /// Reads some readers.
    ReadReaders(of: SqlId => Id, after: SqlId => Id, at_once: BigInt => i64, seq: BigInt => i64)
        -> (SqlId, Text, Nullable<Text>, Nullable<SqlTime>, Nullable<BigInt>, Nullable<SqlTime>) = READERS
}

/// Fewest readers that one query looks at.
const READERS_AT_ONCE: usize = 64;

/// The readers of the message at `seq` behind `after`, one more than the limit if there are more.
fn seen_by(
    conn: &mut AnyConnection,
    of: Id,
    (seq, sender): (i64, Id),
    after: Option<Id>,
    limit: Limit,
) -> DbResult<Page<Receipt>> {
    let at_once = limit.get().max(READERS_AT_ONCE) + 1;
    let mut after = after.unwrap_or(Id(uuid::Uuid::nil()));
    let mut found = Vec::new();
    loop {
        let read = ReadReaders { of, after, at_once: at_once as i64, seq };
        let rows: Vec<ReaderRow> = per_backend!(conn, |conn| read.load(conn))?;
        let more = rows.len() == at_once;
        after = rows.last().map_or(after, |row| row.id);
        for row in rows {
            let covered = row.from_seq.is_some_and(|from| from < seq) && row.id != sender && row.deleted_at.is_none();
            let Some(seen_at) = row.seen_at.filter(|_| covered) else { continue };
            let (id, username, display_name) = (row.id, row.username, row.display_name);
            let user = ProfileRow { id, username, display_name, role: String::new(), deleted_at: None };
            found.push(Receipt { user: id.into(), username: user.profile().username, seen_at: seen_at.into() });
        }
        if !more || found.len() > limit.get() {
            return Ok(Page::from_surplus(found, limit));
        }
    }
}

#[async_trait]
impl ReceiptRepository for Store {
    async fn mark_seen(&self, reader: UserId, message: MessageId, at: Timestamp) -> Result<()> {
        self.write(reader.0, move |tx| mark_seen(tx, reader, message, at)).await
    }

    async fn mark_read(&self, reader: UserId, of: ConversationId, up_to: MessageId, at: Timestamp) -> Result<()> {
        while !self.write(reader.0, move |tx| mark_read(tx, reader, of, up_to, at)).await? {}
        Ok(())
    }

    async fn of_message(
        &self,
        viewer: UserId,
        message: MessageId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt>> {
        self.snapshot_for(viewer, move |conn| {
            let Some((conversation, message)) = find_visible(conn, viewer, message)? else {
                return Ok(NotFound::Message.err()?);
            };
            let after = after.map(Id::from);
            if let Some(after) = after
                && seen_at(conn, conversation.id, after, message.seq.0)?.is_none()
            {
                return Ok(NotFound::User.err()?);
            }
            seen_by(conn, conversation.id, (message.seq.0, message.sender.id.into()), after, limit)
        })
        .await
    }

    async fn unseen(&self, user: UserId) -> Result<Unseen> {
        self.count_unseen(user).await
    }
}
