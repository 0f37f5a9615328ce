//! What is known of files.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::rows::FileRow;
use crate::schema::{conversations, files, members, messages};
use crate::sql_types::Id;
use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::files::{File, FileRepository};
use domain::{FileId, Result, UserId};

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

#[async_trait]
impl FileRepository for Store {
    async fn create(&self, file: File) -> Result<()> {
        self.write(file.id.0, move |tx| {
            diesel::insert_into(files::table).values(FileRow::from(&file)).execute(tx.conn)?;
            Ok(())
        })
        .await
    }

    async fn find(&self, viewer: UserId, id: FileId) -> Result<Option<File>> {
        self.read_for(viewer, move |conn| find_readable(conn, viewer, id)).await
    }
}
