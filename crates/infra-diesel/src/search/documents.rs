//! The documents of a generation: FTS5 in a file beside a SQLite database, a `tsvector` with a GIN index in Postgres.
//!
//! Neither takes a text apart: both get the terms of the domain, and both only say which documents have which terms. On
//! SQLite the number of a document grows with the time of its message, so that FTS5 gives the newest first.

use crate::connection::{AnyConnection, per_backend};
use crate::error::DbResult;
use crate::tables::sql_types::{Id, SqlId, SqlTime, Time};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel::{QueryableByName, SqliteConnection, sql_query};
use domain::MessageId;
use domain::search::{Document, IndexQuery};
use uuid::Uuid;

/// Numbers of documents for messages of one microsecond. More of them take those of the next.
const NUMBERS: i64 = 256;
/// Documents of a Postgres that a search looks at, newest first, before it asks the index: enough for a frequent word.
const WALKED: i64 = 2_000;

/// Makes the tables of a generation.
pub fn create(conn: &mut AnyConnection, g: i64) -> DbResult<()> {
    let statements = match conn {
        AnyConnection::Sqlite(_) => [
            format!(
                "CREATE TABLE search_docs_{g} (doc INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, created_at BIGINT NOT NULL)"
            ),
            format!("CREATE INDEX search_docs_{g}_created ON search_docs_{g} (created_at)"),
            format!(
                "CREATE VIRTUAL TABLE search_words_{g} USING fts5(words, content='', contentless_delete=1, detail=none, \
                 prefix='2 3', tokenize=\"ascii tokenchars '_'\")"
            ),
        ],
        AnyConnection::Postgres(_) => [
            format!(
                "CREATE TABLE search_docs_{g} (id UUID PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL, words TSVECTOR NOT NULL)"
            ),
            format!("CREATE INDEX search_docs_{g}_created ON search_docs_{g} (created_at, id)"),
            format!("CREATE INDEX search_docs_{g}_words ON search_docs_{g} USING gin (words)"),
        ],
    };
    for statement in statements {
        per_backend!(conn, |conn| sql_query(statement).execute(conn))?;
    }
    Ok(())
}

/// Removes the tables of a generation.
pub fn drop_generation(conn: &mut AnyConnection, g: i64) -> DbResult<()> {
    let mut tables = vec![format!("search_docs_{g}")];
    if let AnyConnection::Sqlite(_) = conn {
        tables.push(format!("search_words_{g}"));
    }
    for table in tables {
        per_backend!(conn, |conn| sql_query(format!("DROP TABLE {table}")).execute(conn))?;
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Nullable<BigInt>)]
    n: Option<i64>,
}

fn number_of(conn: &mut SqliteConnection, g: i64, id: Id) -> QueryResult<Option<i64>> {
    let row = sql_query(format!("SELECT doc AS n FROM search_docs_{g} WHERE id = $1")).bind::<SqlId, _>(id);
    Ok(row.get_result::<Number>(conn).optional()?.and_then(|found| found.n))
}

/// A free number for a message of that time: behind those of all messages before it.
fn free_number(conn: &mut SqliteConnection, g: i64, at: Time) -> QueryResult<i64> {
    let mut first = at.0.clamp(0, i64::MAX / NUMBERS - 2) * NUMBERS;
    loop {
        let last = sql_query(format!("SELECT max(doc) AS n FROM search_docs_{g} WHERE doc >= $1 AND doc < $2"));
        let last = last.bind::<BigInt, _>(first).bind::<BigInt, _>(first + NUMBERS).get_result::<Number>(conn)?.n;
        match last {
            None => return Ok(first),
            Some(last) if last + 1 < first + NUMBERS => return Ok(last + 1),
            Some(_) => first += NUMBERS,
        }
    }
}

