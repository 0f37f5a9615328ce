//! The statements of the hot path. Diesel caches no prepared statement for updates and batch inserts, so these are
//! hand-written query fragments with a static id.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::columns::{ColumnsOf, columns_of};
use crate::tables::prepared::prepared;
use crate::tables::queries::pair;
use crate::tables::rows::{ConversationRow, MessageRow, ProfileRow};
use crate::tables::schema::{conversations, messages, users};
use crate::tables::sql_types::{Id, SqlId, SqlTime, StoredDigest, Time};
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};
use diesel::sqlite::Sqlite;
use domain::ConversationId;
use domain::messages::{NewMessage, Recipient};
use std::collections::BTreeSet;

/// What a batch of drafts needs, read at once (Postgres).
#[derive(Default)]
pub struct Ahead {
    /// The conversations, locked.
    pub conversations: Vec<ConversationRow>,
    /// The senders and receivers.
    pub users: Vec<ProfileRow>,
    /// (conversation, user, role) of those of `asked_roles` that are members.
    pub roles: Vec<(Id, Id, String)>,
    /// (conversation, user) pairs that the batch has looked up.
    pub asked_roles: Vec<(Id, Id)>,
}

/// Locks the conversations of the drafts in the order of their ids: groups and the broadcast first, then direct ones by
/// pair. All writers use this order, so that they do not deadlock. Then reads who sends to whom, so that what was read
/// stays true while the locks are held.
pub fn read_ahead<'d>(conn: &mut PgConnection, drafts: impl Iterator<Item = &'d NewMessage>) -> DbResult<Ahead> {
    let (mut ids, mut pairs) = (BTreeSet::new(), BTreeSet::new());
    let (mut people, mut asked_roles) = (BTreeSet::new(), BTreeSet::new());
    for draft in drafts {
        people.insert(Id::from(draft.sender));
        match draft.recipient {
            Recipient::User(receiver) => {
                people.insert(receiver.into());
                pairs.insert(pair(draft.sender, receiver));
            }
            Recipient::Group(group) => {
                ids.insert(Id::from(group));
                asked_roles.insert((Id::from(group), Id::from(draft.sender)));
            }
            Recipient::Everybody => drop(ids.insert(ConversationId::BROADCAST.into())),
        }
    }
    let mut ahead = Ahead { asked_roles: asked_roles.into_iter().collect(), ..Ahead::default() };
    if !ids.is_empty() {
        ahead.conversations = conversations::table
            .filter(conversations::id.eq_any(ids.into_iter().collect::<Vec<_>>()))
            .order(conversations::id)
            .select(ConversationRow::as_select())
            .for_update()
            .load(conn)?;
    }
    if !pairs.is_empty() {
        let (firsts, seconds): (Vec<Id>, Vec<Id>) = pairs.into_iter().unzip();
        ahead.conversations.append(&mut LockDirects { firsts, seconds }.load(conn)?);
    }
    ahead.users = users::table
        .filter(users::id.eq_any(people.into_iter().collect::<Vec<_>>()))
        .select(ProfileRow::as_select())
        .load(conn)?;
    if !ahead.asked_roles.is_empty() {
        let (conversations, users) = ahead.asked_roles.iter().copied().unzip();
        ahead.roles = RolesOf { conversations, users }.load(conn)?;
        let inside: BTreeSet<(Id, Id)> = ahead.roles.iter().map(|(of, user, _)| (*of, *user)).collect();
        let joining = ahead.asked_roles.iter().filter(|asked| !inside.contains(asked)).map(|(_, user)| *user);
        let joining: Vec<Id> = joining.collect::<BTreeSet<_>>().into_iter().collect();
        if !joining.is_empty() {
            // A sender that joins counts against its quota. Locks all of them at once, in the order of their ids.
            let locked = users::table.filter(users::id.eq_any(joining)).order(users::id).select(users::id);
            locked.for_no_key_update().load::<Id>(conn)?;
        }
    }
    Ok(ahead)
}

/// Pair by pair: `= ANY` on both columns would find every sender's membership in every conversation of the batch. The
/// `LIMIT` keeps it one look into the index for each pair: Postgres would answer a join by a scan of the whole table
/// while the table is small.
#[derive(QueryId)]
struct RolesOf {
    conversations: Vec<Id>,
    users: Vec<Id>,
}

impl QueryFragment<Pg> for RolesOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT asked.conversation_id, asked.user_id, m.role FROM unnest(");
        out.push_bind_param::<Array<SqlId>, _>(&self.conversations)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlId>, _>(&self.users)?;
        out.push_sql(
            ") AS asked(conversation_id, user_id) CROSS JOIN LATERAL (SELECT role FROM members \
             WHERE conversation_id = asked.conversation_id AND user_id = asked.user_id LIMIT 1) m",
        );
        Ok(())
    }
}

impl diesel::query_builder::Query for RolesOf {
    type SqlType = (SqlId, SqlId, Text);
}
impl RunQueryDsl<PgConnection> for RolesOf {}

