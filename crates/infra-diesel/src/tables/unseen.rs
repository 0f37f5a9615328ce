//! The one definition of "unseen": a message of another user that is not deleted, behind the reader's watermark, and
//! without a receipt of the reader.

use crate::tables::schema::messages;
use crate::tables::sql_types::{Id, SqlId};
use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType};

/// The condition, as SQL, that a message `$m` behind the reader's watermark is unseen. It comes in three parts; the
/// reader goes between them.
macro_rules! unseen_part {
    (1, $m:literal) => {
        concat!($m, ".sender_id <> ")
    };
    (2, $m:literal) => {
        concat!(
            " AND ",
            $m,
            ".deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.conversation_id = ",
            $m,
            ".conversation_id AND r.user_id = "
        )
    };
    (3, $m:literal) => {
        concat!(" AND r.seq = ", $m, ".seq)")
    };
}
pub(crate) use unseen_part;

/// The condition for a query that is written as text, where `$reader` is the parameter of the reader.
macro_rules! is_unseen {
    ($m:literal, $reader:literal) => {
        concat!(
            $crate::tables::unseen::unseen_part!(1, $m),
            $reader,
            $crate::tables::unseen::unseen_part!(2, $m),
            $reader,
            $crate::tables::unseen::unseen_part!(3, $m)
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
        out.push_sql(unseen_part!(1, "messages"));
        out.push_bind_param::<SqlId, _>(&self.by)?;
        out.push_sql(unseen_part!(2, "messages"));
        out.push_bind_param::<SqlId, _>(&self.by)?;
        out.push_sql(unseen_part!(3, "messages"));
        Ok(())
    }
}
