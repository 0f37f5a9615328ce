//! Rows of users' views of conversations.

use crate::error::Corrupt;
use crate::tables::rows::{ConversationRow, word};
use crate::tables::schema::{drafts, members};
use crate::tables::sql_types::{Id, Time};
use diesel::prelude::*;
use domain::Timestamp;
use domain::messages::Seq;
use domain::views::{Archive, Draft, DraftContent, Mute, Notify, Settings};

/// The settings of a user's view.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = members)]
pub struct ViewRow {
    pub muted_until: Option<Time>,
    pub notify: String,
    pub favourite: i64,
    /// The newest message when the user archived the conversation. A later message may have brought it back.
    pub archived_at_seq: Option<i64>,
}

impl ViewRow {
    /// The settings by the newest message of the conversation and when somebody sent it.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn settings(&self, newest: Option<(Seq, Timestamp)>) -> Result<Settings, Corrupt> {
        let muted = self.muted_until.map(stored_mute);
        let archive = self.archived_at_seq.map(|at| Archive { at: Seq(at), muted });
        Ok(Settings {
            muted,
            notify: word("notify", &self.notify, Notify::parse)?,
            archived: archive.is_some_and(|archive| archive.holds(newest)),
            favourite: self.favourite != 0,
        })
    }
}

impl ConversationRow {
    /// The newest message, deleted or not, and when somebody sent it.
    pub fn newest(&self) -> Option<(Seq, Timestamp)> {
        self.active_at.map(|at| (Seq(self.last_seq), at.into()))
    }
}

/// The end of the year 9999: the column's value for [`Mute::Forever`], behind every time that a client can name.
const FOREVER: Time = Time(253_402_300_800_000_000 - 1);

fn stored_mute(until: Time) -> Mute {
    if until >= FOREVER { Mute::Forever } else { Mute::Until(until.into()) }
}

/// The column's value for a mute.
pub fn muted_until(mute: Mute) -> Time {
    match mute {
        Mute::Until(end) => FOREVER.min(end.into()),
        Mute::Forever => FOREVER,
    }
}

/// A draft.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = drafts)]
pub struct DraftRow {
    pub content: String,
    pub reply_to: Option<Id>,
    pub thread_id: Option<Id>,
    pub updated_at: Time,
}

impl From<DraftRow> for Draft {
    fn from(row: DraftRow) -> Self {
        Self {
            content: DraftContent::from_stored(row.content),
            reply_to: row.reply_to.map(Into::into),
            thread_id: row.thread_id.map(Into::into),
            updated_at: row.updated_at.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_is_read_as_it_was_written() {
        let time = |text| Timestamp::parse("muted_until", text).unwrap();
        for mute in
            [Mute::Forever, Mute::Until(time("2026-01-01T00:00:00Z")), Mute::Until(time("9999-12-31T23:59:59Z"))]
        {
            assert_eq!(stored_mute(muted_until(mute)), mute);
        }
        assert_eq!(stored_mute(muted_until(Mute::Until(time("9999-12-31T23:59:59.999999Z")))), Mute::Forever);
    }
}
