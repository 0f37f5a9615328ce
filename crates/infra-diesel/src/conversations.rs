//! The list of one's conversations.

use crate::Store;
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::rows::{
    ConversationRow, FileRow, FullMessage, GroupRow, MessageRow, ProfileRow, UserRow, count, full_message, role,
};
use crate::schema::{conversations, files, messages, users};
use crate::sql_types::{Id, SqlId, SqlTime, Time};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::conversations::{Conversation, ConversationCursor, ConversationRepository, With};
use domain::groups::GroupView;
use domain::{ConversationId, Limit, Page, Result, UserId};
use std::collections::HashMap;

#[derive(QueryableByName)]
struct ListedRow {
    #[diesel(sql_type = SqlId)]
    id: Id,
    #[diesel(sql_type = SqlTime)]
    active: Time,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
    #[diesel(sql_type = BigInt)]
    unseen: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    last_live: Option<i64>,
}

/// A page of the list: first which (one's memberships, and the broadcast once it has a message), then for these the newest
/// live message and the count of the unseen. SQLite numbers `$n` as they first appear, so they appear in order.
pub const LIST: &str = "
SELECT page.id, page.active, page.role,
    CASE WHEN page.id = $1 THEN 0 ELSE (
        SELECT count(*) FROM messages m
        WHERE m.conversation_id = page.id AND m.seq > page.read_up_to AND m.sender_id <> $2 AND m.deleted_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM receipts r
                          WHERE r.conversation_id = m.conversation_id AND r.user_id = $2 AND r.seq = m.seq)
    ) END AS unseen,
    (SELECT m.seq FROM messages m
     WHERE m.conversation_id = page.id AND m.seq > page.expired_up_to AND m.deleted_at IS NULL
     ORDER BY m.seq DESC LIMIT 1) AS last_live
FROM (
    SELECT c.id, coalesce(c.active_at, mine.joined_at) AS active, mine.role, c.expired_up_to,
        CASE WHEN mine.read_up_to < c.expired_up_to THEN c.expired_up_to ELSE mine.read_up_to END AS read_up_to
    FROM (
        SELECT conversation_id, role, read_up_to, joined_at FROM members WHERE user_id = $2 AND conversation_id <> $1
        UNION ALL
        SELECT id, 'member', 0, active_at FROM conversations WHERE id = $1 AND last_seq > 0
    ) mine
    JOIN conversations c ON c.id = mine.conversation_id
    WHERE c.deleted_at IS NULL
      AND (coalesce(c.active_at, mine.joined_at) < $3 OR (coalesce(c.active_at, mine.joined_at) = $3 AND c.id < $4))
    ORDER BY coalesce(c.active_at, mine.joined_at) DESC, c.id DESC
    LIMIT $5
) page
ORDER BY page.active DESC, page.id DESC";

/// Behind no conversation: later than any.
const TOP: (Time, Id) = (Time(253_402_300_799_999_999), Id(uuid::Uuid::max()));

fn list(
    conn: &mut AnyConnection,
    user: UserId,
    before: Option<ConversationCursor>,
    limit: Limit,
) -> DbResult<Page<Conversation>> {
    let (active, id) = before.map_or(TOP, |cursor| (cursor.active_at.into(), cursor.id.into()));
    let listed: Vec<ListedRow> = diesel::sql_query(LIST)
        .bind::<SqlId, _>(Id::from(ConversationId::BROADCAST))
        .bind::<SqlId, _>(Id::from(user))
        .bind::<SqlTime, _>(active)
        .bind::<SqlId, _>(id)
        .bind::<BigInt, _>(limit.get() as i64 + 1)
        .load(conn)?;
    let page = Page::from_surplus(listed, limit);
    let ids: Vec<Id> = page.items.iter().map(|row| row.id).collect();
    let rows: Vec<(ConversationRow, GroupRow)> = conversations::table
        .filter(conversations::id.eq_any(ids))
        .select((ConversationRow::as_select(), GroupRow::as_select()))
        .load(conn)?;
    let others = rows.iter().filter_map(|(row, _)| other_of(row, user)).collect();
    let mut people = people(conn, others)?;
    let mut rows: HashMap<Id, (ConversationRow, GroupRow)> = rows.into_iter().map(|row| (row.0.id, row)).collect();
    let mut items = Vec::with_capacity(page.items.len());
    for listed in page.items {
        let Some((row, group)) = rows.remove(&listed.id) else { continue };
        let with = match other_of(&row, user) {
            Some(other) => match people.remove(&other) {
                Some(other) => With::User(other.into_user()?),
                None => continue,
            },
            None if row.kind == "group" => {
                let role = listed.role.as_deref().map(role).transpose()?;
                With::Group(GroupView { group: group.into_group()?, role })
            }
            None => With::Everybody,
        };
        let last_message = match listed.last_live {
            Some(seq) => Some(full_message(&row, message_at(conn, row.id, seq)?)?),
            None => None,
        };
        items.push(Conversation {
            id: row.id.into(),
            with,
            last_message,
            unseen: count(listed.unseen),
            update: row.update,
            active_at: listed.active.into(),
        });
    }
    Ok(Page { items, more: page.more })
}

/// With whom one talks in a direct conversation.
fn other_of(row: &ConversationRow, user: UserId) -> Option<Id> {
    let (first, second) = (row.first_user?, row.second_user?);
    Some(if first == Id::from(user) { second } else { first })
}

fn people(conn: &mut AnyConnection, ids: Vec<Id>) -> DbResult<HashMap<Id, UserRow>> {
    let rows: Vec<UserRow> = users::table.filter(users::id.eq_any(ids)).select(UserRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

fn message_at(conn: &mut AnyConnection, conversation: Id, seq: i64) -> DbResult<FullMessage> {
    Ok(messages::table
        .inner_join(users::table)
        .left_join(files::table)
        .filter(messages::conversation_id.eq(conversation).and(messages::seq.eq(seq)))
        .select((MessageRow::as_select(), ProfileRow::as_select(), Option::<FileRow>::as_select()))
        .first(conn)?)
}

#[async_trait]
impl ConversationRepository for Store {
    async fn list(&self, user: UserId, before: Option<ConversationCursor>, limit: Limit) -> Result<Page<Conversation>> {
        self.snapshot(move |conn| list(conn, user, before, limit)).await
    }
}
