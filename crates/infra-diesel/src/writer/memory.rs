//! What a writer remembers of the rows that appends look up.
//!
//! The one writer of a SQLite file is the only one that changes it, so that what an append has read or written stays
//! true until the writer does something else: then it forgets everything. On Postgres other nodes write, too, and each
//! batch looks for itself.

use super::append::Sender;
use crate::tables::rows::ConversationRow;
use crate::tables::sql_types::Id;
use domain::groups::Role;
use domain::{ConversationId, UserId};
use std::collections::HashMap;

/// A writer that remembers more rows than this begins anew: about 20 MB.
const MAX_ROWS: usize = 50_000;

/// Rows by what appends look them up by. `None`: there is none.
#[derive(Default)]
pub struct Memory {
    /// Conversations that are not deleted, with the counters that the batch counts in memory.
    pub conversations: HashMap<ConversationId, Option<ConversationRow>>,
    /// The direct conversations of ordered pairs.
    pub directs: HashMap<(Id, Id), ConversationId>,
    /// Living users.
    pub users: HashMap<UserId, Option<Sender>>,
    /// The roles of members.
    pub roles: HashMap<(ConversationId, UserId), Option<Role>>,
}

impl Memory {
    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets everything once that is too much.
    pub fn bound(&mut self) {
        if self.conversations.len() + self.directs.len() + self.users.len() + self.roles.len() > MAX_ROWS {
            self.clear();
        }
    }
}
