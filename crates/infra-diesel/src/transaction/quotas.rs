//! The quotas of groups. The transaction that acts checks them, and locks the counted users: concurrent transactions
//! cannot exceed a quota together.
//!
//! `group_usage` stores what a user has. Every transaction that changes it updates the count, so that a check costs the
//! same however much the user has. A transaction writes these rows last, in the order of their users
//! ([`Counts::write`]): it may change the usage of users whom it has not locked.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::prepared::prepared;
use crate::tables::rows::count;
use crate::tables::schema::{group_usage, members};
use crate::tables::sql_types::{Id, SqlId};
use crate::transaction::accounts::lock_users;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::upsert::excluded;
use domain::UserId;
use domain::groups::{AddedSoFar, GroupQuotas};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = group_usage)]
struct Usage {
    user_id: Id,
    made: i64,
    joined: i64,
    added: i64,
    added_by_others: i64,
}

impl Usage {
    fn none(user_id: Id) -> Self {
        Self { user_id, made: 0, joined: 0, added: 0, added_by_others: 0 }
    }
}

/// How a transaction changes the usage of users. It writes this before it ends.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<Id, Usage>);

impl Counts {
    fn of(&mut self, user: Id) -> &mut Usage {
        self.0.entry(user).or_insert_with(|| Usage::none(user))
    }

    /// A user made `more` groups, or has fewer.
    pub fn made(&mut self, by: Option<Id>, more: i64) {
        if let Some(by) = by {
            self.of(by).made += more;
        }
    }

    /// `added_by` gave the user `more` memberships, or fewer.
    pub fn members(&mut self, user: Id, added_by: Option<Id>, more: i64) {
        match added_by {
            Some(by) if by == user => self.of(user).joined += more,
            Some(by) => {
                self.of(by).added += more;
                self.of(user).added_by_others += more;
            }
            // A membership of a direct conversation.
            None => {}
        }
    }

    /// The usage of the user, with the changes of this transaction so far.
    fn usage(&self, conn: &mut AnyConnection, user: UserId) -> DbResult<Usage> {
        let user = Id::from(user);
        let stored = group_usage::table.find(user).select(Usage::as_select());
        let mut usage = stored.first(conn).optional()?.unwrap_or_else(|| Usage::none(user));
        if let Some(more) = self.0.get(&user) {
            usage.made += more.made;
            usage.joined += more.joined;
            usage.added += more.added;
            usage.added_by_others += more.added_by_others;
        }
        Ok(usage)
    }

    /// Writes the changes. It is the last step of a transaction.
    pub fn write(self, conn: &mut AnyConnection) -> DbResult<()> {
        let changes = (
            group_usage::made.eq(group_usage::made + excluded(group_usage::made)),
            group_usage::joined.eq(group_usage::joined + excluded(group_usage::joined)),
            group_usage::added.eq(group_usage::added + excluded(group_usage::added)),
            group_usage::added_by_others.eq(group_usage::added_by_others + excluded(group_usage::added_by_others)),
        );
        let rows: Vec<Usage> = self.0.into_values().collect();
        if rows.is_empty() {
            return Ok(());
        }
        match conn {
            AnyConnection::Sqlite(conn) => {
                for row in rows {
                    let insert = diesel::insert_into(group_usage::table).values(row);
                    insert.on_conflict(group_usage::user_id).do_update().set(changes).execute(conn)?;
                }
            }
            AnyConnection::Postgres(conn) => {
                let insert = diesel::insert_into(group_usage::table).values(rows);
                insert.on_conflict(group_usage::user_id).do_update().set(changes).execute(conn)?;
            }
        }
        Ok(())
    }
}

prepared! {
    /// Counts up to the quota, by an index that holds nothing else.
    AddedOfOne(by: SqlId => Id, user: SqlId => Id, most: BigInt => i64) -> BigInt =
        "SELECT count(*) FROM (SELECT 1 FROM members WHERE added_by = $1 AND user_id = $2 LIMIT $3) counted"
}

/// Whether the user may make a further group. Locks the user.
pub fn may_make(conn: &mut AnyConnection, counts: &Counts, quotas: &GroupQuotas, user: UserId) -> DbResult<()> {
    lock_users(conn, &[user])?;
    let usage = counts.usage(conn, user)?;
    Ok(quotas.may_make(count(usage.made), count(usage.joined))?)
}

/// Whether the user may join a further group. Locks the user.
pub fn may_join(conn: &mut AnyConnection, counts: &Counts, quotas: &GroupQuotas, user: UserId) -> DbResult<()> {
    lock_users(conn, &[user])?;
    let usage = counts.usage(conn, user)?;
    Ok(quotas.may_join(count(usage.joined))?)
}

/// Whether `actor` may add `target`; both are locked.
pub fn may_add(
    conn: &mut AnyConnection,
    counts: &Counts,
    quotas: &GroupQuotas,
    actor: UserId,
    target: UserId,
) -> DbResult<()> {
    let by_actor = count(counts.usage(conn, actor)?.added);
    let of_target = count(counts.usage(conn, target)?.added_by_others);
    // The cheap questions first.
    let so_far = AddedSoFar { by_actor, of_target_by_actor: 0, of_target };
    quotas.may_be_added(so_far)?;
    let most = i64::try_from(quotas.added_of_one).unwrap_or(i64::MAX);
    let of_one = AddedOfOne { by: actor.into(), user: target.into(), most };
    let of_target_by_actor = count(per_backend!(conn, |conn| of_one.get_result::<i64>(conn))?);
    Ok(quotas.may_be_added(AddedSoFar { of_target_by_actor, ..so_far })?)
}

/// The user who added a member, if known.
pub fn added_by(conn: &mut AnyConnection, conversation: Id, user: Id) -> DbResult<Option<Id>> {
    let found = members::table.find((conversation, user)).select(members::added_by);
    Ok(found.first::<Option<Id>>(conn).optional()?.flatten())
}
