//! What counts against the quotas of groups: asked inside the transaction that acts, with the counted users locked, so that of
//! several at once none is let in beyond them.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::rows::count;
use crate::sql_types::{Id, SqlId};
use crate::users::lock_users;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::UserId;
use domain::groups::{AddedSoFar, GroupQuotas};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Each counts as far as its quota reaches, and by an index that has nothing else in it. What ended a moment ago may count until it is
/// tidied up.
const MADE: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM conversations \
     WHERE made_by = $1 AND deleted_at IS NULL LIMIT $2) counted";
const JOINED: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM members \
     WHERE user_id = $1 AND added_by = $1 LIMIT $2) counted";
const ADDED: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM members \
     WHERE added_by = $1 AND user_id <> $1 LIMIT $2) counted";
const ADDED_OF_ONE: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM members \
     WHERE added_by = $1 AND user_id = $2 LIMIT $3) counted";
const ADDED_BY_OTHERS: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM members \
     WHERE user_id = $1 AND added_by IS NOT NULL AND added_by <> $1 LIMIT $2) counted";

fn up_to(most: u64) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn counted(conn: &mut AnyConnection, query: &str, user: UserId, most: u64) -> DbResult<u64> {
    let query = diesel::sql_query(query).bind::<SqlId, _>(Id::from(user)).bind::<BigInt, _>(up_to(most));
    Ok(count(query.get_result::<Count>(conn)?.n))
}

/// Whether the user, who is locked here, may make a further group.
pub fn may_make(conn: &mut AnyConnection, quotas: &GroupQuotas, user: UserId) -> DbResult<()> {
    lock_users(conn, &[user])?;
    let made = counted(conn, MADE, user, quotas.made)?;
    let joined = counted(conn, JOINED, user, quotas.joined)?;
    Ok(quotas.may_make(made, joined)?)
}

/// Whether the user, who is locked here, may join a further group.
pub fn may_join(conn: &mut AnyConnection, quotas: &GroupQuotas, user: UserId) -> DbResult<()> {
    lock_users(conn, &[user])?;
    let joined = counted(conn, JOINED, user, quotas.joined)?;
    Ok(quotas.may_join(joined)?)
}

/// Whether `actor` may add `target`; both are locked.
pub fn may_add(conn: &mut AnyConnection, quotas: &GroupQuotas, actor: UserId, target: UserId) -> DbResult<()> {
    let of_one = diesel::sql_query(ADDED_OF_ONE)
        .bind::<SqlId, _>(Id::from(actor))
        .bind::<SqlId, _>(Id::from(target))
        .bind::<BigInt, _>(up_to(quotas.added_of_one));
    let so_far = AddedSoFar {
        by_actor: counted(conn, ADDED, actor, quotas.added)?,
        of_target_by_actor: count(of_one.get_result::<Count>(conn)?.n),
        of_target: counted(conn, ADDED_BY_OTHERS, target, quotas.joined)?,
    };
    Ok(quotas.may_be_added(so_far)?)
}
