//! Followers: the log in the order of commits, and how far each follower has come.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::parts::load_messages;
use crate::tables::queries::{FullMessage, full_messages};
use crate::tables::rows::ConversationRow;
use crate::tables::schema::{conversations, files, followers, messages, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Revision;
use domain::followers::{Batch, FollowerLog, FollowerName, Lease};
use domain::messages::ChangeEntry;
use domain::{Result, Timestamp};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Changes of a batch. A transaction with more of them is one batch.
const BATCH: usize = 500;

/// The position of a follower, if it has one.
pub fn position(conn: &mut AnyConnection, follower: FollowerName) -> DbResult<Option<Revision>> {
    let found = followers::table.find(follower.as_str()).select(followers::revision);
    Ok(found.first::<i64>(conn).optional()?.map(Revision))
}

fn begin(tx: &mut Tx<'_>, follower: FollowerName, at: Revision) -> DbResult<Revision> {
    let row = (followers::name.eq(follower.as_str()), followers::revision.eq(at.0));
    // Another node may have begun.
    per_backend!(tx.conn, |conn| diesel::insert_into(followers::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(position(tx.conn, follower)?.unwrap_or(at))
}

/// The changed messages in the order of commits, and whether there are more.
fn changed(conn: &mut AnyConnection, from: Revision, safe: Revision) -> DbResult<(Vec<FullMessage>, bool)> {
    let waiting = messages::revision.ge(from.0).and(messages::revision.lt(safe.0));
    let waiting = full_messages!().filter(waiting).order(messages::revision.asc()).limit(BATCH as i64);
    let mut found: Vec<FullMessage> = waiting.load(conn)?;
    let more = found.len() == BATCH;
    if more && let Some(last) = found.last().map(|(row, ..)| row.revision) {
        // The position stands between transactions: the last one comes whole.
        found.retain(|(row, ..)| row.revision < last);
        if found.is_empty() {
            found = full_messages!().filter(messages::revision.eq(last)).load(conn)?;
        }
    }
    Ok((found, more))
}

fn changes(conn: &mut AnyConnection, from: Revision, safe: Revision) -> DbResult<Batch> {
    let (found, more) = changed(conn, from, safe)?;
    let to = match found.last() {
        Some((last, ..)) if more => Revision(last.revision + 1),
        _ => safe.max(from),
    };
    let ids: HashSet<Id> = found.iter().map(|(row, ..)| row.conversation_id).collect();
    let rows = conversations::table.filter(conversations::id.eq_any(ids));
    let rows: Vec<ConversationRow> = per_backend!(conn, |conn| rows.select(ConversationRow::as_select()).load(conn))?;
    let rows: HashMap<Id, ConversationRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    // By place in the log: a conversation's changes in the order of its numbers.
    let mut changes = Vec::with_capacity(found.len());
    let mut live = Vec::with_capacity(found.len());
    for full in found {
        match full.0.tombstone() {
            Some(tombstone) => changes.push((full.0.revision, ChangeEntry::Deleted(tombstone))),
            None => live.extend(rows.get(&full.0.conversation_id).map(|of| (of, full))),
        }
    }
    let revisions: Vec<i64> = live.iter().map(|(_, full)| full.0.revision).collect();
    let messages = load_messages(conn, None, live)?;
    let messages = messages.into_iter().map(|message| ChangeEntry::Message(Box::new(message)));
    changes.extend(revisions.into_iter().zip(messages));
    changes.sort_by_key(|(revision, change)| (*revision, change.update()));
    Ok(Batch { changes: changes.into_iter().map(|(_, change)| change).collect(), to, more })
}

fn lead(tx: &mut Tx<'_>, lease: Lease, now: Timestamp) -> DbResult<bool> {
    let free = followers::leader.is_null().or(followers::leader.eq(Id(lease.leader)));
    let free = free.or(followers::lapses_at.is_null()).or(followers::lapses_at.le(Time::from(now)));
    let row = followers::table.filter(followers::name.eq(lease.follower.as_str()));
    let taken = (followers::leader.eq(Id(lease.leader)), followers::lapses_at.eq(Time::from(lease.lapses_at)));
    let led = diesel::update(row.filter(free)).set(taken).execute(tx.conn)?;
    Ok(led > 0)
}

fn advance(tx: &mut Tx<'_>, lease: Lease, to: Revision) -> DbResult<bool> {
    let mine = followers::name.eq(lease.follower.as_str()).and(followers::leader.eq(Id(lease.leader)));
    let forward = followers::table.filter(mine).filter(followers::revision.le(to.0));
    let moved = (followers::revision.eq(to.0), followers::lapses_at.eq(Time::from(lease.lapses_at)));
    Ok(diesel::update(forward).set(moved).execute(tx.conn)? > 0)
}

#[async_trait]
impl FollowerLog for Store {
    async fn position(&self, follower: FollowerName) -> Result<Revision> {
        let found = self.snapshot_with_watermarks(None, move |conn, (safe, _)| Ok((position(conn, follower)?, safe)));
        match found.await? {
            (Some(position), _) => Ok(position),
            (None, safe) => self.write(Uuid::nil(), move |tx| begin(tx, follower, safe)).await,
        }
    }

    async fn changes(&self, from: Revision) -> Result<Batch> {
        self.snapshot_with_watermarks(None, move |conn, (safe, _)| changes(conn, from, safe)).await
    }

    async fn lead(&self, lease: Lease, now: Timestamp) -> Result<bool> {
        self.write(Uuid::nil(), move |tx| lead(tx, lease, now)).await
    }

    async fn advance(&self, lease: Lease, to: Revision) -> Result<bool> {
        self.write(Uuid::nil(), move |tx| advance(tx, lease, to)).await
    }
}
