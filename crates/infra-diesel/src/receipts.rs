//! Who has seen what.
//!
//! A member's watermark (`members.read_up_to`) says: all up to it is seen, one's own or deleted. What was seen above it
//! are receipts of single messages. So what is unseen is the range above the watermark less one's own, the deleted and
//! those receipts, and the watermark moves up whenever nothing unseen is left below.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::members::{NewMemberRow, insert_member};
use crate::messages::{conversation_of, find_visible, place_of};
use crate::rows::{ConversationRow, ProfileRow, count, find_access, lock_conversation};
use crate::schema::{members, messages, receipts};
use crate::sql_types::{Id, SqlId, SqlTime, Time};
use async_trait::async_trait;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::events::Event;
use domain::receipts::{Receipt, ReceiptRepository, SENDERS_TOLD_OF, Unseen, tells_senders};
use domain::{ConversationId, Limit, MessageId, NotFound, Page, Result, Timestamp, UserId};

/// How many watermarks one transaction raises that nobody waits for.
const WATERMARKS_AT_ONCE: usize = 200;

#[derive(Insertable)]
#[diesel(table_name = receipts)]
struct ReceiptRow {
    conversation_id: Id,
    user_id: Id,
    seq: i64,
    from_seq: i64,
    seen_at: Time,
}

/// When the reader saw what is at the place, if ever.
fn seen_at(conn: &mut AnyConnection, of: Id, reader: Id, seq: i64) -> DbResult<Option<Time>> {
    // Receipts of one reader do not overlap: only the first that ends there or later can cover it.
    let next = receipts::table
        .filter(receipts::conversation_id.eq(of).and(receipts::user_id.eq(reader)).and(receipts::seq.ge(seq)))
        .order(receipts::seq.asc())
        .select((receipts::from_seq, receipts::seen_at));
    let next: Option<(i64, Time)> = next.first(conn).optional()?;
    Ok(next.filter(|(from, _)| *from < seq).map(|(_, seen_at)| seen_at))
}

/// The reader's watermark. Of the broadcast, where everybody is in without a row, the row is made here.
fn watermark(conn: &mut AnyConnection, of: &ConversationRow, reader: Id, at: Timestamp) -> DbResult<i64> {
    let row = members::table.find((of.id, reader)).select(members::read_up_to);
    if let Some(read_up_to) = row.first(conn).optional()? {
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
    };
    insert_member(conn, &row)?;
    Ok(0)
}

/// Moves the watermark up from `from` to right below the first message that is unseen.
fn raise_watermark(conn: &mut AnyConnection, of: &ConversationRow, reader: Id, from: i64) -> DbResult<()> {
    let receipt = receipts::table.filter(
        receipts::conversation_id
            .eq(messages::conversation_id)
            .and(receipts::user_id.eq(reader))
            .and(receipts::seq.eq(messages::seq)),
    );
    let unseen = messages::table
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(from)))
        .filter(messages::sender_id.ne(reader).and(messages::deleted_at.is_null()))
        .filter(not(exists(receipt)))
        .order(messages::seq.asc())
        .select(messages::seq);
    let first_unseen = unseen.first::<i64>(conn).optional()?;
    set_watermark(conn, of.id, reader, first_unseen.map_or(of.last_seq, |seq| seq - 1))
}

fn set_watermark(conn: &mut AnyConnection, of: Id, reader: Id, to: i64) -> DbResult<()> {
    // Never down: what was seen stays seen.
    diesel::update(members::table.find((of, reader)).filter(members::read_up_to.lt(to)))
        .set(members::read_up_to.eq(to))
        .execute(conn)?;
    Ok(())
}

