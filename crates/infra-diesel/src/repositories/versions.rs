//! What messages said before their edits.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::reads::visible::find_visible;
use crate::tables::rows::MessageRow;
use crate::tables::schema::versions;
use crate::tables::sql_types::{Id, Time};
use crate::transaction::tx::Tx;
use diesel::prelude::*;
use domain::messages::{EditHistory, MessageVersion};
use domain::{MessageId, NotFound, UserId};

/// Keeps the present content of a message that is about to be edited, and forgets the oldest if there are too many.
pub fn keep(tx: &mut Tx<'_>, row: &MessageRow) -> DbResult<()> {
    let of = || versions::table.filter(versions::message_id.eq(row.id));
    let newest: Option<i64> = of().order(versions::nth.desc()).select(versions::nth).first(tx.conn).optional()?;
    diesel::insert_into(versions::table)
        .values((
            versions::message_id.eq(row.id),
            versions::nth.eq(newest.unwrap_or(0) + 1),
            versions::content.eq(&row.content),
            versions::created_at.eq(row.edited_at.unwrap_or(row.created_at)),
        ))
        .execute(tx.conn)?;
    // The present content is one of them, too.
    let surplus: Option<i64> = of()
        .order(versions::nth.desc())
        .offset(MessageVersion::MOST as i64 - 1)
        .select(versions::nth)
        .first(tx.conn)
        .optional()?;
    if let Some(oldest) = surplus {
        diesel::delete(of().filter(versions::nth.le(oldest))).execute(tx.conn)?;
    }
    Ok(())
}

/// Forgets the versions of a message that is being deleted.
pub fn forget(conn: &mut AnyConnection, row: &MessageRow) -> DbResult<()> {
    if row.edited_at.is_some() {
        diesel::delete(versions::table.filter(versions::message_id.eq(row.id))).execute(conn)?;
    }
    Ok(())
}

/// Lists what a message said, oldest first, and what it says.
pub fn list(
    conn: &mut AnyConnection,
    viewer: UserId,
    id: MessageId,
    history: EditHistory,
) -> DbResult<Vec<MessageVersion>> {
    let Some((_, message)) = find_visible(conn, viewer, id)? else { return Ok(NotFound::Message.err()?) };
    history.may_read(viewer, message.sender.id)?;
    let mut found: Vec<(String, Time)> = Vec::new();
    if history.keeps_versions() {
        let earlier = versions::table.filter(versions::message_id.eq(Id::from(id))).order(versions::nth.asc());
        found = earlier.select((versions::content, versions::created_at)).load(conn)?;
    }
    let version = |(content, at): (String, Time)| MessageVersion { content, created_at: at.into() };
    let mut versions: Vec<MessageVersion> = found.into_iter().map(version).collect();
    versions.push(MessageVersion {
        content: message.body.content().to_owned(),
        created_at: message.edited_at.unwrap_or(message.created_at),
    });
    Ok(versions)
}
