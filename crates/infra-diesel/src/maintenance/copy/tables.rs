//! The tables that a copy copies: every table but `server`, in an order in which each refers only to those before it.

use super::canonical::Canonical;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::schema::{
    audit, conversations, endings, file_usage, files, group_usage, members, messages, receipts, sessions, users,
};
use crate::tables::sql_types::{Id, SqlId, Time};
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use sha2::{Digest, Sha256};

/// Rows that one query reads and one transaction writes. A message has at most 16 KiB.
pub const BATCH: i64 = 2000;

/// A row of a table that a copy copies: all its columns. Both databases have the same ones.
pub trait Copied: Sized {
    /// The name of the table.
    const TABLE: &'static str;

    /// The names of its columns.
    const COLUMNS: &'static [&'static str];

    /// The next rows behind `last`, by primary key.
    fn behind(conn: &mut AnyConnection, last: Option<&Self>) -> DbResult<Vec<Self>>;

    /// The last row by primary key.
    fn last(conn: &mut AnyConnection) -> DbResult<Option<Self>>;

    /// The number of rows.
    fn count(conn: &mut AnyConnection) -> DbResult<u64>;

    /// Stores rows.
    fn insert(conn: &mut AnyConnection, rows: &[Self]) -> DbResult<()>;

    /// Feeds all columns into a hash. Both databases give the same one.
    fn feed(&self, hash: &mut Sha256);

    /// The conversation that the row belongs to.
    fn conversation(&self) -> Option<Id>;
}

/// The condition that a row is behind another, in a form that uses the index.
macro_rules! is_behind {
    ($row:expr, $one:ident: $One:ty) => {
        sql::<Bool>(concat!(stringify!($one), " > ")).bind::<$One, _>($row.$one)
    };
    ($row:expr, $one:ident: $One:ty, $two:ident: $Two:ty) => {
        sql::<Bool>(concat!("(", stringify!($one), ", ", stringify!($two), ") > ("))
            .bind::<$One, _>($row.$one)
            .sql(", ")
            .bind::<$Two, _>($row.$two)
            .sql(")")
    };
    ($row:expr, $one:ident: $One:ty, $two:ident: $Two:ty, $three:ident: $Three:ty) => {
        sql::<Bool>(concat!("(", stringify!($one), ", ", stringify!($two), ", ", stringify!($three), ") > ("))
            .bind::<$One, _>($row.$one)
            .sql(", ")
            .bind::<$Two, _>($row.$two)
            .sql(", ")
            .bind::<$Three, _>($row.$three)
            .sql(")")
    };
}

/// Makes a struct with all columns of a table in their order, keyed by some of them. A struct that lacks a column of
/// the schema does not compile.
macro_rules! copied {
    ($Row:ident of $table:ident by ($($key:ident: $Key:ty),+), in $conversation:expr; { $($column:ident: $Column:ty,)+ }) => {
        #[derive(Queryable, Insertable)]
        #[diesel(table_name = $table, treat_none_as_default_value = false)]
        pub struct $Row {
            $($column: $Column,)+
        }

        impl Copied for $Row {
            const TABLE: &'static str = stringify!($table);
            const COLUMNS: &'static [&'static str] = &[$($table::$column::NAME),+];

            fn behind(conn: &mut AnyConnection, last: Option<&Self>) -> DbResult<Vec<Self>> {
                let rows = $table::table.order(($($table::$key,)+)).limit(BATCH);
                Ok(per_backend!(conn, |conn| match last {
                    None => rows.load(conn),
                    Some(last) => rows.filter(is_behind!(last, $($key: $Key),+)).load(conn),
                })?)
            }

            fn last(conn: &mut AnyConnection) -> DbResult<Option<Self>> {
                let newest_first = $table::table.order(($($table::$key.desc(),)+));
                Ok(per_backend!(conn, |conn| newest_first.first(conn).optional())?)
            }

            fn count(conn: &mut AnyConnection) -> DbResult<u64> {
                let count: i64 = $table::table.select(count_star()).first(conn)?;
                Ok(crate::tables::rows::count(count))
            }

            fn insert(conn: &mut AnyConnection, rows: &[Self]) -> DbResult<()> {
                match conn {
                    AnyConnection::Sqlite(conn) => {
                        for row in rows {
                            diesel::insert_into($table::table).values(row).execute(conn)?;
                        }
                    }
                    AnyConnection::Postgres(conn) => {
                        diesel::copy_from($table::table).from_insertable(rows).execute(conn)?;
                    }
                }
                Ok(())
            }

            fn feed(&self, hash: &mut Sha256) {
                $(self.$column.feed(hash);)+
            }

            fn conversation(&self) -> Option<Id> {
                let conversation: fn(&Self) -> Option<Id> = $conversation;
                conversation(self)
            }
        }
    };
}

