//! Making a direct conversation, inside a transaction.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::prepared::prepared;
use crate::tables::queries::{lock_direct, pair};
use crate::tables::rows::ConversationRow;
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use crate::transaction::membership::{NewMemberRow, insert_member_row};
use diesel::prelude::*;
use domain::UserId;

prepared! {
    /// Makes a direct conversation, unless there is one.
    InsertDirect(id: SqlId => Id, first: SqlId => Id, second: SqlId => Id, at: SqlTime => Time) -> () =
        "INSERT INTO conversations (id, kind, first_user, second_user, created_at, updated_at) \
         VALUES ($1, 'direct', $2, $3, $4, $4) \
         ON CONFLICT (first_user, second_user) WHERE first_user IS NOT NULL DO NOTHING"
}

/// Which lists show a direct conversation before it has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedFor {
    /// The lists of both.
    Both,
    /// The list of the user who opened it.
    Opener,
}

/// Makes the direct conversation of two users, with both as members, unless there is one: another node may make it at
/// this moment. Returns it, locked, and whether this transaction made it.
pub fn make_direct(
    conn: &mut AnyConnection,
    id: Id,
    (opener, other): (UserId, UserId),
    listed_for: ListedFor,
    (revision, at): (i64, Time),
) -> DbResult<(ConversationRow, bool)> {
    let (first, second) = pair(opener, other);
    let insert = InsertDirect { id, first, second, at };
    let made = per_backend!(conn, |conn| insert.execute(conn))? == 1;
    let Some(row) = lock_direct(conn, opener, other)? else {
        return Ok(domain::Unavailable::Overloaded.err()?);
    };
    if made {
        for user in if first == second { vec![first] } else { vec![first, second] } {
            let is_hidden = listed_for == ListedFor::Opener && user != opener.into();
            let member = NewMemberRow {
                conversation_id: row.id,
                user_id: user,
                role: "member",
                read_up_to: 0,
                joined_seq: 0,
                joined_at: at,
                updated_at: at,
                joined_revision: revision,
                added_by: None,
                hidden: is_hidden.into(),
            };
            insert_member_row(conn, &member)?;
        }
    }
    Ok((row, made))
}
