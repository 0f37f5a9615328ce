//! The one definition of contacts: two users, each of whom has written to the other.

use crate::tables::rows::ConversationRow;
use crate::tables::schema::conversations;
use crate::tables::sql_types::Id;
use diesel::prelude::*;

/// `conversations.written_by` once both users of a direct conversation have written in it.
const EACH_WROTE: i64 = 3;

/// The direct conversations of contacts. A user who writes to themselves has one, too.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn is_of_contacts() -> _ {
    let each: i64 = EACH_WROTE;
    conversations::kind.eq("direct").and(conversations::written_by.eq(each))
}

impl ConversationRow {
    /// Whether it is a direct conversation of contacts.
    pub fn is_of_contacts(&self) -> bool {
        self.written_by == EACH_WROTE
    }

    /// Records that `sender` has written in a direct conversation. Returns whether that is new, and whether it makes
    /// the two users contacts.
    pub fn record_writer(&mut self, sender: Id) -> (bool, bool) {
        let before = self.written_by;
        for (user, bit) in [(self.first_user, 1), (self.second_user, 2)] {
            if user == Some(sender) {
                self.written_by |= bit;
            }
        }
        let is_new = self.written_by != before;
        (is_new, is_new && self.is_of_contacts() && self.first_user != self.second_user)
    }
}
