//! Where users stand in the conversations in which they may have unseen messages.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::reads::unseen_counts::{Seat, SeatColumns, Seats};
use crate::tables::prepared::prepared;
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};

/// Where a user stands in the conversations with messages behind the user's watermark, the latest first.
macro_rules! seats_of {
    ($reader:literal) => {
        concat!(
            "SELECT seat.conversation_id, c.kind, c.name, c.last_seq,
                CASE WHEN seat.read_up_to < c.expired_up_to THEN c.expired_up_to ELSE seat.read_up_to END AS read_up_to,
                c.deletions, seat.marks, other.id AS other_id, other.username, other.deleted_at
            FROM members seat JOIN conversations c ON c.id = seat.conversation_id
            LEFT JOIN users other ON other.id = CASE WHEN c.first_user = ",
            $reader,
            " THEN c.second_user ELSE c.first_user END
            WHERE seat.user_id = ",
            $reader,
            " AND c.deleted_at IS NULL AND c.kind <> 'broadcast' AND c.last_seq > seat.read_up_to
            ORDER BY c.sent_revision DESC, c.sent_nth DESC, seat.conversation_id"
        )
    };
}

/// The columns of a [`SeatRow`].
type SeatRowColumns = (SqlId, Text, Nullable<Text>, SeatColumns, Nullable<SqlId>, Nullable<Text>, Nullable<SqlTime>);

prepared! {
    /// Reads the seats of a user.
    ReadSeats(reader: SqlId => Id) -> SeatRowColumns = seats_of!("$1")
}

prepared! {
    postgres
    /// Reads the seats of many users, each with the place of the user among the questions.
    ReadSeatsOfMany(readers: Array<SqlId> => Vec<Id>) -> (BigInt, SeatRowColumns) = concat!(
        "SELECT reader.nth, seats.* FROM unnest($1::uuid[]) WITH ORDINALITY AS reader(id, nth) CROSS JOIN LATERAL (",
        seats_of!("reader.id"),
        ") seats"
    )
}

/// A seat, and the conversation that it is in.
#[derive(Queryable)]
pub struct SeatRow {
    pub conversation_id: Id,
    pub kind: String,
    pub name: Option<String>,
    pub seat: Seat,
    pub other_id: Option<Id>,
    pub other_name: Option<String>,
    pub other_deleted_at: Option<Time>,
}

/// The seats of a user, with what they show.
pub fn seats(conn: &mut AnyConnection, reader: Id) -> DbResult<(Vec<SeatRow>, Seats)> {
    let rows: Vec<SeatRow> = per_backend!(conn, |conn| ReadSeats { reader }.load(conn))?;
    let seats = seats_in(&rows);
    Ok((rows, seats))
}

/// The seats alone.
pub fn seats_in(rows: &[SeatRow]) -> Seats {
    rows.iter().map(|row| (row.conversation_id, row.seat)).collect()
}

/// The seats of each reader (Postgres).
pub fn seats_of_many(conn: &mut AnyConnection, readers: &[Id]) -> DbResult<Vec<Vec<SeatRow>>> {
    let mut seats: Vec<Vec<SeatRow>> = readers.iter().map(|_| Vec::new()).collect();
    let AnyConnection::Postgres(conn) = conn else { return Ok(seats) };
    let found: Vec<(i64, SeatRow)> = ReadSeatsOfMany { readers: readers.to_vec() }.load(conn)?;
    for (nth, row) in found {
        // Postgres counts from 1. In practice the join keeps the order of each reader's seats.
        if let Some(of_reader) = usize::try_from(nth - 1).ok().and_then(|place| seats.get_mut(place)) {
            of_reader.push(row);
        }
    }
    Ok(seats)
}
