//! The metadata of files.

use crate::Store;
use crate::tables::rows::FileRow;
use crate::tables::schema::files;
use crate::transaction::file_usage::{add_usage, check_quota, find_readable, lock_usage, usage};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::files::{File, FileRepository, Growth};
use domain::{FileId, Result, UserId};

#[async_trait]
impl FileRepository for Store {
    async fn create(&self, file: File) -> Result<()> {
        let quota = self.policy().files;
        self.write(file.id.0, move |tx| {
            lock_usage(tx.conn, [file.uploader.into()])?;
            check_quota(tx.conn, quota, &file)?;
            tx.grow(Growth::File)?;
            add_usage(tx.conn, &file)?;
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
