//! Look-ups and locks that several repositories and the writer use.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::columns::ColumnsOf;
use crate::tables::rows::{ConversationRow, FileRow, GroupRow, MessageRow, ProfileRow, role, user_role};
use crate::tables::schema::{conversations, files, members, messages, users};
use crate::tables::sql_types::Id;
use diesel::prelude::*;
use diesel::sql_types::Nullable;
use domain::groups::{Group, Role};
use domain::messages::Access;
use domain::users::{ServerPolicy, Username};
use domain::{ConversationId, GroupId, MessageId, Unauthenticated, UserId};

/// A message with what it refers to once: its sender and its file.
pub type FullMessage = (MessageRow, ProfileRow, Option<FileRow>);

/// The columns of [`FullMessage`], for statements that are written as text.
pub type FullColumns = (ColumnsOf<MessageRow>, ColumnsOf<ProfileRow>, Nullable<ColumnsOf<FileRow>>);

/// Every query of messages begins with this: the rows of [`FullMessage`].
macro_rules! full_messages {
    () => {
        messages::table.inner_join(users::table).left_join(files::table).select((
            $crate::tables::rows::MessageRow::as_select(),
            $crate::tables::rows::ProfileRow::as_select(),
            Option::<$crate::tables::rows::FileRow>::as_select(),
        ))
    };
}
pub(crate) use full_messages;

/// The conversation, unless it is deleted.
pub fn find_conversation(conn: &mut AnyConnection, id: ConversationId) -> DbResult<Option<ConversationRow>> {
    let live = conversations::table.find(Id::from(id)).filter(conversations::deleted_at.is_null());
    Ok(per_backend!(conn, |conn| live.select(ConversationRow::as_select()).first(conn)).optional()?)
}

/// Like [`find_conversation`], and locks the conversation: no other transaction changes its counter or members until
/// this one ends. On SQLite the transaction has the one write lock already.
pub fn lock_conversation(conn: &mut AnyConnection, id: ConversationId) -> DbResult<Option<ConversationRow>> {
    if let AnyConnection::Postgres(conn) = conn {
        let locked = conversations::table.find(Id::from(id)).select(conversations::id).for_update();
        locked.first::<Id>(conn).optional()?;
    }
    find_conversation(conn, id)
}

/// The user's role in the conversation. `None` for a user who is no member.
pub fn find_role(conn: &mut AnyConnection, conversation: ConversationId, user: UserId) -> DbResult<Option<Role>> {
    let member = members::table.find((Id::from(conversation), Id::from(user))).select(members::role);
    let found: Option<String> = per_backend!(conn, |conn| member.first(conn)).optional()?;
    Ok(found.as_deref().map(role).transpose()?)
}

/// The conversation and the user's access to it.
pub fn find_access(
    conn: &mut AnyConnection,
    id: ConversationId,
    user: UserId,
) -> DbResult<Option<(ConversationRow, Access)>> {
    let Some(conversation) = find_conversation(conn, id)? else { return Ok(None) };
    let role = find_role(conn, id, user)?;
    let access = conversation.access(user, role)?;
    Ok(Some((conversation, access)))
}

/// The message of that id with its sender and file, deleted or not.
pub fn find_message(conn: &mut AnyConnection, id: MessageId) -> DbResult<Option<FullMessage>> {
    Ok(full_messages!().filter(messages::id.eq(Id::from(id))).first(conn).optional()?)
}

/// The names of the user, deleted or not.
pub fn find_profile(conn: &mut AnyConnection, id: UserId) -> DbResult<Option<ProfileRow>> {
    let user = users::table.find(Id::from(id));
    Ok(per_backend!(conn, |conn| user.select(ProfileRow::as_select()).first(conn)).optional()?)
}

/// Whether the user may broadcast, as the outcome of the rule.
pub fn may_broadcast(conn: &mut AnyConnection, policy: &ServerPolicy, user: UserId) -> DbResult<domain::Result<()>> {
    let Some(row) = find_profile(conn, user)? else { return Ok(Unauthenticated::InvalidToken.err()) };
    let role = user_role(&row.role)?;
    Ok(policy.may_broadcast(&Username::from_stored(row.username), role))
}

/// The ordered pair by which a direct conversation is found.
pub fn pair(one: UserId, other: UserId) -> (Id, Id) {
    (Id(one.0.min(other.0)), Id(one.0.max(other.0)))
}

/// The direct conversation of the two users, if they have one.
pub fn find_direct(conn: &mut AnyConnection, one: UserId, other: UserId) -> DbResult<Option<ConversationRow>> {
    let (first, second) = pair(one, other);
    let direct =
        conversations::table.filter(conversations::first_user.eq(first).and(conversations::second_user.eq(second)));
    Ok(per_backend!(conn, |conn| direct.select(ConversationRow::as_select()).first(conn)).optional()?)
}

/// Like [`find_direct`], with the conversation locked as by [`lock_conversation`].
pub fn lock_direct(conn: &mut AnyConnection, one: UserId, other: UserId) -> DbResult<Option<ConversationRow>> {
    match find_direct(conn, one, other)? {
        // What the transaction read before it had the lock may be outdated.
        Some(row) if matches!(conn, AnyConnection::Postgres(_)) => lock_conversation(conn, row.id.into()),
        found => Ok(found),
    }
}

/// The group of that id, unless it is deleted.
pub fn find_group(conn: &mut AnyConnection, id: GroupId) -> DbResult<Option<Group>> {
    let found: Option<GroupRow> = conversations::table
        .find(Id::from(id))
        .filter(conversations::kind.eq("group").and(conversations::deleted_at.is_null()))
        .select(GroupRow::as_select())
        .first(conn)
        .optional()?;
    Ok(found.map(GroupRow::into_group).transpose()?)
}
