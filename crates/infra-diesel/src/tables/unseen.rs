//! The one definition of "unseen": a message of another user that is not deleted, behind the reader's watermark, and
//! without a receipt of the reader that the reader has not undone.

use crate::tables::schema::messages;
use crate::tables::sql_types::{Id, SqlId};
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType};

/// The condition that a message `$m` which lies behind the reader's watermark is unseen, as SQL: what the message
/// itself tells, and whether the reader has a receipt of it. The reader stands between the two halves of each.
macro_rules! unseen_part {
    (before_reader, $m:literal) => {
        concat!($m, ".sender_id <> ")
    };
    (without_receipt, $m:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM receipts r WHERE r.conversation_id = ",
            $m,
            ".conversation_id AND r.user_id = "
        )
    };
    (alive, $m:literal) => {
        concat!(" AND ", $m, ".deleted_at IS NULL AND ")
    };
    (at_message, $m:literal) => {
        concat!(" AND r.seq = ", $m, ".seq AND r.undone = 0)")
    };
}
pub(crate) use unseen_part;

/// The condition for a query that is written as text, where `$reader` is the parameter of the reader, and `$marked` is
/// a column that is 0 where the reader has no receipt behind the watermark: then no message needs a look for its own.
macro_rules! is_unseen {
    ($m:literal, $reader:literal, $marked:expr) => {
        concat!(
            $crate::tables::unseen::unseen_part!(before_reader, $m),
            $reader,
            $crate::tables::unseen::unseen_part!(alive, $m),
            "(",
            $marked,
            " = 0 OR ",
            $crate::tables::unseen::unseen_part!(without_receipt, $m),
            $reader,
            $crate::tables::unseen::unseen_part!(at_message, $m),
            ")"
        )
    };
}
pub(crate) use is_unseen;

/// The condition for a query that diesel builds.
#[derive(Debug, Clone, Copy, QueryId)]
pub struct IsUnseen {
    /// The reader.
    pub by: Id,
}

impl Expression for IsUnseen {
    type SqlType = Bool;
}

impl AppearsOnTable<messages::table> for IsUnseen {}

impl ValidGrouping<()> for IsUnseen {
    type IsAggregate = diesel::expression::is_aggregate::No;
}

impl<DB> QueryFragment<DB> for IsUnseen
where
    DB: Backend + HasSqlType<SqlId>,
    Id: ToSql<SqlId, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(unseen_part!(before_reader, "messages"));
        out.push_bind_param::<SqlId, _>(&self.by)?;
        out.push_sql(unseen_part!(alive, "messages"));
        out.push_sql(unseen_part!(without_receipt, "messages"));
        out.push_bind_param::<SqlId, _>(&self.by)?;
        out.push_sql(unseen_part!(at_message, "messages"));
        Ok(())
    }
}
