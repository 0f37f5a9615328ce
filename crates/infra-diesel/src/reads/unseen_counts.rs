//! Counts the unseen messages of a conversation, and keeps what it has counted.
//!
//! A count scans the messages behind the reader's watermark. It costs in proportion to them, and clients ask again and
//! again. So the store keeps each count with the seat in which it was counted, and a read compares seats. If users have
//! only sent further messages since, the read scans those alone. The store never adds to a count by itself: it derives
//! every count from messages and receipts, and the seat that a read finds in the database decides. So any number of
//! nodes may change messages and receipts.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::parts::EVERYBODY;
use crate::tables::prepared::prepared;
use crate::tables::rows::count;
use crate::tables::sql_types::{Id, SqlId};
use crate::tables::unseen::is_unseen;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable};
use domain::receipts::UnseenCount;
use std::collections::HashMap;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

/// Seen messages that a count has to scan before it is worth a write to raise the watermark.
const WORTH_RAISING: i64 = 32;
/// The most that a walk counts: one more than [`UnseenCount::MAX`].
const MOST: i64 = UnseenCount::MAX as i64 + 1;
/// How many positions one statement looks at, and how far a count looks from the first unseen message.
const WINDOW: i64 = UnseenCount::MAX_POSITIONS as i64;

/// Where a reader stands in a conversation: all that a count depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub struct Seat {
    /// The `seq` of the newest message.
    last_seq: i64,
    /// The watermark.
    read_up_to: i64,
    /// How many messages of the conversation were deleted, or mention others since an edit.
    deletions: i64,
    /// How often the reader has marked anything as seen or unread.
    marks: i64,
}

/// The seats of a reader, by conversation.
pub type Seats = Vec<(Id, Seat)>;

/// The SQL types of a [`Seat`].
pub type SeatColumns = (BigInt, BigInt, BigInt, BigInt);

/// Where a watermark can rise to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatermarkTarget {
    /// The `seq`.
    pub to: i64,
    /// The `marks` of the seat: a reader who has marked something since may want the watermark elsewhere.
    pub marks: i64,
}

/// What a walk from the watermark on has found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    seat: Seat,
    /// The walk has come to this `seq`.
    walked_to: i64,
    first: Option<i64>,
    found: i64,
    mentions: i64,
}

impl Counted {
    fn nothing(seat: Seat) -> Self {
        Self { seat, walked_to: seat.read_up_to, first: None, found: 0, mentions: 0 }
    }

    /// The same count for a later seat, if users have only sent messages in between, or the watermark rose over seen
    /// ones.
    fn carried_to(self, seat: Seat) -> Option<Self> {
        let is_later = seat.deletions == self.seat.deletions
            && seat.marks == self.seat.marks
            && seat.last_seq >= self.seat.last_seq
            && seat.read_up_to >= self.seat.read_up_to
            && self.first.is_none_or(|first| first > seat.read_up_to);
        is_later.then(|| Self { seat, walked_to: self.walked_to.max(seat.read_up_to), ..self })
    }

    /// The last position that is of interest.
    fn end(&self) -> i64 {
        self.first.map_or(self.seat.last_seq, |first| self.seat.last_seq.min(first + WINDOW - 1))
    }

    fn is_complete(&self) -> bool {
        self.found >= MOST || self.walked_to >= self.end()
    }

    fn next_window(&self) -> (i64, i64) {
        (self.walked_to, self.end().min(self.walked_to + WINDOW))
    }

    fn add(&mut self, up_to: i64, (first, found): (Option<i64>, i64), mentions: i64) {
        self.first = self.first.or(first);
        self.found = MOST.min(self.found + found);
        self.mentions += mentions;
        self.walked_to = up_to;
    }

    /// How many are unseen.
    pub fn unseen(&self) -> UnseenCount {
        UnseenCount::from_surplus(count(self.found), self.end() == self.seat.last_seq, count(self.mentions))
    }