fn mark_seen(tx: &mut crate::writer::Tx<'_>, reader: UserId, id: MessageId, at: Timestamp) -> DbResult<()> {
    // Held still before it is looked at, so that of two marks at once both are counted, and none is left on a message that
    // is deleted in between.
    if let Some(of) = conversation_of(tx.conn, id)?
        && let Some(held) = lock_conversation(tx.conn, of)?
    {
        tx.hold(&held);
    }
    let Some((conversation, message)) = find_visible(tx.conn, reader, id)? else {
        return Ok(NotFound::Message.err()?);
    };
    let Some((_, access)) = find_access(tx.conn, message.conversation, reader)? else {
        return Ok(NotFound::Message.err()?);
    };
    access.may_mark()?;
    let me = Id::from(reader);
    if message.sender.id == reader || seen_at(tx.conn, conversation.id, me, message.seq)?.is_some() {
        return Ok(());
    }
    let read_up_to = watermark(tx.conn, &conversation, me, at)?;
    let row = ReceiptRow {
        conversation_id: conversation.id,
        user_id: me,
        seq: message.seq,
        from_seq: message.seq - 1,
        seen_at: at.into(),
    };
    diesel::insert_into(receipts::table).values(row).execute(tx.conn)?;
    raise_watermark(tx.conn, &conversation, me, read_up_to)?;
    tx.events.push(Event::MessageSeen {
        conversation: message.conversation,
        place: message.place,
        message: id,
        sender: message.sender.id,
        reader,
        seen_at: at,
    });
    Ok(())
}

fn mark_read(
    tx: &mut crate::writer::Tx<'_>,
    reader: UserId,
    of: ConversationId,
    up_to: MessageId,
    at: Timestamp,
) -> DbResult<()> {
    if let Some(held) = lock_conversation(tx.conn, of)? {
        tx.hold(&held);
    }
    let Some((conversation, access)) = find_access(tx.conn, of, reader)? else {
        return Ok(NotFound::Conversation.err()?);
    };
    access.may_read()?;
    let place = place_of(tx.conn, Some(&conversation), up_to)?;
    access.may_mark()?;
    let me = Id::from(reader);
    let read_up_to = watermark(tx.conn, &conversation, me, at)?;
    if place <= read_up_to {
        return Ok(());
    }
    let singles: Vec<i64> = receipts::table
        .filter(receipts::conversation_id.eq(conversation.id).and(receipts::user_id.eq(me)))
        .filter(receipts::seq.gt(read_up_to).and(receipts::seq.le(place)))
        .order(receipts::seq.asc())
        .select(receipts::seq)
        .load(tx.conn)?;
    // What was seen one by one keeps its moment: the stretches between are seen now.
    let mut from_seq = read_up_to;
    for (seq, next_from) in singles.iter().map(|seq| (seq - 1, *seq)).chain([(place, place)]) {
        if from_seq < seq {
            let row = ReceiptRow { conversation_id: conversation.id, user_id: me, seq, from_seq, seen_at: at.into() };
            diesel::insert_into(receipts::table).values(row).execute(tx.conn)?;
        }
        from_seq = next_from;
    }
    set_watermark(tx.conn, conversation.id, me, place)?;
    raise_watermark(tx.conn, &conversation, me, place)?;
    let told = senders_among(tx.conn, &conversation, me, read_up_to, place)?;
    for told in std::iter::once(me).chain(told) {
        let (told, place) = (told.into(), conversation.place(me));
        tx.events.push(Event::ConversationRead { conversation: of, place, told, reader, up_to });
    }
    Ok(())
}

/// Who sent what lies behind `after` and up to `up_to`, but for the reader: those who are told that it was read.
fn senders_among(
    conn: &mut AnyConnection,
    of: &ConversationRow,
    reader: Id,
    after: i64,
    up_to: i64,
) -> DbResult<Vec<Id>> {
    if !tells_senders(of.place(reader)) {
        return Ok(Vec::new());
    }
    let after = after.max(up_to - i64::from(SENDERS_TOLD_OF)).max(of.expired_up_to);
    Ok(messages::table
        .filter(messages::conversation_id.eq(of.id).and(messages::seq.gt(after)).and(messages::seq.le(up_to)))
        .filter(messages::sender_id.ne(reader).and(messages::deleted_at.is_null()))
        .select(messages::sender_id)
        .distinct()
        .order(messages::sender_id)
        .load(conn)?)
}

