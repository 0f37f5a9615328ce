//! Unseen counts, conversation by conversation.

use crate::Store;
use crate::reads::seats::{SeatRow, seats, seats_in};
use crate::reads::unseen_counts::{Counted, WatermarkTarget};
use crate::repositories::receipts::raise_if_unmarked;
use crate::tables::sql_types::Id;
use domain::receipts::{Unseen, UnseenCount};
use domain::{Result, UserId};
use std::sync::Arc;

/// Watermarks that one deferred transaction raises.
const WATERMARKS_AT_ONCE: usize = 200;

impl Store {
    /// How many messages the user has not seen.
    pub(crate) async fn count_unseen(&self, user: UserId) -> Result<Unseen> {
        let me = Id::from(user);
        let (rows, counted) = match self.known_counts(me).await? {
            Some(known) => known,
            None => {
                let counts = Arc::clone(self.counts());
                self.read_for(user, move |conn| counts.read(conn, me, |conn| seats(conn, me))).await?
            }
        };
        let raised = rows.iter().zip(&counted);
        let raised = raised.filter_map(|(row, counted)| Some((row.conversation_id, counted.watermark_target()?)));
        self.raise_watermarks_later(user, raised.collect());
        let mut unseen = Unseen::default();
        for (row, counted) in rows.into_iter().zip(counted) {
            let count = counted.unseen();
            if count == UnseenCount::default() {
                continue;
            }
            match (row.kind.as_str(), row.other_id, row.other_name) {
                ("direct", Some(other), Some(name)) => {
                    let shown =
                        if row.other_deleted_at.is_some() { domain::users::DELETED_USER.to_owned() } else { name };
                    unseen.direct.push((other.into(), shown, count));
                }
                _ => {
                    let group = domain::GroupId(row.conversation_id.0);
                    unseen.groups.push((group, row.name.unwrap_or_default(), count));
                }
            }
        }
        Ok(unseen)
    }

    /// The seats and counts of a user, if no count has to scan anything: one statement for many users (Postgres).
    async fn known_counts(&self, reader: Id) -> Result<Option<(Vec<SeatRow>, Vec<Counted>)>> {
        if !self.is_shared() {
            return Ok(None);
        }
        let Some(rows) = self.seats().ask(self.readers(), reader).await? else { return Ok(None) };
        let counted = self.counts().if_known(reader, &seats_in(&rows));
        Ok(counted.map(|counted| (rows, counted)))
    }

    /// Raises watermarks to the positions that a count has found. Nobody waits for it.
    pub(crate) fn raise_watermarks_later(&self, reader: UserId, mut raised: Vec<(Id, WatermarkTarget)>) {
        // In the order of all transactions that change several rows of a user, a few at a time.
        raised.sort_unstable();
        for raised in raised.chunks(WATERMARKS_AT_ONCE).map(<[_]>::to_vec) {
            self.write_later(reader.0, move |tx| {
                raised.iter().try_for_each(|(of, to)| raise_if_unmarked(tx.conn, *of, reader.into(), *to))
            });
        }
    }
}