copied! {
    UserCopy of users by (id: SqlId), in |_| None; {
        id: Id,
        username: String,
        username_key: String,
        email: Option<String>,
        email_key: Option<String>,
        password_hash: Option<String>,
        display_name: Option<String>,
        role: String,
        created_at: Time,
        updated_at: Time,
        deleted_at: Option<Time>,
        roster_revision: i64,
        disabled_at: Option<Time>,
        last_seen_at: Option<Time>,
    }
}

copied! {
    SessionCopy of sessions by (id: SqlId), in |_| None; {
        id: Id,
        user_id: Id,
        created_at: Time,
        last_seen_at: Time,
        user_agent: Option<String>,
        revoked_at: Option<Time>,
    }
}

copied! {
    ConversationCopy of conversations by (id: SqlId), in |row| Some(row.id); {
        id: Id,
        kind: String,
        update: i64,
        last_seq: i64,
        active_at: Option<Time>,
        first_user: Option<Id>,
        second_user: Option<Id>,
        name: Option<String>,
        name_key: Option<String>,
        description: Option<String>,
        visibility: Option<String>,
        member_count: i64,
        revision: i64,
        roster_revision: i64,
        created_at: Time,
        updated_at: Time,
        deleted_at: Option<Time>,
        expired_up_to: i64,
        sent_revision: i64,
        sent_nth: i64,
        made_by: Option<Id>,
        written_by: i64,
        deletions: i64,
    }
}

copied! {
    MemberCopy of members by (conversation_id: SqlId, user_id: SqlId), in |row| Some(row.conversation_id); {
        conversation_id: Id,
        user_id: Id,
        role: String,
        read_up_to: i64,
        joined_at: Time,
        updated_at: Time,
        joined_revision: i64,
        added_by: Option<Id>,
        marks: i64,
    }
}

copied! {
    FileCopy of files by (id: SqlId), in |_| None; {
        id: Id,
        uploader_id: Id,
        name: String,
        size: i64,
        media_type: String,
        sha256: Vec<u8>,
        created_at: Time,
        deleted_at: Option<Time>,
    }
}

copied! {
    FileUsageCopy of file_usage by (user_id: SqlId), in |_| None; {
        user_id: Id,
        bytes: i64,
    }
}

copied! {
    GroupUsageCopy of group_usage by (user_id: SqlId), in |_| None; {
        user_id: Id,
        made: i64,
        joined: i64,
        added: i64,
        added_by_others: i64,
    }
}

copied! {
    MessageCopy of messages by (conversation_id: SqlId, seq: BigInt), in |row| Some(row.conversation_id); {
        conversation_id: Id,
        seq: i64,
        id: Id,
        sender_id: Id,
        message_type: String,
        content: String,
        file_id: Option<Id>,
        reply_to: Option<Id>,
        client_id: Option<String>,
        sent_digest: Option<Vec<u8>>,
        created_at: Time,
        updated_at: Time,
        edited_at: Option<Time>,
        deleted_at: Option<Time>,
        update: i64,
        revision: i64,
    }
}

copied! {
    ReceiptCopy of receipts by (conversation_id: SqlId, user_id: SqlId, seq: BigInt), in |row| Some(row.conversation_id); {
        conversation_id: Id,
        user_id: Id,
        seq: i64,
        from_seq: i64,
        seen_at: Time,
    }
}

copied! {
    AuditCopy of audit by (number: BigInt), in |_| None; {
        number: i64,
        created_at: Time,
        actor_id: Option<Id>,
        action: String,
        user_id: Option<Id>,
        group_id: Option<Id>,
    }
}

copied! {
    EndingCopy of endings by (id: SqlId), in |_| None; {
        id: Id,
        kind: String,
        revision: i64,
    }
}

/// The digest of all rows of a table, and of the rows of each conversation, in the order of the primary key.
pub struct TableDigest {
    pub rows: u64,
    pub hash: [u8; 32],
    pub by_conversation: Vec<(Id, [u8; 32])>,
}

/// Reads a whole table. Calls `progress` with the number of rows read so far.
pub fn digest<T: Copied>(conn: &mut AnyConnection, mut progress: impl FnMut(u64)) -> DbResult<TableDigest> {
    let (mut whole, mut rows) = (Sha256::new(), 0);
    let mut by_conversation: Vec<(Id, Sha256)> = Vec::new();
    let mut last = None;
    loop {
        let page = T::behind(conn, last.as_ref())?;
        for row in &page {
            let mut one = Sha256::new();
            row.feed(&mut one);
            let one = one.finalize();
            whole.update(one);
            let Some(of) = row.conversation() else { continue };
            match by_conversation.last_mut() {
                Some((current, hash)) if *current == of => hash.update(one),
                _ => by_conversation.push((of, Sha256::new().chain_update(one))),
            }
        }
        rows += page.len() as u64;
        progress(rows);
        match page.into_iter().next_back() {
            Some(row) => last = Some(row),
            None => break,
        }
    }
    let by_conversation = by_conversation.into_iter().map(|(of, hash)| (of, hash.finalize().into())).collect();
    Ok(TableDigest { rows, hash: whole.finalize().into(), by_conversation })
}
