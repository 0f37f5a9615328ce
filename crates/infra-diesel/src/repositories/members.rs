//! The members of groups.

use crate::Store;
use crate::tables::queries::{find_access, find_group, find_profile, find_role};
use crate::tables::rows::{MemberRow, ProfileRow};
use crate::tables::schema::{members, users};
use crate::tables::sql_types::Id;
use crate::transaction::accounts::{find_living, lock_users};
use crate::transaction::membership::{
    add_member, end_group, find_member, lock_group, next_owner_of, remove_member, set_role,
};
use crate::transaction::quotas;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Event;
use domain::files::Growth;
use domain::groups::{Admission, Departure, Member, MemberRepository, NewMember, Role};
use domain::{GroupId, Limit, NotFound, Page, Result, Timestamp, Unauthenticated, UserId};

#[async_trait]
impl MemberRepository for Store {
    async fn add(&self, actor: UserId, new: NewMember, at: Timestamp) -> Result<Member> {
        let policy = self.policy();
        self.write(new.group.0, move |tx| {
            let group = lock_group(tx, new.group)?;
            let group_access = group.group_access(find_role(tx.conn, new.group.conversation(), actor)?)?;
            group_access.may_read()?;
            lock_users(tx.conn, &[actor, new.user])?;
            let Some(user) = find_living(tx.conn, new.user)? else {
                // Somebody may have deleted the caller since the server checked the token.
                let gone = if new.user == actor { Unauthenticated::InvalidToken.err() } else { NotFound::User.err() };
                return Ok(gone?);
            };
            let present = find_member(tx.conn, new.group, new.user)?;
            match (group_access.may_add(actor, &new, present.as_ref().map(|member| member.role))?, present) {
                (Admission::Unchanged, Some(member)) => Ok(member),
                (Admission::Joins(_), _) | (Admission::Unchanged, None) => {
                    if actor == new.user {
                        quotas::may_join(tx.conn, tx.counts, &policy.groups, actor)?;
                    } else {
                        quotas::may_add(tx.conn, tx.counts, &policy.groups, actor, new.user)?;
                    }
                    tx.grow(Growth::Membership)?;
                    let mark = tx.membership_mark(new.group.conversation());
                    tx.counts.members(new.user.into(), Some(actor.into()), 1);
                    let member = add_member(tx.conn, new, actor, user, group.update, (tx.revision, mark), at)?;
                    tx.events.push(Event::MemberAdded(member.clone()));
                    Ok(member)
                }
            }
        })
        .await
    }

    async fn change_role(
        &self,
        actor: UserId,
        group: GroupId,
        target: UserId,
        role: Role,
        at: Timestamp,
    ) -> Result<Member> {
        self.write(group.0, move |tx| {
            let row = lock_group(tx, group)?;
            let acting = find_member(tx.conn, group, actor)?;
            let group_access = row.group_access(acting.as_ref().map(|member| member.role))?;
            group_access.may_read()?;
            let Some(member) = find_member(tx.conn, group, target)? else { return Ok(NotFound::Member.err()?) };
            group_access.may_change_role(actor, target)?;
            match acting {
                // Never two owners, never none: both change in this transaction.
                Some(owner) if role == Role::Owner => {
                    set_role(tx, owner, Role::Admin, at)?;
                }
                _ => {}
            }
            if member.role == role { Ok(member) } else { set_role(tx, member, role, at) }
        })
        .await
    }

    async fn remove(&self, actor: UserId, group: GroupId, target: UserId, at: Timestamp) -> Result<()> {
        self.write(group.0, move |tx| {
            let row = lock_group(tx, group)?;
            let group_access = row.group_access(find_role(tx.conn, group.conversation(), actor)?)?;
            group_access.may_read()?;
            let Some(member) = find_member(tx.conn, group, target)? else { return Ok(NotFound::Member.err()?) };
            let Some(whole) = find_group(tx.conn, group)? else { return Ok(NotFound::Group.err()?) };
            // Members whose account has ended may be counted for a moment longer.
            let alone = member.role == Role::Owner && next_owner_of(tx.conn, group, target)?.is_none();
            match group_access.may_remove(actor, target, member.role, if alone { 1 } else { whole.member_count })? {
                Departure::Leaves => remove_member(tx, member),
                Departure::EndsGroup => end_group(tx, whole, at),
            }
        })
        .await
    }

    async fn list(&self, viewer: UserId, group: GroupId, after: Option<UserId>, limit: Limit) -> Result<Page<Member>> {
        self.snapshot_for(viewer, move |conn| {
            match find_access(conn, group.conversation(), viewer)? {
                Some((row, access)) if row.kind == "group" => access.may_read().or_else(|_| NotFound::Group.err())?,
                _ => return Ok(NotFound::Group.err()?),
            }
            let mut query = members::table
                .inner_join(users::table)
                .filter(members::conversation_id.eq(Id::from(group)).and(users::deleted_at.is_null()))
                .select((MemberRow::as_select(), ProfileRow::as_select()))
                .order(members::user_id)
                .limit(limit.get() as i64 + 1)
                .into_boxed();
            if let Some(after) = after {
                if find_profile(conn, after)?.is_none() {
                    return Ok(NotFound::User.err()?);
                }
                query = query.filter(members::user_id.gt(Id::from(after)));
            }
            let rows: Vec<(MemberRow, ProfileRow)> = query.load(conn)?;
            let members = rows.into_iter().map(|(member, user)| member.into_member(&user));
            Ok(Page::from_surplus(members.collect::<Result<_, _>>()?, limit))
        })
        .await
    }
}
