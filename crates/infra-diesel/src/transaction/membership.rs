//! Groups and their members, inside a transaction.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::queries::lock_conversation;
use crate::tables::rows::{ConversationRow, MemberRow, ProfileRow};
use crate::tables::schema::{conversations, members, users};
use crate::tables::sql_types::{Id, Time};
use crate::transaction::accounts::find_living;
use crate::transaction::pending_endings::remove_memberships;
use crate::transaction::quotas;
use crate::transaction::tx::Tx;
use diesel::prelude::*;
use domain::events::Event;
use domain::groups::{Group, Member, NewMember, Role, next_owner};
use domain::{GroupId, NotFound, Timestamp, UserId};

/// A row of `members` to insert.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = members)]
pub struct NewMemberRow {
    pub conversation_id: Id,
    pub user_id: Id,
    pub role: &'static str,
    pub read_up_to: i64,
    /// Nothing up to this `seq` is ever unseen for the member.
    pub joined_seq: i64,
    pub joined_at: Time,
    pub updated_at: Time,
    /// The revision of the transaction. The list of conversations orders a group without messages by it.
    pub joined_revision: i64,
    /// In a group: the user who added the member, possibly the member.
    pub added_by: Option<Id>,
    /// 1: the user's list does not show the direct conversation before it has a message.
    pub hidden: i64,
}

/// Inserts a member's row, and nothing else.
pub fn insert_member_row(conn: &mut AnyConnection, member: &NewMemberRow) -> DbResult<()> {
    diesel::insert_into(members::table).values(member.clone()).execute(conn)?;
    Ok(())
}

/// Adds a user to a group that is not deleted. The caller has locked the user
/// ([`lock_users`](super::accounts::lock_users)) and checked that the user is no member. `by` is the user who adds,
/// possibly the same one. Messages up to `read_up_to` count as seen. `revision` is the transaction's, `mark` the new
/// version of the membership ([`Tx::membership_mark`]).
pub fn add_member(
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
        joined_seq: read_up_to,
        joined_at: at_row,
        updated_at: at_row,
        joined_revision: revision,
        added_by: Some(by.into()),
        hidden: 0,
    };
    insert_member_row(conn, &row)?;
    record_membership_change(conn, new.group, 1, mark)?;
    Ok(Member {
        group: new.group,
        user: new.user,
        username: user.profile().username,
        role: new.role(),
        created_at: at,
        updated_at: at,
    })
}

/// Records the new version of the group's membership, and that there are `more` members.
fn record_membership_change(conn: &mut AnyConnection, group: GroupId, more: i64, mark: i64) -> DbResult<()> {
    diesel::update(conversations::table.find(Id::from(group)))
        .set((
            conversations::member_count.eq(conversations::member_count + more),
            conversations::roster_revision.eq(mark),
        ))
        .execute(conn)?;
    Ok(())
}

