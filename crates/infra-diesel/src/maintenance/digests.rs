//! Digests of a whole database: makes those that a migration left open, and compares all of them with the messages.

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::digests::digest_of;
use crate::tables::schema::{conversations, server};
use crate::tables::sql_types::{Id, SqlId, StoredDigest};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::ConversationId;
use uuid::Uuid;

/// The form of digests that this program makes.
const DIGEST_FORM: i64 = 1;
/// Conversations of which one transaction makes the digests, and that one query reads.
const PAGE: i64 = 200;

/// Whether the database has all digests.
pub fn are_made(conn: &mut AnyConnection) -> DbResult<bool> {
    Ok(server::table.select(server::digest_form).first::<i64>(conn)? == DIGEST_FORM)
}

#[derive(QueryableByName)]
struct Open {
    #[diesel(sql_type = SqlId)]
    id: Id,
}

/// Makes the digests that are still open, some conversations a transaction: a start that was cut off goes on where it
/// stopped. The caller has the lock of the migrations.
pub fn make(conn: &mut AnyConnection) -> DbResult<()> {
    if are_made(conn)? {
        return Ok(());
    }
    // Nothing has the nil id.
    let (mut last, mut made) = (Some(Id(Uuid::nil())), 0);
    while let Some(after) = last {
        conn.begin_write()?;
        match make_page(conn, after) {
            Ok(page) => {
                conn.commit()?;
                made += page.len();
                if !page.is_empty() {
                    tracing::info!(conversations = made, "made the digests of conversations");
                }
                last = page.last().copied();
            }
            Err(error) => {
                // This error says more than one of the rollback.
                let _ = conn.rollback();
                return Err(error);
            }
        }
    }
    diesel::update(server::table).set(server::digest_form.eq(DIGEST_FORM)).execute(conn)?;
    Ok(())
}

/// Makes the digests of the next conversations behind `after` that have none. Returns which these were.
fn make_page(conn: &mut AnyConnection, after: Id) -> DbResult<Vec<Id>> {
    let query = match conn {
        AnyConnection::Sqlite(_) => OPEN.to_owned(),
        AnyConnection::Postgres(_) => format!("{OPEN} FOR UPDATE"),
    };
    let open: Vec<Open> = diesel::sql_query(query).bind::<SqlId, _>(after).bind::<BigInt, _>(PAGE).load(conn)?;
    for Open { id } in &open {
        let (count, digest) = digest_of(conn, *id, 1, i64::MAX)?;
        diesel::update(conversations::table.find(*id))
            .set((conversations::digest.eq(StoredDigest(digest)), conversations::message_count.eq(count)))
            .execute(conn)?;
    }
    Ok(open.into_iter().map(|row| row.id).collect())
}

const OPEN: &str = "SELECT id FROM conversations WHERE id > $1 AND length(digest) = 0 ORDER BY id LIMIT $2";

/// The conversations whose digest or whose number of messages is not that of their messages. Reads the whole database:
/// call it in a snapshot if a server may run.
pub fn differing(conn: &mut AnyConnection) -> DbResult<Vec<ConversationId>> {
    let (mut last, mut found) = (Id(Uuid::nil()), Vec::new());
    loop {
        let page = conversations::table
            .filter(conversations::id.gt(last))
            .order(conversations::id)
            .limit(PAGE)
            .select((conversations::id, conversations::digest, conversations::message_count));
        // The digest as bytes: somebody may have stored fewer of them.
        let page: Vec<(Id, Vec<u8>, i64)> = page.load(conn)?;
        let Some((newest, ..)) = page.last() else { return Ok(found) };
        last = *newest;
        for (id, digest, count) in page {
            let (messages, computed) = digest_of(conn, id, i64::MIN, i64::MAX)?;
            if digest != computed.to_bytes() || count != messages {
                found.push(id.into());
            }
        }
    }
}
