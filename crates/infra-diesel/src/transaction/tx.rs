//! What a job uses inside a transaction.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::rows::ConversationRow;
use crate::transaction::quotas::Counts;
use crate::transaction::room::Room;
use domain::ConversationId;
use domain::events::{ConversationVersion, Event, Revision};
use domain::files::Growth;
use std::collections::HashMap;

/// What a job uses: a connection inside the transaction of the batch, and the lists of what it changed.
pub struct Tx<'a> {
    /// Inside a transaction that holds the write lock (SQLite), or a separate one (Postgres).
    pub conn: &'a mut AnyConnection,
    /// The events that the writer publishes after the commit, in this order.
    pub events: &'a mut Vec<Event>,
    /// The version of every conversation that the transaction changes, before it.
    pub versions: &'a mut ConversationVersions,
    /// Bytes that the transaction may still add to the disk.
    pub room: &'a mut Room,
    /// Changes of the usage of group quotas.
    pub counts: &'a mut Counts,
    /// The revision of the transaction. It goes into every row by which live connections resume.
    pub revision: i64,
}

/// The versions of conversations before a transaction.
pub type ConversationVersions = HashMap<ConversationId, ConversationVersion>;

impl Tx<'_> {
    /// Records the version of a locked conversation. Callers call it before they change the conversation. Without it
    /// the writer still publishes the event, but other nodes have to ask the database what came before.
    pub fn record_version(&mut self, row: &ConversationRow) {
        self.versions.entry(row.id.into()).or_insert_with(|| row.version());
    }

    /// Records a conversation that this transaction creates.
    pub fn record_new(&mut self, conversation: ConversationId) {
        self.versions.entry(conversation).or_insert(ConversationVersion::NEW);
    }

    /// Callers call it before they write anything that lets the database grow.
    ///
    /// # Errors
    /// [`domain::Error::StorageFull`] if the disk has no room left for it.
    pub fn grow(&mut self, what: Growth) -> DbResult<()> {
        Ok(self.room.take(what)?)
    }

    /// The new version of the membership of a group whose version is recorded.
    pub fn membership_mark(&self, of: ConversationId) -> i64 {
        membership_mark(self.conn, self.versions.get(&of), self.revision)
    }
}

/// The new version of the membership, in a transaction of that revision, of a group that had the version `before`.
pub fn membership_mark(conn: &AnyConnection, before: Option<&ConversationVersion>, revision: i64) -> i64 {
    match conn {
        // The one writer's revisions only grow.
        AnyConnection::Sqlite(_) => revision,
        AnyConnection::Postgres(_) => before.map_or(revision, |version| version.membership_after(Revision(revision)).0),
    }
}
