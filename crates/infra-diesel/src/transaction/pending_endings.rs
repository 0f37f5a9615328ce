//! Accounts and groups that have ended and still have memberships.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::schema::{conversations, endings, members, users};
use crate::tables::sql_types::Id;
use crate::transaction::accounts::lock_users;
use crate::transaction::tx::Tx;
use diesel::prelude::*;
use domain::{GroupId, UserId};

/// Members of a group that one transaction removes.
const MEMBERS_AT_ONCE: i64 = 200;

pub const ACCOUNT: &str = "account";

pub const GROUP: &str = "group";

#[derive(Insertable)]
#[diesel(table_name = endings)]
struct EndingRow {
    id: Id,
    kind: &'static str,
    revision: i64,
}

fn record(tx: &mut Tx<'_>, id: Id, kind: &'static str) -> DbResult<()> {
    let row = EndingRow { id, kind, revision: tx.revision };
    diesel::insert_into(endings::table).values(row).execute(tx.conn)?;
    Ok(())
}

pub fn forget(conn: &mut AnyConnection, id: Id) -> DbResult<()> {
    diesel::delete(endings::table.find(id)).execute(conn)?;
    Ok(())
}

/// Groups that the user is in by the tables and that are not deleted, the first few by id.
pub fn groups_of(conn: &mut AnyConnection, user: UserId, most: i64) -> DbResult<Vec<Id>> {
    Ok(members::table
        .inner_join(conversations::table)
        .filter(members::user_id.eq(Id::from(user)).and(members::added_by.is_not_null()))
        .filter(conversations::kind.eq("group").and(conversations::deleted_at.is_null()))
        .order(members::conversation_id)
        .limit(most)
        .select(members::conversation_id)
        .load(conn)?)
}

/// Records that an account has ended, if it may be in groups. The caller has locked the user.
pub fn record_ended_account(tx: &mut Tx<'_>, user: UserId) -> DbResult<()> {
    if groups_of(tx.conn, user, 1)?.is_empty() { Ok(()) } else { record(tx, user.into(), ACCOUNT) }
}

/// Removes the members of a group that has just ended and is locked. If they are too many, records that some are left.
pub fn remove_memberships(tx: &mut Tx<'_>, group: GroupId) -> DbResult<()> {
    if remove_members(tx, group, tx.revision)? { record(tx, group.into(), GROUP) } else { Ok(()) }
}

/// Removes the first members of an ended group, which is locked. Returns whether there may be more. `revision` is that
/// of the end: a client that resumes from before it learns that its groups changed, and no other client does.
pub fn remove_members(tx: &mut Tx<'_>, group: GroupId, revision: i64) -> DbResult<bool> {
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
