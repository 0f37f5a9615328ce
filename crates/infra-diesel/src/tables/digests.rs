//! The hash of a message, and digests computed from the messages themselves.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::rows::MessageRow;
use crate::tables::schema::messages;
use crate::tables::sql_types::{Id, Time};
use diesel::prelude::*;
use domain::messages::{Digest, Seq, Update};

/// Messages that one query reads. A message has at most 16 KiB.
const PAGE: i64 = 1000;

impl MessageRow {
    /// The hash of the message in the digest of its conversation.
    pub fn hash(&self) -> Digest {
        let content = self.deleted_at.is_none().then_some(self.content.as_str());
        Digest::of_message(self.id.into(), Seq(self.seq), Update(self.update), content)
    }
}

/// The number of messages with a `seq` from `from` to `to`, deleted ones too, and their digest. Reads all of them, in
/// pages: callers that need one moment call it in a snapshot or under the conversation's lock.
pub fn digest_of(conn: &mut AnyConnection, of: Id, from: i64, to: i64) -> DbResult<(i64, Digest)> {
    let (mut count, mut sum, mut next) = (0, Digest::ZERO, from);
    loop {
        let page = messages::table
            .filter(messages::conversation_id.eq(of).and(messages::seq.ge(next)).and(messages::seq.le(to)))
            .order(messages::seq.asc())
            .limit(PAGE)
            .select((messages::seq, messages::id, messages::update, messages::content, messages::deleted_at));
        let page: Vec<(i64, Id, i64, String, Option<Time>)> = per_backend!(conn, |conn| page.load(conn))?;
        for (seq, id, update, content, deleted_at) in &page {
            let content = deleted_at.is_none().then_some(content.as_str());
            sum = sum.plus(Digest::of_message((*id).into(), Seq(*seq), Update(*update), content));
        }
        count += page.len() as i64;
        match page.last() {
            Some((last, ..)) if page.len() as i64 == PAGE => next = last + 1,
            _ => return Ok((count, sum)),
        }
    }
}