fn put_in_file(conn: &mut SqliteConnection, g: i64, document: &Document) -> QueryResult<()> {
    let (id, at) = (Id::from(document.id), Time::from(document.created_at));
    let number = match number_of(conn, g, id)? {
        Some(number) => {
            let old = sql_query(format!("DELETE FROM search_words_{g} WHERE rowid = $1"));
            old.bind::<BigInt, _>(number).execute(conn)?;
            number
        }
        None => {
            let number = free_number(conn, g, at)?;
            let row = sql_query(format!("INSERT INTO search_docs_{g} (doc, id, created_at) VALUES ($1, $2, $3)"));
            let row = row.bind::<BigInt, _>(number).bind::<SqlId, _>(id).bind::<SqlTime, _>(at);
            row.execute(conn)?;
            number
        }
    };
    let words: Vec<&str> = document.terms.iter().map(String::as_str).collect();
    let row = sql_query(format!("INSERT INTO search_words_{g} (rowid, words) VALUES ($1, $2)"));
    row.bind::<BigInt, _>(number).bind::<Text, _>(words.join(" ")).execute(conn)?;
    Ok(())
}

/// Puts documents into a generation, in place of those that it has of the same messages.
pub fn put(conn: &mut AnyConnection, g: i64, documents: &[Document]) -> DbResult<()> {
    match conn {
        AnyConnection::Sqlite(conn) => {
            for document in documents {
                put_in_file(conn, g, document)?;
            }
        }
        AnyConnection::Postgres(conn) => {
            if documents.is_empty() {
                return Ok(());
            }
            let rows = sql_query(format!(
                "INSERT INTO search_docs_{g} (id, created_at, words) \
                 SELECT id, created_at, words::tsvector FROM unnest($1, $2, $3) AS of (id, created_at, words) \
                 ON CONFLICT (id) DO UPDATE SET words = excluded.words"
            ));
            let vector = |document: &Document| {
                document.terms.iter().map(|term| format!("'{term}'")).collect::<Vec<_>>().join(" ")
            };
            rows.bind::<Array<SqlId>, _>(documents.iter().map(|of| Id::from(of.id)).collect::<Vec<_>>())
                .bind::<Array<SqlTime>, _>(documents.iter().map(|of| Time::from(of.created_at)).collect::<Vec<_>>())
                .bind::<Array<Text>, _>(documents.iter().map(vector).collect::<Vec<_>>())
                .execute(conn)?;
        }
    }
    Ok(())
}

/// Takes messages out of a generation.
pub fn remove(conn: &mut AnyConnection, g: i64, messages: &[MessageId]) -> DbResult<()> {
    for id in messages.iter().copied().map(Id::from) {
        if let AnyConnection::Sqlite(conn) = conn
            && let Some(number) = number_of(conn, g, id)?
        {
            let words = sql_query(format!("DELETE FROM search_words_{g} WHERE rowid = $1"));
            words.bind::<BigInt, _>(number).execute(conn)?;
        }
        let row = format!("DELETE FROM search_docs_{g} WHERE id = $1");
        per_backend!(conn, |conn| sql_query(row).bind::<SqlId, _>(id).execute(conn))?;
    }
    Ok(())
}

/// A document that an index gave.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub struct Candidate {
    /// Its number (SQLite).
    #[diesel(sql_type = BigInt)]
    doc: i64,
    /// The id of the message.
    #[diesel(sql_type = SqlId)]
    pub id: Id,
    /// When the message was sent.
    #[diesel(sql_type = SqlTime)]
    pub created_at: Time,
}

/// Where a search goes on: before a document, and not before a moment.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    doc: i64,
    id: Id,
    at: Time,
    since: Time,
    /// The first document of the span (SQLite).
    first: i64,
}

/// The latest moment that every database can store.
const LATEST: Time = Time(250_000_000_000_000_000);

impl Span {
    /// From the moment `latest` back to `since`. `None` if there is no document.
    pub fn new(conn: &mut AnyConnection, g: i64, latest: Option<Time>, since: Option<Time>) -> DbResult<Option<Self>> {
        let (at, since) = (latest.unwrap_or(LATEST).min(LATEST), since.unwrap_or(Time(0)).clamp(Time(0), LATEST));
        let mut span = Self { doc: 0, id: Id(Uuid::max()), at, since, first: 0 };
        if let AnyConnection::Sqlite(conn) = conn {
            let edge = |conn: &mut SqliteConnection, sql: String, at: Time| {
                let found = sql_query(sql).bind::<SqlTime, _>(at).get_result::<Number>(conn).optional();
                found.map(|found| found.and_then(|found| found.n))
            };
            let docs = format!("SELECT doc AS n FROM search_docs_{g} WHERE created_at");
            let last = edge(conn, format!("{docs} <= $1 ORDER BY created_at DESC, doc DESC LIMIT 1"), at)?;
            let first = edge(conn, format!("{docs} >= $1 ORDER BY created_at, doc LIMIT 1"), since)?;
            let (Some(last), Some(first)) = (last, first) else { return Ok(None) };
            (span.doc, span.first) = (last + 1, first);
        }
        Ok(Some(span))
    }