#[derive(QueryId)]
struct LockDirects {
    firsts: Vec<Id>,
    seconds: Vec<Id>,
}

impl QueryFragment<Pg> for LockDirects {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(concat!("SELECT ", columns_of!(ConversationRow, "c"), " FROM unnest("));
        out.push_bind_param::<Array<SqlId>, _>(&self.firsts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlId>, _>(&self.seconds)?;
        out.push_sql(
            ") AS asked(first_user, second_user) JOIN conversations c ON c.first_user = asked.first_user \
             AND c.second_user = asked.second_user ORDER BY c.id FOR UPDATE OF c",
        );
        Ok(())
    }
}

impl diesel::query_builder::Query for LockDirects {
    type SqlType = ColumnsOf<ConversationRow>;
}
impl RunQueryDsl<PgConnection> for LockDirects {}

prepared! {
    /// Notes that a message has replies in its thread. A test compares the bit with the row's.
    BeginThread(id: SqlId => Id) -> () = "UPDATE messages SET has = has | 2 WHERE id = $1 AND has & 2 = 0"
}

/// Notes that the message has replies in its thread.
pub fn begin_thread(conn: &mut AnyConnection, first: Id) -> DbResult<()> {
    let begin = BeginThread { id: first };
    per_backend!(conn, |conn| begin.execute(conn))?;
    Ok(())
}

/// Stores the rest of a batch: messages, and the counters that the batch counted in memory.
pub fn store(
    conn: &mut AnyConnection,
    rows: Vec<MessageRow>,
    counted: Vec<ConversationRow>,
    revision: i64,
) -> DbResult<()> {
    match conn {
        AnyConnection::Postgres(conn) if !rows.is_empty() && !counted.is_empty() => {
            Store(InsertMessages::of(rows), WriteCounters::of(counted, revision)).execute(conn)?;
            Ok(())
        }
        _ => {
            insert_messages(conn, rows)?;
            write_counters(conn, counted, revision)
        }
    }
}

/// Stores messages.
pub fn insert_messages(conn: &mut AnyConnection, rows: Vec<MessageRow>) -> DbResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    match conn {
        // One prepared statement, run repeatedly: SQLite has no round trips to save.
        AnyConnection::Sqlite(conn) => {
            for row in rows {
                diesel::insert_into(messages::table).values(row).execute(conn)?;
            }
        }
        AnyConnection::Postgres(conn) => {
            InsertMessages::of(rows).execute(conn)?;
        }
    }
    Ok(())
}

/// A batch as columns: the same statement text for any number of rows.
#[derive(QueryId, Default)]
struct InsertMessages {
    conversation_id: Vec<Id>,
    seq: Vec<i64>,
    id: Vec<Id>,
    sender_id: Vec<Id>,
    message_type: Vec<String>,
    content: Vec<String>,
    file_id: Vec<Option<Id>>,
    reply_to: Vec<Option<Id>>,
    client_id: Vec<Option<String>>,
    created_at: Vec<Time>,
    thread_id: Vec<Option<Id>>,
    forward_of: Vec<Option<Id>>,
    forwarded_from: Vec<Option<Id>>,
    forwarded_at: Vec<Option<Time>>,
    has: Vec<i64>,
    said_mentions: Vec<Option<Vec<u8>>>,
    revision: i64,
}

impl InsertMessages {
    /// New messages of one transaction: `update` is `seq`, `updated_at` is `created_at`, the rest is not set.
    fn of(rows: Vec<MessageRow>) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.conversation_id.push(row.conversation_id);
            columns.seq.push(row.seq);
            columns.id.push(row.id);
            columns.sender_id.push(row.sender_id);
            columns.message_type.push(row.message_type);
            columns.content.push(row.content);
            columns.file_id.push(row.file_id);
            columns.reply_to.push(row.reply_to);
            columns.client_id.push(row.client_id);
            columns.created_at.push(row.created_at);
            columns.thread_id.push(row.thread_id);
            columns.forward_of.push(row.forward_of);
            columns.forwarded_from.push(row.forwarded_from);
            columns.forwarded_at.push(row.forwarded_at);
            columns.has.push(row.has);
            columns.said_mentions.push(row.said_mentions);
            columns.revision = row.revision;
        }
        columns
    }
}

