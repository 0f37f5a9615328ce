//! Digests of conversations.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::digests::digest_of;
use crate::tables::queries::find_access;
use crate::tables::rows::{ConversationRow, count};
use async_trait::async_trait;
use domain::messages::{DigestRange, DigestReader, RangeDigest, SyncPoint, Update};
use domain::{ConversationId, NotFound, Result, UserId};

/// The conversation, if the viewer may read it.
fn find_readable(conn: &mut AnyConnection, viewer: UserId, of: ConversationId) -> DbResult<ConversationRow> {
    let Some((row, access)) = find_access(conn, of, viewer)? else { return Ok(NotFound::Conversation.err()?) };
    access.may_read()?;
    Ok(row)
}

#[async_trait]
impl DigestReader for Store {
    async fn range_digest(&self, viewer: UserId, of: ConversationId, range: DigestRange) -> Result<RangeDigest> {
        self.snapshot_for(viewer, move |conn| {
            let row = find_readable(conn, viewer, of)?;
            let update = Update(row.update);
            let span = range.within(update).map_err(domain::Error::from)?;
            let (messages, digest) = if span.is_whole {
                (row.message_count, row.digest.0)
            } else {
                digest_of(conn, row.id, span.from.0, span.to.0)?
            };
            Ok(RangeDigest { update, span, messages: count(messages), digest })
        })
        .await
    }

    async fn sync_point(&self, viewer: UserId, of: ConversationId) -> Result<SyncPoint> {
        self.snapshot_for(viewer, move |conn| {
            let row = find_readable(conn, viewer, of)?;
            Ok(SyncPoint { update: Update(row.update), digest: row.short_digest() })
        })
        .await
    }
}