    /// The position to which the watermark can rise, if that is worth a write. The count finds it on its way, because
    /// it scans the user's own, deleted and seen messages once.
    pub fn watermark_target(&self) -> Option<WatermarkTarget> {
        let to = self.read_up_to();
        (to - self.seat.read_up_to >= WORTH_RAISING).then_some(WatermarkTarget { to, marks: self.seat.marks })
    }

    /// Up to this `seq` nothing is unseen.
    pub fn read_up_to(&self) -> i64 {
        self.first.map_or(self.seat.last_seq, |first| first - 1)
    }
}

/// A walk over a stretch of a conversation: its first unseen message, and how many there are, up to [`MOST`]. The inner
/// query asks once whether the reader has any receipt there; `OFFSET 0` keeps the databases from asking it once a
/// message.
macro_rules! walk {
    ($reader:literal, $of:literal, $after:literal, $up_to:literal) => {
        concat!(
            "SELECT min(found.seq) AS first, count(*) AS found FROM (SELECT m.seq FROM (SELECT CASE WHEN EXISTS (",
            "SELECT 1 FROM receipts r WHERE r.conversation_id = ",
            $of,
            " AND r.user_id = ",
            $reader,
            " AND r.seq > ",
            $after,
            ") THEN 1 ELSE 0 END AS marked LIMIT 1 OFFSET 0) own CROSS JOIN messages m WHERE m.conversation_id = ",
            $of,
            " AND m.seq > ",
            $after,
            " AND m.seq <= ",
            $up_to,
            " AND ",
            is_unseen!("m", $reader, "own.marked"),
            " ORDER BY m.seq LIMIT 1001) found"
        )
    };
}

prepared! {
    /// One walk.
    Walk(of: SqlId => Id, reader: SqlId => Id, after: BigInt => i64, up_to: BigInt => i64)
        -> (Nullable<BigInt>, BigInt) = walk!("$2", "$1", "$3", "$4")
}

prepared! {
    postgres
    /// Many walks, in their order.
    Walks(of: Array<SqlId> => Vec<Id>, after: Array<BigInt> => Vec<i64>, up_to: Array<BigInt> => Vec<i64>, reader: SqlId => Id)
        -> (Nullable<BigInt>, BigInt) = concat!(
        "SELECT walked.first, walked.found FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY \
         AS walks(of, after, up_to, nth) CROSS JOIN LATERAL (",
        walk!("$4", "walks.of", "walks.after", "walks.up_to"),
        ") walked ORDER BY walks.nth"
    )
}

/// Walks over stretches of conversations.
fn walk(conn: &mut AnyConnection, reader: Id, windows: &[(Id, i64, i64)]) -> DbResult<Vec<(Option<i64>, i64)>> {
    match conn {
        AnyConnection::Sqlite(conn) => {
            let walks = windows
                .iter()
                .map(|(of, after, up_to)| Ok(Walk { of: *of, reader, after: *after, up_to: *up_to }.get_result(conn)?));
            walks.collect()
        }
        AnyConnection::Postgres(conn) => {
            let of = windows.iter().map(|(of, ..)| *of).collect();
            let (after, up_to) = windows.iter().map(|(_, after, up_to)| (*after, *up_to)).unzip();
            Ok(Walks { of, after, up_to, reader }.load(conn)?)
        }
    }
}

/// How many unseen messages of a stretch mention the reader, by name or as a member at that moment. Reads mentions, of
/// which there are few, and not messages.
macro_rules! mentions_in {
    ($reader:literal, $of:literal, $after:literal, $up_to:literal, $everybody:literal) => {
        concat!(
            "SELECT count(DISTINCT x.seq) AS found FROM mentions x JOIN members seat ON seat.conversation_id = \
             x.conversation_id AND seat.user_id = ",
            $reader,
            " JOIN messages m ON m.conversation_id = x.conversation_id AND m.seq = x.seq WHERE x.conversation_id = ",
            $of,
            " AND x.user_id IN (",
            $reader,
            ", ",
            $everybody,
            ") AND x.seq > ",
            $after,
            " AND x.seq <= ",
            $up_to,
            " AND (x.user_id = ",
            $reader,
            " OR seat.joined_revision <= x.revision) AND ",
            is_unseen!("m", $reader, "1")
        )
    };
}

