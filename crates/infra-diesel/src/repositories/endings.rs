//! Removing, a little at a time, what accounts and groups leave behind when they end.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::repositories::members::{any_member, end_group, heir_of, set_role, take_out};
use crate::repositories::users::lock_users;
use crate::tables::rows::{find_group, lock_conversation};
use crate::tables::schema::{conversations, endings, members, users};
use crate::tables::sql_types::Id;
use crate::writer::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::endings::{Ended, EndingRepository};
use domain::groups::Role;
use domain::{GroupId, Result, Timestamp, UserId};
use futures_util::future::try_join_all;

/// How many groups an account leaves at once, each in a transaction or savepoint of its own.
const GROUPS_AT_ONCE: i64 = 20;
/// How many members of a group are removed in one transaction.
const MEMBERS_AT_ONCE: i64 = 200;
/// How many endings are looked at by one read.
const ENDINGS_AT_ONCE: i64 = 100;

const ACCOUNT: &str = "account";
const GROUP: &str = "group";

#[derive(Insertable)]
#[diesel(table_name = endings)]
struct EndingRow {
    id: Id,
    kind: &'static str,
    revision: i64,
}

fn note(tx: &mut Tx<'_>, id: Id, kind: &'static str) -> DbResult<()> {
    let row = EndingRow { id, kind, revision: tx.revision };
    diesel::insert_into(endings::table).values(row).execute(tx.conn)?;
    Ok(())
}

fn forget(conn: &mut AnyConnection, id: Id) -> DbResult<()> {
    diesel::delete(endings::table.find(id)).execute(conn)?;
    Ok(())
}

/// Living groups that the user is in by the tables, the first few by id.
fn groups_of(conn: &mut AnyConnection, user: UserId, most: i64) -> DbResult<Vec<Id>> {
    Ok(members::table
        .inner_join(conversations::table)
        .filter(members::user_id.eq(Id::from(user)).and(members::added_by.is_not_null()))
        .filter(conversations::kind.eq("group").and(conversations::deleted_at.is_null()))
        .order(members::conversation_id)
        .limit(most)
        .select(members::conversation_id)
        .load(conn)?)
}

/// Takes note that an account has ended which may be in groups; it is locked.
pub fn account_ended(tx: &mut Tx<'_>, user: UserId) -> DbResult<()> {
    if groups_of(tx.conn, user, 1)?.is_empty() { Ok(()) } else { note(tx, user.into(), ACCOUNT) }
}

/// Removes the members of a group that has just ended and is locked, where they are few; else takes note of it.
pub fn group_ended(tx: &mut Tx<'_>, group: GroupId) -> DbResult<()> {
    if remove_members(tx, group, tx.revision)? { note(tx, group.into(), GROUP) } else { Ok(()) }
}

/// Removes the first members of an ended group, which is locked; says whether there may be more. `revision` is of its end: whoever
/// resumes from before it is told that one's groups changed, and nobody else.
fn remove_members(tx: &mut Tx<'_>, group: GroupId, revision: i64) -> DbResult<bool> {
    let its_members = members::table.filter(members::conversation_id.eq(Id::from(group)));
    let first = its_members.order(members::user_id).limit(MEMBERS_AT_ONCE);
    let first: Vec<(Id, Option<Id>)> = first.select((members::user_id, members::added_by)).load(tx.conn)?;
    for (user, added_by) in &first {
        tx.counts.members(*user, *added_by, -1);
    }
    let first: Vec<Id> = first.into_iter().map(|(user, _)| user).collect();
    if first.is_empty() {
        return Ok(false);
    }
    let ids: Vec<UserId> = first.iter().map(|id| (*id).into()).collect();
    lock_users(tx.conn, &ids)?;
    let told = users::table.filter(users::id.eq_any(&first).and(users::roster_revision.lt(revision)));
    diesel::update(told).set(users::roster_revision.eq(revision)).execute(tx.conn)?;
    diesel::delete(its_members.filter(members::user_id.eq_any(&first))).execute(tx.conn)?;
    Ok(first.len() as i64 == MEMBERS_AT_ONCE)
}

/// Tidies up a part of an ended group; says whether there may be more.
fn tidy_group(tx: &mut Tx<'_>, group: GroupId) -> DbResult<bool> {
    let id = Id::from(group);
    if let AnyConnection::Postgres(conn) = tx.conn {
        // One node at a time.
        conversations::table.find(id).select(conversations::id).for_update().first::<Id>(conn).optional()?;
    }
    let ending = endings::table.find(id).select(endings::revision);
    let Some(revision) = ending.first::<i64>(tx.conn).optional()? else { return Ok(false) };
    if remove_members(tx, group, revision)? {
        return Ok(true);
    }
    forget(tx.conn, id)?;
    Ok(false)
}

/// Takes an ended account out of a group, which passes to the heir or ends.
fn leave_for_good(tx: &mut Tx<'_>, user: UserId, group: GroupId, at: Timestamp) -> DbResult<()> {
    let Some(row) = lock_conversation(tx.conn, group.conversation())? else { return Ok(()) };
    tx.hold(&row);
    let Some(member) = any_member(tx.conn, group, user)? else { return Ok(()) };
    if member.role == Role::Owner {
        match heir_of(tx.conn, group, user)? {
            Some(heir) => drop(set_role(tx, heir, Role::Owner, at)?),
            None => {
                return match find_group(tx.conn, group)? {
                    Some(whole) => end_group(tx, whole, at),
                    None => Ok(()),
                };
            }
        }
    }
    take_out(tx, member)
}

#[async_trait]
impl EndingRepository for Store {
    async fn unfinished(&self) -> Result<Vec<Ended>> {
        let rows: Vec<(Id, String)> = self
            .read(move |conn| {
                let first = endings::table.order(endings::id).limit(ENDINGS_AT_ONCE);
                Ok(per_backend!(conn, |conn| first.select((endings::id, endings::kind)).load(conn))?)
            })
            .await?;
        let ended = rows.into_iter().map(|(id, kind)| match kind.as_str() {
            ACCOUNT => Ended::Account(id.into()),
            _ => Ended::Group(id.into()),
        });
        Ok(ended.collect())
    }

    async fn tidy(&self, ended: Ended, at: Timestamp) -> Result<bool> {
        match ended {
            Ended::Group(group) => self.write(group.0, move |tx| tidy_group(tx, group)).await,
            Ended::Account(user) => {
                let groups = self.read(move |conn| groups_of(conn, user, GROUPS_AT_ONCE)).await?;
                if groups.is_empty() {
                    // Nobody takes a deleted user into a group: it stays so.
                    self.write(user.0, move |tx| forget(tx.conn, user.into())).await?;
                    return Ok(false);
                }
                // Each through the writer that all of its group goes through.
                let leave = |group: Id| self.write(group.0, move |tx| leave_for_good(tx, user, group.into(), at));
                try_join_all(groups.into_iter().map(leave)).await?;
                Ok(true)
            }
        }
    }
}
