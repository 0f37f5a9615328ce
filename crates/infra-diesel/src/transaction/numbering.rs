//! The one place that gives a message its next number. Whatever takes a number changes the digest of the conversation,
//! so both happen here, and nobody can forget the one about the other.

use crate::error::DbResult;
use crate::tables::rows::{ConversationRow, MessageRow};
use crate::tables::schema::conversations;
use crate::tables::sql_types::StoredDigest;
use crate::transaction::tx::Tx;
use diesel::prelude::*;
use domain::messages::ShortDigest;

impl ConversationRow {
    /// The digest of the conversation at its counter, as clients see it.
    pub fn short_digest(&self) -> ShortDigest {
        self.digest.0.short()
    }

    /// Counts a message that the caller is about to insert. It has taken the next number already.
    pub fn count_sent(&mut self, sent: &MessageRow) {
        self.digest = StoredDigest(self.digest.0.plus(sent.hash()));
        self.message_count += 1;
    }

    /// Gives a message of this conversation, which is locked, the next number, and changes the digest. `change` makes
    /// the row what it becomes. Everything that changes a message goes this way. The caller stores the row, and then
    /// the counter ([`store_counter`]).
    pub fn renumber(&mut self, row: &mut MessageRow, change: impl FnOnce(&mut MessageRow)) {
        let before = row.hash();
        change(row);
        self.update += 1;
        row.update = self.update;
        self.digest = StoredDigest(self.digest.0.minus(before).plus(row.hash()));
    }
}

/// Stores the counter and the digest of a locked conversation that [`ConversationRow::renumber`] has moved.
pub fn store_counter(tx: &mut Tx<'_>, conversation: &ConversationRow) -> DbResult<()> {
    diesel::update(conversations::table.find(conversation.id))
        .set((
            conversations::update.eq(conversation.update),
            conversations::digest.eq(conversation.digest),
            conversations::revision.eq(tx.revision),
        ))
        .execute(tx.conn)?;
    Ok(())
}
