//! Images that were stored before the server read them.

use crate::connection::{AnyConnection, DatabaseUrl, Purpose};
use crate::error::{DbError, DbResult};
use crate::maintenance::backup::BackupError;
use crate::maintenance::migrations;
use crate::tables::rows::FileRow;
use crate::tables::schema::files;
use crate::tables::sql_types::Id;
use diesel::prelude::*;
use domain::FileId;
use domain::files::{File, Image};
use uuid::Uuid;

/// Files of a page.
const PAGE: i64 = 100;
/// The types that the server decodes.
const DECODED: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// A connection of its own, beside those of running servers. It blocks. Each note is one short transaction.
pub struct UnreadImages(AnyConnection);

impl UnreadImages {
    /// Opens the database.
    ///
    /// # Errors
    /// [`BackupError::OtherVersion`], and every reason why the database cannot be opened.
    pub fn open(url: &str) -> Result<Self, BackupError> {
        let url = DatabaseUrl::parse_as("parlance-reindex", url).ok_or(BackupError::Url)?;
        if let DatabaseUrl::Sqlite(path) = &url
            && !path.exists()
        {
            return Err(BackupError::None(path.display().to_string()));
        }
        let mut conn = AnyConnection::open(&url, Purpose::Write).map_err(crate::OpenError::from)?;
        if migrations::pending(&mut conn).map_err(BackupError::Version)? {
            return Err(BackupError::OtherVersion);
        }
        conn.disable_timeouts().map_err(DbError::from)?;
        Ok(Self(conn))
    }

    /// Some files behind one, by id, that may be images and of which no size is known. None at the end.
    ///
    /// # Errors
    /// [`BackupError::Database`].
    pub fn page(&mut self, after: Option<FileId>) -> Result<Vec<File>, BackupError> {
        let after = after.map_or(Id(Uuid::nil()), Id::from);
        let load = |conn: &mut AnyConnection| -> DbResult<Vec<File>> {
            let rows: Vec<FileRow> = files::table
                .filter(files::id.gt(after).and(files::deleted_at.is_null()))
                .filter(files::width.is_null().and(files::media_type.eq_any(DECODED)))
                .order(files::id)
                .limit(PAGE)
                .select(FileRow::as_select())
                .load(conn)?;
            rows.into_iter().map(|row| Ok(row.into_file()?)).collect()
        };
        Ok(load(&mut self.0)?)
    }

    /// Notes what the server learnt of an image. Kept pages with its message are read anew.
    ///
    /// # Errors
    /// [`BackupError::Database`].
    pub fn note(&mut self, id: FileId, image: &Image) -> Result<(), BackupError> {
        let known = (
            files::width.eq(i64::from(image.width)),
            files::height.eq(i64::from(image.height)),
            files::thumbhash.eq(image.thumb_hash.as_bytes()),
        );
        diesel::update(files::table.find(Id::from(id))).set(known).execute(&mut self.0).map_err(DbError::from)?;
        Ok(())
    }
}
