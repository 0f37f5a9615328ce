//! Statements that are written as text and that both databases prepare once a connection.
//!
//! diesel's `sql_query` caches nothing: the database parses and plans such a statement at every call, which costs more
//! than a short statement itself.

use std::sync::OnceLock;

/// The text of a statement, cut at the places where diesel puts its parameters.
#[derive(Debug)]
pub struct StatementText {
    sqlite: Vec<String>,
    postgres: Vec<String>,
}

impl StatementText {
    /// Cuts `sql` at the first mention of each of its parameters `$1`, `$2`, ... A parameter may be mentioned more than
    /// once; the first mentions come in the order of the numbers. diesel numbers a parameter of Postgres `$1` and
    /// leaves the number of one of SQLite (`?`) to its place, so that a later mention is `$1` in the one and `?1` in
    /// the other.
    pub fn cut(sql: &str, parameters: usize) -> Self {
        let (mut parts, mut rest) = (Vec::new(), sql);
        for n in 1..=parameters {
            let mark = format!("${n}");
            let is_in_turn = |before: &str| (n..=parameters).all(|later| !before.contains(&format!("${later}")));
            debug_assert!(rest.split_once(&mark).is_some_and(|(before, _)| is_in_turn(before)), "{mark} of {sql}");
            let (before, behind) = rest.split_once(&mark).unwrap_or((rest, ""));
            parts.push(before.to_owned());
            rest = behind;
        }
        parts.push(rest.to_owned());
        Self { sqlite: parts.iter().map(|part| part.replace('$', "?")).collect(), postgres: parts }
    }

    /// The text before the first parameter, between each two, and behind the last, for SQLite.
    pub fn sqlite(&self) -> impl Iterator<Item = &str> {
        self.sqlite.iter().map(String::as_str)
    }

    /// The same for Postgres.
    pub fn postgres(&self) -> impl Iterator<Item = &str> {
        self.postgres.iter().map(String::as_str)
    }
}

/// Where the cut text of a statement is kept.
pub type KeptText = OnceLock<StatementText>;

/// Defines a statement with its parameters in the order of their numbers, and the SQL types of its columns.
macro_rules! prepared {
    // A statement of Postgres alone.
    (postgres $(#[$about:meta])* $name:ident($($parameter:ident: $Sql:ty => $Rust:ty),* $(,)?) -> $Columns:ty = $sql:expr) => {
        $crate::tables::prepared::prepared!(@define $(#[$about])* $name($($parameter: $Rust),*) -> $Columns = $sql);
        $crate::tables::prepared::prepared!(@on diesel::pg::Pg, postgres, $name($($parameter: $Sql),*));
    };
    ($(#[$about:meta])* $name:ident($($parameter:ident: $Sql:ty => $Rust:ty),* $(,)?) -> $Columns:ty = $sql:expr) => {
        $crate::tables::prepared::prepared!(@define $(#[$about])* $name($($parameter: $Rust),*) -> $Columns = $sql);
        $crate::tables::prepared::prepared!(@on diesel::pg::Pg, postgres, $name($($parameter: $Sql),*));
        $crate::tables::prepared::prepared!(@on diesel::sqlite::Sqlite, sqlite, $name($($parameter: $Sql),*));
    };
    (@define $(#[$about:meta])* $name:ident($($parameter:ident: $Rust:ty),*) -> $Columns:ty = $sql:expr) => {
        $(#[$about])*
        #[derive(Debug, diesel::query_builder::QueryId)]
        struct $name {
            $($parameter: $Rust,)*
        }

        impl $name {
            fn text() -> &'static $crate::tables::prepared::StatementText {
                static TEXT: $crate::tables::prepared::KeptText = $crate::tables::prepared::KeptText::new();
                let parameters: &[&str] = &[$(stringify!($parameter)),*];
                TEXT.get_or_init(|| $crate::tables::prepared::StatementText::cut($sql, parameters.len()))
            }
        }

        impl diesel::query_builder::Query for $name {
            type SqlType = $Columns;
        }
        impl<C> diesel::RunQueryDsl<C> for $name {}
    };
    (@on $Backend:ty, $parts:ident, $name:ident($($parameter:ident: $Sql:ty),*)) => {
        impl diesel::query_builder::QueryFragment<$Backend> for $name {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, $Backend>,
            ) -> diesel::QueryResult<()> {
                let mut parts = Self::text().$parts();
                $(
                    out.push_sql(parts.next().unwrap_or_default());
                    out.push_bind_param::<$Sql, _>(&self.$parameter)?;
                )*
                out.push_sql(parts.next().unwrap_or_default());
                Ok(())
            }
        }
    };
}
pub(crate) use prepared;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_may_be_mentioned_again() {
        let text = StatementText::cut("a = $1 AND b > $2 AND (c = $1 OR d = $2)", 2);
        assert_eq!(text.postgres().collect::<Vec<_>>(), ["a = ", " AND b > ", " AND (c = $1 OR d = $2)"]);
        assert_eq!(text.sqlite().collect::<Vec<_>>(), ["a = ", " AND b > ", " AND (c = ?1 OR d = ?2)"]);
    }
}