/// The member of the group, unless the account has ended.
pub fn find_member(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Option<Member>> {
    match find_living(conn, user)? {
        Some(_) => any_member(conn, group, user),
        None => Ok(None),
    }
}

/// The oldest other existing member in each role. The next owner is among them, however large the group is.
fn oldest_others(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Vec<Member>> {
    let mut oldest = Vec::new();
    for role in [Role::Admin, Role::Member] {
        let found: Option<(MemberRow, ProfileRow)> = members::table
            .inner_join(users::table)
            .filter(members::conversation_id.eq(Id::from(group)).and(members::user_id.ne(Id::from(user))))
            // The condition lets the planner use the index.
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

/// The next owner of the group, after the owner `user` has left.
pub fn next_owner_of(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Option<Member>> {
    Ok(next_owner(&oldest_others(conn, group, user)?).cloned())
}

/// The member by the table. Its account may have ended.
pub fn any_member(conn: &mut AnyConnection, group: GroupId, user: UserId) -> DbResult<Option<Member>> {
    let found: Option<(MemberRow, ProfileRow)> = members::table
        .inner_join(users::table)
        .filter(members::conversation_id.eq(Id::from(group)).and(members::user_id.eq(Id::from(user))))
        .select((MemberRow::as_select(), ProfileRow::as_select()))
        .first(conn)
        .optional()?;
    Ok(found.map(|(member, user)| member.into_member(&user)).transpose()?)
}

/// Gives a member another role, and returns the member with it.
pub fn set_role(tx: &mut Tx<'_>, member: Member, role: Role, at: Timestamp) -> DbResult<Member> {
    diesel::update(members::table.find((Id::from(member.group), Id::from(member.user))))
        .set((members::role.eq(role.as_str()), members::updated_at.eq(Time::from(at))))
        .execute(tx.conn)?;
    let mark = tx.membership_mark(member.group.conversation());
    record_membership_change(tx.conn, member.group, 0, mark)?;
    if role == Role::Owner {
        // The new owner did not make the group: it counts against nobody's quota.
        forget_maker(tx, member.group)?;
    }
    let member = Member { role, updated_at: at, ..member };
    tx.events.push(Event::MemberUpdated(member.clone()));
    Ok(member)
}

/// The group no longer counts as made by anybody.
fn forget_maker(tx: &mut Tx<'_>, group: GroupId) -> DbResult<()> {
    let group = conversations::table.find(Id::from(group));
    let by = group.select(conversations::made_by).first::<Option<Id>>(tx.conn)?;
    if by.is_some() {
        diesel::update(group).set(conversations::made_by.eq(None::<Id>)).execute(tx.conn)?;
        tx.counts.made(by, -1);
    }
    Ok(())
}

/// Removes a member from a group that goes on, and records the removal for the member's live connections that resume.
pub fn remove_member(tx: &mut Tx<'_>, member: Member) -> DbResult<()> {
    let gone = users::table.find(Id::from(member.user));
    diesel::update(gone).set(users::roster_revision.eq(tx.revision)).execute(tx.conn)?;
    delete_member(tx, member)
}

/// Removes a member from a group that goes on.
pub fn delete_member(tx: &mut Tx<'_>, member: Member) -> DbResult<()> {
    let (group, user) = (Id::from(member.group), Id::from(member.user));
    let by = quotas::added_by(tx.conn, group, user)?;
    let gone = diesel::delete(members::table.find((group, user))).execute(tx.conn)?;
    tx.counts.members(user, by, -i64::try_from(gone).unwrap_or_default());
    let mark = tx.membership_mark(member.group.conversation());
    record_membership_change(tx.conn, member.group, -1, mark)?;
    tx.events.push(Event::MemberRemoved(member));
    Ok(())
}

/// Ends a group: nobody sees it any more, and its name is free. Its messages stay in the database, and no client can
/// read them. If it has many members, their rows stay for a while.
pub fn end_group(tx: &mut Tx<'_>, group: Group, at: Timestamp) -> DbResult<()> {
    forget_maker(tx, group.id)?;
    let mark = tx.membership_mark(group.id.conversation());
    diesel::update(conversations::table.find(Id::from(group.id)))
        .set((
            conversations::deleted_at.eq(Time::from(at)),
            conversations::member_count.eq(0),
            conversations::roster_revision.eq(mark),
        ))
        .execute(tx.conn)?;
    remove_memberships(tx, group.id)?;
    tx.events.push(Event::GroupDeleted(group));
    Ok(())
}

/// The live group, locked: no other transaction changes it or its members.
pub fn lock_group(tx: &mut Tx<'_>, group: GroupId) -> DbResult<ConversationRow> {
    match lock_conversation(tx.conn, group.conversation())? {
        Some(row) if row.kind == "group" => {
            tx.record_version(&row);
            Ok(row)
        }
        _ => Ok(NotFound::Group.err()?),
    }
}