#[derive(QueryableByName)]
struct SeenRow {
    #[diesel(sql_type = SqlTime)]
    seen_at: Time,
    #[diesel(sql_type = SqlId)]
    id: Id,
    #[diesel(sql_type = Text)]
    username: String,
    #[diesel(sql_type = Nullable<Text>)]
    display_name: Option<String>,
}

/// By reader: the one receipt that can cover the place. The readers of a conversation are found by skipping from one to
/// the next, so that it costs in proportion to them and not to all they have seen.
const SEEN_BY: &str = "
WITH RECURSIVE readers(user_id) AS (
    SELECT (SELECT user_id FROM receipts WHERE conversation_id = $1 ORDER BY user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.user_id FROM receipts r WHERE r.conversation_id = $1 AND r.user_id > readers.user_id
            ORDER BY r.user_id LIMIT 1)
    FROM readers WHERE readers.user_id IS NOT NULL
)
SELECT r.seen_at, u.id, u.username, u.display_name
FROM readers
JOIN receipts r ON r.conversation_id = $1 AND r.user_id = readers.user_id
    AND r.seq = (SELECT min(n.seq) FROM receipts n
                 WHERE n.conversation_id = $1 AND n.user_id = readers.user_id AND n.seq >= $2)
JOIN users u ON u.id = readers.user_id AND u.deleted_at IS NULL
WHERE r.from_seq < $2 AND u.id <> $3 AND (r.seen_at > $4 OR (r.seen_at = $4 AND u.id > $5))
ORDER BY r.seen_at, u.id
LIMIT $6";

/// Before any receipt: the first moment of year 1.
const BOTTOM: (Time, Id) = (Time(-62_135_596_800_000_000), Id(uuid::Uuid::nil()));

#[derive(QueryableByName)]
struct UnseenRow {
    #[diesel(sql_type = SqlId)]
    conversation_id: Id,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = BigInt)]
    last_seq: i64,
    #[diesel(sql_type = BigInt)]
    unseen: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    first_unseen: Option<i64>,
    #[diesel(sql_type = BigInt)]
    read_up_to: i64,
    #[diesel(sql_type = Nullable<SqlId>)]
    other_id: Option<Id>,
    #[diesel(sql_type = Nullable<Text>)]
    other_name: Option<String>,
    #[diesel(sql_type = Nullable<SqlTime>)]
    other_deleted_at: Option<Time>,
}

/// Of the user's conversations those with something behind the watermark.
pub const UNSEEN: &str = "
SELECT mine.conversation_id, c.kind, c.name, c.last_seq, mine.read_up_to,
    (SELECT count(*) FROM messages m
     WHERE m.conversation_id = c.id AND m.seq > mine.read_up_to AND m.sender_id <> $1 AND m.deleted_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM receipts r
                       WHERE r.conversation_id = m.conversation_id AND r.user_id = $1 AND r.seq = m.seq)) AS unseen,
    (SELECT m.seq FROM messages m
     WHERE m.conversation_id = c.id AND m.seq > mine.read_up_to AND m.sender_id <> $1 AND m.deleted_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM receipts r
                       WHERE r.conversation_id = m.conversation_id AND r.user_id = $1 AND r.seq = m.seq)
     ORDER BY m.seq LIMIT 1) AS first_unseen,
    other.id AS other_id, other.username AS other_name, other.deleted_at AS other_deleted_at
FROM members mine
JOIN conversations c ON c.id = mine.conversation_id
LEFT JOIN users other ON other.id = CASE WHEN c.first_user = $1 THEN c.second_user ELSE c.first_user END
WHERE mine.user_id = $1 AND c.deleted_at IS NULL AND c.kind <> 'broadcast' AND c.last_seq > mine.read_up_to
ORDER BY c.active_at DESC, c.id";

