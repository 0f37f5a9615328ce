//! The files that a user may read, and how many bytes of files each user has, inside a transaction.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::rows::{FileRow, count};
use crate::tables::schema::{conversations, file_usage, files, members, messages};
use crate::tables::sql_types::{Id, SqlId};
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::files::{File, FileQuota};
use domain::{FileId, UserId};
use std::collections::BTreeSet;

/// The file, if the viewer may read it: [`domain::messages::Access::may_read`] of any message that carries it and is
/// not deleted, as one query.
pub fn find_readable(conn: &mut AnyConnection, viewer: UserId, id: FileId) -> DbResult<Option<File>> {
    let viewer = Id::from(viewer);
    let is_in =
        exists(members::table.filter(members::conversation_id.eq(conversations::id).and(members::user_id.eq(viewer))));
    let readable = conversations::deleted_at
        .is_null()
        .and(conversations::kind.eq("broadcast").or(conversations::visibility.eq("public")).or(is_in));
    let carried = exists(
        messages::table
            .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
            .filter(messages::file_id.eq(Id::from(id)).and(messages::deleted_at.is_null()).and(readable)),
    );
    let found: Option<FileRow> = files::table
        .find(Id::from(id))
        .filter(files::deleted_at.is_null().and(files::uploader_id.eq(viewer).or(carried)))
        .select(FileRow::as_select())
        .first(conn)
        .optional()?;
    Ok(found.map(FileRow::into_file).transpose()?)
}

/// Locks the file usage of these users, in the order of their ids.
pub fn lock_usage(conn: &mut AnyConnection, users: impl IntoIterator<Item = Id>) -> DbResult<()> {
    // The one writer of a SQLite file holds everything.
    let AnyConnection::Postgres(conn) = conn else { return Ok(()) };
    for user in users.into_iter().collect::<BTreeSet<_>>() {
        let new =
            "INSERT INTO file_usage (user_id, bytes) SELECT id, 0 FROM users WHERE id = $1 ON CONFLICT DO NOTHING";
        diesel::sql_query(new).bind::<SqlId, _>(user).execute(conn)?;
        file_usage::table.find(user).select(file_usage::bytes).for_update().first::<i64>(conn).optional()?;
    }
    Ok(())
}

/// The bytes of all files of a user.
pub fn usage(conn: &mut AnyConnection, user: UserId) -> DbResult<u64> {
    let used = file_usage::table.find(Id::from(user)).select(file_usage::bytes);
    let used: Option<i64> = used.first(conn).optional()?;
    Ok(count(used.unwrap_or(0)))
}

/// Whether the quota has room for a file of a user whose usage is locked.
pub fn check_quota(conn: &mut AnyConnection, quota: FileQuota, file: &File) -> DbResult<()> {
    Ok(quota.admits(usage(conn, file.uploader)?, file.size)?)
}

/// Adds a file to the usage of a user whose usage is locked.
pub fn add_usage(conn: &mut AnyConnection, file: &File) -> DbResult<()> {
    let user = Id::from(file.uploader);
    let size = i64::try_from(file.size).unwrap_or(i64::MAX);
    let more = file_usage::bytes.eq(file_usage::bytes + size);
    if diesel::update(file_usage::table.find(user)).set(more).execute(conn)? == 0 {
        let new = (file_usage::user_id.eq(user), file_usage::bytes.eq(size));
        diesel::insert_into(file_usage::table).values(new).execute(conn)?;
    }
    Ok(())
}

/// Subtracts a file from the usage of a user whose usage is locked.
pub fn subtract_usage(conn: &mut AnyConnection, user: Id, size: i64) -> DbResult<()> {
    let less = file_usage::bytes.eq(file_usage::bytes - size);
    diesel::update(file_usage::table.find(user)).set(less).execute(conn)?;
    Ok(())
}