impl QueryFragment<Pg> for InsertMessages {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO messages (conversation_id, seq, id, sender_id, type, content, file_id, reply_to, client_id, \
             created_at, updated_at, \"update\", thread_id, forward_of, forwarded_from, forwarded_at, has, \
             said_mentions, revision) \
             SELECT conversation_id, seq, id, sender_id, type, content, file_id, reply_to, client_id, created_at, \
             created_at, seq, thread_id, forward_of, forwarded_from, forwarded_at, has, said_mentions, ",
        );
        out.push_bind_param::<BigInt, _>(&self.revision)?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<SqlId>, _>(&self.conversation_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.seq)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlId>, _>(&self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlId>, _>(&self.sender_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.message_type)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.content)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlId>>, _>(&self.file_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlId>>, _>(&self.reply_to)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.client_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlTime>, _>(&self.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlId>>, _>(&self.thread_id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlId>>, _>(&self.forward_of)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlId>>, _>(&self.forwarded_from)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlTime>>, _>(&self.forwarded_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.has)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Binary>>, _>(&self.said_mentions)?;
        out.push_sql(
            ") AS new(conversation_id, seq, id, sender_id, type, content, file_id, reply_to, client_id, created_at, \
             thread_id, forward_of, forwarded_from, forwarded_at, has, said_mentions)",
        );
        Ok(())
    }
}
impl RunQueryDsl<PgConnection> for InsertMessages {}

/// Both statements in one round trip.
#[derive(QueryId)]
struct Store(InsertMessages, WriteCounters);

impl QueryFragment<Pg> for Store {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH counted AS (");
        self.1.walk_ast(out.reborrow())?;
        out.push_sql(") ");
        self.0.walk_ast(out)
    }
}
impl RunQueryDsl<PgConnection> for Store {}

fn write_counters(conn: &mut AnyConnection, counted: Vec<ConversationRow>, revision: i64) -> DbResult<()> {
    match conn {
        AnyConnection::Sqlite(conn) => {
            for row in counted {
                WriteCounter(row, revision).execute(conn)?;
            }
        }
        AnyConnection::Postgres(_) if counted.is_empty() => {}
        AnyConnection::Postgres(conn) => {
            WriteCounters::of(counted, revision).execute(conn)?;
        }
    }
    Ok(())
}

#[derive(QueryId)]
struct WriteCounter(ConversationRow, i64);

impl QueryFragment<Sqlite> for WriteCounter {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE conversations SET \"update\" = ");
        out.push_bind_param::<BigInt, _>(&self.0.update)?;
        out.push_sql(", last_seq = ");
        out.push_bind_param::<BigInt, _>(&self.0.last_seq)?;
        out.push_sql(", active_at = ");
        out.push_bind_param::<Nullable<SqlTime>, _>(&self.0.active_at)?;
        out.push_sql(", sent_revision = ");
        out.push_bind_param::<BigInt, _>(&self.0.sent_revision)?;
        out.push_sql(", sent_nth = ");
        out.push_bind_param::<BigInt, _>(&self.0.sent_nth)?;
        out.push_sql(", digest = ");
        out.push_bind_param::<Binary, _>(&self.0.digest)?;
        out.push_sql(", message_count = ");
        out.push_bind_param::<BigInt, _>(&self.0.message_count)?;
        out.push_sql(", revision = ");
        out.push_bind_param::<BigInt, _>(&self.1)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<SqlId, _>(&self.0.id)
    }
}
impl RunQueryDsl<SqliteConnection> for WriteCounter {}

#[derive(QueryId, Default)]
struct WriteCounters {
    id: Vec<Id>,
    update: Vec<i64>,
    last_seq: Vec<i64>,
    active_at: Vec<Option<Time>>,
    sent_revision: Vec<i64>,
    sent_nth: Vec<i64>,
    digest: Vec<StoredDigest>,
    message_count: Vec<i64>,
    revision: i64,
}

impl WriteCounters {
    fn of(counted: Vec<ConversationRow>, revision: i64) -> Self {
        let mut columns = Self { revision, ..Self::default() };
        for row in counted {
            columns.id.push(row.id);
            columns.update.push(row.update);
            columns.last_seq.push(row.last_seq);
            columns.active_at.push(row.active_at);
            columns.sent_revision.push(row.sent_revision);
            columns.sent_nth.push(row.sent_nth);
            columns.digest.push(row.digest);
            columns.message_count.push(row.message_count);
        }
        columns
    }
}

impl QueryFragment<Pg> for WriteCounters {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE conversations c SET \"update\" = new.counter, last_seq = new.last_seq, active_at = new.active_at, \
             sent_revision = new.sent_revision, sent_nth = new.sent_nth, digest = new.digest, \
             message_count = new.message_count, revision = ",
        );
        out.push_bind_param::<BigInt, _>(&self.revision)?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<SqlId>, _>(&self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.update)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.last_seq)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlTime>>, _>(&self.active_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.sent_revision)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.sent_nth)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.digest)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.message_count)?;
        out.push_sql(
            ") AS new(id, counter, last_seq, active_at, sent_revision, sent_nth, digest, message_count) \
             WHERE c.id = new.id",
        );
        Ok(())
    }
}
impl RunQueryDsl<PgConnection> for WriteCounters {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_begins_with_the_bit_of_the_row() {
        let bit = MessageRow::REPLIES;
        let text: String = BeginThread::text().postgres().collect();
        assert!(text.contains(&format!("has = has | {bit} ")) && text.contains(&format!("has & {bit} = 0")), "{text}");
    }
}