prepared! {
    /// The mentions in one stretch.
    Mentioned(reader: SqlId => Id, of: SqlId => Id, everybody: SqlId => Id, after: BigInt => i64, up_to: BigInt => i64)
        -> BigInt = mentions_in!("$1", "$2", "$4", "$5", "$3")
}

prepared! {
    postgres
    /// The mentions in many stretches, in their order.
    MentionedInMany(
        of: Array<SqlId> => Vec<Id>, after: Array<BigInt> => Vec<i64>, up_to: Array<BigInt> => Vec<i64>,
        reader: SqlId => Id, everybody: SqlId => Id,
    ) -> BigInt = concat!(
        "SELECT counted.found FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY \
         AS walks(of, after, up_to, nth) CROSS JOIN LATERAL (",
        mentions_in!("$4", "walks.of", "walks.after", "walks.up_to", "$5"),
        ") counted ORDER BY walks.nth"
    )
}

fn count_mentions(conn: &mut AnyConnection, reader: Id, windows: &[(Id, i64, i64)]) -> DbResult<Vec<i64>> {
    let everybody = EVERYBODY;
    match conn {
        AnyConnection::Sqlite(conn) => {
            let counts = windows.iter().map(|(of, after, up_to)| {
                let mentioned = Mentioned { reader, of: *of, after: *after, up_to: *up_to, everybody };
                Ok(mentioned.get_result(conn)?)
            });
            counts.collect()
        }
        AnyConnection::Postgres(conn) => {
            let of = windows.iter().map(|(of, ..)| *of).collect();
            let (after, up_to) = windows.iter().map(|(_, after, up_to)| (*after, *up_to)).unzip();
            Ok(MentionedInMany { of, after, up_to, reader, everybody }.load(conn)?)
        }
    }
}

/// How many counts a generation of the cache keeps: about 10 MB.
const MOST_COUNTS: usize = 100_000;

type Kept = HashMap<(Id, Id), Counted>;

/// Counts by reader and conversation, in two generations: what is asked for moves into the young one, and when that is
/// full, the old one is dropped.
#[derive(Debug, Default)]
pub struct UnseenCounts {
    generations: Mutex<(Kept, Kept)>,
}

impl UnseenCounts {
    /// Reads the seats of a user with `read`, and counts what is unseen in each. Where a count has to walk, it reads
    /// the seats again, so that all is of one moment.
    pub fn read<T>(
        &self,
        conn: &mut AnyConnection,
        reader: Id,
        read: impl Fn(&mut AnyConnection) -> DbResult<(T, Seats)>,
    ) -> DbResult<(T, Vec<Counted>)> {
        let (rows, seats) = read(conn)?;
        let known = self.known(reader, &seats);
        if known.iter().all(Counted::is_complete) {
            return Ok((rows, known));
        }
        conn.snapshot(|conn| {
            let (rows, seats) = read(conn)?;
            let counted = self.known(reader, &seats);
            let counted = complete(conn, reader, &seats, counted)?;
            self.keep(reader, &seats, &counted);
            Ok((rows, counted))
        })
    }

    /// The counts of these seats, if all are known.
    pub fn if_known(&self, reader: Id, seats: &[(Id, Seat)]) -> Option<Vec<Counted>> {
        let known = self.known(reader, seats);
        known.iter().all(Counted::is_complete).then_some(known)
    }

