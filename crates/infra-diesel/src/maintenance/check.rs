//! Checks the invariants of the rows of a database: for `doctor`, and for tests that kill servers.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::maintenance::{digests, names};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Faults, and how to count each. Every sentence is false of a healthy database.
const FAULTS: [(&str, &str); 12] = [
    (
        "conversations whose counter is not the number of their newest change",
        "SELECT count(*) AS n FROM conversations c WHERE c.\"update\" <> \
         coalesce((SELECT max(m.\"update\") FROM messages m WHERE m.conversation_id = c.id), 0)",
    ),
    (
        "conversations whose newest message is not the one they name",
        "SELECT count(*) AS n FROM conversations c WHERE c.last_seq <> \
         coalesce((SELECT max(m.seq) FROM messages m WHERE m.conversation_id = c.id), 0)",
    ),
    (
        "conversations without a change after sending that have left a number out",
        "SELECT count(*) AS n FROM conversations c WHERE c.\"update\" > 0 AND c.\"update\" <> \
         (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) \
         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.\"update\" <> m.seq)",
    ),
    (
        "changes that share their number with another",
        "SELECT count(*) AS n FROM (SELECT conversation_id, \"update\" FROM messages \
         GROUP BY conversation_id, \"update\" HAVING count(*) > 1) doubled",
    ),
    (
        "live groups whose count of members is wrong",
        "SELECT count(*) AS n FROM conversations c WHERE c.kind = 'group' AND c.deleted_at IS NULL AND c.member_count <> \
         (SELECT count(*) FROM members m WHERE m.conversation_id = c.id)",
    ),
    (
        "live groups without exactly one owner",
        "SELECT count(*) AS n FROM conversations c WHERE c.kind = 'group' AND c.deleted_at IS NULL AND 1 <> \
         (SELECT count(*) FROM members m WHERE m.conversation_id = c.id AND m.role = 'owner')",
    ),
    (
        "watermarks above their conversation's counter",
        "SELECT count(*) AS n FROM members m JOIN conversations c ON c.id = m.conversation_id \
         WHERE m.read_up_to > c.\"update\"",
    ),
    (
        "live messages that retention has passed by",
        "SELECT count(*) AS n FROM conversations c JOIN messages m ON m.conversation_id = c.id \
         AND m.seq <= c.expired_up_to WHERE m.deleted_at IS NULL",
    ),
    (
        "users whose files have other bytes than are counted",
        "SELECT count(*) AS n FROM (SELECT uploader_id, sum(size) AS bytes FROM files GROUP BY uploader_id) there \
         LEFT JOIN file_usage u ON u.user_id = there.uploader_id WHERE coalesce(u.bytes, 0) <> there.bytes",
    ),
    (
        "users who have made, joined or added other than is counted",
        "SELECT count(*) AS n FROM users u LEFT JOIN group_usage g ON g.user_id = u.id WHERE coalesce(g.made, 0) <> \
         (SELECT count(*) FROM conversations c WHERE c.made_by = u.id AND c.deleted_at IS NULL) OR coalesce(g.joined, 0) <> \
         (SELECT count(*) FROM members m WHERE m.user_id = u.id AND m.added_by = u.id) OR coalesce(g.added, 0) <> \
         (SELECT count(*) FROM members m WHERE m.added_by = u.id AND m.user_id <> u.id) OR coalesce(g.added_by_others, 0) <> \
         (SELECT count(*) FROM members m WHERE m.user_id = u.id AND m.added_by IS NOT NULL AND m.added_by <> u.id)",
    ),
    (
        "memberships of accounts or groups that have ended, which nothing is going to remove",
        "SELECT count(*) AS n FROM members m JOIN users u ON u.id = m.user_id \
         JOIN conversations c ON c.id = m.conversation_id AND c.kind = 'group' \
         WHERE (u.deleted_at IS NOT NULL OR c.deleted_at IS NOT NULL) \
         AND NOT EXISTS (SELECT 1 FROM endings e WHERE e.id = u.id OR e.id = c.id)",
    ),
    ("numbers missing in the audit record", "SELECT coalesce(max(number), 0) - count(*) AS n FROM audit"),
];

pub fn faults(conn: &mut AnyConnection) -> DbResult<Vec<String>> {
    let mut found = Vec::new();
    if let AnyConnection::Sqlite(conn) = conn {
        let lines: Vec<Line> =
            diesel::sql_query("SELECT integrity_check AS line FROM pragma_integrity_check").load(conn)?;
        found.extend(lines.into_iter().map(|row| row.line).filter(|line| line != "ok"));
        let broken: Count = diesel::sql_query("SELECT count(*) AS n FROM pragma_foreign_key_check").get_result(conn)?;
        if broken.n > 0 {
            found.push(format!("{} rows that refer to nothing", broken.n));
        }
    }
    for (what, query) in FAULTS {
        let count: Count = diesel::sql_query(query).get_result(conn)?;
        if count.n > 0 {
            found.push(format!("{} {what}", count.n));
        }
    }
    let misplaced = names::misplaced(conn)?;
    if misplaced > 0 {
        found.push(format!("{misplaced} names that are not found by what they are"));
    }
    let differing = digests::differing(conn)?.into_iter();
    found.extend(differing.map(|id| format!("the digest of conversation {id} is not that of its messages")));
    Ok(found)
}

/// The tables of a SQLite file.
pub fn tables(conn: &mut AnyConnection) -> DbResult<Vec<String>> {
    let query =
        "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let lines: Vec<Line> = diesel::sql_query(query).load(conn)?;
    Ok(lines.into_iter().map(|row| row.line).collect())
}

/// The first fault in the pages of a SQLite file, or of one of its tables.
pub fn quick_check(conn: &mut AnyConnection, table: Option<&str>) -> DbResult<Option<String>> {
    let query = match table {
        Some(table) => format!("PRAGMA quick_check('{}')", table.replace('\'', "''")),
        None => "PRAGMA quick_check(1)".to_owned(),
    };
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Text)]
        quick_check: String,
    }
    let lines: Vec<Found> = diesel::sql_query(query).load(conn)?;
    Ok(lines.into_iter().map(|row| row.quick_check).find(|line| line != "ok"))
}