    /// What is left of the span before a candidate.
    pub fn before(self, candidate: &Candidate) -> Self {
        Self { doc: candidate.doc, id: candidate.id, at: candidate.created_at, ..self }
    }
}

/// Up to `most` documents of the span that may match, newest first.
pub fn candidates(
    conn: &mut AnyConnection,
    g: i64,
    query: &IndexQuery,
    span: Span,
    most: i64,
) -> DbResult<Vec<Candidate>> {
    match conn {
        AnyConnection::Sqlite(conn) => Ok(sql_query(format!(
            "SELECT d.doc AS doc, d.id AS id, d.created_at AS created_at \
             FROM search_words_{g} CROSS JOIN search_docs_{g} d ON d.doc = search_words_{g}.rowid \
             WHERE search_words_{g} MATCH $1 AND search_words_{g}.rowid < $2 AND search_words_{g}.rowid >= $3 \
             ORDER BY search_words_{g}.rowid DESC LIMIT $4"
        ))
        .bind::<Text, _>(fts5(query))
        .bind::<BigInt, _>(span.doc)
        .bind::<BigInt, _>(span.first)
        .bind::<BigInt, _>(most)
        .load(conn)?),
        AnyConnection::Postgres(conn) => {
            let asked = tsquery(query);
            let newest = sql_query(format!(
                "SELECT 0::bigint AS doc, id, created_at FROM (\
                 SELECT id, created_at, words FROM search_docs_{g} WHERE (created_at, id) < ($1, $2) AND created_at >= $3 \
                 ORDER BY created_at DESC, id DESC LIMIT {WALKED}) newest \
                 WHERE words @@ $4::text::tsquery ORDER BY created_at DESC, id DESC LIMIT $5"
            ));
            let newest: Vec<Candidate> = newest
                .bind::<SqlTime, _>(span.at)
                .bind::<SqlId, _>(span.id)
                .bind::<SqlTime, _>(span.since)
                .bind::<Text, _>(&asked)
                .bind::<BigInt, _>(most)
                .load(conn)?;
            if newest.len() as i64 == most {
                return Ok(newest);
            }
            // The condition alone decides the plan: the GIN index.
            let indexed = sql_query(format!(
                "WITH hits AS MATERIALIZED (SELECT id, created_at FROM search_docs_{g} WHERE words @@ $1::text::tsquery) \
                 SELECT 0::bigint AS doc, id, created_at FROM hits WHERE (created_at, id) < ($2, $3) AND created_at >= $4 \
                 ORDER BY created_at DESC, id DESC LIMIT $5"
            ));
            Ok(indexed
                .bind::<Text, _>(&asked)
                .bind::<SqlTime, _>(span.at)
                .bind::<SqlId, _>(span.id)
                .bind::<SqlTime, _>(span.since)
                .bind::<BigInt, _>(most)
                .load(conn)?)
        }
    }
}

/// The query as FTS5 reads it. Terms contain nothing that FTS5 or Postgres takes for an operator.
fn fts5(query: &IndexQuery) -> String {
    let quoted = |term: &String| format!("\"{term}\"");
    let mut parts: Vec<String> = query.terms.iter().map(quoted).collect();
    parts.extend(query.beginnings.iter().map(|term| format!("\"{term}\" *")));
    if !query.one_of.is_empty() {
        parts.push(format!("({})", query.one_of.iter().map(quoted).collect::<Vec<_>>().join(" OR ")));
    }
    parts.join(" AND ")
}

/// The query as Postgres reads it.
fn tsquery(query: &IndexQuery) -> String {
    let quoted = |term: &String| format!("'{term}'");
    let mut parts: Vec<String> = query.terms.iter().map(quoted).collect();
    parts.extend(query.beginnings.iter().map(|term| format!("'{term}':*")));
    if !query.one_of.is_empty() {
        parts.push(format!("({})", query.one_of.iter().map(quoted).collect::<Vec<_>>().join(" | ")));
    }
    parts.join(" & ")
}
