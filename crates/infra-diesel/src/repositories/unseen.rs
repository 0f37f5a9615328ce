//! Unseen counts: the query that lists the conversations also counts, up to the limits of [`UnseenCount`].

use crate::Store;
use crate::repositories::receipts::set_watermark;
use crate::tables::rows::count;
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::receipts::{Unseen, UnseenCount};
use domain::{Result, UserId};

/// Watermarks that one deferred transaction raises.
const WATERMARKS_AT_ONCE: usize = 200;

#[derive(QueryableByName)]
struct UnseenRow {
    #[diesel(sql_type = SqlId)]
    conversation_id: Id,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(embed)]
    unseen: UnseenColumns,
    #[diesel(sql_type = Nullable<SqlId>)]
    other_id: Option<Id>,
    #[diesel(sql_type = Nullable<Text>)]
    other_name: Option<String>,
    #[diesel(sql_type = Nullable<SqlTime>)]
    other_deleted_at: Option<Time>,
}

/// Seen messages that a count has to scan before it is worth a write to raise the watermark.
const WORTH_RAISING: i64 = 32;

/// The columns that count a conversation's unseen messages.
#[derive(QueryableByName)]
pub struct UnseenColumns {
    #[diesel(sql_type = BigInt)]
    last_seq: i64,
    #[diesel(sql_type = BigInt)]
    read_up_to: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    first_unseen: Option<i64>,
    #[diesel(sql_type = BigInt)]
    unseen: i64,
}

impl UnseenColumns {
    /// The number of unseen messages.
    pub fn count(&self) -> UnseenCount {
        let looked_at_all =
            self.first_unseen.is_none_or(|first| self.last_seq < first + i64::from(UnseenCount::MAX_POSITIONS));
        UnseenCount::from_surplus(count(self.unseen), looked_at_all)
    }

    /// The position to which the watermark can rise, if that is worth a write. The count finds it on its way, because
    /// it scans the user's own, deleted and seen messages once.
    pub fn watermark_target(&self) -> Option<i64> {
        let to = self.first_unseen.map_or(self.last_seq, |first| first - 1);
        (to - self.read_up_to >= WORTH_RAISING).then_some(to)
    }
}

/// The `seq` of the first unseen message of a conversation behind a watermark, as a subquery.
macro_rules! first_unseen {
    ($conversation:literal, $read_up_to:literal) => {
        concat!(
            "(SELECT m.seq FROM messages m WHERE m.conversation_id = ",
            $conversation,
            " AND m.seq > ",
            $read_up_to,
            " AND ",
            crate::tables::unseen::is_unseen!("m", "$1"),
            " ORDER BY m.seq LIMIT 1)"
        )
    };
}
pub(crate) use first_unseen;

/// The number of unseen messages of a conversation from the first one on, as a subquery, up to the limits of
/// [`UnseenCount`]. The two numbers are [`UnseenCount::MAX_POSITIONS`] and one more than [`UnseenCount::MAX`]; a test
/// compares them.
macro_rules! unseen_from {
    ($conversation:literal, $first:literal) => {
        concat!(
            "CASE WHEN ",
            $first,
            " IS NULL THEN 0 ELSE (SELECT count(*) FROM (SELECT m.seq FROM messages m WHERE m.conversation_id = ",
            $conversation,
            " AND m.seq >= ",
            $first,
            " AND m.seq < ",
            $first,
            " + 100000 AND ",
            crate::tables::unseen::is_unseen!("m", "$1"),
            " LIMIT 1001) counted) END AS unseen"
        )
    };
}
pub(crate) use unseen_from;

/// The user's conversations with messages behind the watermark. `OFFSET 0` keeps both databases from looking for the
/// first unseen message once for each mention.
const UNSEEN: &str = concat!(
    "SELECT mine.conversation_id, mine.kind, mine.name, mine.last_seq, mine.read_up_to, mine.first_unseen, ",
    unseen_from!("mine.conversation_id", "mine.first_unseen"),
    ", other.id AS other_id, other.username AS other_name, other.deleted_at AS other_deleted_at FROM (
    SELECT own.*, ",
    first_unseen!("own.conversation_id", "own.read_up_to"),
    " AS first_unseen FROM (
        SELECT seat.conversation_id, c.kind, c.name, c.last_seq, c.first_user, c.second_user, c.sent_revision, c.sent_nth,
            CASE WHEN seat.read_up_to < c.expired_up_to THEN c.expired_up_to ELSE seat.read_up_to END AS read_up_to
        FROM members seat JOIN conversations c ON c.id = seat.conversation_id
        WHERE seat.user_id = $1 AND c.deleted_at IS NULL AND c.kind <> 'broadcast' AND c.last_seq > seat.read_up_to
    ) own
    LIMIT 1000000 OFFSET 0
) mine
LEFT JOIN users other ON other.id = CASE WHEN mine.first_user = $1 THEN mine.second_user ELSE mine.first_user END
ORDER BY mine.sent_revision DESC, mine.sent_nth DESC, mine.conversation_id"
);

impl Store {
    /// How many messages the user has not seen.
    pub(crate) async fn count_unseen(&self, user: UserId) -> Result<Unseen> {
        let me = Id::from(user);
        let rows: Vec<UnseenRow> =
            self.read_for(user, move |conn| Ok(diesel::sql_query(UNSEEN).bind::<SqlId, _>(me).load(conn)?)).await?;
        let raised = rows.iter().filter_map(|row| Some((row.conversation_id, row.unseen.watermark_target()?)));
        self.raise_watermarks_later(user, raised.collect());
        let mut unseen = Unseen::default();
        for row in rows {
            let count = row.unseen.count();
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

    /// Raises watermarks to the positions that a count has found. Nobody waits for it.
    pub(crate) fn raise_watermarks_later(&self, reader: UserId, mut raised: Vec<(Id, i64)>) {
        // In the order of all transactions that change several rows of a user, a few at a time.
        raised.sort_unstable();
        for raised in raised.chunks(WATERMARKS_AT_ONCE).map(<[_]>::to_vec) {
            self.write_later(reader.0, move |tx| {
                raised.iter().try_for_each(|(of, to)| set_watermark(tx.conn, *of, reader.into(), *to))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stop_where_the_domain_says() {
        assert!(UNSEEN.contains(&format!(" + {} AND", UnseenCount::MAX_POSITIONS)));
        assert!(UNSEEN.contains(&format!(" LIMIT {}) counted", UnseenCount::MAX + 1)));
    }
}