    /// What is known of the seats, possibly nothing.
    fn known(&self, reader: Id, seats: &[(Id, Seat)]) -> Vec<Counted> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        let known = |(of, seat): &(Id, Seat)| {
            let key = (reader, *of);
            let kept = young.get(&key).copied().or_else(|| {
                let kept = old.remove(&key)?;
                young.insert(key, kept);
                Some(kept)
            });
            kept.and_then(|kept| kept.carried_to(*seat)).unwrap_or_else(|| Counted::nothing(*seat))
        };
        seats.iter().map(known).collect()
    }

    fn keep(&self, reader: Id, seats: &[(Id, Seat)], counted: &[Counted]) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        for ((of, _), counted) in seats.iter().zip(counted) {
            if young.len() >= MOST_COUNTS {
                *old = take(young);
            }
            young.insert((reader, *of), *counted);
        }
    }
}

/// Goes on with each count until it is complete.
fn complete(
    conn: &mut AnyConnection,
    reader: Id,
    seats: &[(Id, Seat)],
    mut counted: Vec<Counted>,
) -> DbResult<Vec<Counted>> {
    loop {
        let mut open: Vec<(Id, &mut Counted)> = seats.iter().map(|(of, _)| *of).zip(&mut counted).collect();
        open.retain(|(_, counted)| !counted.is_complete());
        if open.is_empty() {
            return Ok(counted);
        }
        let windows: Vec<(Id, i64, i64)> = open
            .iter()
            .map(|(of, counted)| {
                let (after, up_to) = counted.next_window();
                (*of, after, up_to)
            })
            .collect();
        let found = walk(conn, reader, &windows)?;
        let mentions = count_mentions(conn, reader, &windows)?;
        for (((_, counted), (.., up_to)), (found, mentions)) in
            open.into_iter().zip(&windows).zip(found.into_iter().zip(mentions))
        {
            counted.add(*up_to, found, mentions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAT: Seat = Seat { last_seq: 100, read_up_to: 10, deletions: 0, marks: 0 };

    #[test]
    fn counts_stop_where_the_domain_says() {
        assert!(walk!("r", "o", "a", "u").contains(&format!(" LIMIT {MOST})")));
    }

    #[test]
    fn a_count_is_carried_over_what_was_sent_and_over_nothing_else() {
        let counted = Counted { seat: SEAT, walked_to: 100, first: Some(20), found: 5, mentions: 0 };
        for (seat, carried) in [
            (SEAT, Some(100)),
            (Seat { last_seq: 103, ..SEAT }, Some(100)),
            (Seat { read_up_to: 19, ..SEAT }, Some(100)),
            (Seat { read_up_to: 20, ..SEAT }, None),
            (Seat { deletions: 1, ..SEAT }, None),
            (Seat { marks: 1, ..SEAT }, None),
            // A read that began before the one that counted.
            (Seat { last_seq: 99, ..SEAT }, None),
            (Seat { read_up_to: 9, ..SEAT }, None),
        ] {
            assert_eq!(counted.carried_to(seat).map(|counted| counted.walked_to), carried, "{seat:?}");
        }
        let nothing = Counted { first: None, found: 0, ..counted };
        let later = Seat { last_seq: 200, read_up_to: 150, ..SEAT };
        assert_eq!(nothing.carried_to(later).map(|counted| counted.next_window()), Some((150, 200)));
    }

    #[test]
    fn a_count_looks_no_further_than_it_may() {
        let seat = Seat { last_seq: 10 * WINDOW, read_up_to: 0, deletions: 0, marks: 0 };
        let mut counted = Counted::nothing(seat);
        counted.add(WINDOW, (None, 0), 0);
        assert_eq!(counted.next_window(), (WINDOW, 2 * WINDOW));
        counted.add(2 * WINDOW, (Some(WINDOW + 10), 3), 1);
        assert_eq!(counted.next_window(), (2 * WINDOW, 2 * WINDOW + 9));
        counted.add(2 * WINDOW + 9, (Some(2 * WINDOW + 1), 1), 1);
        assert!(counted.is_complete());
        assert_eq!(counted.unseen(), UnseenCount { count: 4, more: true, mentions: 2 });
        assert_eq!(counted.watermark_target(), Some(WatermarkTarget { to: WINDOW + 9, marks: 0 }));
    }
}