impl UnseenRow {
    /// Where the watermark could be: found out while counting. One's own, deleted and seen messages that the count had to
    /// walk over are thereby walked over once.
    fn raised(&self) -> Option<i64> {
        let to = self.first_unseen.map_or(self.last_seq, |first| first - 1);
        (to > self.read_up_to).then_some(to)
    }
}

#[async_trait]
impl ReceiptRepository for Store {
    async fn mark_seen(&self, reader: UserId, message: MessageId, at: Timestamp) -> Result<()> {
        self.write(reader.0, move |tx| mark_seen(tx, reader, message, at)).await
    }

    async fn mark_read(&self, reader: UserId, of: ConversationId, up_to: MessageId, at: Timestamp) -> Result<()> {
        self.write(reader.0, move |tx| mark_read(tx, reader, of, up_to, at)).await
    }

    async fn of_message(
        &self,
        viewer: UserId,
        message: MessageId,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<Receipt>> {
        self.snapshot(move |conn| {
            let Some((conversation, message)) = find_visible(conn, viewer, message)? else {
                return Ok(NotFound::Message.err()?);
            };
            let behind = match after.map(Id::from) {
                Some(after) => match seen_at(conn, conversation.id, after, message.seq)? {
                    Some(seen_at) => (seen_at, after),
                    None => return Ok(NotFound::User.err()?),
                },
                None => BOTTOM,
            };
            let rows: Vec<SeenRow> = diesel::sql_query(SEEN_BY)
                .bind::<SqlId, _>(conversation.id)
                .bind::<BigInt, _>(message.seq)
                .bind::<SqlId, _>(Id::from(message.sender.id))
                .bind::<SqlTime, _>(behind.0)
                .bind::<SqlId, _>(behind.1)
                .bind::<BigInt, _>(limit.get() as i64 + 1)
                .load(conn)?;
            let page = Page::from_surplus(rows, limit);
            let receipts = page.items.into_iter().map(|row| {
                let user = ProfileRow {
                    id: row.id,
                    username: row.username,
                    display_name: row.display_name,
                    role: String::new(),
                    deleted_at: None,
                };
                Receipt { user: row.id.into(), username: user.profile().username, seen_at: row.seen_at.into() }
            });
            Ok(Page { items: receipts.collect(), more: page.more })
        })
        .await
    }

    async fn unseen(&self, user: UserId) -> Result<Unseen> {
        let me = Id::from(user);
        let rows: Vec<UnseenRow> =
            self.read(move |conn| Ok(diesel::sql_query(UNSEEN).bind::<SqlId, _>(me).load(conn)?)).await?;
        let mut raised: Vec<(Id, i64)> =
            rows.iter().filter_map(|row| row.raised().map(|to| (row.conversation_id, to))).collect();
        if !raised.is_empty() {
            // In the order of all who change several of one's rows, a few at a time.
            raised.sort_unstable();
            for raised in raised.chunks(WATERMARKS_AT_ONCE).map(<[_]>::to_vec) {
                self.write_later(user.0, move |tx| {
                    raised.iter().try_for_each(|(of, to)| set_watermark(tx.conn, *of, me, *to))
                });
            }
        }
        let mut unseen = Unseen::default();
        for row in rows.into_iter().filter(|row| row.unseen > 0) {
            match (row.kind.as_str(), row.other_id, row.other_name) {
                ("direct", Some(other), Some(name)) => {
                    let shown =
                        if row.other_deleted_at.is_some() { domain::users::DELETED_USER.to_owned() } else { name };
                    unseen.direct.push((other.into(), shown, count(row.unseen)));
                }
                _ => {
                    let group = domain::GroupId(row.conversation_id.0);
                    unseen.groups.push((group, row.name.unwrap_or_default(), count(row.unseen)));
                }
            }
        }
        Ok(unseen)
    }
}
