//! Accounts.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::repositories::sessions::end_sessions;
use crate::tables::rows::UserRow;
use crate::tables::schema::{drafts, users};
use crate::tables::sql_types::{Id, Time};
use crate::tables::text_range::upper_bound;
use crate::transaction::accounts::{conflict, has_password, insert_user, lock_user};
use crate::transaction::pending_endings::record_ended_account;
use async_trait::async_trait;
use diesel::prelude::*;
use domain::events::Event;
use domain::files::Growth;
use domain::users::{
    Change, Credentials, NewUser, PasswordHash, ProfileChange, User, UserRepository, UserRole, Username, UsernamePrefix,
};
use domain::{Forbidden, Limit, NotFound, Page, Result, SessionId, Timestamp, UserId};

/// Existing users by username key, one more than the limit if there are more.
pub fn list_rows(
    conn: &mut AnyConnection,
    prefix: Option<&str>,
    after: Option<UserId>,
    limit: Limit,
) -> DbResult<Vec<UserRow>> {
    let mut query = users::table
        .filter(users::deleted_at.is_null())
        .order(users::username_key)
        .limit(limit.get() as i64 + 1)
        .select(UserRow::as_select())
        .into_boxed();
    if let Some(end) = prefix.and_then(upper_bound) {
        query = query.filter(users::username_key.lt(end));
    }
    // One lower bound: given two, SQLite would begin at the first and scan up to the other.
    let after = after.map(|after| name_key(conn, after)).transpose()?;
    query = match (prefix, after) {
        (Some(prefix), Some(after)) if *prefix > *after => query.filter(users::username_key.ge(prefix)),
        (_, Some(after)) => query.filter(users::username_key.gt(after)),
        (Some(prefix), None) => query.filter(users::username_key.ge(prefix)),
        (None, None) => query,
    };
    Ok(query.load(conn)?)
}

/// The key by which lists of users are ordered. A deleted user has one too, so that a list goes on behind a user who
/// has left in the meantime.
pub fn name_key(conn: &mut AnyConnection, id: UserId) -> DbResult<String> {
    let key = users::table.find(Id::from(id)).select(users::username_key).first(conn).optional()?;
    Ok(key.ok_or(NotFound::User).map_err(domain::Error::from)?)
}

/// An existing user with the hash of the password.
fn credentials(found: Option<(UserRow, Option<String>)>) -> DbResult<Option<Credentials>> {
    let Some((row, hash)) = found else { return Ok(None) };
    Ok(Some(Credentials { user: row.into_user()?, password: hash.map(PasswordHash) }))
}

#[async_trait]
impl UserRepository for Store {
    async fn create(&self, user: NewUser) -> Result<User> {
        self.write(user.id.0, move |tx| {
            tx.grow(Growth::Account)?;
            Ok(insert_user(tx.conn, user.clone(), UserRole::Member)?.into_user()?)
        })
        .await
    }

    async fn find(&self, id: UserId) -> Result<Option<User>> {
        self.read(move |conn| {
            let found: Option<UserRow> =
                users::table.find(Id::from(id)).select(UserRow::as_select()).first(conn).optional()?;
            Ok(found.map(UserRow::into_user).transpose()?)
        })
        .await
    }

    async fn find_by_name(&self, name: &Username) -> Result<Option<User>> {
        Ok(self.credentials_by_name(name).await?.map(|credentials| credentials.user))
    }

    async fn credentials_by_name(&self, name: &Username) -> Result<Option<Credentials>> {
        let key = name.key();
        self.read(move |conn| {
            let living = users::table.filter(users::username_key.eq(&key).and(users::deleted_at.is_null()));
            credentials(living.select((UserRow::as_select(), users::password_hash)).first(conn).optional()?)
        })
        .await
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        self.read(move |conn| {
            let living = users::table.find(Id::from(id)).filter(users::deleted_at.is_null());
            credentials(living.select((UserRow::as_select(), users::password_hash)).first(conn).optional()?)
        })
        .await
    }

