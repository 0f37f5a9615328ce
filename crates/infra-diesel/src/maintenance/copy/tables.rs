//! The tables that a copy copies: every table but `server`, in an order in which each refers only to those before it.

use super::canonical::Canonical;
use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::schema::{self, all_tables};
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use diesel::dsl::{SqlTypeOf, count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
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
    ($table:ident, $row:expr, $one:ident) => {
        sql::<Bool>(concat!(stringify!($one), " > ")).bind::<SqlTypeOf<schema::$table::$one>, _>($row.$one.clone())
    };
    ($table:ident, $row:expr, $first:ident $(, $other:ident)+) => {
        sql::<Bool>(concat!("(", stringify!($first), $(", ", stringify!($other),)+ ") > ("))
            .bind::<SqlTypeOf<schema::$table::$first>, _>($row.$first.clone())
            $(.sql(", ").bind::<SqlTypeOf<schema::$table::$other>, _>($row.$other.clone()))+
            .sql(")")
    };
}

/// The type in which a row holds a column.
pub trait Held {
    /// The type.
    type Value;
}

macro_rules! held {
    ($($Sql:ty => $Value:ty),+) => {
        $(impl Held for $Sql {
            type Value = $Value;
        })+
    };
}
held!(SqlId => Id, SqlTime => Time, BigInt => i64, Text => String, Binary => Vec<u8>);

impl<Sql: Held + diesel::sql_types::SqlType> Held for Nullable<Sql>
where
    Nullable<Sql>: diesel::sql_types::SqlType,
{
    type Value = Option<Sql::Value>;
}

/// Makes a struct with all columns of each table that a copy copies, and lists the structs.
macro_rules! copied {
    (
        copied: { $($table:ident: $Row:ident by ($($key:ident),+) $(in $conversation:ident)? {
            $($(#[$meta:meta])* $column:ident -> $Sql:ident $(<$Inner:ident>)?,)+
        })+ }
        own: $own:tt
    ) => {
        $(
            #[derive(Queryable, Insertable)]
            #[diesel(table_name = schema::$table, treat_none_as_default_value = false)]
            pub struct $Row {
                $($column: <$Sql $(<$Inner>)? as Held>::Value,)+
            }

            impl Copied for $Row {
                const TABLE: &'static str = stringify!($table);
                const COLUMNS: &'static [&'static str] = &[$(schema::$table::$column::NAME),+];

                fn behind(conn: &mut AnyConnection, last: Option<&Self>) -> DbResult<Vec<Self>> {
                    let rows = schema::$table::table.order(($(schema::$table::$key,)+)).limit(BATCH);
                    Ok(per_backend!(conn, |conn| match last {
                        None => rows.load(conn),
                        Some(last) => rows.filter(is_behind!($table, last, $($key),+)).load(conn),
                    })?)
                }

                fn last(conn: &mut AnyConnection) -> DbResult<Option<Self>> {
                    let newest_first = schema::$table::table.order(($(schema::$table::$key.desc(),)+));
                    Ok(per_backend!(conn, |conn| newest_first.first(conn).optional())?)
                }

                fn count(conn: &mut AnyConnection) -> DbResult<u64> {
                    let count: i64 = schema::$table::table.select(count_star()).first(conn)?;
                    Ok(crate::tables::rows::count(count))
                }

                fn insert(conn: &mut AnyConnection, rows: &[Self]) -> DbResult<()> {
                    match conn {
                        AnyConnection::Sqlite(conn) => {
                            for row in rows {
                                diesel::insert_into(schema::$table::table).values(row).execute(conn)?;
                            }
                        }
                        AnyConnection::Postgres(conn) => {
                            diesel::copy_from(schema::$table::table).from_insertable(rows).execute(conn)?;
                        }
                    }
                    Ok(())
                }

                fn feed(&self, hash: &mut Sha256) {
                    $(self.$column.feed(hash);)+
                }

                fn conversation(&self) -> Option<Id> {
                    None::<Id>$(.or(Some(self.$conversation)))?
                }
            }
        )+

        /// Visits every table that a copy copies, each after the tables that it refers to.
        pub fn for_each_table(visitor: &mut impl EachTable) -> DbResult<()> {
            $(visitor.table::<$Row>()?;)+
            Ok(())
        }

        /// The tables that a copy copies, each after the tables that it refers to.
        pub const TABLES: &[&str] = &[$($Row::TABLE),+];

        /// The columns of the tables that a copy copies.
        pub const COLUMNS: &[(&str, &[&str])] = &[$(($Row::TABLE, $Row::COLUMNS)),+];
    };
}
all_tables!(copied);

/// Work to do for every table.
pub trait EachTable {
    /// Does it for one table.
    fn table<T: Copied>(&mut self) -> DbResult<()>;
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
