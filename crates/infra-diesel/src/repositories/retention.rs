//! Deleting old messages, a few at a time.
//!
//! `conversations.expired_up_to` stores how far retention has come: every message up to it is deleted. So neither
//! retention nor a page scans those tombstones again.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::messages::{shard_of_pair, tombstone_messages};
use crate::tables::rows::{ConversationRow, MessageRow};
use crate::tables::schema::{conversations, files, messages};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use crate::transaction::file_usage::{lock_usage, subtract_usage};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use domain::retention::{Due, RetentionRepository};
use domain::{ConversationId, FileId, Result, Timestamp};
use uuid::Uuid;

/// Messages that one transaction deletes. A sender may have to wait for it.
const MESSAGES_AT_ONCE: usize = 50;
/// Files that one transaction withdraws.
const FILES_AT_ONCE: i64 = 50;
/// Tombstones that lose their file in one transaction.
const TOMBSTONES_AT_ONCE: i64 = 200;
/// Conversations that one read looks at.
const CONVERSATIONS_AT_ONCE: i64 = 500;

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = SqlId)]
    id: Id,
    #[diesel(sql_type = Bool)]
    due: bool,
}

/// The next conversations, and whether one of the first few messages behind `expired_up_to` is too old. The first alone
/// does not tell: a wrong clock may have dated it into the future.
const DUE: &str = "
SELECT c.id, EXISTS (
    SELECT 1 FROM (
        SELECT m.created_at FROM messages m
        WHERE m.conversation_id = c.id AND m.seq > c.expired_up_to AND m.deleted_at IS NULL
        ORDER BY m.seq LIMIT 20
    ) oldest WHERE oldest.created_at < $1
) AS due
FROM conversations c WHERE c.id > $2 AND c.last_seq > c.expired_up_to
ORDER BY c.id LIMIT $3";

fn due(conn: &mut AnyConnection, cutoff: Timestamp, after: Option<ConversationId>) -> DbResult<Due> {
    let rows: Vec<DueRow> = diesel::sql_query(DUE)
        .bind::<SqlTime, _>(Time::from(cutoff))
        .bind::<SqlId, _>(after.map_or(Id(Uuid::nil()), Id::from))
        .bind::<BigInt, _>(CONVERSATIONS_AT_ONCE)
        .load(conn)?;
    let whole = rows.len() as i64 == CONVERSATIONS_AT_ONCE;
    let next = rows.last().filter(|_| whole).map(|row| row.id.into());
    let conversations = rows.into_iter().filter(|row| row.due).map(|row| row.id.into()).collect();
    Ok(Due { conversations, next })
}

/// The conversation, deleted or not, locked until the transaction ends.
fn lock(conn: &mut AnyConnection, id: Id) -> DbResult<Option<ConversationRow>> {
    if let AnyConnection::Postgres(conn) = conn {
        conversations::table.find(id).select(conversations::id).for_update().first::<Id>(conn).optional()?;
    }
    Ok(conversations::table.find(id).select(ConversationRow::as_select()).first(conn).optional()?)
}

fn expire(tx: &mut Tx<'_>, of: Id, cutoff: Time, at: Timestamp) -> DbResult<usize> {
    let Some(conversation) = lock(tx.conn, of)? else { return Ok(0) };
    tx.record_version(&conversation);
    let oldest: Vec<MessageRow> = messages::table
        .filter(messages::conversation_id.eq(of).and(messages::seq.gt(conversation.expired_up_to)))
        .filter(messages::deleted_at.is_null())
        .order(messages::seq.asc())
        .limit(MESSAGES_AT_ONCE as i64)
        .select(MessageRow::as_select())
        .load(tx.conn)?;
    // The end of what this transaction deletes: right before the first message that stays, else the end of the scan.
    let mark = match (oldest.iter().find(|row| row.created_at >= cutoff), oldest.last()) {
        (Some(stays), _) => stays.seq - 1,
        (None, Some(last)) if oldest.len() == MESSAGES_AT_ONCE => last.seq,
        (None, _) => conversation.last_seq,
    };
    let expired: Vec<_> = oldest.into_iter().filter(|row| row.created_at < cutoff).collect();
    let count = expired.len();
    tombstone_messages(tx, conversation, expired, at)?;
    diesel::update(conversations::table.find(of)).set(conversations::expired_up_to.eq(mark)).execute(tx.conn)?;
    Ok(count)
}