    async fn list<'a>(
        &self,
        prefix: Option<&'a UsernamePrefix>,
        after: Option<UserId>,
        limit: Limit,
    ) -> Result<Page<User>> {
        let prefix = prefix.map(|prefix| prefix.key().to_owned());
        self.snapshot(move |conn| {
            let rows = list_rows(conn, prefix.as_deref(), after, limit)?;
            let users = rows.into_iter().map(UserRow::into_user).collect::<Result<_, _>>()?;
            Ok(Page::from_surplus(users, limit))
        })
        .await
    }

    async fn change(&self, id: UserId, change: ProfileChange, keep: SessionId, at: Timestamp) -> Result<User> {
        if change.password.is_some() {
            self.thin_out_sessions(id, Some(keep), at).await?;
        }
        self.write(id.0, move |tx| {
            let mine = users::table.find(Id::from(id)).filter(users::deleted_at.is_null());
            if change.email.is_change() || change.display_name.is_change() {
                tx.grow(Growth::Profile)?;
            }
            let email = match &change.email {
                Change::Keep => None,
                Change::Clear => Some((None, None)),
                Change::Set(email) => Some((Some(email.as_str()), Some(email.key()))),
            };
            if let Some((email, key)) = email {
                let set = (users::email.eq(email), users::email_key.eq(key));
                diesel::update(mine).set(set).execute(tx.conn).map_err(conflict)?;
            }
            let name = match &change.display_name {
                Change::Keep => None,
                Change::Clear => Some(None),
                Change::Set(name) => Some(Some(name.as_str())),
            };
            if let Some(name) = name {
                diesel::update(mine).set(users::display_name.eq(name)).execute(tx.conn)?;
            }
            if let Some(hash) = &change.password {
                let living = lock_user(tx.conn, id)?.is_some_and(|user| user.deleted_at.is_none());
                if living && !has_password(tx.conn, id, change.proven.as_ref())? {
                    return Ok(Forbidden::WrongCurrentPassword.err()?);
                }
                diesel::update(mine).set(users::password_hash.eq(&hash.0)).execute(tx.conn)?;
                end_sessions(tx, id, Some(keep), at)?;
            }
            if change != ProfileChange::default() {
                diesel::update(mine).set(users::updated_at.eq(Time::from(at))).execute(tx.conn)?;
            }
            let found: Option<UserRow> = mine.select(UserRow::as_select()).first(tx.conn).optional()?;
            match found {
                Some(row) => Ok(row.into_user()?),
                None => Ok(NotFound::User.err()?),
            }
        })
        .await
    }

    async fn rehash(&self, id: UserId, old: PasswordHash, new: PasswordHash) -> Result<()> {
        self.write(id.0, move |tx| {
            let same = users::table.find(Id::from(id)).filter(users::password_hash.eq(&old.0));
            diesel::update(same).set(users::password_hash.eq(&new.0)).execute(tx.conn)?;
            Ok(())
        })
        .await
    }

    async fn delete(&self, id: UserId, proven: Option<PasswordHash>, at: Timestamp) -> Result<()> {
        self.thin_out_sessions(id, None, at).await?;
        self.write(id.0, move |tx| {
            if lock_user(tx.conn, id)?.is_none_or(|user| user.deleted_at.is_some()) {
                return Ok(NotFound::User.err()?);
            }
            if !has_password(tx.conn, id, proven.as_ref())? {
                return Ok(Forbidden::WrongCurrentPassword.err()?);
            }
            diesel::update(users::table.find(Id::from(id)).filter(users::deleted_at.is_null()))
                .set((
                    users::email.eq(None::<String>),
                    users::email_key.eq(None::<String>),
                    users::password_hash.eq(None::<String>),
                    users::display_name.eq(None::<String>),
                    users::role.eq("member"),
                    users::last_seen_at.eq(None::<Time>),
                    users::updated_at.eq(Time::from(at)),
                    users::deleted_at.eq(Time::from(at)),
                ))
                .execute(tx.conn)?;
            diesel::delete(drafts::table.filter(drafts::user_id.eq(Id::from(id)))).execute(tx.conn)?;
            record_ended_account(tx, id)?;
            end_sessions(tx, id, None, at)?;
            tx.events.push(Event::UserDeleted(id));
            Ok(())
        })
        .await
    }
}

impl Store {
    /// Those of the username keys that no user has, existing or deleted.
    ///
    /// # Errors
    /// Only faults of storage.
    pub async fn missing_users(&self, keys: Vec<String>) -> Result<Vec<String>> {
        self.read(move |conn| {
            let mut missing = Vec::new();
            for key in &keys {
                let found = users::table.filter(users::username_key.eq(key)).select(users::id);
                if found.first::<Id>(conn).optional()?.is_none() {
                    missing.push(key.clone());
                }
            }
            Ok(missing)
        })
        .await
    }
}
