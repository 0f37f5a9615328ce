//! What is known of files.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::rows::FileRow;
use crate::tables::schema::{conversations, file_usage, files, members, messages};
use crate::tables::sql_types::{Id, SqlId};
use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::files::{File, FileQuota, FileRepository, Growth};
use domain::{FileId, Result, UserId};
use std::collections::BTreeSet;

/// The file, if the viewer may read it: [`domain::messages::Access::may_read`] of any live message that carries it, as
/// one query.
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

/// Holds still how much the files of these users take, in one order for all who do.
pub fn hold_usage(conn: &mut AnyConnection, users: impl IntoIterator<Item = Id>) -> DbResult<()> {
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

/// How many bytes the files of a user have together.
fn usage(conn: &mut AnyConnection, user: UserId) -> DbResult<u64> {
    let used = file_usage::table.find(Id::from(user)).select(file_usage::bytes);
    let used: Option<i64> = used.first(conn).optional()?;
    Ok(crate::tables::rows::count(used.unwrap_or(0)))
}

/// Whether there is room for a file of a user whose usage is held.
pub fn check_room(conn: &mut AnyConnection, quota: FileQuota, file: &File) -> DbResult<()> {
    Ok(quota.admits(usage(conn, file.uploader)?, file.size)?)
}

/// Takes that room.
pub fn take_room(conn: &mut AnyConnection, file: &File) -> DbResult<()> {
    let user = Id::from(file.uploader);
    let size = i64::try_from(file.size).unwrap_or(i64::MAX);
    let more = file_usage::bytes.eq(file_usage::bytes + size);
    if diesel::update(file_usage::table.find(user)).set(more).execute(conn)? == 0 {
        let new = (file_usage::user_id.eq(user), file_usage::bytes.eq(size));
        diesel::insert_into(file_usage::table).values(new).execute(conn)?;
    }
    Ok(())
}

/// Gives back what a file took of a user whose usage is held.
pub fn give_room_back(conn: &mut AnyConnection, user: Id, size: i64) -> DbResult<()> {
    let less = file_usage::bytes.eq(file_usage::bytes - size);
    diesel::update(file_usage::table.find(user)).set(less).execute(conn)?;
    Ok(())
}

#[async_trait]
impl FileRepository for Store {
    async fn create(&self, file: File) -> Result<()> {
        let quota = self.policy().files;
        self.write(file.id.0, move |tx| {
            hold_usage(tx.conn, [file.uploader.into()])?;
            check_room(tx.conn, quota, &file)?;
            tx.grow(Growth::File)?;
            take_room(tx.conn, &file)?;
            diesel::insert_into(files::table).values(FileRow::from(&file)).execute(tx.conn)?;
            Ok(())
        })
        .await
    }

    async fn usage(&self, user: UserId) -> Result<u64> {
        self.read_for(user, move |conn| usage(conn, user)).await
    }

    async fn find(&self, viewer: UserId, id: FileId) -> Result<Option<File>> {
        self.read_for(viewer, move |conn| find_readable(conn, viewer, id)).await
    }
}
