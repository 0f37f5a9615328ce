//! Accounts, inside a transaction.

use crate::connection::AnyConnection;
use crate::error::{DbError, DbResult, violates_unique};
use crate::tables::queries::find_profile;
use crate::tables::rows::{ProfileRow, UserRow};
use crate::tables::schema::users;
use crate::tables::sql_types::{Id, Time};
use diesel::prelude::*;
use domain::users::{NewUser, PasswordHash, User, UserRole};
use domain::{Conflict, UserId};

#[derive(Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
struct NewUserRow {
    id: Id,
    username: String,
    username_key: String,
    email: Option<String>,
    email_key: Option<String>,
    password_hash: Option<String>,
    role: &'static str,
    created_at: Time,
    updated_at: Time,
}

/// The stored form of a role on the server.
pub fn role_word(role: UserRole) -> &'static str {
    match role {
        UserRole::Member => "member",
        UserRole::Admin => "admin",
    }
}

/// Stores a user.
pub fn insert_user(conn: &mut AnyConnection, user: NewUser, role: UserRole) -> DbResult<UserRow> {
    let row = NewUserRow {
        id: user.id.into(),
        username_key: user.username.key(),
        username: user.username.into_string(),
        email_key: user.email.as_ref().map(|email| email.key()),
        email: user.email.map(|email| email.into_string()),
        password_hash: user.password.map(|hash| hash.0),
        role: role_word(role),
        created_at: user.at.into(),
        updated_at: user.at.into(),
    };
    // Asks first, so that a taken name is reported where name and email are both taken. The indexes decide between
    // nodes.
    let taken = users::table.filter(users::username_key.eq(&row.username_key)).select(users::id);
    if taken.first::<Id>(conn).optional()?.is_some() {
        return Ok(Conflict::UsernameTaken.err()?);
    }
    let id = row.id;
    diesel::insert_into(users::table).values(row).execute(conn).map_err(conflict)?;
    Ok(users::table.find(id).select(UserRow::as_select()).first(conn)?)
}

/// The user, deleted or not, locked: no other transaction changes the user until this one ends. On SQLite it has the
/// one write lock already.
pub fn lock_user(conn: &mut AnyConnection, id: UserId) -> DbResult<Option<User>> {
    let user = users::table.find(Id::from(id));
    if let AnyConnection::Postgres(conn) = conn {
        user.select(users::id).for_no_key_update().first::<Id>(conn).optional()?;
    }
    let found: Option<UserRow> = user.select(UserRow::as_select()).first(conn).optional()?;
    Ok(found.map(UserRow::into_user).transpose()?)
}

/// Whether the user's password has that hash, or whether the user has none if `hash` is `None`. The caller has locked
/// the user.
pub fn has_password(conn: &mut AnyConnection, id: UserId, hash: Option<&PasswordHash>) -> DbResult<bool> {
    let stored: Option<String> = users::table.find(Id::from(id)).select(users::password_hash).first(conn)?;
    Ok(stored.as_deref() == hash.map(|hash| hash.0.as_str()))
}

/// Locks users in the order of their ids: no other transaction deletes them, or counts against their quotas, until this
/// one ends. On SQLite it has the one write lock already.
pub fn lock_users(conn: &mut AnyConnection, ids: &[UserId]) -> DbResult<()> {
    if let AnyConnection::Postgres(conn) = conn {
        let ids = ids.iter().map(|id| Id::from(*id)).collect::<Vec<_>>();
        let locked = users::table.filter(users::id.eq_any(ids)).order(users::id).select(users::id);
        locked.for_no_key_update().load::<Id>(conn)?;
    }
    Ok(())
}

/// The existing user. If the user must still exist at the end of the transaction, the caller locks the user first.
pub fn find_living(conn: &mut AnyConnection, id: UserId) -> DbResult<Option<ProfileRow>> {
    Ok(find_profile(conn, id)?.filter(|user| user.deleted_at.is_none()))
}

/// The conflict that a violated index means: the email or the name is taken.
pub fn conflict(error: diesel::result::Error) -> DbError {
    if violates_unique(&error, "username_key") {
        DbError::Rule(Conflict::UsernameTaken.into())
    } else if violates_unique(&error, "email_key") {
        DbError::Rule(Conflict::EmailTaken.into())
    } else {
        error.into()
    }
}
