//! Read receipts and watermarks.
//!
//! A member's watermark (`members.read_up_to`) says that every message up to it is seen, deleted or the member's own.
//! Receipts of single messages lie above it. So the unseen messages are those above the watermark without the member's
//! own, the deleted and those with a receipt. The watermark rises whenever no unseen message is left right above it.
//!
//! It goes back when the member marks messages as unread ([`unread`](super::unread)). Then receipts of ranges lie above
//! it, too. They are `undone`: others see them, and they keep no message from being unseen.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::unseen_counts::WatermarkTarget;
use crate::reads::visible::find_visible;
use crate::repositories::messages::seq_of;
use crate::repositories::unread::{self, Progress};
use crate::tables::prepared::prepared;
use crate::tables::queries::{find_access, lock_conversation};
use crate::tables::rows::{ConversationRow, ProfileRow};
use crate::tables::schema::{members, messages, receipts};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use crate::tables::unseen::IsUnseen;
use crate::transaction::change::conversation_of;
use crate::transaction::tx::Tx;
use crate::transaction::views::standing;
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
    undone: i64,
}

prepared! {
    /// Records how far the newest reader of a conversation has come, and the newest of all others.
    RecordSeen(reader: SqlId => Id, seq: BigInt => i64, of: SqlId => Id) -> () =
        "UPDATE conversations SET \
         seen_seq_of_others = CASE WHEN seen_by = $1 THEN seen_seq_of_others WHEN seen_seq < $2 THEN seen_seq ELSE $2 END, \
         seen_by = CASE WHEN seen_seq < $2 THEN $1 ELSE seen_by END, \
         seen_seq = CASE WHEN seen_seq < $2 THEN $2 ELSE seen_seq END \
         WHERE id = $3 AND (seen_seq < $2 OR (seen_by <> $1 AND seen_seq_of_others < $2))"
}

/// Records that the reader has seen the message at `seq`.
fn record_seen(conn: &mut AnyConnection, of: Id, reader: Id, seq: i64) -> DbResult<()> {
    let record = RecordSeen { reader, seq, of };
    per_backend!(conn, |conn| record.execute(conn))?;
    Ok(())
}

/// Stores a receipt, and counts it in `members.marks`: a node that has kept a count of the reader's unseen messages
/// sees by it that the count is old.
fn insert_receipt(conn: &mut AnyConnection, row: ReceiptRow) -> DbResult<()> {
    let seat = members::table.find((row.conversation_id, row.user_id));
    diesel::update(seat).set(members::marks.eq(members::marks + 1)).execute(conn)?;
    diesel::insert_into(receipts::table).values(row).execute(conn)?;
    Ok(())
}

/// A receipt that covers a message: of it alone, or of a range.
#[derive(Queryable, Selectable)]
#[diesel(table_name = receipts)]
struct Cover {
    from_seq: i64,
    seq: i64,
    seen_at: Time,
    undone: i64,
}

/// The reader's receipt that covers the message at `seq`. `None` if the reader has never seen the message.
fn cover(conn: &mut AnyConnection, of: Id, reader: Id, seq: i64) -> DbResult<Option<Cover>> {
    // Receipts of one reader do not overlap: only the first that ends there or later can cover it.
    let next = receipts::table
        .filter(receipts::conversation_id.eq(of).and(receipts::user_id.eq(reader)).and(receipts::seq.ge(seq)))
        .order(receipts::seq.asc())
        .select(Cover::as_select());
    let next: Option<Cover> = next.first(conn).optional()?;
    Ok(next.filter(|cover| cover.from_seq < seq))
}

/// The message at `seq` counts as seen again, after the reader had marked it as unread. Others see no difference: the
/// new receipts cover what the old one covered, with its time.
fn see_again(conn: &mut AnyConnection, of: Id, reader: Id, seq: i64, covered: &Cover) -> DbResult<()> {
    diesel::delete(receipts::table.find((of, reader, covered.seq))).execute(conn)?;
    for (from_seq, to, undone) in
        [(covered.from_seq, seq - 1, 1), (seq - 1, seq, 0), (seq, covered.seq, covered.undone)]
    {
        if from_seq < to {
            let seen_at = covered.seen_at;
            insert_receipt(
                conn,
                ReceiptRow { conversation_id: of, user_id: reader, seq: to, from_seq, seen_at, undone },
            )?;
        }
    }
    Ok(())
}

/// Positions that one transaction scans for the new watermark. The next count goes on from there.
const SEQS_AT_ONCE: i64 = 10_000;
/// Receipts between which one transaction inserts ranges.
const RECEIPTS_AT_ONCE: usize = 500;

/// Raises a watermark that a count found to be low, unless the reader has marked anything since.
pub fn raise_if_unmarked(conn: &mut AnyConnection, of: Id, reader: Id, target: WatermarkTarget) -> DbResult<()> {
    diesel::update(members::table.find((of, reader)).filter(members::marks.eq(target.marks)))
        .filter(members::read_up_to.lt(target.to))
        .set(members::read_up_to.eq(target.to))
        .execute(conn)?;
    Ok(())
}