/// Whether a message that is not deleted carries the file of the row.
#[diesel::dsl::auto_type]
pub fn carried() -> _ {
    let carrying = messages::table.filter(messages::file_id.eq(files::id.nullable()));
    exists(carrying.filter(messages::deleted_at.is_null()))
}

fn withdraw(tx: &mut Tx<'_>, cutoff: Time, at: Timestamp) -> DbResult<Vec<Id>> {
    let found = files::table
        .filter(files::created_at.lt(cutoff).and(not(carried())))
        .order((files::created_at, files::id))
        .limit(FILES_AT_ONCE)
        .select(files::id);
    let mut old: Vec<Id> = found.load(tx.conn)?;
    if let AnyConnection::Postgres(conn) = tx.conn {
        // A sender locks the file that it sends: after the lock either a message carries the file, or the file is
        // withdrawn.
        let held = files::table.filter(files::id.eq_any(&old)).order(files::id).select(files::id);
        held.for_update().load::<Id>(conn)?;
        old = files::table.filter(files::id.eq_any(&old).and(not(carried()))).select(files::id).load(conn)?;
    }
    for file in &old {
        let fresh = files::table.find(*file).filter(files::deleted_at.is_null());
        diesel::update(fresh).set(files::deleted_at.eq(Time::from(at))).execute(tx.conn)?;
    }
    Ok(old)
}

/// Forgets a withdrawn file, or as many of the messages that carried it as one transaction may change. Returns whether
/// it is done.
fn forget(tx: &mut Tx<'_>, file: Id) -> DbResult<bool> {
    let withdrawn = files::table.find(file).filter(files::deleted_at.is_not_null());
    let found: Option<(Id, i64)> = withdrawn.select((files::uploader_id, files::size)).first(tx.conn).optional()?;
    let Some((uploader, size)) = found else { return Ok(true) };
    lock_usage(tx.conn, vec![uploader])?;
    // Only tombstones still refer to the file, and they do not show it.
    let tombstones = messages::table.filter(messages::file_id.eq(file)).limit(TOMBSTONES_AT_ONCE);
    let tombstones: Vec<Id> = tombstones.select(messages::id).load(tx.conn)?;
    let first = messages::table.filter(messages::id.eq_any(&tombstones));
    diesel::update(first).set(messages::file_id.eq(None::<Id>)).execute(tx.conn)?;
    if tombstones.len() as i64 == TOMBSTONES_AT_ONCE {
        return Ok(false);
    }
    // Another node may have forgotten it.
    if diesel::delete(files::table.find(file)).execute(tx.conn)? > 0 {
        subtract_usage(tx.conn, uploader, size)?;
    }
    Ok(true)
}

#[async_trait]
impl RetentionRepository for Store {
    async fn due(&self, cutoff: Timestamp, after: Option<ConversationId>) -> Result<Due> {
        self.read(move |conn| due(conn, cutoff, after)).await
    }

    async fn expire(&self, of: ConversationId, cutoff: Timestamp, at: Timestamp) -> Result<usize> {
        let id = Id::from(of);
        let users = self
            .read(move |conn| {
                let users =
                    conversations::table.find(id).select((conversations::first_user, conversations::second_user));
                Ok(users.first::<(Option<Id>, Option<Id>)>(conn).optional()?)
            })
            .await?;
        let shard = match users {
            Some((Some(first), Some(second))) => shard_of_pair((first, second)),
            _ => of.0,
        };
        self.write(shard, move |tx| expire(tx, id, cutoff.into(), at)).await
    }

    async fn withdraw_files(&self, cutoff: Timestamp, at: Timestamp) -> Result<Vec<FileId>> {
        let old = self.write(Uuid::nil(), move |tx| withdraw(tx, cutoff.into(), at)).await?;
        Ok(old.into_iter().map(Into::into).collect())
    }

    async fn forget_files(&self, files: Vec<FileId>) -> Result<()> {
        // Concurrently, so that they share commits.
        let forget_whole = async |file: FileId| {
            while !self.write(Uuid::nil(), move |tx| forget(tx, file.into())).await? {}
            Ok(())
        };
        futures_util::future::try_join_all(files.into_iter().map(forget_whole)).await.map(drop)
    }
}
