//! Removing the memberships that accounts and groups leave behind when they end, a few at a time.

use crate::Store;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::queries::{find_group, lock_conversation};
use crate::tables::schema::{conversations, endings};
use crate::tables::sql_types::Id;
use crate::transaction::membership::{any_member, delete_member, end_group, next_owner_of, set_role};
use crate::transaction::pending_endings::{ACCOUNT, forget, groups_of, remove_members};
use crate::transaction::tx::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::endings::{Ended, EndingRepository};
use domain::groups::Role;
use domain::{GroupId, Result, Timestamp, UserId};
use futures_util::future::try_join_all;

/// Groups that an account leaves in one step, each in a separate transaction or savepoint.
const GROUPS_AT_ONCE: i64 = 20;
/// Ended accounts and groups that one read returns.
const ENDINGS_AT_ONCE: i64 = 100;

/// Removes a part of the memberships of an ended group. Returns whether there may be more.
fn tidy_group(tx: &mut Tx<'_>, group: GroupId) -> DbResult<bool> {
    let id = Id::from(group);
    if let AnyConnection::Postgres(conn) = tx.conn {
        // One node at a time does this.
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

/// Removes an ended account from a group, which passes to the next owner or ends.
fn remove_departing_user(tx: &mut Tx<'_>, user: UserId, group: GroupId, at: Timestamp) -> DbResult<()> {
    let Some(row) = lock_conversation(tx.conn, group.conversation())? else { return Ok(()) };
    tx.record_version(&row);
    let Some(member) = any_member(tx.conn, group, user)? else { return Ok(()) };
    if member.role == Role::Owner {
        match next_owner_of(tx.conn, group, user)? {
            Some(next_owner) => drop(set_role(tx, next_owner, Role::Owner, at)?),
            None => {
                return match find_group(tx.conn, group)? {
                    Some(whole) => end_group(tx, whole, at),
                    None => Ok(()),
                };
            }
        }
    }
    delete_member(tx, member)
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
                    // Nobody can add a deleted user to a group: there is nothing more to do.
                    self.write(user.0, move |tx| forget(tx.conn, user.into())).await?;
                    return Ok(false);
                }
                // Each goes through the writer of its group.
                let leave =
                    |group: Id| self.write(group.0, move |tx| remove_departing_user(tx, user, group.into(), at));
                try_join_all(groups.into_iter().map(leave)).await?;
                Ok(true)
            }
        }
    }
}