/// Raises the watermark from `from` to right below the first unseen message, or to the end of the scan.
pub fn raise_watermark(conn: &mut AnyConnection, of: &ConversationRow, reader: Id, from: i64) -> DbResult<()> {
    let end = of.last_seq.min(from.saturating_add(SEQS_AT_ONCE));
    let unseen = messages::table
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(from)).and(messages::seq.le(end)))
        .filter(IsUnseen { by: reader })
        .order(messages::seq.asc())
        .select(messages::seq);
    let first_unseen = unseen.first::<i64>(conn).optional()?;
    set_watermark(conn, of.id, reader, first_unseen.map_or(end, |seq| seq - 1))
}

fn set_watermark(conn: &mut AnyConnection, of: Id, reader: Id, to: i64) -> DbResult<()> {
    // Never down: only marking as unread lowers it.
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
    if message.sender.id == reader {
        return Ok(());
    }
    let (of, seq) = (conversation.id, message.seq.0);
    let covered = cover(tx.conn, of, me, seq)?;
    let at = covered.as_ref().map_or(not_before(message.created_at, at), |covered| covered.seen_at.into());
    let read_up_to = standing(tx.conn, &conversation, me, tx.revision, at)?.read_up_to;
    let told = match covered {
        Some(covered) if seq <= read_up_to || (covered.seq == seq && covered.undone == 0) => return Ok(()),
        Some(covered) => {
            see_again(tx.conn, of, me, seq, &covered)?;
            // The sender knows: only the reader's own devices learn.
            reader
        }
        None => {
            let (from_seq, seen_at) = (seq - 1, at.into());
            let row = ReceiptRow { conversation_id: of, user_id: me, seq, from_seq, seen_at, undone: 0 };
            insert_receipt(tx.conn, row)?;
            record_seen(tx.conn, of, me, seq)?;
            message.sender.id
        }
    };
    raise_watermark(tx.conn, &conversation, me, read_up_to)?;
    tx.events.push(Event::MessageSeen {
        conversation: message.conversation,
        destination: if told == reader { conversation.destination(me) } else { message.destination },
        message: id,
        sender: told,
        reader,
        seen_at: at,
    });
    Ok(())
}

/// Stores receipts of the ranges behind `after` and up to `position` that no receipt covers yet: what the reader saw
/// before keeps its time. Returns how far this transaction comes.
fn fill_between(
    conn: &mut AnyConnection,
    (of, reader): (Id, Id),
    after: i64,
    position: i64,
    at: Timestamp,
) -> DbResult<i64> {
    let own = receipts::table.filter(receipts::conversation_id.eq(of).and(receipts::user_id.eq(reader)));
    let mut covered: Vec<(i64, i64)> = own
        .filter(receipts::seq.gt(after).and(receipts::seq.le(position)))
        .order(receipts::seq.asc())
        .limit(RECEIPTS_AT_ONCE as i64)
        .select((receipts::from_seq, receipts::seq))
        .load(conn)?;
    let reached = covered.last().filter(|_| covered.len() == RECEIPTS_AT_ONCE).map_or(position, |(_, seq)| *seq);
    // The receipt that ends behind the position may begin before it.
    covered.extend(cover(conn, of, reader, reached)?.map(|cover| (cover.from_seq, cover.seq)));
    let mut from_seq = after;
    for (next_from, next) in covered.into_iter().chain([(reached, reached)]) {
        let seq = next_from.min(reached);
        if from_seq < seq {
            let (seen_at, undone) = (at.into(), 0);
            insert_receipt(conn, ReceiptRow { conversation_id: of, user_id: reader, seq, from_seq, seen_at, undone })?;
        }
        from_seq = from_seq.max(next);
    }
    Ok(reached)
}

/// Marks everything up to a message as read. Returns whether it is done. If more receipts are in the way than
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
    let read_up_to = standing(tx.conn, &conversation, me, tx.revision, at)?.read_up_to;
    if position <= read_up_to {
        return Ok(true);
    }
    let reached = fill_between(tx.conn, (conversation.id, me), read_up_to, position, at)?;
    set_watermark(tx.conn, conversation.id, me, reached)?;
    let last_seen = messages::table
        .filter(messages::conversation_id.eq(conversation.id))
        .filter(messages::seq.gt(read_up_to).and(messages::seq.le(reached)))
        .filter(messages::sender_id.ne(me).and(messages::deleted_at.is_null()))
        .order(messages::seq.desc())
        .select(messages::seq);
    if let Some(last_seen) = last_seen.first(tx.conn).optional()? {
        record_seen(tx.conn, conversation.id, me, last_seen)?;
    }
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

    async fn mark_unread(&self, reader: UserId, of: ConversationId, from: MessageId) -> Result<()> {
        let mut changed = false;
        loop {
            let progress = self.write(reader.0, move |tx| {
                let mut changed = changed;
                let progress = unread::mark_unread(tx, reader, of, from, &mut changed)?;
                Ok((progress, changed))
            });
            match progress.await? {
                (Progress::Done, _) => return Ok(()),
                (Progress::More, so_far) => changed = so_far,
            }
        }
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
                && cover(conn, conversation.id, after, message.seq.0)?.is_none()
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
