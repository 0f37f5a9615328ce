//! Who is in which group.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::endings::group_ended;
use crate::repositories::users::{find_living, lock_users};
use crate::tables::rows::{
    ConversationRow, MemberRow, ProfileRow, find_access, find_group, find_profile, find_role, lock_conversation,
};
use crate::tables::schema::{conversations, members, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::quotas;
use crate::writer::Tx;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Event;
use domain::files::Growth;
use domain::groups::{Admission, Departure, Group, Member, MemberRepository, NewMember, Role, heir};
use domain::{GroupId, Limit, NotFound, Page, Result, Timestamp, Unauthenticated, UserId};

/// A row of `members` to be.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = members)]
pub struct NewMemberRow {
    pub conversation_id: Id,
    pub user_id: Id,
    pub role: &'static str,
    pub read_up_to: i64,
    pub joined_at: Time,
    pub updated_at: Time,
    /// Of the transaction: where a group without a message stands in one's list of conversations.
    pub joined_revision: i64,
    /// Of a group: who takes the member in, possibly oneself.
    pub added_by: Option<Id>,
}

/// Stores a member's row, nothing else.
pub fn insert_member(conn: &mut AnyConnection, member: &NewMemberRow) -> DbResult<()> {
    diesel::insert_into(members::table).values(member.clone()).execute(conn)?;
    Ok(())
}

/// Takes somebody who is not in it, and is locked ([`lock_users`]), into a live group; `by` whom, possibly oneself. Everything up
/// to the number `read_up_to` counts as seen. `revision` is the transaction's, and `mark` what it marks changes of the group's
/// members with ([`Tx::roster_mark`]).
pub fn admit(
    conn: &mut AnyConnection,
    new: NewMember,
    by: UserId,
    user: ProfileRow,
    read_up_to: i64,
    (revision, mark): (i64, i64),
    at: Timestamp,
) -> DbResult<Member> {
    let at_row = Time::from(at);
    let row = NewMemberRow {
        conversation_id: new.group.into(),
        user_id: new.user.into(),
        role: new.role().as_str(),
        read_up_to,
        joined_at: at_row,
        updated_at: at_row,
        joined_revision: revision,
        added_by: Some(by.into()),
    };
    insert_member(conn, &row)?;
    roster_changed(conn, new.group, 1, mark)?;
    Ok(Member {
        group: new.group,
        user: new.user,
        username: user.profile().username,
        role: new.role(),
        created_at: at,
        updated_at: at,
    })
}

/// Takes note that the group's members changed, and that there are `more` of them.
fn roster_changed(conn: &mut AnyConnection, group: GroupId, more: i64, mark: i64) -> DbResult<()> {
    diesel::update(conversations::table.find(Id::from(group)))
        .set((
            conversations::member_count.eq(conversations::member_count + more),
            conversations::roster_revision.eq(mark),
        ))
        .execute(conn)?;
    Ok(())
}

/// The member, if in the group: whose account has ended is in none.
pub fn find_member(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Option<Member>> {
    match find_living(conn, user)? {
        Some(_) => any_member(conn, group, user),
        None => Ok(None),
    }
}

/// The oldest of the living others in each role: who may inherit is among them, however large the group.
fn oldest_others(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Vec<Member>> {
    let mut oldest = Vec::new();
    for role in [Role::Admin, Role::Member] {
        let found: Option<(MemberRow, ProfileRow)> = members::table
            .inner_join(users::table)
            .filter(members::conversation_id.eq(Id::from(group)).and(members::user_id.ne(Id::from(user))))
            // Said, so that the index serves.
            .filter(members::role.eq(role.as_str()).and(members::added_by.is_not_null()))
            .filter(users::deleted_at.is_null())
            .order((members::joined_at, members::user_id))
            .select((MemberRow::as_select(), ProfileRow::as_select()))
            .first(conn)
            .optional()?;
        oldest.extend(found.map(|(member, user)| member.into_member(&user)).transpose()?);
    }
    Ok(oldest)
}

/// Who inherits the group if the user goes, whose it is.
pub fn heir_of(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Option<Member>> {
    Ok(heir(&oldest_others(conn, group, user)?).cloned())
}

/// The member by the table, also one whose account has ended and who was not taken out yet.
pub fn any_member(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Option<Member>> {
    let found: Option<(MemberRow, ProfileRow)> = members::table
        .inner_join(users::table)
        .filter(members::conversation_id.eq(Id::from(group)).and(members::user_id.eq(Id::from(user))))
        .select((MemberRow::as_select(), ProfileRow::as_select()))
        .first(conn)
        .optional()?;
    Ok(found.map(|(member, user)| member.into_member(&user)).transpose()?)
}

/// Gives a member another role. What is returned is the member as it is then.
pub fn set_role(tx: &mut Tx<'_>, member: Member, role: Role, at: Timestamp) -> DbResult<Member> {
    diesel::update(members::table.find((Id::from(member.group), Id::from(member.user))))
        .set((members::role.eq(role.as_str()), members::updated_at.eq(Time::from(at))))
        .execute(tx.conn)?;
    let mark = tx.roster_mark(member.group.conversation());
    roster_changed(tx.conn, member.group, 0, mark)?;
    if role == Role::Owner {
        // Not made by who owns it now: counts against nobody's quota.
        no_longer_made(tx, member.group)?;
    }
    let member = Member { role, updated_at: at, ..member };
    tx.events.push(Event::MemberUpdated(member.clone()));
    Ok(member)
}

/// Takes note that a group no longer counts as made by anybody.
fn no_longer_made(tx: &mut Tx<'_>, group: GroupId) -> DbResult<()> {
    let group = conversations::table.find(Id::from(group));
    let by = group.select(conversations::made_by).first::<Option<Id>>(tx.conn)?;
    if by.is_some() {
        diesel::update(group).set(conversations::made_by.eq(None::<Id>)).execute(tx.conn)?;
        tx.counts.made(by, -1);
    }
    Ok(())
}

/// Takes a member out of a group that goes on, and takes note of it for when the member's live connections resume.
pub fn dismiss(tx: &mut Tx<'_>, member: Member) -> DbResult<()> {
    let gone = users::table.find(Id::from(member.user));
    diesel::update(gone).set(users::roster_revision.eq(tx.revision)).execute(tx.conn)?;
    take_out(tx, member)
}

/// Takes a member out of a group that goes on.
pub fn take_out(tx: &mut Tx<'_>, member: Member) -> DbResult<()> {
    let (group, user) = (Id::from(member.group), Id::from(member.user));
    let by = quotas::added_by(tx.conn, group, user)?;
    let gone = diesel::delete(members::table.find((group, user))).execute(tx.conn)?;
    tx.counts.members(user, by, -i64::try_from(gone).unwrap_or_default());
    let mark = tx.roster_mark(member.group.conversation());
    roster_changed(tx.conn, member.group, -1, mark)?;
    tx.events.push(Event::MemberRemoved(member));
    Ok(())
}

/// Ends a group: gone for everybody, its name free. Its messages stay in the database, out of everybody's reach; so do, for a
/// while, the rows of its members where they are many.
pub fn end_group(tx: &mut Tx<'_>, group: Group, at: Timestamp) -> DbResult<()> {
    no_longer_made(tx, group.id)?;
    let mark = tx.roster_mark(group.id.conversation());
    diesel::update(conversations::table.find(Id::from(group.id)))
        .set((
            conversations::deleted_at.eq(Time::from(at)),
            conversations::member_count.eq(0),
            conversations::roster_revision.eq(mark),
        ))
        .execute(tx.conn)?;
    group_ended(tx, group.id)?;
    tx.events.push(Event::GroupDeleted(group));
    Ok(())
}

/// The live group, locked against other changes of it and its members.
pub fn lock_group(tx: &mut Tx<'_>, group: GroupId) -> DbResult<ConversationRow> {
    match lock_conversation(tx.conn, group.conversation())? {
        Some(row) if row.kind == "group" => {
            tx.hold(&row);
            Ok(row)
        }
        _ => Ok(NotFound::Group.err()?),
    }
}

#[async_trait]
impl MemberRepository for Store {
    async fn add(&self, actor: UserId, new: NewMember, at: Timestamp) -> Result<Member> {
        let policy = self.policy();
        self.write(new.group.0, move |tx| {
            let group = lock_group(tx, new.group)?;
            let standing = group.standing(find_role(tx.conn, new.group.conversation(), actor)?)?;
            standing.may_read()?;
            lock_users(tx.conn, &[actor, new.user])?;
            let Some(user) = find_living(tx.conn, new.user)? else {
                // Deleted since the token was looked at, if it is the caller.
                let gone = if new.user == actor { Unauthenticated::InvalidToken.err() } else { NotFound::User.err() };
                return Ok(gone?);
            };
            let present = find_member(tx.conn, new.group, new.user)?;
            match (standing.may_add(actor, &new, present.as_ref().map(|member| member.role))?, present) {
                (Admission::Unchanged, Some(member)) => Ok(member),
                (Admission::Joins(_), _) | (Admission::Unchanged, None) => {
                    if actor == new.user {
                        quotas::may_join(tx.conn, tx.counts, &policy.groups, actor)?;
                    } else {
                        quotas::may_add(tx.conn, tx.counts, &policy.groups, actor, new.user)?;
                    }
                    tx.grow(Growth::Membership)?;
                    let mark = tx.roster_mark(new.group.conversation());
                    tx.counts.members(new.user.into(), Some(actor.into()), 1);
                    let member = admit(tx.conn, new, actor, user, group.update, (tx.revision, mark), at)?;
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
            let standing = row.standing(acting.as_ref().map(|member| member.role))?;
            standing.may_read()?;
            let Some(member) = find_member(tx.conn, group, target)? else { return Ok(NotFound::Member.err()?) };
            standing.may_change_role(actor, target)?;
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
            let standing = row.standing(find_role(tx.conn, group.conversation(), actor)?)?;
            standing.may_read()?;
            let Some(member) = find_member(tx.conn, group, target)? else { return Ok(NotFound::Member.err()?) };
            let Some(whole) = find_group(tx.conn, group)? else { return Ok(NotFound::Group.err()?) };
            // Those whose account has ended may be counted for a moment longer.
            let alone = member.role == Role::Owner && heir_of(tx.conn, group, target)?.is_none();
            match standing.may_remove(actor, target, member.role, if alone { 1 } else { whole.member_count })? {
                Departure::Leaves => dismiss(tx, member),
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
